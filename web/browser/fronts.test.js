// Front ends that were written for Spring, as their tutorials have them: STOMP
// by today's stompjs and by that of 2014, over SockJS, in node and in Chromium.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { launch, patience } from "./browser.js";
import { connect, heard, inNode, inTab, presence, send, sockjsSession, stomps, subscribe } from "./fronts.js";
import { closeAll, native } from "./peers.js";
import { startServer } from "./server.js";

const prefixes = { "sockjs.prefixes": "/qr-websocket", "limits.publish_rate": "0", "stomp.routes": "/app/hello=/topic/greetings" };
let server, strict, aging, browser;
before(async () => {
  [server, strict, aging, browser] = await Promise.all([
    startServer(prefixes),
    startServer({ ...prefixes, "session.idle_after": "1s", "session.disconnect_after": "6s" }),
    startServer({ ...prefixes, "session.max_age": "7s" }),
    launch(),
  ]);
});
after(async () => {
  await browser?.close();
  await Promise.all([server, strict, aging].map((s) => s?.stop()));
});
const open = [];
afterEach(async () => {
  for (const front of open.splice(0)) await front.run(({ app }) => app.socket?.close());
  await closeAll();
  for (const context of browser.contexts()) await context.close();
});

/** The places where a front end runs, each with each of the two STOMP clients. */
const places = stomps.flatMap((stomp) => [
  { name: `${stomp} in node`, start: async (on) => inNode(on.url, stomp) },
  { name: `${stomp} in Chromium`, start: async (on) => inTab(browser, on.url, stomp) },
]);
const starting = async (place, on = server) => {
  const front = await place.start(on);
  open.push(front);
  return front;
};
const rooms = (i) => (name) => `${name}-${i}`;

places.forEach((place, i) => {
  const named = rooms(i);
  const check = (name, run) => test(`${place.name}: ${name}`, { timeout: patience }, run);

  check("who connects is known by data and by both ids", async () => {
    const room = named("connect");
    const bob = await native(server, `room=${room}&user=bob&name=Bob`);
    await bob.of("joined");
    const kim = await starting(place);
    await kim.run(connect, { headers: { login: "kim", passcode: "secret", "rollcall-name": "Kim", userName: "Kim W.", mood: "fine" } });
    const { connected, url, transport } = await kim.told.take((m) => m.connected);
    assert.equal(transport, "websocket");
    assert.match(connected.session, /^s_/);
    assert.equal(connected["user-name"], "kim");

    await kim.run(subscribe, { destination: `/topic/${room}/presence` });
    const { members } = await presence(kim, room, "joined");
    assert.deepEqual(members.map((m) => m.user).sort(), ["bob", "kim"]);
    const join = await bob.of("join");
    const data = { userName: "Kim W.", mood: "fine" };
    assert.deepEqual([join.member.user, join.member.name, join.member.session, join.member.data], ["kim", "Kim", connected.session, data]);

    for (const id of [connected.session, sockjsSession(url)]) {
      const known = await server.api("GET", `sessions/${id}`);
      assert.deepEqual([known.session, known.user, known.data], [connected.session, "kim", data], id);
    }
    await bob.socket.close(1000);
    assert.deepEqual((({ user, reason }) => [user, reason])(await presence(kim, room, "leave")), ["bob", "closed"]);
  });

  check("greetings go to everybody, those of a back end too", async () => {
    const room = named("greetings");
    const bob = await native(server, `room=${room}&user=bob`);
    await bob.of("joined");
    const kim = await starting(place);
    await kim.run(connect, { headers: { login: "kim" } });
    await kim.told.take((m) => m.connected);
    await kim.run(subscribe, { destination: `/topic/${room}` });
    await bob.of("join");

    const greeting = { name: "Zoë 😀 \u2028 Żółć", "quoted \"key\"": [1, null] };
    await kim.run(send, { destination: `/app/${room}`, body: JSON.stringify(greeting) });
    assert.deepEqual(JSON.parse((await heard(kim, `/topic/${room}`)).body), greeting);
    assert.deepEqual((await bob.of("message")).data, greeting);

    const long = JSON.stringify({ text: "ü-".repeat(10_000) }); // stompjs of old splits it
    await kim.run(send, { destination: `/app/${room}`, body: long });
    assert.equal((await heard(kim, `/topic/${room}`)).body, long);
    assert.deepEqual((await bob.of("message")).data, JSON.parse(long));

    await kim.run(send, { destination: `/topic/${room}`, headers: { "content-type": "text/plain", tint: "rot" }, body: "Grüße, 世界" });
    const text = await heard(kim, `/topic/${room}`);
    assert.deepEqual([text.body, text.headers.tint, text.headers["rollcall-user"]], ["Grüße, 世界", "rot", "kim"]);
    assert.equal((await bob.of("message")).data, "Grüße, 世界");

    bob.send({ type: "publish", room, data: { text: "für dich" } });
    assert.deepEqual(JSON.parse((await heard(kim, `/topic/${room}`)).body), { text: "für dich" });
    await server.api("POST", `rooms/${room}/messages`, { data: { event: "größer" }, user: "back-end" });
    const posted = await heard(kim, `/topic/${room}`);
    assert.deepEqual([JSON.parse(posted.body), posted.headers["rollcall-user"]], [{ event: "größer" }, "back-end"]);
  });

  check("a tutorial's hello comes as a greeting, and who says it need not be there", async () => {
    const bob = await native(server, "room=greetings&user=bob");
    await bob.of("joined");
    const kim = await starting(place);
    await kim.run(connect, { prefix: "/qr-websocket?user=kim&name=Kim&data=%7B%22mood%22%3A%22fine%22%7D" });
    const { connected } = await kim.told.take((m) => m.connected);
    assert.equal(connected["user-name"], "kim");
    await kim.run(send, { destination: "/app/hello", body: JSON.stringify({ name: "Kim" }) });
    const hello = await bob.of("message");
    assert.deepEqual([hello.user, hello.name, hello.session, hello.data], ["kim", "Kim", connected.session, { name: "Kim" }]);

    await kim.run(subscribe, { destination: "/topic/greetings" });
    assert.deepEqual((await bob.of("join")).member.data, { mood: "fine" });
    await kim.run(send, { destination: "/app/hello", body: JSON.stringify({ name: "Zoë" }) });
    assert.deepEqual(JSON.parse((await heard(kim, "/topic/greetings")).body), { name: "Zoë" });
  });

  check("receipts, a transaction, the user's queue and refusals", async () => {
    const room = named("frames");
    const bob = await native(server, `room=${room}&user=bob`);
    await bob.of("joined");
    const kim = await starting(place);
    await kim.run(connect, { headers: { login: `kim-${i}` } });
    await kim.told.take((m) => m.connected);
    for (const destination of [`/topic/${room}`, "/user/queue/greetings", "/user/queue/errors"]) {
      await kim.run(subscribe, { destination, headers: { receipt: destination } });
      await kim.told.take((m) => m.receipt === destination);
    }

    await kim.run(({ app }, { destination }) => {
      const tx = app.stompClient.begin();
      for (const body of ["one", "two"]) app.stompClient.send(destination, { transaction: tx.id }, body);
      app.stompClient.send(destination, { receipt: "before" }, "before");
      tx.commit();
    }, { destination: `/topic/${room}` });
    await kim.told.take((m) => m.receipt === "before");
    const order = [];
    while (order.length < 3) order.push((await bob.of("message")).data);
    assert.deepEqual(order, ["before", "one", "two"]);

    assert.deepEqual(await server.api("POST", `users/kim-${i}/queue/greetings`, { data: { hello: "ö" } }), { delivered: 1 });
    assert.deepEqual(JSON.parse((await heard(kim, "/user/queue/greetings")).body), { hello: "ö" });

    await kim.run(send, { destination: "/topic/@secret", headers: { receipt: "no" }, body: "x" });
    const refused = await heard(kim, "/user/queue/errors");
    assert.deepEqual([JSON.parse(refused.body).code, refused.headers["receipt-id"]], ["forbidden", "no"]);

    await kim.run(({ app, tell }) => app.stompClient.disconnect(() => tell({ disconnected: true })));
    await kim.told.take((m) => m.disconnected);
    assert.equal((await bob.of("leave")).reason, "closed");
  });
});

/**
 * endedEverywhere has everybody at once wait for the server to end them, in a
 * room each, without a WebSocket as well. The watcher comes a heart-beat later,
 * so that its own end does.
 */
const endedEverywhere = (on, reason, code) => async () => {
  const polling = ["xhr-streaming", "xhr-polling"].map((transport) => ({ ...places[0], name: transport, transports: [transport] }));
  await Promise.all([...places, ...polling].map(async (place, i) => {
    const room = rooms(i)(reason);
    const front = await starting(place, on());
    await front.run(connect, { headers: { login: "kim" }, beats: 1000, transports: place.transports });
    const { connected } = await front.told.take((m) => m.connected);
    await front.run(({ app, tell }) => {
      const { socket } = app;
      const write = socket.send.bind(socket);
      app.beats = 0;
      socket.send = (data) => {
        if (data === "\n") tell({ beat: ++app.beats });
        write(data);
      };
    });
    await front.run(subscribe, { destination: `/topic/${room}` });
    await front.told.take((m) => m.beat === 1);
    const bob = await native(on(), `user=bob&room=${room}`);
    await bob.of("joined");

    assert.equal((await front.told.take((m) => m.error)).error, reason, place.name);
    assert.equal((await front.told.take((m) => m.closed)).closed, code, place.name);
    const leave = await bob.of("leave");
    assert.deepEqual([leave.session, leave.reason, leave.code], [connected.session, reason, code], place.name);
    assert.ok((await front.run(({ app }) => app.beats)) >= 2, `${place.name}: heart-beats went on`);
  }));
};

test("who does nothing is ended as idle, while heart-beats run each second", { timeout: patience }, endedEverywhere(() => strict, "idle", 4500));

test("who has been here for too long is ended as expired", { timeout: patience }, endedEverywhere(() => aging, "expired", 4501));
