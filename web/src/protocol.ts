// The wire contract as the page speaks it: docs/protocol.md, version 1.

export const subprotocol = "rollcall.v1.json";

/** The server's judgement of a member. */
export type State = "active" | "idle" | "lost" | "unresponsive";

export interface Member {
  session: string;
  user: string;
  name: string;
  state: State;
  data?: unknown;
  since: number; // Unix ms of its join
}

export interface Count {
  sessions: number;
  users: number;
  observers?: number; // sessions that watch without being members
}

/** How a room tells of presence; docs/protocol.md §7. Other modes may come. */
export type Mode = "full" | "batch" | "count";

/** A place in a room's count of events. */
export interface Position {
  epoch: string;
  offset: number;
}

// What the page sends. The client adds the id.
export type Command =
  | { type: "join"; room: string; history?: number; since?: Position; observe?: true }
  | { type: "leave"; room: string }
  | { type: "publish"; room: string; data: unknown; key: string }
  | { type: "signal"; room: string; data: unknown }
  | { type: "members"; room: string; limit?: number; cursor?: string }
  | { type: "history"; room: string; before?: number; limit?: number }
  | { type: "ping" };

export interface Welcome {
  type: "welcome";
  session: string;
  user: string;
  name: string;
  resume?: string; // to come back as this session, once; missing: it can't
  resumed: boolean; // it is a session that came back
  idle_ms: number; // 0: never idle
  disconnect_ms: number; // 0: never ended for being idle
  max_bytes: number; // of one frame from here
  server: string;
  at: number;
}

/** What a room's numbered events have in common. */
export interface Stamp {
  room: string;
  offset: number;
  prev?: number; // offset of the event before; left out when it is offset - 1
  at: number;
}

export interface MemberJoined extends Stamp {
  type: "join";
  member: Member;
  first: boolean; // the user's first session in the room
}

export interface MemberLeft extends Stamp {
  type: "leave";
  session: string;
  user: string;
  reason: string;
  last: boolean; // the user has no session left in the room
  code?: number;
}

export interface MemberUpdated extends Stamp {
  type: "update";
  session: string;
  user: string;
  state?: State;
  data?: unknown;
}

export interface MessagePublished extends Stamp {
  type: "message";
  message: string; // its id
  session?: string; // none: published over HTTP
  user: string;
  name: string;
  data: unknown;
  key?: string;
}

/** Several changes at once; their entries have no room. */
export interface Presence {
  type: "presence";
  room: string;
  from: number; // first offset covered
  offset: number; // last offset covered
  prev?: number; // offset of the event before; left out when it is from - 1
  at: number;
  joins: Omit<MemberJoined, "type" | "room">[];
  leaves: Omit<MemberLeft, "type" | "room">[];
  updates: Omit<MemberUpdated, "type" | "room">[];
  count: Count; // at offset
}

/** The size of a room whose members are not told. */
export interface Occupancy {
  type: "occupancy";
  room: string;
  offset: number;
  at: number;
  count: Count;
}

/** From now on the room tells of presence in this way; everything up to offset was told before. */
export interface ModeChanged {
  type: "mode";
  room: string;
  mode: Mode;
  offset: number;
}

/** What has a place in a room's order. */
export type RoomEvent = MemberJoined | MemberLeft | MemberUpdated | MessagePublished | Presence | Occupancy | ModeChanged;

export interface Joined {
  type: "joined";
  id?: number;
  room: string;
  epoch: string;
  offset: number;
  session: string;
  mode: Mode;
  observer?: boolean; // we watch, and are no member
  count: Count;
  members: Member[]; // none in mode count
  recovered: boolean; // nothing after since is missing from messages
  messages: MessagePublished[]; // oldest first
}

/** A page of the member list, in order of joining. */
export interface MemberList {
  type: "members";
  id?: number;
  room: string;
  members: Member[];
  next?: string; // cursor of the next page; missing: this was the last
  count: Count;
}

export interface Messages {
  type: "history";
  id?: number;
  room: string;
  messages: MessagePublished[]; // oldest first
  more: boolean; // older ones are kept
}

export interface Ok {
  type: "ok";
  id: number;
  offset?: number;
  epoch?: string;
  message?: string;
}

export interface Pong {
  type: "pong";
  id?: number;
  at: number;
}

export interface ErrorFrame {
  type: "error";
  id?: number;
  code: string;
  message: string;
  room?: string;
  retry_ms?: number;
}

export interface Signaled {
  type: "signal";
  room: string;
  session: string;
  user: string;
  data: unknown;
}

/** The last frame before the server closes a connection. */
export interface Bye {
  type: "bye";
  code: number;
  reason: string;
  reconnect: boolean;
  after_ms: number;
}

export type Frame = Welcome | Joined | MemberList | Messages | Ok | Pong | ErrorFrame | Signaled | Bye | RoomEvent;

/**
 * decode reads a frame of the server; null when it is none that this page
 * knows. Unknown fields are ignored, as the contract asks of both sides.
 */
export function decode(text: unknown): Frame | null {
  if (typeof text !== "string") return null;
  try {
    const frame: unknown = JSON.parse(text);
    if (typeof frame !== "object" || frame === null) return null;
    const type: unknown = (frame as { type?: unknown }).type;
    return typeof type === "string" && known.has(type) ? (frame as Frame) : null;
  } catch {
    return null;
  }
}

const known = new Set<string>([
  "welcome", "joined", "members", "history", "ok", "pong", "error", "signal", "bye",
  "join", "leave", "update", "message", "presence", "occupancy", "mode",
] satisfies Frame["type"][]);

/** validRoom: 1 to 128 ASCII letters, digits and . _ : - ~ @ /, no leading, trailing or doubled /. */
export function validRoom(name: string): boolean {
  return name.length <= 128 && /^[A-Za-z0-9._:~@-]+(\/[A-Za-z0-9._:~@-]+)*$/.test(name);
}

// What the page puts into data. Messages of other clients may hold any JSON.

/** textOf is how a message's data reads: the text it holds, else its JSON. */
export function textOf(data: unknown): string {
  if (typeof data === "string") return data;
  if (typeof data === "object" && data !== null) {
    const text = (data as { text?: unknown }).text;
    if (typeof text === "string") return text;
  }
  return JSON.stringify(data) ?? "";
}

/** typingOf: whether a signal says that its sender types; undefined when it says nothing of it. */
export function typingOf(data: unknown): boolean | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const typing = (data as { typing?: unknown }).typing;
  return typeof typing === "boolean" ? typing : undefined;
}
