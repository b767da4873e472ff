// The rooms of this page over one connection: joins and rejoins, messages on
// their way out, typing. The views read it and are told when it changed.

import { Client, RequestError } from "./client.ts";
import { Room } from "./room.ts";
import type { Frame, Joined, Ok, RoomEvent } from "./protocol.ts";

const historyLimit = 50; // messages asked for at the first join
const recallLimit = 100; // and in a page of older ones
const typingMs = 3_000; // between two signals that say so
const rejoinMs = 2_000; // between two tries to enter a room that has a fault
const pageLimit = 100; // members in a page of a room that lists nobody
const relistMs = 10; // for each member of a room: so many come for the list when there is one again
const relistMaxMs = 60_000;

// Ways to be out of a room that waiting mends, and those that a new connection does not.
const passing = new Set(["failed", "unavailable", "rate_limited"]);
const lasting = new Set(["kicked", "banned", "forbidden", "bad_request"]);

/** What it takes to come back as a session. */
export interface Resume {
  token: string;
  rooms: readonly string[]; // that it is in
}

export interface ChatOptions {
  origin: string; // of the page: http://host:port
  user: string;
  name: string;
  observe: boolean; // watch the rooms, without being a member of any
  resume?: Resume; // a session of this tab to come back as
  tickMs: number; // as in ClientOptions
  promise: boolean; // likewise
  open?: (url: string) => WebSocket; // likewise
  onChange(): void;
  /** A user came (reason null) or went, in the room on view. */
  onPresence(name: string, reason: string | null): void;
}

export class Chat {
  readonly client: Client;
  readonly user: string;
  readonly name: string;
  rooms: readonly Room[] = [];
  current: Room | null = null;

  readonly #options: ChatOptions;
  #looking = true; // somebody sees the room on view
  #typedAt = 0; // Unix ms of the last signal that said so; 0: none is due an end
  #stirredAt = 0; // Unix ms of the last sign of the person
  #actedAt = 0; // Unix ms of the last frame that the server takes for one
  #unwanted: Set<string>; // rooms that the session may be in still, though the page is not
  #relisting = new Set<Room>(); // rooms whose list will be asked for

  constructor(options: ChatOptions) {
    this.#options = options;
    this.user = options.user;
    this.name = options.name;
    this.#unwanted = new Set(options.resume?.rooms);
    const query = new URLSearchParams({ user: options.user, name: options.name });
    this.client = new Client({
      url: `${options.origin.replace(/^http/, "ws")}/ws?${query}`,
      tickMs: options.tickMs,
      promise: options.promise,
      ...(options.open && { open: options.open }),
      ...(options.resume && { resume: options.resume.token }),
      onConnection: () => this.#connection(),
      onFrame: (f) => this.#frame(f),
    });
  }

  /** resume is what a page needs to come back as this session; undefined: it can't. */
  get resume(): Resume | undefined {
    const token = this.client.resume;
    return token === undefined ? undefined : { token, rooms: [...this.#unwanted, ...this.rooms.map((r) => r.name)] };
  }

  /** join enters a room and puts it on view. */
  join(name: string): void {
    this.#unwanted.delete(name);
    let room = this.#room(name);
    if (room === undefined) {
      room = new Room(name, this.user);
      this.rooms = [...this.rooms, room];
      this.#enter(room);
    }
    this.select(room);
  }

  /** rejoin tries again to enter a room that this page is out of. */
  rejoin(room: Room): void {
    room.standing = { is: "joining" };
    this.#enter(room);
    this.#changed();
  }

  /** leave leaves a room, and the connection with the last one. */
  leave(room: Room): void {
    const i = this.rooms.indexOf(room);
    this.rooms = this.rooms.filter((r) => r !== room);
    if (this.current === room) this.current = this.rooms[Math.min(i, this.rooms.length - 1)] ?? null;
    this.current?.look();
    const done = this.#abandon(room.name);
    if (this.rooms.length === 0) void done.then(() => this.rooms.length === 0 && this.client.stop());
    this.#changed();
  }

  /** select puts a room on view. */
  select(room: Room): void {
    if (this.current !== room) this.#stopTyping();
    this.current = room;
    if (this.#looking) room.look();
    this.#changed();
  }

  /** setLooking tells whether somebody sees the page. */
  setLooking(looking: boolean): void {
    this.#looking = looking;
    if (looking) {
      this.client.wake();
      this.current?.look();
    }
    this.#changed();
  }

  /** post sends a message to a room, now or when there is a connection; false when too many wait. */
  post(room: Room, text: string): boolean {
    this.#typedAt = 0; // the message says it
    const key = newKey();
    if (!room.post(key, text, Date.now())) return false;
    this.#publish(room, key);
    this.#changed();
    return true;
  }

  /** retry sends a message again. Its key is the same: the room tells it once. */
  retry(room: Room, key: string): void {
    room.settle(key, { status: "waiting" });
    this.#publish(room, key);
    this.#changed();
  }

  /** discard forgets a message that was not sent. */
  discard(room: Room, key: string): void {
    room.discard(key);
    this.#changed();
  }

  /** type notes that the person types, or has emptied the composer. */
  type(empty: boolean): void {
    if (empty) return this.#stopTyping();
    if (Date.now() - this.#typedAt < typingMs || this.current === null) return;
    this.#typedAt = Date.now();
    this.#signal(this.current, true);
  }

  /**
   * stir notes a sign of the person. The server sees frames only: where it took
   * the person for idle, it is told otherwise.
   */
  stir(): void {
    const now = Date.now();
    const { connection } = this.client;
    if (now - this.#stirredAt < typingMs || connection.state !== "online") return;
    let idle = this.rooms.filter((r) => r.self?.state === "idle");
    const { idle_ms } = connection.welcome;
    if (idle.length === 0 && idle_ms > 0 && now - this.#actedAt >= idle_ms) {
      idle = this.rooms.filter((r) => r.standing.is === "in" && r.self === undefined).slice(0, 1); // it is not told there
    }
    if (idle.length === 0) return;
    this.#stirredAt = now;
    for (const room of idle) {
      if (room.observing) this.#enter(room); // an observer can do no more
      else this.#signal(room, false);
    }
  }

  /** browse asks for the next page of the members of a room that lists nobody. */
  browse(room: Room): void {
    const cursor = room.roster.next;
    if (cursor === null) return;
    this.client.request({ type: "members", room: room.name, limit: pageLimit, ...(cursor === "" ? {} : { cursor }) })
      .catch(() => {});
  }

  /** recall asks for messages older than those of the room's timeline. */
  recall(room: Room): void {
    const before = room.oldest;
    this.client.request({ type: "history", room: room.name, limit: recallLimit, ...(before === undefined ? {} : { before }) })
      .catch(() => {});
  }

  // Whatever stood with the rooms is in question with every change of the connection.
  #connection(): void {
    this.#typedAt = 0;
    const { connection } = this.client;
    if (connection.state === "online") {
      if (!connection.welcome.resumed) this.#unwanted.clear(); // a new session is in no room
      for (const name of this.#unwanted) void this.#abandon(name);
    }
    for (const room of this.rooms) {
      if (room.standing.is === "out" && lasting.has(room.standing.code)) continue;
      room.standing = { is: "joining" };
      this.#enter(room);
    }
    this.#changed();
  }

  #frame(frame: Frame): void {
    const room = "room" in frame && frame.room !== undefined ? this.#room(frame.room) : undefined;
    if (room === undefined) return;
    switch (frame.type) {
      case "joined":
        this.#entered(room, frame);
        break;
      case "members":
        room.page(frame);
        break;
      case "history":
        room.recall(frame.messages, frame.more);
        break;
      case "signal":
        room.signal(frame, Date.now());
        setTimeout(() => this.#changed(), 6_100); // when they may have stopped
        break;
      case "join":
      case "leave":
      case "update":
      case "message":
      case "presence":
      case "occupancy":
      case "mode":
        this.#event(room, frame);
        break;
      default:
        return;
    }
    this.#changed();
  }

  #event(room: Room, event: RoomEvent): void {
    const told = room === this.current ? this.#options.onPresence : undefined;
    const taken = room.apply(event, this.#looking && room === this.current, told);
    if (taken === "gap") this.#enter(room);
    if (room.standing.is === "out") this.#mend(room, room.standing.code);
    if (room.unlisted) this.#relist(room);
  }

  // A room that has become small enough for a list: everybody else asks for it, too.
  #relist(room: Room): void {
    if (this.#relisting.has(room)) return;
    this.#relisting.add(room);
    setTimeout(() => {
      this.#relisting.delete(room);
      if (room.unlisted && this.rooms.includes(room)) this.#enter(room);
    }, Math.random() * Math.min(relistMaxMs, rejoinMs + room.roster.count.sessions * relistMs));
  }

  #enter(room: Room): void {
    if (this.client.connection.state !== "online") return;
    const since = room.position;
    this.#actedAt = Date.now();
    const { observe } = this.#options;
    const wanted = since === undefined ? { history: historyLimit } : { since };
    this.client.request({ type: "join", room: room.name, ...(observe && { observe }), ...wanted })
      .catch((e: RequestError) => {
        if (e.code === "disconnected") return; // the next connection tries again
        if (room.standing.is === "in" && passing.has(e.code)) { // it was for a fresh snapshot
          setTimeout(() => this.rooms.includes(room) && this.#enter(room), Math.max(e.retryMs ?? 0, rejoinMs) * (1 + Math.random()));
          return;
        }
        room.standing = { is: "out", code: e.code };
        this.#mend(room, e.code, e.retryMs);
        this.#changed();
      });
  }

  // Leaves a room that the page is out of; with the next connection, if not now.
  #abandon(name: string): Promise<void> {
    this.#unwanted.add(name);
    return this.client.request({ type: "leave", room: name }).then(
      () => void this.#unwanted.delete(name),
      (e: RequestError) => void (e.code === "not_joined" && this.#unwanted.delete(name)),
    );
  }

  #mend(room: Room, code: string, after = 0): void {
    if (!passing.has(code)) return;
    const delay = Math.max(after, rejoinMs) * (1 + Math.random());
    setTimeout(() => room.standing.is === "out" && this.rooms.includes(room) && this.rejoin(room), delay);
  }

  #entered(room: Room, joined: Joined): void {
    const first = room.position === undefined;
    const whole = room.enter(joined, this.#looking && room === this.current);
    if (first) room.earlier = joined.messages.length >= historyLimit;
    if (!whole) {
      this.client.request({ type: "history", room: room.name, limit: recallLimit }).catch(() => {});
    }
    for (const p of room.pending) if (p.status === "waiting") this.#publish(room, p.key);
  }

  #publish(room: Room, key: string): void {
    const pending = room.pending.find((p) => p.key === key);
    if (pending === undefined || this.client.connection.state !== "online") return;
    if (room.standing.is === "out") return room.settle(key, { status: "failed", problem: "not_joined" });
    if (room.standing.is === "joining") return; // #entered sees to it
    room.settle(key, { status: "sending" });
    this.#actedAt = Date.now();
    this.client.request({ type: "publish", room: room.name, key, data: { text: pending.text } }).then(
      (answer) => {
        const id = (answer as Ok).message;
        if (id !== undefined) room.settle(key, { status: "sent", id });
      },
      (e: RequestError) => {
        room.settle(key, e.code === "disconnected" ? { status: "waiting" } : { status: "failed", problem: e.code });
      },
    ).finally(() => this.#changed());
  }

  #stopTyping(): void {
    if (this.#typedAt === 0 || this.current === null) return;
    this.#typedAt = 0;
    this.#signal(this.current, false);
  }

  #signal(room: Room, typing: boolean): void {
    if (room.standing.is !== "in" || room.observing) return;
    this.#actedAt = Date.now();
    this.client.request({ type: "signal", room: room.name, data: { typing } }).catch(() => {}); // dropped first under pressure
  }

  #room(name: string): Room | undefined {
    return this.rooms.find((r) => r.name === name);
  }

  #changed(): void {
    this.#options.onChange();
  }
}

// crypto.randomUUID is there only on https and localhost.
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
}
