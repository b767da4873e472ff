// How people go without saying so: killed processes, dead networks, long
// silence, a server that restarts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, launch, launchDoomed, left, member, members, message, noMember, query, renderersOf, say, shoot, soon, state, visit } from "./browser.js";
import { startProxy } from "./proxy.js";
import { startServer } from "./server.js";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

// Short enough to wait for, long enough for a busy machine: who watches must not be lost as well.
const heartbeat = { "heartbeat.interval": "2s", "heartbeat.timeout": "6s", "session.resume_window": "1s" };

async function withServer(t, settings) {
  const server = await startServer(settings);
  t.after(() => server.stop());
  return server;
}

test("a killed browser is told", async (t) => {
  const server = await withServer(t, heartbeat);
  const ana = await enter(browser, server.url, { user: "ana" });
  const doomed = await launchDoomed();
  t.after(() => doomed.close().catch(() => {}));
  await enter(doomed.browser, server.url, { user: "bo" });
  await member(ana, "bo");
  process.kill(doomed.pid, "SIGKILL");
  const reason = await left(ana, "bo");
  assert.ok(["lost", "closed"].includes(reason), reason);
  await noMember(ana, "bo");
});

test("a killed tab is told, though its browser lives on", async (t) => {
  const server = await withServer(t, heartbeat);
  const ana = await enter(browser, server.url, { user: "ana" });
  const doomed = await launchDoomed();
  t.after(() => doomed.close().catch(() => {}));
  await enter(doomed.browser, server.url, { user: "bo" });
  await member(ana, "bo");
  const renderers = await renderersOf(doomed.browser);
  assert.notEqual(renderers.length, 0);
  for (const pid of renderers) process.kill(pid, "SIGKILL");
  const reason = await left(ana, "bo");
  assert.ok(["lost", "closed"].includes(reason), reason);
});

test("a dead network: others see lost, the page sees offline, and both heal", async (t) => {
  const server = await withServer(t, heartbeat);
  const proxy = await startProxy(server.address);
  t.after(() => proxy.stop());
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  const bo = await enter(browser, proxy.url, { user: "bo", name: "Bo", ping_ms: 1000 });
  await member(ana, "bo");
  await say(ana, "before the break");
  await message(bo, "before the break");

  proxy.freeze();
  assert.equal(await left(ana, "bo"), "lost");
  await noMember(ana, "bo");
  await state(bo, "offline");
  await bo.locator("#banner-text", { hasText: /\S/ }).waitFor();
  await shoot(bo, "offline");

  await say(ana, "during the break");
  await say(bo, "from the dark");
  await bo.locator(".message.waiting", { hasText: "from the dark" }).waitFor();

  proxy.thaw();
  await state(bo, "online", 40_000); // an attempt made in the dark may have to end first
  await member(ana, "bo", "active");
  await message(bo, "during the break");
  await message(ana, "from the dark");
  await bo.locator(".message.waiting, .message.sending").waitFor({ state: "detached" });
  assert.equal(await ana.locator("#messages .message", { hasText: "from the dark" }).count(), 1);
  assert.equal(await bo.locator("#messages .message", { hasText: "before the break" }).count(), 1);
  assert.equal(await bo.locator("#messages .gap").count(), 0, "nothing was missed, so nothing says so");
  await bo.locator("#banner").waitFor({ state: "hidden" });
});

test("a message into a dead network is not lost and not sent twice", async (t) => {
  const server = await withServer(t, heartbeat);
  const proxy = await startProxy(server.address);
  t.after(() => proxy.stop());
  const ana = await enter(browser, server.url, { user: "ana" });
  const bo = await enter(browser, proxy.url, { user: "bo" });
  await member(ana, "bo");
  proxy.freeze();
  await say(bo, "into the void");
  await state(bo, "offline"); // the unanswered message is found out sooner than a ping would
  proxy.thaw();
  await state(bo, "online", 40_000);
  await message(ana, "into the void");
  await bo.locator(".message.waiting, .message.sending").waitFor({ state: "detached" });
  assert.equal(await ana.locator("#messages .message", { hasText: "into the void" }).count(), 1);
  assert.equal(await bo.locator("#messages .message", { hasText: "into the void" }).count(), 1);
});

test("who does nothing is shown as idle, and as active with the first key", async (t) => {
  const server = await withServer(t, { "session.idle_after": "1s", "session.disconnect_after": "0" });
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  const bo = await enter(browser, server.url, { user: "bo", name: "Bo" });
  await member(ana, "bo", "idle");
  await bo.locator("#banner-text", { hasText: "idle" }).waitFor();
  assert.match(await ana.locator('#members li[data-user="bo"]').textContent(), /idle/, "told in words, not by colour alone");
  await shoot(ana, "idle");
  await bo.keyboard.press("Shift");
  await member(ana, "bo", "active");
  await bo.locator("#banner").waitFor({ state: "hidden" });
});

test("who is idle too long is told why, and does not come back by itself", async (t) => {
  const server = await withServer(t, { "session.idle_after": "500ms", "session.disconnect_after": "2s" });
  const bo = await visit(browser, server.url + query({ user: "bo", name: "Bo" })); // it may be out again before anybody looks
  await state(bo, "offline");
  await bo.locator("#banner-text", { hasText: "idle too long" }).waitFor();
  await shoot(bo, "idle-too-long");

  // Longer than any first wait before an attempt: it makes none.
  let attempts = 0;
  bo.on("websocket", () => attempts++);
  const ana = await visit(browser, server.url + query({ user: "ana" }));
  await ana.locator("#banner-text", { hasText: "idle too long" }).waitFor();
  assert.equal(attempts, 0);

  await bo.locator("#banner-action", { hasText: "Join again" }).click();
  await bo.locator("#banner").waitFor({ state: "hidden" });
  assert.equal(attempts, 1);
});

test("others are told that somebody was idle too long", async (t) => {
  const server = await withServer(t, { "session.idle_after": "2s", "session.disconnect_after": "10s" });
  const ana = await enter(browser, server.url, { user: "ana" });
  await enter(browser, server.url, { user: "bo" });
  let gone = false;
  const told = left(ana, "bo").finally(() => (gone = true));
  for (let n = 1; !gone; n++) {
    await say(ana, `still here ${n}`);
    await Promise.race([told, ana.waitForTimeout(500)]); // well within the ten seconds
  }
  assert.equal(await told, "idle");
});

test("who is removed from a room is told, keeps the other rooms, and may join again", async (t) => {
  const server = await withServer(t);
  const bo = await enter(browser, server.url, { user: "bo" });
  const ana = await enter(browser, server.url, { user: "ana" });
  await member(bo, "ana");
  const { members: present } = await server.api("GET", "rooms/lobby/members");
  await server.api("DELETE", `rooms/lobby/members/${present.find((m) => m.user === "ana").session}`);
  assert.equal(await left(bo, "ana"), "kicked");
  await ana.locator("#banner-text", { hasText: "You were removed from this room" }).waitFor();
  await state(ana, "online");
  await say(ana, "may I?");
  await ana.locator(".message.failed", { hasText: "may I?" }).waitFor();
  await shoot(ana, "removed");
  await ana.locator("#banner-action", { hasText: "Join again" }).click();
  await member(bo, "ana", "active");
  await ana.locator(".message.failed button", { hasText: "Retry" }).click();
  await message(bo, "may I?");
});

test("a server that restarts gets its people back", async (t) => {
  const server = await startServer();
  const ana = await enter(browser, server.url, { user: "ana", name: "Ana" });
  const bo = await enter(browser, server.url, { user: "bo", name: "Bo" });
  await member(ana, "bo");
  await say(ana, "before the restart");
  await message(bo, "before the restart");

  const stopped = await server.stop();
  assert.equal(stopped.code, 0, "an orderly end");
  await Promise.all([state(ana, "offline"), state(bo, "offline")]);
  const again = await startServer({ listen: server.address });
  t.after(() => again.stop());

  await Promise.all([state(ana, "online", 40_000), state(bo, "online", 40_000)]);
  await Promise.all([member(ana, "bo", "active"), member(bo, "ana", "active")]);
  assert.deepEqual(await members(ana), ["ana", "bo"]);
  assert.deepEqual(await members(bo), ["ana", "bo"]);
  await message(ana, "before the restart");
  await say(bo, "after the restart");
  await message(ana, "after the restart");
  await shoot(ana, "after-restart");
});

test("reconnect now does so", async (t) => {
  const server = await startServer();
  const ana = await enter(browser, server.url, { user: "ana" });
  await server.stop();
  await state(ana, "offline");
  const action = ana.locator("#banner-action", { hasText: "Reconnect now" });
  await action.waitFor();
  const again = await startServer({ listen: server.address });
  t.after(() => again.stop());
  // The page may have beaten us to it.
  await action.click({ timeout: soon }).catch(() => {});
  await state(ana, "online");
  await member(ana, "ana", "active");
});
