// How the page looks and is handled: screenshots for people to look at,
// widths, keyboard, names for screen readers.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, fits, launch, left, member, message, say, shoot, state, visit } from "./browser.js";
import { startServer } from "./server.js";

let server, browser;
before(async () => {
  server = await startServer();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const sizes = [[1280, 800], [768, 1024], [360, 740]];
const schemes = ["light", "dark"];

test("the form and the chat fit every width, light and dark", async () => {
  for (const colorScheme of schemes) {
    for (const [width, height] of sizes) {
      const room = `release-${width}-${colorScheme}`;
      const context = { width, height, colorScheme };
      const bo = await enter(browser, server.url, { room, user: "bo", name: "Bo" });
      const cy = await enter(browser, server.url, { room, user: "cy", name: "Cy Adeyemi" });
      await say(bo, "Morning! Is the release still on for today?");
      await message(cy, "Morning!");
      await say(cy, "Yes, at two. The notes are at https://example.org/notes, have a look before that.");
      await message(bo, "Yes, at two");
      const form = await visit(browser, server.url, context);
      await form.locator("#entry-name").waitFor();
      await fits(form);
      await shoot(form, `form-${width}-${colorScheme}`);

      const page = await enter(browser, server.url, { room, user: "ana", name: "Ana Ortiz" }, context);
      await message(page, "release");
      await cy.close();
      await left(page, "cy");
      await say(page, "I will be there.");
      await message(bo, "I will be there.");
      await fits(page);
      await page.locator("#composer").waitFor();
      await shoot(page, `chat-${width}-${colorScheme}`);
      for (const each of [form, page, bo]) await each.close();
    }
  }
});

test("without a mouse: into a room, a message, every control in turn, out again", async () => {
  const page = await visit(browser, server.url);
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute("aria-label") || document.activeElement.className);
  assert.equal(await focused(), "entry-name");
  await page.keyboard.type("Kim");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "entry-room");
  await page.keyboard.type("keys");
  await page.keyboard.press("Enter");
  await state(page, "online");
  assert.equal(await focused(), "composer");
  await page.keyboard.type("no mouse");
  await page.keyboard.press("Enter");
  await message(page, "no mouse");

  // Once round the page: everything that takes the focus shows it.
  const seen = new Set();
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const { on, visible } = await page.evaluate(() => {
      const at = document.activeElement;
      const ring = (node) => node && (getComputedStyle(node).outlineStyle !== "none" || getComputedStyle(node).boxShadow !== "none");
      return {
        on: at.id || at.getAttribute("aria-label") || at.className || at.tagName,
        visible: at === document.body || ring(at) || ring(at.closest("form")),
      };
    });
    assert.ok(visible, `${on} shows no focus`);
    seen.add(on);
  }
  for (const control of ["composer", "Send", "messages", "leave", "join-room", "Join room", "room", "Leave keys"]) {
    assert.ok(seen.has(control), `${control} can't be reached: ${[...seen].join(", ")}`);
  }
  await page.locator("#leave").focus();
  await page.keyboard.press("Enter");
  await page.locator("#entry-name").waitFor();
});

test("on a phone the rooms and people are drawers: the keyboard goes in and comes back", async () => {
  const page = await enter(browser, server.url, { room: "drawers", user: "ana", name: "Ana" }, { width: 360, height: 740 });
  const label = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  for (const [opener, panel] of [["People", "#people-panel"], ["Rooms", "#rooms-panel"]]) {
    assert.equal(await page.locator(panel).isVisible(), false);
    const button = page.getByRole("button", { name: opener, exact: true });
    await button.focus();
    await page.keyboard.press("Enter");
    await page.locator(panel).waitFor();
    assert.match(await label(), /^Close/);
    await page.locator(panel).evaluate((p) => Promise.all(p.getAnimations().map((a) => a.finished)));
    await shoot(page, `drawer-${opener.toLowerCase()}`);
    await page.keyboard.press("Escape");
    await page.locator(panel).waitFor({ state: "hidden" });
    assert.equal(await label(), opener);
  }
  await page.getByRole("button", { name: "Rooms", exact: true }).click();
  await page.locator("#join-room").fill("another");
  await page.locator("#join-room").press("Enter");
  await page.locator("#rooms-panel").waitFor({ state: "hidden" });
  await page.locator("#room-title", { hasText: "another" }).waitFor();
  await member(page, "ana");
  assert.equal(await page.evaluate(() => document.activeElement.id), "composer");
});

test("everything has a name and a role for screen readers", async () => {
  const page = await enter(browser, server.url, { room: "names", user: "ana", name: "Ana" });
  await page.getByRole("log", { name: "Messages" }).waitFor();
  await page.getByRole("textbox", { name: "Message", exact: true }).waitFor();
  await page.getByRole("navigation", { name: "Rooms" }).waitFor();
  await page.getByRole("complementary", { name: "People" }).waitFor();
  const nameless = await page.locator("button, input, textarea, a").evaluateAll((all) => all
    .filter((node) => !(node.textContent.trim() || node.getAttribute("aria-label") || node.labels?.length) && node.checkVisibility())
    .map((node) => node.outerHTML));
  assert.deepEqual(nameless, []);
  const bo = await enter(browser, server.url, { room: "names", user: "bo", name: "Bo" });
  await page.locator("#announcer", { hasText: "Bo joined." }).waitFor({ state: "attached" });
  await bo.close();
  await page.locator("#announcer", { hasText: "Bo closed the tab." }).waitFor({ state: "attached" });
});

test("who asked for less motion gets none", async () => {
  const page = await enter(browser, server.url, { room: "still", user: "ana" }, { reducedMotion: "reduce" });
  const moving = await page.evaluate(() => document.getAnimations().length);
  assert.equal(moving, 0);
  assert.equal(await page.locator(".dots i").first().evaluate((dot) => getComputedStyle(dot).animationName), "none");
});
