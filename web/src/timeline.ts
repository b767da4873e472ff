// What stands in the message list, row by row: a room's timeline with days,
// the unread divider, and comings and goings folded. Pure.

import { joined, nobody } from "./crowd.ts";
import type { Crowd } from "./crowd.ts";
import type { CrowdEntry, Pending, PresenceEntry, Room } from "./room.ts";

export type Row =
  | { kind: "day"; key: string; at: number }
  | { kind: "unread"; key: string }
  | { kind: "gap"; key: string }
  // head: it opens a group of messages by one user. pending: null when the room has told it.
  | { kind: "message"; key: string; user: string; name: string; text: string; at: number; own: boolean; head: boolean; pending: Pending | null }
  | { kind: "presence"; key: string; changes: Change[] }
  | { kind: "crowd"; key: string; at: number; came: Crowd; went: Crowd }; // at: of the last of them

/** What became of one user in a run of comings and goings. */
export interface Change {
  user: string;
  name: string;
  at: number; // of the last of them
  came: boolean; // the run began with them coming
  reason: string | null; // they are gone; null: they are here
}

const named = 4; // comings and goings told one by one; more are summed up
const groupMs = 5 * 60_000; // a pause of that long opens a new group

/** rows lays a room out. */
export function rows(room: Room, ownName: string): Row[] {
  const out: Row[] = [];
  let day = "";
  let run: { key: string; entries: (PresenceEntry | CrowdEntry)[] } | null = null;

  const endRun = () => {
    if (run !== null) out.push(summed(run.key, run.entries));
    run = null;
  };
  const startDay = (key: string, at: number) => {
    const d = new Date(at).toDateString();
    if (d === day) return;
    endRun();
    day = d;
    out.push({ kind: "day", key: `day-${key}`, at });
  };
  const message = (m: { key: string; user: string; name: string; text: string; at: number }, pending: Pending | null) => {
    endRun();
    const last = out.at(-1);
    const head = !(last?.kind === "message" && last.user === m.user && last.name === m.name && m.at - last.at < groupMs);
    const { key, user, name, text, at } = m;
    out.push({ kind: "message", key, user, name, text, at, own: user === room.user, head, pending });
  };

  for (const e of room.timeline) {
    if (e.key === room.firstUnread) {
      endRun();
      out.push({ kind: "unread", key: "unread" });
    }
    if (e.kind === "gap") {
      endRun();
      out.push({ kind: "gap", key: e.key });
      continue;
    }
    startDay(e.key, e.at);
    if (e.kind === "message") message(e, null);
    else if (run === null) run = { key: `run-${e.key}`, entries: [e] };
    else (run as { entries: (PresenceEntry | CrowdEntry)[] }).entries.push(e);
  }
  endRun();
  for (const p of room.pending) {
    startDay(p.key, p.at);
    message({ key: p.key, user: room.user, name: ownName, text: p.text, at: p.at }, p);
  }
  return out;
}

function summed(key: string, run: (PresenceEntry | CrowdEntry)[]): Row {
  const changes = fold(run.filter((e) => e.kind === "presence"));
  const crowds = run.filter((e) => e.kind === "crowd");
  if (crowds.length === 0 && changes.length <= named) return { kind: "presence", key, changes };
  const names = (gone: boolean) => changes.filter((c) => (c.reason !== null) === gone).map((c) => c.name);
  return {
    kind: "crowd", key, at: run.at(-1)!.at,
    came: joined(crowds.reduce((sum, c) => joined(sum, c.came), nobody), names(false)),
    went: joined(crowds.reduce((sum, c) => joined(sum, c.went), nobody), names(true)),
  };
}

/** fold tells a run of comings and goings once per user, in the order of their last. */
export function fold(entries: PresenceEntry[]): Change[] {
  const changes = new Map<string, Change>();
  for (const e of entries) {
    const came = changes.get(e.user)?.came ?? e.reason === null;
    changes.delete(e.user);
    changes.set(e.user, { user: e.user, name: e.name, at: e.at, came, reason: e.reason });
  }
  return [...changes.values()];
}
