// STOMP in pages: over raw WebSockets, back after a cut, beside the chat page,
// and the page that the server brings along.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, test } from "node:test";
import { enter, fits, launch, left, member, members, message, noMember, patience, say, shoot, state, visit } from "./browser.js";
import { connect, heard, inNode, inTab, send, subscribe } from "./fronts.js";
import { startOldProxy } from "./oldproxy.js";
import { closeAll, native } from "./peers.js";
import { startProxy } from "./proxy.js";
import { startServer } from "./server.js";

let server, browser;
before(async () => {
  [server, browser] = await Promise.all([
    startServer({ "sockjs.prefixes": "/sockjs,/qr-websocket", "session.resume_window": "1s", "limits.publish_rate": "0" }), launch(),
  ]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
const proxies = [];
afterEach(async () => {
  await closeAll();
  for (const context of browser.contexts()) await context.close();
  for (const proxy of proxies.splice(0)) await proxy.stop();
});

for (const path of ["/stomp", "/qr-websocket/websocket"]) {
  test(`brokerURL ${path}`, { timeout: patience }, async () => {
    const room = path.replaceAll("/", "-");
    const bob = await native(server, `room=${room}&user=bob`);
    await bob.of("joined");
    const kim = await inTab(browser, server.url);
    await kim.run(({ StompJs, app, tell }, { brokerURL, destination }) => {
      const client = new StompJs.Client({
        brokerURL,
        connectHeaders: { login: "kim" },
        onConnect: () => {
          client.subscribe(destination, (m) => tell({ to: destination, body: m.body }));
          client.publish({ destination, body: JSON.stringify({ text: "roh: ö" }) });
          tell({ protocol: client.webSocket.protocol });
        },
      });
      client.activate();
      app.client = client;
    }, { brokerURL: `ws://${server.address}${path}`, destination: `/topic/${room}` });
    assert.equal((await kim.told.take((m) => m.protocol !== undefined)).protocol, "v12.stomp");
    assert.deepEqual((await bob.of("message")).data, { text: "roh: ö" });
    assert.deepEqual(JSON.parse((await heard(kim, `/topic/${room}`)).body), { text: "roh: ö" });
    await kim.page.close();
    assert.equal((await bob.of("leave")).reason, "closed");
  });
}

for (const [place, start] of [["node", (on) => inNode(on.url)], ["Chromium", (on) => inTab(browser, on.url)]]) {
  test(`${place}: stompjs comes back as another session, and misses nothing`, { timeout: patience }, async () => {
    const room = `back-${place}`;
    const proxy = await startProxy(server.address);
    proxies.push(proxy);
    const ann = await native(server, `room=${room}&user=ann`); // for the leave, which may come before or after the join
    await ann.of("joined");
    const bob = await native(server, `room=${room}&user=bob`);
    await bob.of("joined");
    const kim = await start(proxy);
    await kim.run(({ base, SockJS, StompJs, app, tell }, { destination }) => {
      let newest;
      const client = new StompJs.Client({
        webSocketFactory: () => new SockJS(`${base}/qr-websocket`, null, { timeout: 20_000 }),
        connectHeaders: { login: "kim" },
        reconnectDelay: 100,
        onConnect: (frame) => {
          tell({ session: frame.headers.session });
          client.subscribe(destination, (message) => {
            newest = message.headers["message-id"];
            tell({ to: destination, body: message.body });
          }, newest ? { "rollcall-since": newest } : {});
        },
        onWebSocketClose: (event) => tell({ closed: event.code }),
      });
      client.activate();
      app.client = client;
    }, { destination: `/topic/${room}` });

    const first = await kim.told.take((m) => m.session);
    assert.equal((await bob.of("join")).member.session, first.session);
    const say = async (data) => {
      bob.send({ type: "publish", room, id: 1, data });
      await bob.of("ok");
    };
    await say("here");
    assert.equal((await heard(kim, `/topic/${room}`)).body, "here");
    proxy.cut();
    assert.equal((await kim.told.take((m) => m.closed)).closed, 1006);
    await say("missed 1");
    await say("missed 2");
    proxy.mend();
    const second = await kim.told.take((m) => m.session);
    assert.notEqual(second.session, first.session);
    await bob.of("join");
    await say("back");
    const texts = [];
    while (texts.length < 3) texts.push((await heard(kim, `/topic/${room}`)).body);
    assert.deepEqual(texts, ["missed 1", "missed 2", "back"]);
    const leave = await ann.of("leave");
    assert.deepEqual([leave.session, leave.reason], [first.session, "lost"]);
    await kim.run(({ app }) => app.client.deactivate());
  });
}

test("the chat page and a STOMP client are in one room", { timeout: patience }, async () => {
  const room = "both";
  const ann = await enter(browser, server.url, { room, user: "ann", name: "Ann" });
  const kim = await inTab(browser, server.url);
  await kim.run(connect, { headers: { login: "kim", "rollcall-name": "Kim" } });
  await kim.told.take((m) => m.connected);
  await kim.run(subscribe, { destination: `/topic/${room}` });
  await member(ann, "kim", "active");
  await kim.run(send, { destination: `/app/${room}`, body: JSON.stringify({ text: "hi Ann" }) });
  await message(ann, "hi Ann");
  await kim.run(send, { destination: `/app/${room}`, body: "not JSON" });
  await message(ann, "not JSON");
  await say(ann, "hi Kim");
  assert.deepEqual(JSON.parse((await kim.told.take((m) => m.body?.includes("hi Kim"))).body), { text: "hi Kim" });
  await kim.page.close();
  assert.equal(await left(ann, "kim"), "closed");
  await noMember(ann, "kim");
  assert.deepEqual(ann.complaints, []);
});

/** stompPage opens the page, and waits until it is online and in. */
async function stompPage(base, { room, user, name = user, ...more }, context) {
  const page = await visit(browser, `${base}/stomp.html?${new URLSearchParams({ room, user, name, ...more })}`, context);
  await state(page, "online");
  await member(page, user);
  return page;
}
const transport = (page, word) => page.locator("#transport", { hasText: new RegExp(`^(${word})$`) }).waitFor();

test("stomp.html: two pages and the chat page see each other come, talk and go", { timeout: patience }, async () => {
  const room = "page";
  const kim = await stompPage(server.url, { room, user: "kim", name: "Kim", transport: "websocket" });
  await transport(kim, "websocket");
  const ann = await stompPage(server.url, { room, user: "ann", name: "Ann", transport: "xhr-polling" }, { width: 400, height: 760 });
  await transport(ann, "xhr-polling");
  const bo = await enter(browser, server.url, { room, user: "bo", name: "Bo" });
  for (const page of [kim, ann, bo]) {
    for (const user of ["kim", "ann", "bo"]) await member(page, user, "active");
    assert.deepEqual(await members(page), ["ann", "bo", "kim"]);
  }
  await say(kim, "hello from <b>STOMP</b>");
  await message(bo, "hello from <b>STOMP</b>");
  await say(bo, "hello from the chat page");
  await say(ann, "Grüße, without a WebSocket");
  for (const page of [kim, ann]) {
    await message(page, "hello from <b>STOMP</b>");
    await message(page, "hello from the chat page");
    await message(page, "Grüße, without a WebSocket");
    await fits(page);
  }
  await shoot(kim, "stomp");
  await shoot(ann, "stomp-narrow");
  await ann.close();
  assert.equal(await left(kim, "ann"), "lost");
  await bo.locator("#leave").click();
  assert.equal(await left(kim, "bo"), "left");
  assert.deepEqual(await members(kim), ["kim"]);

  await kim.locator("#disconnect").click();
  await state(kim, "offline");
  await kim.locator("#again").click();
  await state(kim, "online");
  await member(kim, "kim", "active");
  await say(kim, "here again");
  await message(kim, "here again");
  assert.equal(await kim.locator("#messages .message").count(), 4, "what it had is not told again");
  assert.deepEqual([...kim.complaints, ...ann.complaints, ...bo.complaints], []);
});

test("stomp.html: the form asks who and where", { timeout: patience }, async () => {
  const page = await visit(browser, `${server.url}/stomp.html`);
  await page.locator("#entry-name").fill("Kim");
  await page.locator("#entry-room").fill("form");
  await page.locator("#entry-transport").selectOption("eventsource");
  await page.locator("#entry-form button").click();
  await state(page, "online");
  await transport(page, "eventsource");
  const [{ name }] = (await server.api("GET", "rooms/form/members")).members;
  assert.equal(name, "Kim");
  assert.deepEqual(page.complaints, []);
});

for (const [found, proxying] of [["xhr-.*|eventsource", { upgrade: 403 }], ["xhr-polling", { upgrade: "drop", buffers: true }]]) {
  test(`stomp.html: it falls back by itself, ${JSON.stringify(proxying)}`, { timeout: patience }, async () => {
    const proxy = await startOldProxy(server.address, proxying);
    proxies.push(proxy);
    const page = await stompPage(proxy.url, { room: "fallback", user: "kim" });
    await transport(page, found);
    assert.deepEqual(page.complaints.filter((c) => !c.startsWith("WebSocket connection to")), []);
  });
}

test("stomp.html: after a cut it comes back; told to go, it stays away and says why", { timeout: patience }, async () => {
  const room = "ends";
  const proxy = await startProxy(server.address);
  proxies.push(proxy);
  const bob = await native(server, `room=${room}&user=bob&name=Bob`);
  await bob.of("joined");
  const kim = await stompPage(proxy.url, { room, user: "kim" });
  await bob.of("join");
  proxy.cut();
  await state(kim, "connecting");
  bob.send({ type: "publish", room, data: { text: "meanwhile" } });
  proxy.mend();
  await state(kim, "online");
  await message(kim, "meanwhile");

  const { member: { session } } = await bob.of("join");
  await server.api("DELETE", `sessions/${session}`, { reason: "spam" });
  await state(kim, "offline");
  assert.match(await kim.locator("#banner-text").textContent(), /spam/);
  await shoot(kim, "stomp-ended");

  await kim.locator("#again").click();
  const again = await bob.of("join");
  await state(kim, "online");
  await server.api("DELETE", `rooms/${room}/members/${again.member.session}`);
  await state(kim, "offline");
  assert.match(await kim.locator("#banner-text").textContent(), /kicked/);
});

test("stomp.html: a room that grows until nobody is listed, and shrinks again", { timeout: patience }, async (t) => {
  const small = await startServer({ "presence.full_max": "2", "presence.list_max": "6", "presence.interval": "100ms", "limits.request_rate": "0" });
  t.after(() => small.stop());
  const page = await stompPage(small.url, { room: "arena", user: "kim" });
  const here = (n) => page.locator("[data-count]", { hasText: new RegExp(`^${n}$`) }).waitFor();
  const listed = (n) => page.locator("#members li").nth(n - 1).waitFor({ state: "attached" });
  const others = [];
  const come = async (n) => {
    while (n-- > 0) others.push(await native(small, `room=arena&user=p${others.length}`));
  };
  await come(4); // batches
  await here(5);
  await listed(5);
  await come(5); // a number
  await here(10);
  await page.locator("#unlisted").waitFor();
  assert.deepEqual(await members(page), []);
  await say(page, "in a crowd");
  await message(page, "in a crowd");
  for (const other of others.splice(-8)) other.socket.close(1000);
  await page.locator("#unlisted").waitFor({ state: "hidden" });
  await listed(2);
  assert.deepEqual(await members(page), ["kim", "p0"]);
  await here(2);
});

test("stomp.html: a server that restarts is told apart from one that wants it gone", { timeout: patience }, async (t) => {
  const room = "restart";
  const before = await startServer();
  const page = await stompPage(before.url, { room, user: "kim" });
  await say(page, "before");
  await message(page, "before");
  await before.stop();
  await state(page, "connecting");
  const again = await startServer({ listen: before.address });
  t.after(() => again.stop());
  await state(page, "online");
  await member(page, "kim", "active");
  await say(page, "after");
  await message(page, "after");
  assert.equal(await page.locator("#messages .message").count(), 2);
});

test("what stomp.html loads from others is what npm has", async () => {
  for (const [ours, theirs] of [["sockjs.min.js", "sockjs-client/dist/sockjs.min.js"], ["stomp.umd.min.js", "@stomp/stompjs/bundles/stomp.umd.min.js"]]) {
    const [a, b] = await Promise.all([`../npm/${ours}`, `node_modules/${theirs}`].map((path) => readFile(new URL(path, import.meta.url))));
    assert.ok(a.equals(b), `web/npm/${ours} is not web/browser/node_modules/${theirs}`);
  }
});
