import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessagePublished, RoomEvent } from "./protocol.ts";
import { Room } from "./room.ts";
import { rows } from "./timeline.ts";

const noon = new Date(2026, 4, 5, 12).getTime();
const minute = 60_000;

// talk makes a room of what is said in it: [user, minutes after noon, reason?].
function talk(...events: { user: string; after: number; what?: "join" | string }[]): Room {
  const room = new Room("r", "me");
  room.enter({ type: "joined", room: "r", epoch: "e", offset: 0, session: "s_me", mode: "full", count: { sessions: 1, users: 1 }, members: [], recovered: true, messages: [] }, true);
  events.forEach(({ user, after, what }, i) => {
    const stamp = { room: "r", offset: i + 1, at: noon + after * minute };
    const event: RoomEvent = what === undefined ? { type: "message", ...stamp, message: `m${i + 1}`, user, name: user, data: "x" } satisfies MessagePublished
      : what === "join" ? { type: "join", ...stamp, first: true, member: { session: user, user, name: user, state: "active", since: 0 } }
      : { type: "leave", ...stamp, session: user, user, reason: what, last: true };
    assert.equal(room.apply(event, true), "applied");
  });
  return room;
}
const shape = (room: Room) => rows(room, "Me").map((r) => (r.kind === "message" ? `${r.user}${r.head ? "+" : ""}` : r.kind));

test("messages close together by one user are a group", () => {
  assert.deepEqual(shape(talk({ user: "a", after: 0 }, { user: "a", after: 1 }, { user: "b", after: 1 }, { user: "a", after: 2 }, { user: "a", after: 9 })),
    ["day", "a+", "a", "b+", "a+", "a+"]);
});

test("a coming or going ends a group", () => {
  assert.deepEqual(shape(talk({ user: "a", after: 0 }, { user: "b", after: 0, what: "join" }, { user: "a", after: 0 })), ["day", "a+", "presence", "a+"]);
});

test("a new day has its line", () => {
  assert.deepEqual(shape(talk({ user: "a", after: 0 }, { user: "a", after: 24 * 60 })), ["day", "a+", "day", "a+"]);
});

test("the divider stands before the first unread message", () => {
  const room = talk({ user: "a", after: 0 }, { user: "a", after: 0 });
  room.firstUnread = "m2";
  assert.deepEqual(shape(room), ["day", "a+", "unread", "a+"]);
});

test("messages on their way come last", () => {
  const room = talk({ user: "me", after: 0 });
  room.post("k", "mine", noon);
  const last = rows(room, "Me").at(-1);
  assert.ok(last?.kind === "message" && last.own && last.pending?.status === "waiting");
});

test("comings and goings in a row are folded, one change for a user", () => {
  const [, row] = rows(talk(
    { user: "a", after: 0, what: "closed" },
    { user: "b", after: 0, what: "join" },
    { user: "a", after: 1, what: "join" },
    { user: "c", after: 1, what: "join" },
    { user: "c", after: 2, what: "lost" },
  ), "Me");
  assert.ok(row?.kind === "presence");
  assert.deepEqual(row.changes.map((c) => [c.user, c.came, c.reason]), [
    ["b", true, null], // came
    ["a", false, null], // left and came back
    ["c", true, "lost"], // came and was lost
  ]);
});

test("keys are unique and stay the same while a run grows", () => {
  const events = [{ user: "a", after: 0, what: "join" }, { user: "b", after: 0, what: "join" }];
  const one = rows(talk(events[0]!), "Me");
  const two = rows(talk(...events), "Me");
  assert.deepEqual(one.map((r) => r.key), two.map((r) => r.key));
  assert.equal(new Set(two.map((r) => r.key)).size, two.length);
});
