// Two and more people talk.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { enter, fits, launch, left, member, members, message, noMember, say, shoot, state, visit } from "./browser.js";
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
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
const join = (who, context) => enter(browser, server.url, who, context);
const texts = (page) => page.locator("#messages .message .bubble").allTextContents();

test("two tabs see each other come, talk and go", async () => {
  const room = "two-tabs";
  const ana = await join({ room, user: "ana", name: "Ana" });
  const bo = await join({ room, user: "bo", name: "Bo" });
  await member(ana, "bo", "active");
  assert.deepEqual(await members(ana), ["ana", "bo"]);
  assert.deepEqual(await members(bo), ["ana", "bo"]);
  assert.equal(await ana.locator('#members li[data-user="bo"] .name').textContent(), "Bo");

  await say(ana, "hello Bo");
  await message(bo, "hello Bo");
  await say(bo, "<b>hi</b> Ana");
  await message(ana, "<b>hi</b> Ana");
  for (const page of [ana, bo]) {
    await page.locator(".message.sending").waitFor({ state: "detached" });
    assert.deepEqual(await texts(page), ["hello Bo", "<b>hi</b> Ana"], "each message once, and as text");
  }
  assert.equal(await ana.evaluate(() => document.activeElement.id), "composer", "the composer keeps the focus");

  await bo.locator("#leave").click();
  assert.equal(await left(ana, "bo"), "left");
  await noMember(ana, "bo");
  await bo.locator("#entry").waitFor();
  assert.deepEqual([...ana.complaints, ...bo.complaints], []);
});

test("a closed tab is told as closed", async () => {
  const room = "closed-tab";
  const ana = await join({ room, user: "ana" });
  const bo = await join({ room, user: "bo" });
  await member(ana, "bo");
  await bo.close({ runBeforeUnload: false });
  assert.equal(await left(ana, "bo"), "closed");
  await noMember(ana, "bo");
});

test("a page that goes elsewhere is told as closed, and one that comes back is in again", async () => {
  const room = "navigation";
  const ana = await join({ room, user: "ana" });
  const bo = await join({ room, user: "bo" });
  await member(ana, "bo");
  await bo.goto("about:blank");
  assert.equal(await left(ana, "bo"), "closed");
  await noMember(ana, "bo");
  await bo.goBack();
  await state(bo, "online");
  await member(ana, "bo");
});

test("a reload keeps who and where one is", async () => {
  const page = await visit(browser, server.url);
  await page.locator("#entry-name").fill("Kim");
  await page.locator("#entry-room").fill("reload");
  await page.locator("#entry-room").press("Enter");
  await state(page, "online");
  await say(page, "before");
  await message(page, "before");
  const me = await members(page);
  await page.reload();
  await state(page, "online");
  await message(page, "before");
  assert.deepEqual(await members(page), me);
  assert.match(page.url(), /\?room=reload$/, "the address is one to share: it names no person");
});

test("one person with two tabs is one member, there until the last tab closes", async () => {
  const room = "devices";
  const ana = await join({ room, user: "ana" });
  const bo = await join({ room, user: "bo" });
  const bo2 = await join({ room, user: "bo" });
  await ana.locator('#members li[data-user="bo"] .tag', { hasText: "2 devices" }).waitFor();
  assert.deepEqual(await members(ana), ["ana", "bo"]);
  await say(bo, "from one");
  await message(bo2, "from one");
  await bo2.close();
  await ana.locator('#members li[data-user="bo"] .tag').waitFor({ state: "detached" });
  assert.equal(await ana.locator("#notices .leave").count(), 0);
  await bo.close();
  assert.equal(await left(ana, "bo"), "closed");
});

test("who comes late reads what was said", async () => {
  const room = "history";
  const ana = await join({ room, user: "ana" });
  for (const text of ["one", "two", "three"]) await say(ana, text);
  await message(ana, "three");
  await ana.locator(".message.sending, .message.waiting").first().waitFor({ state: "detached" });
  const bo = await join({ room, user: "bo" });
  await message(bo, "three");
  assert.deepEqual(await texts(bo), ["one", "two", "three"]);
});

test("older messages come when asked for, and the reader stays where they were", async () => {
  const room = "older";
  const ana = await join({ room, user: "ana" });
  for (let n = 1; n <= 80; n++) await server.api("POST", `rooms/${room}/messages`, { user: "bot", name: "Bot", data: `line ${n}.` });
  await message(ana, "line 80.");
  const bo = await join({ room, user: "bo" }, { height: 500 });
  await message(bo, "line 80.");
  assert.equal(await bo.locator("#messages .message").count(), 50);
  await bo.locator("#messages").evaluate((log) => (log.scrollTop = 0));
  const top = () => bo.locator("#messages .message", { hasText: "line 31." }).evaluate((node) => Math.round(node.getBoundingClientRect().top));
  const before = await top();
  await bo.locator("#earlier").click();
  await message(bo, "line 1.");
  assert.equal(await bo.locator("#messages .message").count(), 80);
  assert.deepEqual((await texts(bo)).slice(0, 2), ["line 1.", "line 2."]);
  assert.ok(Math.abs((await top()) - before) < 60, `the line that was on top is still in sight, ${before} then ${await top()}`);
  await bo.locator("#earlier").waitFor({ state: "hidden" });
});

test("typing is seen by others, and ends with the message", async () => {
  const room = "typing";
  const ana = await join({ room, user: "ana", name: "Ana" });
  const bo = await join({ room, user: "bo", name: "Bo" });
  await member(ana, "bo");
  await bo.locator("#composer").pressSequentially("so");
  await ana.locator("#typing-text", { hasText: "Bo is typing" }).waitFor();
  assert.equal(await bo.locator("#typing-text").textContent(), "", "nobody is told of their own typing");
  await shoot(ana, "typing");
  await bo.locator("#composer").press("Enter");
  await message(ana, "so");
  assert.equal(await ana.locator("#typing-text").textContent(), "");
  await bo.locator("#composer").pressSequentially("w");
  await ana.locator("#typing-text", { hasText: "Bo is typing" }).waitFor();
  await bo.locator("#composer").fill("");
  await ana.locator("#typing-text:empty").waitFor({ state: "attached" });
});

test("several rooms: each its own members, messages and drafts, and what is unread is counted", async () => {
  const ana = await join({ room: "red", user: "ana" });
  const bo = await join({ room: "red", user: "bo" });
  const other = (page, name) => page.locator(`#rooms li[data-room="${name}"] button.room`);
  await ana.locator("#join-room").fill("blue sky");
  await ana.locator("#join-room").press("Enter");
  await ana.locator("#room-title", { hasText: "blue-sky" }).waitFor();
  await member(ana, "ana");
  assert.deepEqual(await members(ana), ["ana"]);
  await ana.locator("#composer").fill("a draft for blue");

  await say(bo, "first in red");
  await say(bo, "second in red");
  await other(ana, "red").locator(".unread", { hasText: "2" }).waitFor();
  assert.match(await ana.title(), /^\(2\)/);
  assert.equal(await ana.locator("#messages .message").count(), 0, "only the room on view is shown");

  await other(ana, "red").click();
  await message(ana, "second in red");
  await ana.locator(".unread-from").waitFor();
  assert.equal(await other(ana, "red").locator(".unread").textContent(), "");
  assert.equal(await ana.locator("#composer").inputValue(), "");
  assert.deepEqual(await members(ana), ["ana", "bo"]);
  await shoot(ana, "rooms");

  await other(ana, "blue-sky").click();
  await ana.locator("#room-title", { hasText: "blue-sky" }).waitFor();
  assert.equal(await ana.locator("#composer").inputValue(), "a draft for blue");
  await ana.locator("#leave").click();
  await ana.locator("#room-title", { hasText: "red" }).waitFor();
  await state(ana, "online");
  await member(bo, "ana");
  assert.equal(await bo.locator("#notices .leave").count(), 0, "leaving one room is not leaving another");
});

test("a room that is refused says why, and the page stays usable", async () => {
  const page = await visit(browser, `${server.url}/?room=@server&user=ana&name=Ana`);
  await state(page, "online");
  await page.locator("#banner-text", { hasText: /\S/ }).waitFor();
  await page.locator("#join-room").fill("a//b");
  await page.locator("#join-room").press("Enter");
  await page.locator("#join-problem", { hasText: "Letters" }).waitFor();
  await page.locator("#join-room").fill("fine");
  await page.locator("#join-room").press("Enter");
  await page.locator("#room-title", { hasText: "fine" }).waitFor();
  await member(page, "ana", "active");
});

test("the list stays at the newest message, unless the reader went up", async () => {
  const room = "scroll";
  const ana = await join({ room, user: "ana" }, { height: 500 });
  const bo = await join({ room, user: "bo" });
  const below = () => ana.locator("#messages").evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
  for (let i = 0; i < 20; i++) await say(bo, `line ${i}`);
  await message(ana, "line 19");
  assert.ok((await below()) < 2);
  await ana.locator("#messages").evaluate((log) => (log.scrollTop = 0));
  await ana.locator("#jump").waitFor();
  await say(bo, "one more");
  await say(bo, "and another");
  await ana.locator("#jump", { hasText: "Jump to latest (2)" }).waitFor();
  assert.ok((await below()) > 60, "nothing moves under a reader");
  await shoot(ana, "jump-to-latest");
  await ana.locator("#jump").click();
  await ana.locator("#jump").waitFor({ state: "hidden" });
  assert.ok((await below()) < 2);
  assert.equal(await ana.evaluate(() => document.activeElement.id), "composer");
});

test("Shift+Enter starts a line, Enter sends, and nothing is no message", async () => {
  const page = await join({ room: "lines", user: "ana" });
  const composer = page.locator("#composer");
  await composer.press("Enter");
  await composer.fill("   ");
  await composer.press("Enter");
  await composer.fill("");
  await composer.pressSequentially("one");
  await composer.press("Shift+Enter");
  await composer.pressSequentially("two");
  await composer.press("Enter");
  await message(page, "two");
  assert.deepEqual(await texts(page), ["one\ntwo"]);
});

test("a message too long for the server fails by itself, and can be taken back", async () => {
  const page = await join({ room: "long", user: "ana" });
  await page.locator("#composer").fill("x".repeat(70_000));
  await page.locator("#composer").press("Enter");
  await page.locator(".message.failed .delivery", { hasText: "Too long" }).waitFor();
  await page.locator(".message.failed .delivery button", { hasText: "Discard" }).click();
  await page.locator(".message").waitFor({ state: "detached" });
  await state(page, "online");
});

test("messages in any script and of any shape stay inside the page", async () => {
  const page = await join({ room: "shapes", user: "ana" }, { width: 360, height: 740 });
  await say(page, "שלום עולם, how are you?");
  await say(page, "w".repeat(300));
  await say(page, "see https://example.org/a?b=c, or javascript:alert(1)");
  await message(page, "javascript");
  await fits(page);
  const links = await page.locator(".bubble a").evaluateAll((all) => all.map((a) => [a.href, a.rel, a.target]));
  assert.deepEqual(links, [["https://example.org/a?b=c", "noopener noreferrer", "_blank"]]);
  assert.deepEqual(page.complaints, []);
});

test("the page keeps to its policy: nothing from elsewhere, no complaint in the console", async () => {
  const page = await visit(browser, server.url);
  const asked = [];
  page.on("request", (r) => asked.push(new URL(r.url()).host));
  page.on("websocket", (s) => asked.push(new URL(s.url()).host));
  await page.reload();
  await page.locator("#entry-form button").click();
  await state(page, "online");
  await say(page, "hello");
  await message(page, "hello");
  assert.ok(asked.length >= 4);
  assert.deepEqual([...new Set(asked)], [server.address]);
  assert.deepEqual(page.complaints, []);
  const blocked = await page.evaluate(() => {
    const violation = new Promise((resolve) => document.addEventListener("securitypolicyviolation", (e) => resolve(e.effectiveDirective)));
    document.head.append(Object.assign(document.createElement("style"), { textContent: "body { color: red }" }));
    return violation;
  });
  assert.match(blocked, /^style-src/, "and the policy is in force");
});
