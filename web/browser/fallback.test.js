// Where no WebSocket gets through: a proxy in between refuses them, and STOMP
// comes over each other transport of SockJS, forced, and over the one that
// sockjs-client finds by itself.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { launch, patience } from "./browser.js";
import { connect, heard, inTab, presence, send, sockjsSession, subscribe } from "./fronts.js";
import { startOldProxy } from "./oldproxy.js";
import { closeAll, native } from "./peers.js";
import { startServer } from "./server.js";

let server, browser;
before(async () => {
  [server, browser] = await Promise.all([startServer({ "sockjs.prefixes": "/qr-websocket", "session.resume_window": "1s" }), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  await closeAll();
  for (const context of browser.contexts()) await context.close();
});

const inTurn = [
  "xhr-streaming", "xhr-polling", "eventsource", "htmlfile", "jsonp-polling", "iframe-eventsource", "iframe-htmlfile", "iframe-xhr-polling",
];

/**
 * visit has a page come by way of base, see who is there, talk, and close its
 * tab; it checks what a watcher is told, and resolves with the transport and
 * the reason.
 */
async function visit(t, base, transport) {
  const room = t.name.replaceAll(/[^a-z0-9]+/gi, "-");
  const bob = await native(server, `room=${room}&user=bob`);
  await bob.of("joined");
  const kim = await inTab(browser, base);
  await kim.run(connect, { headers: { login: "kim", mood: "fine" }, ...transport });
  const { connected, transport: found, url } = await kim.told.take((m) => m.connected || m.closed);
  assert.ok(connected, "it is connected");
  await kim.run(subscribe, { destination: `/topic/${room}/presence` });
  assert.deepEqual((await presence(kim, room, "joined")).members.map((m) => m.user).sort(), ["bob", "kim"]);
  assert.deepEqual((await bob.of("join")).member.data, { mood: "fine" });
  for (const id of [connected.session, sockjsSession(url)]) {
    assert.equal((await server.api("GET", `sessions/${id}`)).session, connected.session, id);
  }

  await kim.run(subscribe, { destination: `/topic/${room}`, headers: { receipt: "subscribed" } });
  await kim.told.take((m) => m.receipt === "subscribed");
  const text = { text: "Grüße \u2028 \"😀\" </script> 100% %41 a+b&c=d", long: "ü-".repeat(10_000) };
  await kim.run(send, { destination: `/app/${room}`, body: JSON.stringify(text) });
  assert.deepEqual((await bob.of("message")).data, text);
  assert.deepEqual(JSON.parse((await heard(kim, `/topic/${room}`)).body), text);
  bob.send({ type: "publish", room, data: text });
  assert.deepEqual(JSON.parse((await heard(kim, `/topic/${room}`)).body), text);

  const began = performance.now();
  await kim.page.close();
  const leave = await bob.of("leave");
  t.diagnostic(`${found}: the closed tab is told as ${leave.reason} after ${Math.round(performance.now() - began)} ms`);
  assert.equal(leave.session, connected.session);
  return { found, reason: leave.reason };
}

test("websocket, with nothing in between", { timeout: patience }, async (t) => {
  assert.deepEqual(await visit(t, server.url, { transports: ["websocket"] }), { found: "websocket", reason: "closed" });
});

for (const transport of inTurn) {
  test(`forced: ${transport}`, { timeout: patience }, async (t) => {
    const proxy = await startOldProxy(server.address, { upgrade: 403 });
    try {
      assert.deepEqual(await visit(t, proxy.url, { transports: [transport] }), { found: transport, reason: "lost" });
    } finally {
      await proxy.stop();
    }
  });
}

for (const [name, upgrade] of [
  ["answers 403 to an upgrade", 403], ["answers 400 to an upgrade", 400], ["drops an upgrade", "drop"], ["takes an upgrade for any request", "ignore"],
]) {
  test(`found by itself: the proxy ${name}`, { timeout: patience }, async (t) => {
    const proxy = await startOldProxy(server.address, { upgrade });
    try {
      assert.deepEqual(await visit(t, proxy.url), { found: "xhr-streaming", reason: "lost" });
    } finally {
      await proxy.stop();
    }
  });
}

test("found by itself: the proxy keeps responses until they are whole", { timeout: patience }, async (t) => {
  const proxy = await startOldProxy(server.address, { upgrade: 403, buffers: true });
  try {
    const { found, reason } = await visit(t, proxy.url, { timeout: 0 }); // each that streams is given up as soon as may be
    assert.match(found, /polling/);
    assert.equal(reason, "lost");
  } finally {
    await proxy.stop();
  }
});
