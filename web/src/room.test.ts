import assert from "node:assert/strict";
import { test } from "node:test";
import type { Joined, Member, MessagePublished, RoomEvent } from "./protocol.ts";
import { keptDepartures, keptEntries, keptPending, Room } from "./room.ts";

const member = (session: string, user = session, more: Partial<Member> = {}): Member =>
  ({ session, user, name: user.toUpperCase(), state: "active", since: 1, ...more });

const joined = (offset: number, members: Member[], more: Partial<Joined> = {}): Joined => ({
  type: "joined", room: "r", epoch: "e1", offset, session: "s_me", mode: "full", count: { sessions: members.length, users: 0 },
  members, recovered: true, messages: [], ...more,
});

const stamp = (offset: number) => ({ room: "r", offset, at: 1_000 * offset });
const message = (offset: number, user = "bo", more: Partial<MessagePublished> = {}): MessagePublished =>
  ({ type: "message", ...stamp(offset), message: `m${offset}`, user, name: user.toUpperCase(), data: { text: `t${offset}` }, ...more });
const join = (offset: number, m: Member, first = true): RoomEvent => ({ type: "join", ...stamp(offset), member: m, first });
const leave = (offset: number, session: string, user: string, reason: string, last = true): RoomEvent =>
  ({ type: "leave", ...stamp(offset), session, user, reason, last });

const me = member("s_me", "me");
const enter = (members: Member[] = [me], offset = 10) => {
  const room = new Room("r", "me");
  room.enter(joined(offset, members), true);
  return room;
};
const texts = (room: Room) => room.timeline.flatMap((e) => (e.kind === "message" ? [e.text] : []));

test("a snapshot and the events after it", () => {
  const room = enter();
  assert.equal(room.apply(join(11, member("s_bo", "bo")), true), "applied");
  assert.equal(room.apply(message(12), true), "applied");
  assert.equal(room.apply({ type: "update", ...stamp(13), session: "s_bo", user: "bo", state: "idle" }, true), "applied");
  assert.deepEqual(room.people().map((p) => [p.user, p.state, p.self]), [["me", "active", true], ["bo", "idle", false]]);
  assert.equal(room.apply(leave(14, "s_bo", "bo", "closed"), true), "applied");
  assert.deepEqual(room.people().map((p) => p.user), ["me"]);
  assert.deepEqual(room.departures.map((d) => [d.user, d.name, d.reason]), [["bo", "BO", "closed"]]);
  assert.deepEqual(room.position, { epoch: "e1", offset: 14 });
  assert.deepEqual(room.timeline.map((e) => e.kind), ["presence", "message", "presence"]);
});

test("what the snapshot held is not taken twice, and what was missed is noticed", () => {
  const room = enter();
  assert.equal(room.apply(message(10), true), "seen");
  assert.equal(room.apply(message(12), true), "gap");
  assert.equal(room.position?.offset, 10, "a gap is not stepped over");
  assert.equal(room.apply(message(11), true), "seen", "it is part of the snapshot to come");
  room.enter(joined(13, [me], { messages: [message(11), message(12)] }), true);
  assert.deepEqual(texts(room), ["t11", "t12"]);
  assert.equal(room.apply(message(15, "bo", { prev: 13 }), true), "applied", "offsets need not be dense");
  assert.equal(room.apply(message(17, "bo", { prev: 16 }), true), "gap");
  assert.equal(room.apply(leave(19, "s_me", "me", "kicked"), true), "seen");
  assert.deepEqual(room.standing, { is: "out", code: "kicked" }, "one's own leave is never missed");
});

test("one's own leave may have no number of its own", () => {
  const room = enter();
  assert.equal(room.apply({ type: "leave", ...stamp(10), prev: 10, session: "s_me", user: "me", reason: "kicked", last: false }, true), "applied");
  assert.deepEqual(room.standing, { is: "out", code: "kicked" });
});

test("after a short absence the messages since come without a gap", () => {
  const room = enter();
  room.apply(message(11), true);
  assert.equal(room.enter(joined(14, [me, member("s_bo", "bo")], { messages: [message(11), message(13)] }), true), true);
  assert.deepEqual(texts(room), ["t11", "t13"]);
  assert.equal(room.position?.offset, 14);
});

test("when some are gone there is a gap, and the newest go below it", () => {
  const room = enter();
  room.apply(message(11), true);
  assert.equal(room.enter(joined(400, [me], { recovered: false }), true), false);
  room.recall([message(390), message(400)], true);
  assert.deepEqual(room.timeline.map((e) => e.kind), ["message", "gap", "message", "message"]);
  assert.equal(room.earlier, true);
});

test("a room made anew counts from the start, and the old messages stay above", () => {
  const room = enter();
  room.apply(message(11), true);
  assert.equal(room.enter(joined(2, [me], { epoch: "e2", recovered: false }), true), false);
  assert.equal(room.apply(message(3, "bo", { message: "n3", data: "new" }), true), "applied");
  room.recall([message(1, "bo", { message: "n1", data: "before" })], false);
  assert.deepEqual(texts(room), ["t11", "before", "new"]);
  assert.equal(room.oldest, 1, "of this epoch");
});

test("an epoch that changed is a gap whatever the server says of recovery", () => {
  const room = enter();
  assert.equal(room.enter(joined(11, [me], { epoch: "e2", recovered: true }), true), false);
});

test("several sessions of a user are one person, as lively as the liveliest", () => {
  const room = enter([me, member("s1", "bo", { state: "lost", since: 9 }), member("s2", "bo", { state: "idle", since: 5, name: "Bo" })]);
  const bo = room.people()[1]!;
  assert.deepEqual(bo, { user: "bo", name: "Bo", state: "idle", stateAt: null, sessions: 2, since: 5, self: false });
  room.apply(leave(11, "s2", "bo", "closed", false), true);
  assert.equal(room.people()[1]!.sessions, 1);
  assert.equal(room.departures.length, 0, "one tab of two is no departure");
  assert.equal(room.timeline.length, 0);
  room.apply(join(12, member("s3", "bo"), false), true);
  assert.equal(room.timeline.length, 0, "nor a second tab an arrival");
});

test("its own leave puts the page out, with the reason", () => {
  const room = enter();
  room.apply(leave(11, "s_me", "me", "kicked"), true);
  assert.deepEqual(room.standing, { is: "out", code: "kicked" });
});

test("a message on its way is replaced by what the room tells, in either order", () => {
  const room = enter();
  room.post("k1", "event first", 1);
  room.settle("k1", { status: "sending" });
  room.apply(message(11, "me", { key: "k1" }), true);
  assert.equal(room.pending.length, 0);
  room.settle("k1", { status: "sent", id: "m11" });
  assert.equal(room.pending.length, 0, "a late answer brings nothing back");

  room.post("k2", "answer first", 2);
  room.settle("k2", { status: "sent", id: "m12" });
  assert.equal(room.pending.length, 1, "it stays on view until the room tells it");
  room.apply(message(12, "me"), true);
  assert.equal(room.pending.length, 0, "known by its id");
  assert.deepEqual(room.timeline.map((e) => e.key), ["k1", "k2"]);
});

test("somebody else's key is not mine", () => {
  const room = enter();
  room.post("k1", "mine", 1);
  room.apply(message(11, "bo", { key: "k1" }), true);
  assert.equal(room.pending.length, 1);
});

test("a message published before the break is found in what was missed", () => {
  const room = enter();
  room.post("k1", "did it arrive?", 1);
  room.enter(joined(12, [me], { messages: [message(11, "me", { key: "k1" })] }), true);
  assert.equal(room.pending.length, 0);
});

test("unread counts others' messages while nobody looks; the divider is placed once", () => {
  const room = enter();
  room.apply(message(11), true);
  room.apply(message(12), false);
  room.apply(message(13), false);
  room.apply(message(14, "me"), false);
  assert.equal(room.unread, 2);
  assert.equal(room.firstUnread, "m12");
  room.look();
  assert.equal(room.unread, 0);
  assert.equal(room.firstUnread, "m12", "still there for the reader");
  room.apply(message(15), false);
  assert.equal(room.firstUnread, "m15");
  room.post("k", "answer", 1);
  assert.equal(room.firstUnread, null);
});

test("history at the first join is not news", () => {
  const room = new Room("r", "me");
  room.enter(joined(10, [me], { messages: [message(9)] }), false);
  assert.equal(room.unread, 0);
});

test("typing: others only, until it is said otherwise, a message comes or time passes", () => {
  const room = enter([me, member("s_me2", "me"), member("s_bo", "bo"), member("s_al", "al")]);
  const signal = (session: string, user: string, typing: boolean) =>
    room.signal({ type: "signal", room: "r", session, user, data: { typing } }, 0);
  signal("s_me", "me", true);
  signal("s_me2", "me", true);
  signal("s_none", "none", true);
  assert.deepEqual(room.typists(1), []);
  signal("s_bo", "bo", true);
  signal("s_al", "al", true);
  assert.deepEqual(room.typists(1), ["BO", "AL"]);
  room.apply(message(11, "bo"), true);
  assert.deepEqual(room.typists(1), ["AL"]);
  signal("s_al", "al", false);
  assert.deepEqual(room.typists(1), []);
  signal("s_al", "al", true);
  assert.deepEqual(room.typists(60_000), []);
});

test("everything kept is bounded", () => {
  const room = enter();
  let offset = 10;
  for (let i = 0; i < keptEntries + 50; i++) room.apply(message(++offset), true);
  assert.equal(room.timeline.length, keptEntries);
  assert.equal(room.timeline.at(-1)?.offset, offset, "the newest stay");
  for (let i = 0; i < keptDepartures + 5; i++) room.apply(leave(++offset, `s${i}`, `u${i}`, "lost"), true);
  assert.equal(room.departures.length, keptDepartures);
  assert.equal(room.departures[0]?.user, `u${keptDepartures + 4}`, "newest first");
  for (let i = 0; i < keptPending; i++) assert.ok(room.post(`k${i}`, "x", 1));
  assert.equal(room.post("one more", "x", 1), false);
});
