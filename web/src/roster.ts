// Who is in a room, as the room tells in its mode (docs/protocol.md §7). Pure
// data, made for rooms of thousands: nothing here goes through all members but a
// snapshot, and the order of people, when it is asked for and somebody changed.

import type { Count, Joined, Member, MemberList, MemberUpdated, Mode, State } from "./protocol.ts";

/** A user, through one or more sessions. */
export interface Person {
  user: string;
  name: string;
  state: State; // the liveliest of the sessions
  stateAt: number | null; // Unix ms since when; null: since before we came
  sessions: number;
  since: number; // of the first session
  self: boolean;
}

interface Known extends Member {
  stateAt: number | null;
}

const liveliness: State[] = ["active", "idle", "unresponsive", "lost"];
const alphabet = new Intl.Collator();

export class Roster {
  mode: Mode = "full";
  count: Count = { sessions: 0, users: 0 };
  /** Whether everybody is listed; else only those of the pages that were asked for. */
  listed = false;
  /** Where the next page of an unlisted room begins; "" before the first, null after the last. */
  next: string | null = "";

  #members = new Map<string, Known>(); // by session
  #users = new Map<string, Known[]>(); // the same, by user, in the order they came
  #touched = new Set<string>(); // users who changed since people was made
  #people: readonly Person[] = [];

  constructor(readonly user: string) {}

  /** member is that of a session, where it is known. */
  member(session: string): Member | undefined {
    return this.#members.get(session);
  }

  /** enter takes a snapshot. */
  enter(joined: Joined): void {
    const before = this.#members;
    this.mode = joined.mode;
    this.count = joined.count;
    this.listed = joined.mode !== "count";
    this.#clear();
    for (const m of joined.members) {
      const known = before.get(m.session);
      this.#add({ ...m, stateAt: known?.state === m.state ? known.stateAt : null });
    }
  }

  /** turn notes that the room tells of presence in another way. */
  turn(mode: Mode): void {
    this.mode = mode;
    if (mode !== "count") return;
    this.listed = false;
    this.#clear();
  }

  join(m: Member): void {
    if (this.listed) this.#add({ ...m, stateAt: null });
  }

  leave(session: string): void {
    const m = this.#members.get(session);
    if (m === undefined) return;
    this.#members.delete(session);
    const rest = this.#users.get(m.user)!.filter((other) => other !== m);
    if (rest.length > 0) this.#users.set(m.user, rest);
    else this.#users.delete(m.user);
    this.#touched.add(m.user);
  }

  update(e: Pick<MemberUpdated, "session" | "state" | "data" | "at">): void {
    const m = this.#members.get(e.session);
    if (m === undefined) return;
    if (e.data !== undefined) m.data = e.data;
    if (e.state === undefined || e.state === m.state) return;
    m.state = e.state;
    m.stateAt = e.at;
    this.#touched.add(m.user);
  }

  /** page takes the next page of an unlisted room. */
  page(list: MemberList): void {
    if (this.listed) return; // everybody is here
    this.count = list.count;
    this.next = list.next ?? null;
    for (const m of list.members) if (!this.#members.has(m.session)) this.#add({ ...m, stateAt: null });
  }

  /** people groups the members by user, by name, our own first. The same array until somebody changes. */
  people(): readonly Person[] {
    if (this.#touched.size === 0) return this.#people;
    const touched = this.#touched;
    this.#touched = new Set();
    const fresh = [...touched].flatMap((user) => this.#person(user) ?? []).sort(order);
    return (this.#people = merged(this.#people.filter((p) => !touched.has(p.user)), fresh));
  }

  #person(user: string): Person | undefined {
    const sessions = this.#users.get(user);
    if (sessions === undefined) return undefined;
    const rank = (m: Known) => liveliness.indexOf(m.state);
    const liveliest = sessions.reduce((a, b) => (rank(b) < rank(a) ? b : a));
    return {
      user,
      name: sessions.at(-1)!.name, // the newest session knows best
      state: liveliest.state,
      stateAt: liveliest.stateAt,
      sessions: sessions.length,
      since: Math.min(...sessions.map((m) => m.since)),
      self: user === this.user,
    };
  }

  #add(m: Known): void {
    if (this.#members.has(m.session)) this.leave(m.session);
    this.#members.set(m.session, m);
    const others = this.#users.get(m.user);
    if (others === undefined) this.#users.set(m.user, [m]);
    else others.push(m);
    this.#touched.add(m.user);
  }

  #clear(): void {
    for (const user of this.#users.keys()) this.#touched.add(user);
    this.#members = new Map();
    this.#users = new Map();
    this.next = "";
  }
}

function order(a: Person, b: Person): number {
  return Number(b.self) - Number(a.self) || alphabet.compare(a.name, b.name) || (a.user < b.user ? -1 : Number(a.user > b.user));
}

// merged is two sorted lists in one.
function merged(a: Person[], b: Person[]): Person[] {
  if (a.length === 0) return b;
  const out: Person[] = [];
  let i = 0;
  for (const p of b) {
    while (i < a.length && order(a[i]!, p) <= 0) out.push(a[i++]!);
    out.push(p);
  }
  return out.concat(a.slice(i));
}
