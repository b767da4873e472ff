// A room as this page knows it: pure state, made of a snapshot and the events
// after it. No clock, no socket, no DOM; instants come in as Unix ms.

import { joined as added, nobody } from "./crowd.ts";
import type { Crowd } from "./crowd.ts";
import { textOf, typingOf } from "./protocol.ts";
import type { Joined, Member, MemberList, MessagePublished, ModeChanged, Occupancy, Position, Presence, RoomEvent, Signaled } from "./protocol.ts";
import { Roster } from "./roster.ts";
import type { Person } from "./roster.ts";

export const keptEntries = 500; // of the timeline
export const keptDepartures = 20;
export const keptRun = 20; // comings and goings in a row; more become a crowd
export const keptPending = 100; // messages that wait for a connection
const few = 4; // changes told at once that are each an entry of their own
const typingMs = 6_000; // a typist not heard of for that long has stopped

/** Where an entry belongs: eras are the epochs this page has seen, counted. */
interface Place {
  era: number;
  offset: number;
}

export interface MessageEntry extends Place {
  kind: "message";
  key: string; // unique in the timeline; a pending message keeps its own
  id: string;
  at: number;
  user: string;
  name: string;
  text: string;
}

/** A user's first session came, or the last one went. */
export interface PresenceEntry extends Place {
  kind: "presence";
  key: string;
  at: number;
  user: string;
  name: string;
  reason: string | null; // of the leave; null: it is a join
}

/** Many came and went. */
export interface CrowdEntry extends Place {
  kind: "crowd";
  key: string;
  at: number; // of the last of them
  came: Crowd;
  went: Crowd;
}

/** Messages may be missing here. */
export interface GapEntry extends Place {
  kind: "gap";
  key: string;
}

export type Entry = MessageEntry | PresenceEntry | CrowdEntry | GapEntry;

// A user's first session came, or the last one went (with a reason).
type Change = Omit<PresenceEntry, keyof Place | "kind" | "key"> & { offset: number };

/** A user who has gone. */
export interface Departure {
  key: string;
  at: number;
  user: string;
  name: string;
  reason: string;
}

/** A message of this page that the room has not told back yet. */
export interface Pending {
  key: string;
  text: string;
  at: number;
  // waiting: for a connection. sent: the server has it, its event is to come.
  status: "waiting" | "sending" | "sent" | "failed";
  problem?: string; // why it failed, as a code
  id?: string;
}

/** Whether this page is in the room. code: the leave reason or error code. */
export type Standing =
  | { is: "joining" }
  | { is: "in" }
  | { is: "out"; code: string };

export class Room {
  standing: Standing = { is: "joining" };
  draft = ""; // what stands in the composer
  earlier = false; // the server keeps messages older than the timeline
  unread = 0;
  firstUnread: string | null = null; // key of the entry below the divider

  timeline: readonly Entry[] = [];
  departures: readonly Departure[] = []; // newest first
  pending: readonly Pending[] = [];

  readonly roster: Roster;
  observing = false; // we watch, and are no member

  #era = 0;
  #epoch = "";
  #offset = 0;
  #missed = false; // something was: nothing is taken before the next snapshot
  #session = "";
  #typists = new Map<string, { name: string; until: number }>(); // by user

  constructor(readonly name: string, readonly user: string) {
    this.roster = new Roster(user);
  }

  /** position is where to go on from; undefined before the first join. */
  get position(): Position | undefined {
    return this.#epoch === "" ? undefined : { epoch: this.#epoch, offset: this.#offset };
  }

  /** self is this page's own membership, where the room tells of it. */
  get self(): Member | undefined {
    return this.roster.listed ? this.roster.member(this.#session) : undefined;
  }

  /** unlisted: nobody is listed any more, though the room is no longer too large for that. */
  get unlisted(): boolean {
    return this.standing.is === "in" && !this.roster.listed && this.roster.mode !== "count";
  }

  /**
   * enter takes a snapshot. It returns false when messages since the last
   * position are gone: the timeline then has a gap, and the newest messages
   * are worth asking for.
   */
  enter(joined: Joined, looking: boolean): boolean {
    const before = this.position;
    const whole = before === undefined || (joined.recovered && before.epoch === joined.epoch);
    if (!whole) {
      const gap: GapEntry = { kind: "gap", key: `gap-${this.#era}-${this.#offset}`, era: this.#era, offset: this.#offset + 0.5 };
      if (!this.timeline.some((e) => e.key === gap.key)) this.#insert(gap);
    }
    if (this.#epoch !== joined.epoch) this.#era++;
    this.#epoch = joined.epoch;
    this.#offset = joined.offset;
    this.#session = joined.session;
    this.#missed = false;
    this.observing = joined.observer === true;
    this.roster.enter(joined);
    this.#typists.clear();
    this.standing = { is: "in" };
    for (const m of joined.messages) this.#message(m, before === undefined || looking);
    return whole;
  }

  /** recall adds kept messages that the timeline lacks. */
  recall(messages: MessagePublished[], more: boolean): void {
    for (const m of messages) this.#message(m, true);
    this.earlier = more;
  }

  /** oldest is the offset of the first message of the current epoch. */
  get oldest(): number | undefined {
    return this.timeline.find((e) => e.kind === "message" && e.era === this.#era)?.offset;
  }

  /**
   * apply takes the next event. "gap" says that some before it were missed:
   * nothing is taken until there is a fresh snapshot. "seen" says that the
   * snapshot had it already, or will. told is called for every user who came
   * (reason null) or went.
   */
  apply(event: RoomEvent, looking: boolean, told?: (name: string, reason: string | null) => void): "applied" | "seen" | "gap" {
    const sizes = event.type === "occupancy" || event.type === "mode"; // true at their offset; it is not their own
    const out = event.type === "leave" && event.session === this.#session; // an observer's has no number of its own
    if (event.offset < this.#offset || (event.offset === this.#offset && !sizes && !out)) return "seen";
    if (out) this.standing = { is: "out", code: event.reason };
    if (this.#missed) return "seen";
    const changes: Change[] = [];
    switch (event.type) {
      case "occupancy":
      case "mode":
        if (event.type === "mode" && this.roster.mode !== "count" && event.offset > this.#offset) return this.#gap();
        this.#size(event);
        break;
      default: {
        const first = event.type === "presence" ? event.from : event.offset;
        if ((event.prev ?? first - 1) !== this.#offset) return out ? "applied" : this.#gap();
        this.#offset = event.offset;
        if (event.type === "message") {
          this.#typists.delete(event.user);
          this.#message(event, looking);
        } else {
          this.#presence(event, changes);
        }
      }
    }
    this.#note(changes);
    for (const c of changes) told?.(c.name, c.reason);
    return "applied";
  }

  #gap(): "gap" {
    this.#missed = true;
    return "gap";
  }

  #size(event: Occupancy | ModeChanged): void {
    this.#offset = event.offset;
    if (event.type === "occupancy") this.roster.count = event.count;
    else this.roster.turn(event.mode);
  }

  // Joins first, then the rest: so the protocol has it.
  #presence(event: Exclude<RoomEvent, MessagePublished | Occupancy | ModeChanged>, changes: Change[]): void {
    const { roster } = this;
    const batch: Pick<Presence, "joins" | "leaves" | "updates"> = event.type === "presence" ? event : {
      joins: event.type === "join" ? [event] : [],
      leaves: event.type === "leave" ? [event] : [],
      updates: event.type === "update" ? [event] : [],
    };
    let { sessions, users } = roster.count;
    for (const { member, first, offset, at } of batch.joins) {
      roster.join(member);
      if (first) changes.push({ offset, at, user: member.user, name: member.name, reason: null });
      sessions++;
      users += Number(first);
    }
    for (const { session, user, reason, last, offset, at } of batch.leaves) {
      const name = roster.member(session)?.name ?? batch.joins.find((j) => j.member.session === session)?.member.name ?? user;
      roster.leave(session);
      sessions--;
      users -= Number(last);
      if (!last) continue;
      this.#typists.delete(user);
      changes.push({ offset, at, user, name, reason });
    }
    for (const update of batch.updates) roster.update(update);
    roster.count = event.type === "presence" ? event.count : { ...roster.count, sessions, users };
  }

  /** people are the users of the members that are known; see Roster. */
  people(): readonly Person[] {
    return this.roster.people();
  }

  /** page takes a page of the member list. */
  page(list: MemberList): void {
    this.roster.page(list);
  }

  /** signal takes what was passed on by a member, its own echo excepted. */
  signal(signal: Signaled, now: number): void {
    const typing = typingOf(signal.data);
    if (typing === undefined || signal.session === this.#session || signal.user === this.user) return;
    const name = this.roster.member(signal.session)?.name;
    if (typing && name !== undefined) this.#typists.set(signal.user, { name, until: now + typingMs });
    else this.#typists.delete(signal.user);
  }

  /** typists are the names of those who type at this moment. */
  typists(now: number): string[] {
    for (const [user, t] of this.#typists) if (t.until <= now) this.#typists.delete(user);
    return [...this.#typists.values()].map((t) => t.name);
  }

  /** look says that the person sees the newest messages: nothing is unread, the divider stays. */
  look(): void {
    this.unread = 0;
  }

  /** post notes a message on its way; false when too many wait already. */
  post(key: string, text: string, at: number): boolean {
    if (this.pending.length >= keptPending) return false;
    this.pending = [...this.pending, { key, text, at, status: "waiting" }];
    this.firstUnread = null;
    return true;
  }

  /** settle notes what became of a message on its way. */
  settle(key: string, change: Partial<Pending>): void {
    this.pending = this.pending.map((p) => (p.key === key ? { ...p, ...change } : p));
  }

  /** discard forgets a message that was not sent. */
  discard(key: string): void {
    this.pending = this.pending.filter((p) => p.key !== key);
  }

  #message(m: MessagePublished, looking: boolean): void {
    const own = this.pending.find((p) => p.id === m.message || (m.user === this.user && p.key === m.key));
    if (own !== undefined) this.discard(own.key);
    if (this.timeline.some((e) => e.kind === "message" && e.id === m.message)) return;
    const entry: MessageEntry = {
      kind: "message",
      key: own?.key ?? m.message,
      id: m.message, era: this.#era, offset: m.offset,
      at: m.at, user: m.user, name: m.name, text: textOf(m.data),
    };
    this.#insert(entry);
    if (looking || m.user === this.user) return;
    if (this.unread++ === 0) this.firstUnread = entry.key;
  }

  // Entries for who came and went. They must not push the messages out: many in a
  // row, or many at once, become one entry for a crowd.
  #note(changes: Change[]): void {
    if (changes.length === 0) return;
    const gone = changes.filter((c) => c.reason !== null).map((c): Departure => ({ ...c, key: this.#key(c.offset), reason: c.reason! }));
    this.departures = [...gone.slice(-keptDepartures).reverse(), ...this.departures].slice(0, keptDepartures);
    const entries = changes.map((c): PresenceEntry => ({ kind: "presence", key: this.#key(c.offset), era: this.#era, ...c }));

    const from = this.timeline.findLastIndex((e) => e.kind !== "presence" && e.kind !== "crowd") + 1;
    const run = [...this.timeline.slice(from), ...entries.sort((a, b) => a.offset - b.offset)] as (PresenceEntry | CrowdEntry)[];
    const many = changes.length > few || run.length > keptRun || run.some((e) => e.kind === "crowd");
    this.timeline = [...this.timeline.slice(0, from), ...(many ? [crowd(run)] : run)].slice(-keptEntries);
  }

  #key(offset: number): string {
    return `${this.#era}-${offset}`;
  }

  #insert(entry: Entry): void {
    let i = this.timeline.length;
    for (; i > 0; i--) {
      const e = this.timeline[i - 1]!;
      if (e.era < entry.era || (e.era === entry.era && e.offset <= entry.offset)) break;
    }
    this.timeline = [...this.timeline.slice(0, i), entry, ...this.timeline.slice(i)].slice(-keptEntries);
  }
}

// crowd is a run of comings and goings as one entry.
function crowd(run: (PresenceEntry | CrowdEntry)[]): CrowdEntry {
  const { era, offset, at } = run.at(-1)!;
  const crowd: CrowdEntry = { kind: "crowd", key: run[0]!.key, era, offset, at, came: nobody, went: nobody };
  for (const e of run) {
    if (e.kind === "crowd") {
      crowd.came = added(crowd.came, e.came);
      crowd.went = added(crowd.went, e.went);
    } else if (e.reason === null) crowd.came = added(crowd.came, [e.name]);
    else crowd.went = added(crowd.went, [e.name]);
  }
  return crowd;
}
