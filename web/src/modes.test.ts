import assert from "node:assert/strict";
import { test } from "node:test";
import type { Joined, Member, Mode, Presence, RoomEvent, State } from "./protocol.ts";
import { keptEntries, Room } from "./room.ts";
import { rows } from "./timeline.ts";

const member = (session: string, user = session, more: Partial<Member> = {}): Member =>
  ({ session, user, name: user.toUpperCase(), state: "active", since: 1, ...more });
const me = member("s_me", "me");
const joined = (offset: number, members: Member[], more: Partial<Joined> = {}): Joined => ({
  type: "joined", room: "r", epoch: "e1", offset, session: "s_me", mode: "batch", count: { sessions: members.length, users: members.length },
  members, recovered: true, messages: [], ...more,
});
const enter = (members = [me], more: Partial<Joined> = {}) => {
  const room = new Room("r", "me");
  room.enter(joined(10, members, more), true);
  return room;
};

// frame is a presence frame in which those join, and then those leave.
function frame(from: number, joins: Member[], leaves: Member[] = [], users = 0): Presence {
  let offset = from - 1;
  const at = () => ({ offset: ++offset, at: 1_000 * offset });
  return {
    type: "presence", room: "r", from, at: 1,
    joins: joins.map((m) => ({ ...at(), member: m, first: true })),
    leaves: leaves.map((m) => ({ ...at(), session: m.session, user: m.user, reason: "closed", last: true })),
    updates: [], count: { sessions: users, users }, offset,
  };
}
const many = (n: number, from = 0) => Array.from({ length: n }, (_, i) => member(`s${from + i}`, `u${from + i}`));
const users = (room: Room) => room.people().map((p) => p.user);
const mode = (m: Mode, offset: number): RoomEvent => ({ type: "mode", room: "r", mode: m, offset });
const message = (offset: number, prev?: number): RoomEvent =>
  ({ type: "message", room: "r", offset, at: 1, message: `m${offset}`, user: "bo", name: "Bo", data: "x", ...(prev !== undefined && { prev }) });

test("a batch: joins first, then the rest, and the count is as it says", () => {
  const room = enter([me, member("s_bo", "bo")]);
  const told: (string | null)[][] = [];
  const e = frame(11, [member("s_al", "al"), member("s_cy", "cy")], [member("s_bo", "bo"), member("s_cy", "cy")], 2);
  e.updates = [{ offset: 15, at: 15_000, session: "s_al", user: "al", state: "lost" }];
  e.offset = 15;
  assert.equal(room.apply(e, true, (name, reason) => told.push([name, reason])), "applied");
  assert.deepEqual(users(room), ["me", "al"]);
  assert.deepEqual([room.people()[1]!.state, room.people()[1]!.stateAt], ["lost", 15_000]);
  assert.deepEqual(told, [["AL", null], ["CY", null], ["BO", "closed"], ["CY", "closed"]], "who came and left at once is named");
  assert.deepEqual(room.roster.count, { sessions: 2, users: 2 });
  assert.equal(room.position?.offset, 15);
  assert.deepEqual(room.departures.map((d) => d.name), ["CY", "BO"]);
});

test("a batch is the next one by its from or its prev", () => {
  for (const [change, want] of [[{}, "applied"], [{ from: 12 }, "gap"], [{ from: 14, prev: 10 }, "applied"], [{ from: 11, prev: 9 }, "gap"]] as const) {
    assert.equal(enter().apply({ ...frame(11, many(5)), ...change }, true), want, JSON.stringify(change));
  }
  const room = enter();
  assert.equal(room.apply(frame(6, many(5)), true), "seen", "the snapshot had it");
});

test("a crowd is one entry, however it came", () => {
  const room = enter();
  room.apply(message(11), true);
  room.apply(frame(12, many(50)), true);
  room.apply(frame(62, many(3, 50), many(2)), true);
  const [, , row] = rows(room, "Me");
  assert.ok(row?.kind === "crowd");
  assert.deepEqual(row.came, { count: 53, names: ["U0", "U1"] });
  assert.deepEqual(row.went, { count: 2, names: ["U0", "U1"] });
  assert.equal(room.timeline.length, 2);
  const key = row.key;
  room.apply(frame(67, many(1, 60)), true);
  assert.equal(rows(room, "Me")[2]!.key, key, "the row stays the same while it grows");
});

test("few changes are told one by one", () => {
  const room = enter();
  room.apply(frame(11, many(2), many(1)), true);
  const [, row] = rows(room, "Me");
  assert.ok(row?.kind === "presence");
  assert.deepEqual(row.changes.map((c) => [c.name, c.reason]), [["U1", null], ["U0", "closed"]]);
});

test("a storm of single events pushes no message out", () => {
  const room = enter([me], { mode: "full" });
  room.apply(message(11), true);
  for (let i = 0; i < 2 * keptEntries; i++) {
    room.apply({ type: "join", room: "r", offset: 12 + i, at: 1, member: member(`s${i}`, `u${i}`), first: true }, true);
  }
  assert.deepEqual(room.timeline.map((e) => e.kind), ["message", "crowd"]);
});

test("in mode count nobody is listed, and the number is told", () => {
  const room = enter(many(3), { mode: "full" });
  assert.equal(room.apply(mode("count", 10), true), "applied");
  assert.deepEqual([room.roster.listed, room.unlisted, users(room)], [false, false, []]);
  assert.equal(room.self, undefined);
  assert.equal(room.apply({ type: "occupancy", room: "r", offset: 40, at: 1, count: { sessions: 9_000, users: 8_000, observers: 2 } }, true), "applied");
  assert.equal(room.roster.count.users, 8_000);
  assert.equal(room.apply(message(50, 40), true), "applied");
  assert.equal(room.apply(message(60, 55), true), "gap");
});

test("some members of an unlisted room, by pages", () => {
  const room = enter([], { mode: "count", count: { sessions: 9_000, users: 9_000 } });
  assert.equal(room.roster.next, "", "from the start");
  const count = { sessions: 9_001, users: 9_001 };
  room.page({ type: "members", room: "r", members: many(3), next: "n1", count });
  room.page({ type: "members", room: "r", members: many(3, 2), count });
  assert.deepEqual(users(room), ["u0", "u1", "u2", "u3", "u4"]);
  assert.equal(room.roster.next, null);
  assert.equal(room.roster.count.users, 9_001);
  room.apply(mode("batch", 20), true);
  assert.equal(room.unlisted, true);
  room.apply(frame(21, many(1, 7), many(1), 800), true);
  assert.deepEqual(users(room), ["u1", "u2", "u3", "u4"], "who left is gone; the others come with the list");
  room.enter(joined(30, many(2)), true);
  assert.deepEqual([room.unlisted, users(room)], [false, ["u0", "u1"]]);
});

test("into a mode with something missed is a gap; out of count it is not", () => {
  assert.equal(enter().apply(mode("full", 12), true), "gap");
  const room = enter([], { mode: "count" });
  assert.equal(room.apply(mode("batch", 700), true), "applied");
  assert.equal(room.apply(message(701), true), "applied");
});

test("the same people are the same array: nothing is to be drawn", () => {
  const room = enter(many(3));
  const before = room.people();
  room.apply(message(11), true);
  assert.equal(room.people(), before);
  room.apply(frame(12, [member("s9", "u9")]), true);
  assert.notEqual(room.people(), before);
});

test("since when a state is so is kept over a snapshot", () => {
  const room = enter(many(1));
  room.apply({ type: "update", room: "r", offset: 11, at: 5_000, session: "s0", user: "u0", state: "lost" }, true);
  room.enter(joined(12, [member("s0", "u0", { state: "lost" })]), true);
  assert.equal(room.people()[0]!.stateAt, 5_000);
  room.enter(joined(13, [member("s0", "u0", { state: "idle" })]), true);
  assert.equal(room.people()[0]!.stateAt, null, "nobody knows");
});

// random is a small generator of numbers that a failure can be repeated with.
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}

// Whatever a room does, in whichever mode it tells it: when all is told, the page
// knows the truth; and one frame less is noticed.
test("any schedule of modes leads to the truth", () => {
  for (let seed = 1; seed <= 150; seed++) {
    const pick = random(seed);
    const truth = new Map<string, Member>([["s_me", me]]);
    const names = ["ann", "bob", "cy", "di", "me"];
    let [offset, told, minted, now] = [10, 10, 0, "full" as Mode];
    let pending = null as Presence | null;
    const out: RoomEvent[] = [];
    const count = () => ({ sessions: truth.size, users: new Set([...truth.values()].map((m) => m.user)).size });
    const flush = () => {
      if (pending !== null) out.push({ ...pending, offset, count: count() });
      pending = null;
    };
    const batch = (): Presence => (pending ??= { type: "presence", room: "r", from: offset, offset, at: 0, joins: [], leaves: [], updates: [], count: count() });
    const snapshot = (): Joined => {
      flush();
      told = offset;
      return joined(offset, now === "count" ? [] : [...truth.values()].map((m) => ({ ...m })), { mode: now, count: count() });
    };
    const step = () => {
      const somebody = [...truth.values()][pick(truth.size)];
      switch (pick(8)) {
        case 0: case 1: {
          const user = names[pick(names.length)]!;
          const first = ![...truth.values()].some((m) => m.user === user);
          const m = member(`s${++minted}`, user);
          truth.set(m.session, m);
          const e = { offset: ++offset, at: 0, member: { ...m }, first };
          if (now === "full") out.push({ type: "join", room: "r", ...e });
          if (now === "batch") batch().joins.push(e);
          break;
        }
        case 2: {
          if (somebody === undefined || somebody === me) break;
          truth.delete(somebody.session);
          const last = ![...truth.values()].some((m) => m.user === somebody.user);
          const e = { offset: ++offset, at: 0, session: somebody.session, user: somebody.user, reason: "lost", last };
          if (now === "full") out.push({ type: "leave", room: "r", ...e });
          if (now === "batch") {
            const b = batch();
            b.leaves.push(e);
            b.updates = b.updates.filter((u) => u.session !== somebody.session);
          }
          break;
        }
        case 3: {
          if (somebody === undefined) break;
          const state = (["active", "idle", "lost", "unresponsive"] satisfies State[])[pick(4)]!;
          truth.set(somebody.session, { ...somebody, state });
          const e = { offset: ++offset, at: 0, session: somebody.session, user: somebody.user, state };
          if (now === "full") out.push({ type: "update", room: "r", ...e });
          if (now === "batch") batch().updates.push(e);
          break;
        }
        case 4:
          flush();
          out.push(message(++offset, now === "count" ? told : undefined));
          told = offset;
          break;
        case 5:
          flush();
          break;
        case 6:
          if (now === "count") out.push({ type: "occupancy", room: "r", offset: (told = offset), at: 0, count: count() });
          break;
        case 7: {
          const to = (["full", "batch", "count"] satisfies Mode[])[pick(3)]!;
          if (to === now) break;
          flush();
          now = to;
          out.push(mode(to, (told = offset)));
        }
      }
    };
    const room = new Room("r", "me");
    room.enter(snapshot(), true);
    const story = `seed ${seed}`;
    for (let i = 0; i < 80; i++) {
      step();
      // Sometimes a frame is lost that tells something, in a mode that tells of everybody.
      const drop = out.length > 0 && pick(20) === 0 && room.roster.mode !== "count" && out[0]!.type !== "mode";
      if (drop) {
        out.shift();
        if (out.length === 0 && now !== "count") {
          flush();
          out.push(message(++offset));
        }
        if (out.length > 0) assert.equal(room.apply(out[0]!, true), "gap", `${story}: a frame less is noticed`);
        out.length = 0;
        room.enter(snapshot(), true);
      }
      for (const e of out) assert.equal(room.apply(e, true), "applied", `${story}: ${JSON.stringify(e)}`);
      out.length = 0;
      if (room.unlisted && pick(3) === 0) {
        const s = snapshot();
        for (const e of out) room.apply(e, true);
        out.length = 0;
        room.enter(s, true);
      }
      if (pending !== null || (now === "count" && told !== offset)) continue; // not told yet
      assert.equal(room.roster.mode, now, story);
      assert.equal(room.position?.offset, offset, story);
      if (!room.roster.listed) continue;
      const { sessions, users } = count();
      assert.deepEqual(room.roster.count, { sessions, users }, story);
      assert.equal(room.people().length, users, story);
      for (const m of truth.values()) {
        assert.equal(room.roster.member(m.session)?.state, m.state, story);
        assert.equal(room.people().find((p) => p.user === m.user)?.sessions, [...truth.values()].filter((o) => o.user === m.user).length, story);
      }
      const sorted = [...room.people()].sort((a, b) => Number(b.self) - Number(a.self) || a.name.localeCompare(b.name));
      assert.deepEqual(room.people(), sorted, story);
    }
  }
});
