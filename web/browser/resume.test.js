// How people stay although their connection or their page does not: nobody else
// sees them leave.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { enter, launch, launchDoomed, left, member, message, renderersOf, say, sessions, shoot, state, stirred } from "./browser.js";
import { startProxy } from "./proxy.js";
import { startServer } from "./server.js";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

async function withServer(t, settings) {
  const server = await startServer(settings);
  t.after(() => server.stop());
  return server;
}

async function behindProxy(t, server) {
  const proxy = await startProxy(server.address);
  t.after(() => proxy.stop());
  return proxy;
}

const word = (page, user) => page.locator(`#members li[data-user="${user}"] .state-word`).textContent();

test("a connection that is cut: others see it lost, and back, and no leave", async (t) => {
  const server = await withServer(t, { "session.resume_window": "1m" });
  const proxy = await behindProxy(t, server);
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  await enter(browser, server.url, { user: "cy", name: "Cy" });
  const bo = await enter(browser, proxy.url, { user: "bo", name: "Bo" });
  await member(ana, "bo", "active");
  const before = await sessions(server, "lobby");
  const told = await stirred(ana);

  proxy.cut();
  await member(ana, "bo", "lost");
  assert.equal(await word(ana, "bo"), "connection lost just now");
  await state(bo, "offline");
  await shoot(ana, "lost");
  await say(ana, "meanwhile");
  await say(bo, "from the tunnel");
  proxy.mend();
  await state(bo, "online", 60_000);
  await member(ana, "bo", "active", 60_000);
  await message(bo, "meanwhile");
  await message(ana, "from the tunnel");
  assert.deepEqual(await sessions(server, "lobby"), before, "it is the same session");
  assert.equal(await stirred(ana), told, "nobody came or went");
  assert.equal(await bo.locator("#messages .gap").count(), 0);
  await shoot(ana, "back");
});

test("a network that was dead and lives again: its last words end no session", async (t) => {
  const server = await withServer(t);
  const proxy = await behindProxy(t, server);
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  const bo = await enter(browser, proxy.url, { user: "bo", name: "Bo", ping_ms: 1000 });
  await member(ana, "bo");
  const before = await sessions(server, "lobby");
  const told = await stirred(ana);
  proxy.freeze();
  await state(bo, "offline"); // it has given the connection up
  proxy.thaw(); // whatever the page sent into the void arrives now
  await state(bo, "online", 60_000);
  await say(bo, "I am still here");
  await message(ana, "I am still here");
  await member(ana, "bo", "active");
  assert.deepEqual(await sessions(server, "lobby"), before);
  assert.equal(await stirred(ana), told);
});

test("who does not come back in time leaves, and comes again as a new session", async (t) => {
  const server = await withServer(t, { "session.resume_window": "500ms" });
  const proxy = await behindProxy(t, server);
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  const bo = await enter(browser, proxy.url, { user: "bo", name: "Bo" });
  await member(ana, "bo");
  await say(ana, "before");
  await message(bo, "before");
  const before = await sessions(server, "lobby");
  proxy.cut();
  assert.equal(await left(ana, "bo"), "lost");
  await say(ana, "meanwhile");
  proxy.mend();
  await state(bo, "online", 60_000);
  await member(ana, "bo", "active");
  await message(bo, "meanwhile");
  assert.equal(await bo.locator("#messages .gap").count(), 0, "nothing is missing for all that");
  assert.notDeepEqual(await sessions(server, "lobby"), before);
});

test("a reload that the server waits for is no leave", async (t) => {
  const server = await withServer(t, { "session.reload_grace": "30s" });
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  const bo = await enter(browser, server.url, { user: "bo", name: "Bo" });
  await member(ana, "bo");
  await bo.locator("#join-room").fill("other");
  await bo.locator("#join-room").press("Enter");
  await bo.locator("#room-title", { hasText: "other" }).waitFor();
  await member(bo, "bo");
  const before = [await sessions(server, "lobby"), await sessions(server, "other")];
  const told = await stirred(ana);
  for (let n = 1; n <= 3; n++) {
    await bo.reload();
    await state(bo, "online");
    await member(bo, "bo", "active");
    await bo.locator('#rooms li[data-room="lobby"] button.room').click();
    await member(bo, "ana");
    await say(bo, `reload ${n}`);
    await message(ana, `reload ${n}`);
    assert.deepEqual([await sessions(server, "lobby"), await sessions(server, "other")], before, `the same session after reload ${n}`);
    assert.equal(await bo.evaluate(() => sessionStorage.getItem("rollcall.resume")), null, "the token is taken away at once");
  }
  assert.equal(await stirred(ana), told);
  assert.deepEqual(bo.complaints, []);

  // Elsewhere in the same tab: the session goes along, and leaves what it was in.
  await bo.goto(`${server.url}/?room=third&user=bo&name=Bo`);
  await state(bo, "online");
  assert.equal(await left(ana, "bo"), "left");
  assert.deepEqual(await sessions(server, "third"), before[1]);
});

test("a reload that the server does not wait for is a leave and a join", async (t) => {
  const server = await withServer(t, { "session.reload_grace": "0" });
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  const bo = await enter(browser, server.url, { user: "bo", name: "Bo" });
  await member(ana, "bo");
  const before = await sessions(server, "lobby");
  await bo.reload();
  assert.equal(await left(ana, "bo"), "closed");
  await member(ana, "bo", "active");
  await state(bo, "online");
  assert.notDeepEqual(await sessions(server, "lobby"), before);
});

test("a closed tab is told when the server has waited for a reload", async (t) => {
  const server = await withServer(t, { "session.reload_grace": "500ms" });
  const ana = await enter(browser, server.url, { user: "ana" });
  const bo = await enter(browser, server.url, { user: "bo" });
  await member(ana, "bo");
  await bo.close();
  assert.equal(await left(ana, "bo"), "closed");
});

test("a copy of a tab is a session of its own", async (t) => {
  const server = await withServer(t, { "session.reload_grace": "30s" });
  const ana = await enter(browser, server.url, { user: "ana" });
  const bo = await enter(browser, server.url, { user: "bo" });
  await member(ana, "bo");
  await bo.reload(); // now it has been left behind and taken once
  await state(bo, "online");
  const [copy] = await Promise.all([bo.waitForEvent("popup"), bo.evaluate(() => void window.open(location.href))]);
  await state(copy, "online");
  assert.match(await copy.evaluate(() => sessionStorage.getItem("rollcall.visit")), /"bo"/, "it has a copy of what the tab remembers");
  await ana.locator('#members li[data-user="bo"] .tag', { hasText: "2 devices" }).waitFor();
  await state(bo, "online");
  assert.equal((await sessions(server, "lobby")).filter((s) => s.startsWith("bo ")).length, 2);

  for (const page of [bo, copy]) await page.reload();
  for (const page of [bo, copy]) await state(page, "online");
  await ana.locator('#members li[data-user="bo"] .tag', { hasText: "2 devices" }).waitFor();
  assert.equal((await sessions(server, "lobby")).filter((s) => s.startsWith("bo ")).length, 2, "each came back as itself");
});

test("a page that comes back from the browser's history is the session it was", async (t) => {
  const server = await withServer(t, { "session.reload_grace": "30s" });
  const caching = await launch({ ignoreDefaultArgs: ["--disable-back-forward-cache"] });
  t.after(() => caching.close());
  const ana = await enter(browser, server.url, { user: "ana" });
  const bo = await enter(caching, server.url, { user: "bo" });
  await member(ana, "bo");
  const before = await sessions(server, "lobby");
  const told = await stirred(ana);
  await bo.evaluate(() => (window.marked = true));
  await bo.goto(`${server.url}/healthz`);
  await bo.goBack({ waitUntil: "commit" });
  await state(bo, "online");
  assert.equal(await bo.evaluate(() => window.marked), true, "the page itself came back");
  await say(bo, "back again");
  await message(ana, "back again");
  assert.deepEqual(await sessions(server, "lobby"), before);
  assert.equal(await stirred(ana), told);
  assert.equal(await bo.evaluate(() => sessionStorage.getItem("rollcall.resume")), null);
});

test("a page that was stopped is shown as not responding, and as active when it goes on", async (t) => {
  const server = await withServer(t);
  const doomed = await launchDoomed();
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  await enter(doomed.browser, server.url, { user: "bo", name: "Bo", ping_ms: 1000 });
  await member(ana, "bo", "active");
  const renderers = await renderersOf(doomed.browser);
  const signal = (name) => renderers.forEach((pid) => process.kill(pid, name));
  t.after(() => {
    signal("SIGCONT");
    return doomed.close().catch(() => {});
  });
  signal("SIGSTOP"); // its browser answers the server's pings all the same
  await member(ana, "bo", "unresponsive");
  assert.equal(await word(ana, "bo"), "not responding just now");
  await shoot(ana, "unresponsive");
  signal("SIGCONT");
  await member(ana, "bo", "active");
  assert.equal(await ana.locator("#notices .leave").count(), 0);
});
