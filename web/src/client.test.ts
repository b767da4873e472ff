import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Client, RequestError } from "./client.ts";
import type { ClientOptions, Connection } from "./client.ts";
import { FakeSocket } from "./fakesocket.ts";

const second = 1_000;
let states: Connection[];
let client: Client;
// ticking is time that passes, with the clock of the page.
function ticking(ticks: number) {
  for (let i = 0; i < ticks; i++) {
    mock.timers.tick(10 * second);
    client.tick();
  }
}
const socket = () => FakeSocket.all.at(-1)!;
const offline = () => {
  assert.equal(client.connection.state, "offline");
  return client.connection as Extract<Connection, { state: "offline" }>;
};

function start(options: Partial<ClientOptions> = {}): FakeSocket {
  client = new Client({
    url: "ws://test", onConnection: (c) => states.push(c), onFrame: () => {},
    open: FakeSocket.open, random: () => 0, ...options,
  });
  client.connect();
  return socket();
}

function online(options: Partial<ClientOptions> = {}): FakeSocket {
  const s = start(options);
  s.welcome();
  return s;
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  FakeSocket.all = [];
  states = [];
});

test("it is online with the welcome, not before", () => {
  const s = start();
  assert.deepEqual(states.map((c) => c.state), ["connecting"]);
  s.welcome();
  assert.deepEqual(states.map((c) => c.state), ["connecting", "online"]);
});

test("a server that never welcomes is unreachable, and tried again", () => {
  const s = start();
  mock.timers.tick(10 * second);
  assert.deepEqual(offline().why, { kind: "unreachable" });
  mock.timers.tick(500);
  assert.equal(FakeSocket.all.length, 2);
  mock.timers.tick(10 * second);
  assert.equal(s.closedWith, 1000, "one at a time is given up");
});

test("a request resolves with the answer of its id", async () => {
  const s = online();
  const first = client.request({ type: "ping" });
  const second = client.request({ type: "leave", room: "r" });
  s.says({ type: "ok", id: s.sent[1]!.id });
  s.says({ type: "pong", id: s.sent[0]!.id, at: 5 });
  assert.equal((await second).type, "ok");
  assert.equal((await first).type, "pong");
});

test("a refused request rejects with the server's code", async () => {
  const s = online();
  const asked = client.request({ type: "join", room: "r" });
  s.says({ type: "error", id: s.sent[0]!.id, code: "rate_limited", message: "slow down", retry_ms: 700 });
  await assert.rejects(asked, (e: RequestError) => e.code === "rate_limited" && e.retryMs === 700);
});

test("what is too long for the server is not sent: it would cost the connection", async () => {
  const s = online();
  await assert.rejects(client.request({ type: "publish", room: "r", key: "k", data: "é".repeat(90) }), { code: "too_large" });
  assert.equal(s.sent.length, 0);
});

test("requests without a connection, and those it takes along, are told so", async () => {
  const s = online();
  const asked = client.request({ type: "leave", room: "r" });
  s.ends(1006);
  await assert.rejects(asked, { code: "disconnected" });
  await assert.rejects(client.request({ type: "ping" }), { code: "disconnected" });
});

test("an answer that does not come while other frames do is a time-out, not a dead network", async () => {
  const s = online();
  const asked = client.request({ type: "leave", room: "r" });
  for (let i = 0; i < 10; i++) {
    mock.timers.tick(second);
    s.says({ type: "signal", room: "r", session: "s", user: "u", data: 1 });
  }
  await assert.rejects(asked, { code: "timeout" });
  assert.equal(client.connection.state, "online");
});

test("a quiet connection is pinged, a busy one is not", () => {
  const s = online();
  for (let i = 0; i < 3; i++) {
    mock.timers.tick(8 * second);
    s.says({ type: "signal", room: "r", session: "s", user: "u", data: 1 });
    mock.timers.tick(2 * second);
    client.tick();
  }
  assert.equal(s.sent.length, 0);
  ticking(1);
  assert.deepEqual(s.sent.map((f) => f.type), ["ping"]);
});

test("promised pings are sent however much the server says", () => {
  const s = online({ promise: true });
  assert.equal(s.query.get("heartbeat_ms"), "20000");
  const pings: number[] = [];
  for (let i = 1; i <= 12; i++) {
    mock.timers.tick(10 * second + (i % 2 ? 40 : -40)); // clocks are not that exact
    s.says({ type: "signal", room: "r", session: "s", user: "u", data: 1 });
    client.tick();
    if (s.sent.length === pings.length) continue;
    pings.push(i);
    s.says({ type: "pong", id: s.sent.at(-1)!.id, at: 0 });
  }
  assert.deepEqual(pings, [2, 4, 6, 8, 10, 12]);
});

test("nothing is promised where the page's clock may be slowed down", () => {
  assert.equal(online().query.has("heartbeat_ms"), false);
});

test("no answer to a ping within five seconds: the network is dead", () => {
  const s = online();
  ticking(1);
  assert.equal(s.sent.length, 1);
  mock.timers.tick(4_999);
  assert.equal(client.connection.state, "online");
  mock.timers.tick(1);
  assert.deepEqual(offline().why, { kind: "silent" });
});

test("answered pings go on for ever", () => {
  const s = online();
  for (let i = 0; i < 20; i++) {
    ticking(1);
    s.says({ type: "pong", id: s.sent.at(-1)!.id, at: 0 });
  }
  assert.equal(client.connection.state, "online");
  assert.equal(s.sent.length, 20);
});

test("it comes back with the token of its newest welcome", () => {
  const first = start({ resume: "t0" });
  assert.equal(first.query.get("resume"), "t0");
  first.welcome({ resume: "t1", resumed: true });
  first.ends(1006);
  mock.timers.tick(500);
  assert.equal(socket().query.get("resume"), "t1");
  socket().ends(1006); // never welcomed: the token may be good still
  mock.timers.tick(second);
  assert.equal(socket().query.get("resume"), "t1");
  socket().welcome({ resume: "t2" });
  assert.equal(client.resume, "t2");
  socket().says({ type: "bye", code: 4500, reason: "idle", reconnect: false, after_ms: 0 });
  socket().ends(4500);
  client.connect();
  assert.equal(socket().query.has("resume"), false, "that session is over");
  socket().welcome();
  assert.equal(client.resume, undefined, "this one can't be resumed");
});

test("a session that was stopped can be taken up: a page may come back", () => {
  const s = online();
  s.welcome({ resume: "t1" });
  client.stop();
  assert.equal(client.resume, "t1");
  client.connect();
  assert.equal(socket().query.get("resume"), "t1");
});

test("a dead network gets no close frame before the session is safe", () => {
  const s = online();
  ticking(1);
  mock.timers.tick(5 * second);
  assert.deepEqual(offline().why, { kind: "silent" });
  assert.equal(s.closedWith, undefined, "it would end the session once the network lives");
  mock.timers.tick(second);
  socket().welcome({ resumed: true });
  assert.equal(s.closedWith, 1000);
});

test("a socket that was given up is not heard any more", () => {
  const s = online();
  ticking(1);
  mock.timers.tick(5 * second);
  mock.timers.tick(500);
  const next = socket();
  assert.notEqual(next, s);
  next.welcome();
  s.ends(1006);
  s.says({ type: "bye", code: 4500, reason: "idle", reconnect: false, after_ms: 0 });
  assert.equal(client.connection.state, "online");
});

test("the waits grow while it fails, and start afresh after a steady time", () => {
  start({ random: () => 1 - Number.EPSILON });
  const waits = [];
  for (let i = 0; i < 8; i++) {
    socket().ends(1006);
    const wait = offline().retryAt! - Date.now();
    waits.push(Math.round(wait / 100) / 10);
    mock.timers.tick(Math.ceil(wait));
  }
  assert.deepEqual(waits, [1, 1.5, 2.5, 4.5, 8.5, 16.5, 20, 20]);
  socket().welcome();
  socket().ends(1006);
  assert.equal(Math.round(offline().retryAt! - Date.now()), 20_000, "a welcome alone changes nothing");
  mock.timers.tick(20_000);
  socket().welcome();
  mock.timers.tick(10 * second);
  socket().ends(1006);
  assert.equal(Math.round(offline().retryAt! - Date.now()), 1_000);
});

test("a bye that asks to stay away is obeyed, and says why", () => {
  const s = online();
  s.says({ type: "bye", code: 4500, reason: "idle", reconnect: false, after_ms: 0 });
  s.ends(4500);
  assert.deepEqual(offline(), { state: "offline", why: { kind: "bye", code: 4500, reason: "idle" }, retryAt: null });
  mock.timers.tick(600 * second);
  client.wake();
  assert.equal(FakeSocket.all.length, 1);
  client.connect();
  assert.equal(FakeSocket.all.length, 2, "but a person may ask");
});

test("a bye that invites back: after its wait and some of our own", () => {
  const s = online();
  s.says({ type: "bye", code: 4000, reason: "shutdown", reconnect: true, after_ms: 3_000 });
  s.ends(4000);
  assert.equal(offline().retryAt! - Date.now(), 3_500);
});

test("a server that says bye and does not close is closed", () => {
  const s = online();
  s.says({ type: "bye", code: 4501, reason: "expired", reconnect: false, after_ms: 0 });
  mock.timers.tick(2 * second);
  assert.equal(s.closedWith, 1000);
  assert.equal(offline().retryAt, null);
});

test("close codes speak where there was no bye", () => {
  for (const [code, again] of [[4000, true], [4499, true], [4500, false], [4999, false], [1006, true], [1001, true], [1009, true]] as const) {
    online().ends(code);
    assert.equal(offline().retryAt !== null, again, String(code));
    assert.deepEqual(offline().why, { kind: "closed", code });
    client.stop();
  }
});

test("wake finds out: a ping when online, an attempt at once when one is planned", () => {
  const s = online();
  client.wake();
  assert.equal(s.sent[0]!.type, "ping");
  s.ends(1006);
  client.wake();
  assert.equal(FakeSocket.all.length, 2);
  mock.timers.tick(600);
  assert.equal(FakeSocket.all.length, 2, "the planned attempt is off");
});

test("stop closes cleanly and stays away", () => {
  const s = online();
  client.stop();
  assert.equal(s.closedWith, 1000);
  mock.timers.tick(600 * second);
  assert.equal(FakeSocket.all.length, 1);
});

test("connect while connected does nothing", () => {
  online();
  client.connect();
  assert.equal(FakeSocket.all.length, 1);
});

test("nonsense from the server is passed over", () => {
  const s = online();
  for (const data of ["", "{", "null", '{"type":"mystery"}', new ArrayBuffer(2)]) s.onmessage?.({ data });
  s.says({ type: "ok", id: 999 });
  s.says({ type: "pong" });
  assert.equal(client.connection.state, "online");
});
