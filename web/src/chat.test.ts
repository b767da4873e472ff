import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Chat } from "./chat.ts";
import type { ChatOptions } from "./chat.ts";
import { FakeSocket } from "./fakesocket.ts";
import type { Joined, Mode } from "./protocol.ts";

const second = 1_000;
let chat: Chat;
const socket = () => FakeSocket.all.at(-1)!;

function start(options: Partial<ChatOptions> = {}, rooms = ["lobby"]): FakeSocket {
  chat = new Chat({
    origin: "http://test", user: "me", name: "Me", observe: false, tickMs: 10 * second, promise: false,
    open: FakeSocket.open, onChange: () => {}, onPresence: () => {}, ...options,
  });
  chat.client.connect();
  for (const room of rooms) chat.join(room);
  return socket();
}

const joined = (s: FakeSocket, room: string, offset: number, more: Partial<Joined> = {}) => s.says({
  type: "joined", id: s.sent.findLast((f) => f.type === "join" && f["room"] === room)!.id, room, epoch: "e1", offset, session: "s_1", mode: "full",
  count: { sessions: 1, users: 1 }, members: [{ session: "s_1", user: "me", name: "Me", state: "active", since: 1 }], recovered: true, messages: [], ...more,
});
const turn = (s: FakeSocket, mode: Mode, offset: number) => s.says({ type: "mode", room: "lobby", mode, offset });
const message = (offset: number) => ({ type: "message", room: "lobby", offset, at: 1, message: `m${offset}`, user: "bo", name: "Bo", data: "x" });
const sent = (s: FakeSocket, from = 0) => s.sent.slice(from).map((f) => `${f.type} ${f["room"] ?? ""}`);

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  FakeSocket.all = [];
});

test("each room is joined again from where it was", () => {
  const s = start();
  s.welcome({ resume: "t1" });
  joined(s, "lobby", 5);
  s.says(message(6));
  s.ends(1006);
  mock.timers.tick(second);
  socket().welcome({ resumed: true, resume: "t2" });
  assert.deepEqual(socket().sent.map(({ id, ...f }) => f), [{ type: "join", room: "lobby", since: { epoch: "e1", offset: 6 } }]);
});

test("a page that takes a session over leaves the rooms that it does not show", async () => {
  const s = start({ resume: { token: "t1", rooms: ["lobby", "other", "gone"] } }, ["lobby"]);
  assert.equal(s.query.get("resume"), "t1");
  s.welcome({ resumed: true, resume: "t2" });
  assert.deepEqual(sent(s), ["leave other", "leave gone", "join lobby"]);
  s.says({ type: "ok", id: s.sent[0]!.id });
  s.says({ type: "error", id: s.sent[1]!.id, code: "not_joined", message: "" });
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(chat.resume, { token: "t2", rooms: ["lobby"] });
});

test("a new session has nothing to leave", () => {
  const s = start({ resume: { token: "t1", rooms: ["lobby", "other"] } });
  s.welcome();
  assert.deepEqual(sent(s), ["join lobby"]);
  assert.equal(chat.resume, undefined, "it can't be resumed");
});

test("a room left without a connection is left when the session is back", () => {
  const s = start({}, ["lobby", "other"]);
  s.welcome({ resume: "t1" });
  joined(s, "lobby", 5);
  joined(s, "other", 5);
  s.ends(1006);
  chat.leave(chat.rooms[1]!);
  assert.deepEqual(chat.resume, { token: "t1", rooms: ["other", "lobby"] });
  mock.timers.tick(second);
  socket().welcome({ resumed: true });
  assert.deepEqual(sent(socket()), ["leave other", "join lobby"]);
});

test("a gap is one join, whatever comes behind it", () => {
  const s = start();
  s.welcome();
  joined(s, "lobby", 5);
  for (let offset = 8; offset < 30; offset++) s.says(message(offset));
  assert.deepEqual(sent(s), ["join lobby", "join lobby"]);
  assert.deepEqual(s.sent[1]!["since"], { epoch: "e1", offset: 5 });
});

test("a snapshot that is refused for now is asked for again, and nobody is put out", async () => {
  const s = start();
  s.welcome();
  joined(s, "lobby", 5);
  s.says(message(9));
  s.says({ type: "error", id: s.sent[1]!.id, code: "rate_limited", message: "", retry_ms: 5_000 });
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(chat.rooms[0]!.standing.is, "in");
  mock.timers.tick(5 * second);
  assert.equal(s.sent.length, 2);
  mock.timers.tick(5 * second);
  assert.deepEqual(sent(s, 2), ["join lobby"]);
});

test("out of mode count the list is asked for once, after a while of its own", () => {
  const s = start();
  s.welcome();
  joined(s, "lobby", 5, { mode: "count", members: [], count: { sessions: 4_000, users: 4_000 } });
  turn(s, "batch", 50);
  turn(s, "count", 50);
  turn(s, "batch", 70);
  assert.equal(sent(s).length, 1, "not with everybody else");
  mock.timers.tick(60 * second);
  assert.deepEqual(sent(s), ["join lobby", "join lobby"]);
  joined(s, "lobby", 90, { mode: "batch" });
  mock.timers.tick(600 * second);
  assert.equal(s.sent.length, 2);
});

test("a room that is large again by then is not asked", () => {
  const s = start();
  s.welcome();
  joined(s, "lobby", 5, { mode: "count", members: [] });
  turn(s, "batch", 50);
  turn(s, "count", 50);
  mock.timers.tick(600 * second);
  assert.equal(s.sent.length, 1);
});

test("members of a very large room come by pages, as long as there are any", () => {
  const s = start();
  s.welcome();
  joined(s, "lobby", 5, { mode: "count", members: [] });
  const room = chat.rooms[0]!;
  const page = (next?: string) => s.says({ type: "members", id: s.sent.at(-1)!.id, room: "lobby", members: [], count: { sessions: 9, users: 9 }, ...(next && { next }) });
  chat.browse(room);
  assert.deepEqual([s.sent[1]!["limit"], s.sent[1]!["cursor"]], [100, undefined]);
  page("n1");
  chat.browse(room);
  assert.equal(s.sent[2]!["cursor"], "n1");
  page();
  chat.browse(room);
  assert.equal(s.sent.length, 3);
});

test("who moves is active also where nobody is told so", () => {
  for (const [observe, mode, want] of [[false, "count", "signal lobby"], [true, "full", "join lobby"]] as const) {
    const s = start({ observe });
    s.welcome({ idle_ms: 60 * second });
    assert.equal(s.sent[0]!["observe"], observe ? true : undefined);
    joined(s, "lobby", 5, { mode, members: [], observer: observe });
    mock.timers.tick(59 * second);
    chat.stir();
    assert.equal(s.sent.length, 1, "it is not idle");
    mock.timers.tick(4 * second);
    chat.stir();
    assert.deepEqual(sent(s, 1), [want]);
    chat.client.stop();
  }
});
