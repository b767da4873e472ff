// What an application that uses stompjs meets.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Stomp, Versions } from "@stomp/stompjs";

import { startServer } from "./server.js";
import { closeAll, connect, native, WebSocket } from "./peers.js";

let server;
before(async () => (server = await startServer({ "limits.publish_rate": "0" })));
after(async () => server.stop());
afterEach(closeAll);

for (const version of [Versions.V1_0, Versions.V1_1, Versions.V1_2]) {
  test(`STOMP ${version}: messages go both ways between a native and a STOMP client`, async () => {
    const room = `talk-${version}`;
    const kim = await connect(server, { login: "kim", "rollcall-name": "Kim", mood: "fine" }, { stompVersions: new Versions([version]) });
    assert.equal(kim.client.connectedVersion, version);
    assert.match(kim.hello.session, /^s_/);
    assert.equal(kim.hello["user-name"], "kim");
    const presence = await kim.subscribe(`/topic/${room}/presence`);
    const topic = await kim.subscribe(`/topic/${room}`);

    const snapshot = JSON.parse((await presence.next()).body);
    assert.equal(snapshot.type, "joined");
    assert.equal(snapshot.session, kim.hello.session);
    assert.deepEqual(snapshot.members.map((m) => m.user), ["kim"]);

    const bob = await native(server, `room=${room}&user=bob&name=Bob`);
    const joined = await bob.of("joined");
    assert.deepEqual(joined.members.map((m) => [m.user, m.name, m.data]), [["kim", "Kim", { mood: "fine" }], ["bob", "Bob", undefined]]);
    const join = await presence.next();
    assert.equal(join.headers["content-type"], "application/json");
    assert.equal(JSON.parse(join.body).member.user, "bob");

    bob.send({ type: "publish", room, data: { text: "hi" }, headers: { lang: "en" } });
    const hi = await topic.next();
    assert.equal(hi.body, '{"text":"hi"}');
    assert.equal(hi.headers["content-type"], "application/json");
    assert.equal(hi.headers.destination, `/topic/${room}`);
    assert.equal(hi.headers["message-id"], `${joined.epoch}-3`);
    assert.equal(hi.headers.lang, "en");
    assert.equal(hi.headers["rollcall-user"], "bob");

    const body = "Grüezi, \"Bob\" \u{1F44B}\nnot JSON";
    kim.client.publish({ destination: `/app/${room}`, body, headers: await kim.receipt({ "content-type": "text/x-note", tint: "red" }) });
    await kim.receipted;
    const note = await bob.next((m) => m.type === "message" && m.user === "kim");
    assert.equal(note.data, body);
    assert.deepEqual(note.headers, { "content-type": "text/x-note", tint: "red" });
    const own = await topic.next();
    assert.equal(own.body, body);
    assert.equal(own.headers["content-type"], "text/x-note");
    assert.equal(own.headers.tint, "red");

    topic.subscription.unsubscribe();
    presence.subscription.unsubscribe();
    const left = await bob.of("leave");
    assert.equal(left.reason, "left");
    assert.equal(left.session, kim.hello.session);

    await kim.subscribe(`/topic/${room}`);
    await bob.of("join");
    await kim.client.deactivate(); // DISCONNECT, its receipt, and a close
    assert.equal((await bob.of("leave")).reason, "closed");
    assert.equal((await kim.closes.next()).code, 1000);
  });
}

test("bodies come out as they went in", async () => {
  const [kim, ann] = [await connect(server, { login: "kim" }), await connect(server, { login: "ann" })];
  const heard = await ann.subscribe("/topic/bodies");
  await kim.subscribe("/topic/bodies");
  const bodies = ['{ "a" : [1, 2.50] }', "null", "true", "-1.5e3", " [ ] ", '"quoted"', "", "plain", '{"a":1,"a":2}', "a\u0000b", "{", "ünï"];
  for (const body of bodies) {
    for (const headers of [{}, { "content-type": "application/json" }, { "content-type": "text/plain" }]) {
      kim.client.publish({ destination: "/topic/bodies", body, headers: await kim.receipt(headers) });
      const got = await heard.next();
      assert.equal(got.body, body, JSON.stringify([body, headers]));
      if (headers["content-type"]) assert.equal(got.headers["content-type"], headers["content-type"]);
      await kim.receipted;
    }
  }
  const octets = new TextEncoder().encode("octets\u0000ö");
  kim.client.publish({ destination: "/topic/bodies", binaryBody: octets });
  assert.deepEqual((await heard.next()).binaryBody, octets);
});

test("frames that stompjs splits are put together again", async () => {
  const kim = await connect(server, {}, { splitLargeFrames: true, maxWebSocketChunkSize: 1000 });
  const topic = await kim.subscribe("/topic/long");
  const body = JSON.stringify({ text: "ü-".repeat(10000) });
  kim.client.publish({ destination: "/topic/long", body });
  assert.equal((await topic.next()).body, body);
});

test("a transaction applies at COMMIT in order, or not at all", async () => {
  const kim = await connect(server, { login: "kim" });
  const bob = await native(server, "room=tx&user=bob");
  await kim.subscribe("/topic/tx");
  const aborted = kim.client.begin();
  kim.client.publish({ destination: "/topic/tx", body: "never", headers: { transaction: aborted.id } });
  aborted.abort();
  const tx = kim.client.begin();
  for (const body of ["one", "two"]) kim.client.publish({ destination: "/topic/tx", body, headers: { transaction: tx.id } });
  kim.client.publish({ destination: "/topic/tx", body: "before", headers: {} });
  tx.commit();
  assert.deepEqual([(await bob.of("message")).data, (await bob.of("message")).data, (await bob.of("message")).data], ["before", "one", "two"]);
});

test("users write to each other's queues, and the API to anybody's", async () => {
  const kim = await connect(server, { login: "kim", "rollcall-name": "Kim" });
  const ann = await connect(server, { login: "ann/1" });
  const inbox = await ann.subscribe("/user/queue/notes", { ack: "client" });
  kim.client.publish({ destination: "/user/ann%2F1/queue/notes", body: "psst", headers: await kim.receipt({ tint: "blue" }) });
  const note = await inbox.next();
  assert.equal(note.body, "psst");
  assert.equal(note.headers.destination, "/user/queue/notes");
  assert.equal(note.headers["rollcall-name"], "Kim");
  assert.equal(note.headers.tint, "blue");
  await kim.receipted;
  note.ack(await ann.receipt());
  await ann.receipted;
  note.nack();
  const answer = await server.api("POST", "users/ann%2F1/queue/notes", { data: { n: 1 }, headers: { a: "b" } });
  assert.deepEqual(answer, { delivered: 1 });
  const called = await inbox.next();
  assert.deepEqual([called.body, called.headers.a], ['{"n":1}', "b"]);
});

test("heart-beats go both ways and are no activity", async () => {
  const strict = await startServer({ "session.idle_after": "1s", "session.disconnect_after": "4s" });
  try {
    const kim = await connect(strict, { login: "kim" }, { heartbeatIncoming: 1000, heartbeatOutgoing: 1000 });
    assert.equal(kim.hello["heart-beat"], "1000,1000");
    const presence = await kim.subscribe("/topic/idle/presence");
    const idle = await presence.next((m) => JSON.parse(m.body).type === "update");
    assert.equal(JSON.parse(idle.body).state, "idle");
    const error = await kim.errors.next();
    assert.equal(error.headers.message, "idle");
    assert.equal(error.headers["rollcall-code"], "4500");
    assert.equal((await kim.closes.next()).code, 4500);
  } finally {
    await strict.stop();
  }
});

test("what is refused is an ERROR and a close, or a message on the error queue", async () => {
  const kim = await connect(server, { login: "kim" });
  kim.client.subscribe("/nowhere", () => {});
  const error = await kim.errors.next();
  assert.match(error.headers.message, /\/topic\/\{room\}/);
  assert.equal((await kim.closes.next()).code, 1002);

  const ann = await connect(server, { login: "ann" });
  const errors = await ann.subscribe("/user/queue/errors");
  ann.client.publish({ destination: "/topic/@secret", body: "x", headers: await ann.receipt() });
  const told = await errors.next();
  assert.equal(JSON.parse(told.body).code, "forbidden");
  assert.equal(told.headers["receipt-id"], "r-2");
});

test("a kicked member hears of it", async () => {
  const kim = await connect(server, { login: "kim" });
  const presence = await kim.subscribe("/topic/kick/presence");
  await server.api("DELETE", `rooms/kick/members/${kim.hello.session}`);
  const leave = JSON.parse((await presence.next((m) => JSON.parse(m.body).type === "leave")).body);
  assert.equal(leave.reason, "kicked");
  await server.api("DELETE", `sessions/${kim.hello.session}`, { reason: "spam" });
  assert.equal((await kim.errors.next()).headers.message, "spam");
  assert.equal((await kim.closes.next()).code, 4502);
});

test("code of the time of Stomp.over works as it stands", async () => {
  const stompClient = Stomp.over(() => new WebSocket(`ws://${server.address}/stomp`, ["v10.stomp", "v11.stomp", "v12.stomp"]));
  stompClient.debug = () => {};
  stompClient.reconnect_delay = 0;
  const greeting = await new Promise((resolve) => {
    stompClient.connect({ login: "kim" }, () => {
      stompClient.subscribe("/topic/greetings", resolve);
      stompClient.send("/app/greetings", {}, JSON.stringify({ name: "Kim" }));
    });
  });
  assert.deepEqual(JSON.parse(greeting.body), { name: "Kim" });
  await new Promise((resolve) => stompClient.disconnect(resolve));
});

test("history since a message-id bridges a reconnect", async () => {
  const kim = await connect(server, { login: "kim" });
  const topic = await kim.subscribe("/topic/past");
  for (const body of ["1", "2", "3"]) kim.client.publish({ destination: "/topic/past", body });
  const first = await topic.next();
  await topic.next();
  await topic.next();
  const ann = await connect(server, { login: "ann" });
  const since = await ann.subscribe("/topic/past", { "rollcall-since": first.headers["message-id"] });
  assert.deepEqual([(await since.next()).body, (await since.next()).body], ["2", "3"]);
  const newest = await ann.subscribe("/topic/past", { "rollcall-history": "1" });
  assert.equal((await newest.next()).body, "3");
});
