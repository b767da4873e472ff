// Chromium, and what the tests ask of the page: by its stable hooks alone
// where a hook will do.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const options = {
  executablePath: process.env.CHROMIUM,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
};

/** Nothing that the page shows takes longer than this, unless a test says so. */
export const soon = 30_000;

/** A test that waits for what has no limit of its own ends after this, so that it says where it was. */
export const patience = 4 * soon;

export const launch = (more) => chromium.launch({ ...options, ...more });

/** launchDoomed is a browser whose process may be killed: browser, and its pid. */
export async function launchDoomed() {
  const server = await chromium.launchServer(options);
  return { browser: await chromium.connect(server.wsEndpoint()), pid: server.process().pid, close: () => server.close() };
}

/** renderersOf is the process ids of a browser's renderers. */
export async function renderersOf(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.filter((p) => p.type === "renderer").map((p) => p.id);
}

/** query is the address of a page that joins at once. */
export const query = ({ room = "lobby", user, name = user, ...more }) => `/?${new URLSearchParams({ room, user, name, ...more })}`;

/**
 * visit opens a page in a context of its own. What the page complains of goes
 * to page.complaints: a test that expects none asserts that it is empty.
 */
export async function visit(browser, url, { width = 1280, height = 800, ...context } = {}) {
  const page = await (await browser.newContext({ viewport: { width, height }, ...context })).newPage();
  page.setDefaultTimeout(soon);
  page.complaints = [];
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && page.complaints.push(m.text()));
  page.on("pageerror", (e) => page.complaints.push(String(e)));
  await page.goto(url);
  return page;
}

/** enter opens a page that joins at once, and waits until it is online and in. */
export async function enter(browser, base, who, context) {
  const page = await visit(browser, base + query(who), context);
  await state(page, "online");
  await member(page, who.user);
  return page;
}

export const state = (page, word, timeout = soon) => page.locator("#state", { hasText: new RegExp(`^${word}$`) }).waitFor({ timeout });
export const member = (page, user, inState, timeout = soon) =>
  page.locator(`#members li[data-user="${user}"]${inState ? `[data-state="${inState}"]` : ""}`).waitFor({ state: "attached", timeout });
export const noMember = (page, user, timeout = soon) => page.locator(`#members li[data-user="${user}"]`).waitFor({ state: "detached", timeout });
export const message = (page, text, timeout = soon) => page.locator("#messages .message", { hasText: text }).waitFor({ timeout });
export const members = async (page) =>
  (await page.locator("#members li").evaluateAll((all) => all.map((li) => li.dataset.user))).sort();

export async function say(page, text) {
  await page.locator("#composer").fill(text);
  await page.locator("#composer").press("Enter");
}

/** left waits until the page tells that user has gone, and resolves with the reason. */
export async function left(page, user, timeout = soon) {
  const notice = page.locator(`#notices .leave[data-user="${user}"]`).first();
  await notice.waitFor({ state: "attached", timeout }).catch(async (cause) => {
    const own = await page.locator("#state").textContent();
    throw new Error(`it is not told that ${user} has gone; the page that should tell is ${own}`, { cause });
  });
  return notice.getAttribute("data-reason");
}

/** sessions is the sessions in a room, as the server knows them: user and session. */
export async function sessions(server, room) {
  const { members: all } = await server.api("GET", `rooms/${encodeURIComponent(room)}/members`);
  return all.map((m) => `${m.user} ${m.session}`).sort();
}

/** stirred is how many comings and goings a page has told, since it was opened. */
export const stirred = (page) => page.locator("#notices .leave, #timeline .comings").count();

const folder = fileURLToPath(new URL("../../screenshots/", import.meta.url));

/** shoot saves what a page looks like, for people to look at. */
export async function shoot(page, name) {
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}${name}.png` });
}

/** fits asserts that nothing sticks out of the page sideways. */
export async function fits(page) {
  const { content, width } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, width: innerWidth }));
  assert.ok(content <= width, `${content} px of content in ${width} px`);
}
