// The connection: one WebSocket at a time, its liveness, its return, and the
// requests that wait for answers. It knows nothing of rooms.

import { backoff } from "./backoff.ts";
import { decode, subprotocol } from "./protocol.ts";
import type { Bye, Command, Frame, Joined, MemberList, Messages, Ok, Pong, Welcome } from "./protocol.ts";

/** Why the connection is down. */
export type Why =
  | { kind: "bye"; code: number; reason: string } // the server said goodbye
  | { kind: "closed"; code: number } // it ended without a goodbye; 1006: without a close frame
  | { kind: "silent" } // no answer came in time: the network is dead
  | { kind: "unreachable" } // it never came to a welcome
  | { kind: "stopped" }; // we closed it

/** Where the connection stands. retryAt: Unix ms of the next attempt; null: only when asked. */
export type Connection =
  | { state: "connecting" }
  | { state: "online"; welcome: Welcome }
  | { state: "offline"; why: Why; retryAt: number | null };

export type Answer = Ok | Joined | MemberList | Messages | Pong;

/**
 * RequestError is a request that came to nothing. code is the server's, or
 * "disconnected" (the connection ended first), "timeout" or "too_large".
 */
export class RequestError extends Error {
  constructor(readonly code: string, message: string, readonly retryMs?: number) {
    super(message);
  }
}

export interface ClientOptions {
  url: string; // ws or wss
  onConnection(connection: Connection): void;
  onFrame(frame: Frame): void; // every frame but welcome and bye, answers too
  resume?: string; // the token of a session to come back as
  tickMs?: number; // tick is called that often
  promise?: boolean; // tick is called that often whatever becomes of the page's own timers
  answerMs?: number; // silence after a request that means the network is dead
  open?: (url: string) => WebSocket;
  random?: () => number;
}

const welcomeMs = 10_000; // from dialling to the welcome
const requestMs = 10_000; // from a request to its answer
const steadyMs = 10_000; // online for that long: the next trouble is a new one
const goodbyeMs = 2_000; // from a bye to the server's close

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: RequestError): void;
  timer: ReturnType<typeof setTimeout>;
}

export class Client {
  connection: Connection = { state: "offline", why: { kind: "stopped" }, retryAt: null };

  readonly #options: Required<Omit<ClientOptions, "resume">>;

  // Of the socket in use; reset by #drop.
  #socket: WebSocket | null = null;
  #bye: Bye | null = null;
  #waiting = new Map<number, Waiting>();
  #heardAt = 0; // Unix ms of the last frame
  #pingedAt = 0; // Unix ms of the last ping
  #deadline: ReturnType<typeof setTimeout> | undefined; // of the welcome, an answer or the close

  // Across sockets.
  #resume: string | undefined; // of the newest welcome
  #silent: WebSocket | null = null; // given up, not closed: see #giveUp
  #nextID = 1;
  #attempt = 0; // failures since the last steady time online
  #onlineAt = 0; // Unix ms of the last welcome
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ClientOptions) {
    this.#options = {
      tickMs: 10_000,
      promise: false,
      answerMs: 5_000,
      open: (url) => new WebSocket(url, subprotocol),
      random: Math.random,
      ...options,
    };
    this.#resume = options.resume;
  }

  /** resume is the token to come back with as the same session; undefined: there is none. */
  get resume(): string | undefined {
    return this.#resume;
  }

  /** connect dials now, whatever was planned; nothing when a socket is up or coming up. */
  connect(): void {
    if (this.#socket !== null) return;
    clearTimeout(this.#retry);
    const socket = this.#options.open(this.#address());
    this.#socket = socket;
    this.#deadline = setTimeout(() => this.#giveUp({ kind: "unreachable" }), welcomeMs);
    // A socket that was given up may still speak: only the one in use is heard.
    socket.onmessage = (e) => this.#socket === socket && this.#hear(e.data);
    socket.onclose = (e) => this.#socket === socket && this.#closed(e.code);
    this.#set({ state: "connecting" });
  }

  /** stop closes the connection and stays away until connect is called. */
  stop(): void {
    clearTimeout(this.#retry);
    this.#drop();
    this.#forget();
    this.#set({ state: "offline", why: { kind: "stopped" }, retryAt: null });
  }

  /** wake is told when the network or the person may be back: it finds out, rather than wait. */
  wake(): void {
    if (this.connection.state === "online") this.#ping();
    else if (this.connection.state === "offline" && this.connection.retryAt !== null) this.connect();
  }

  /** tick pings when it is due: the server has been silent, or a ping was promised. */
  tick(): void {
    if (this.connection.state !== "online") return;
    const { tickMs } = this.#options;
    const now = Date.now();
    const silent = now - this.#heardAt >= tickMs / 2 && this.#deadline === undefined;
    const promised = this.#options.promise && now - this.#pingedAt >= tickMs * 1.5;
    if (silent || promised) this.#ping();
  }

  /** request sends a command; it resolves with the answer or rejects with a RequestError. */
  request(command: Command): Promise<Answer> {
    const socket = this.#socket;
    if (socket === null || this.connection.state !== "online") {
      return Promise.reject(new RequestError("disconnected", "not connected"));
    }
    const id = this.#nextID++;
    const frame = JSON.stringify({ ...command, id });
    if (new TextEncoder().encode(frame).length > this.connection.welcome.max_bytes) {
      return Promise.reject(new RequestError("too_large", "too long for this server"));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new RequestError("timeout", "no answer came"));
      }, requestMs);
      this.#waiting.set(id, { resolve, reject, timer });
      socket.send(frame);
      this.#expect();
    });
  }

  #hear(data: unknown): void {
    this.#heardAt = Date.now();
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    const frame = decode(data);
    if (frame === null) return;
    switch (frame.type) {
      case "welcome":
        this.#onlineAt = Date.now();
        this.#pingedAt = this.#onlineAt;
        this.#resume = frame.resume;
        this.#forget();
        this.#set({ state: "online", welcome: frame });
        return;
      case "bye":
        this.#bye = frame;
        this.#deadline = setTimeout(() => this.#closed(frame.code), goodbyeMs);
        return;
      case "ok":
      case "joined":
      case "members":
      case "history":
      case "pong":
        // First what it says, then that it was said.
        this.#options.onFrame(frame);
        this.#take(frame.id)?.resolve(frame);
        return;
      case "error":
        this.#options.onFrame(frame);
        this.#take(frame.id)?.reject(new RequestError(frame.code, frame.message, frame.retry_ms));
        return;
      default:
        this.#options.onFrame(frame);
    }
  }

  #take(id: number | undefined): Waiting | undefined {
    if (id === undefined) return undefined;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  // Something was asked: any frame will do as a sign of life, silence will not.
  #expect(): void {
    this.#deadline ??= setTimeout(() => this.#giveUp({ kind: "silent" }), this.#options.answerMs);
  }

  #address(): string {
    const url = new URL(this.#options.url);
    if (this.#resume !== undefined) url.searchParams.set("resume", this.#resume);
    if (this.#options.promise) url.searchParams.set("heartbeat_ms", String(2 * this.#options.tickMs));
    return url.href;
  }

  #ping(): void {
    this.#pingedAt = Date.now();
    this.request({ type: "ping" }).catch(() => {}); // #expect sees to the rest
  }

  // A dead network may come back to life and deliver what is on its way: a close
  // frame then would end the session that we are about to come back as. So the
  // socket is closed when we are back.
  #giveUp(why: Why): void {
    this.#forget();
    this.#silent = this.#socket;
    this.#socket = null;
    this.#down(why);
  }

  #forget(): void {
    this.#silent?.close(1000);
    this.#silent = null;
  }

  #closed(code: number): void {
    const bye = this.#bye;
    if (bye !== null) {
      const why: Why = { kind: "bye", code: bye.code, reason: bye.reason };
      this.#down(why, bye.reconnect ? bye.after_ms : null);
    } else if (this.connection.state === "connecting") {
      this.#down({ kind: "unreachable" });
    } else {
      this.#down({ kind: "closed", code }, code >= 4500 && code < 5000 ? null : 0);
    }
  }

  // The socket is gone. after: the least wait before the next one; null: none unasked.
  #down(why: Why, after: number | null = 0): void {
    if (this.connection.state === "online" && Date.now() - this.#onlineAt >= steadyMs) this.#attempt = 0;
    this.#drop();
    if (after === null) {
      this.#resume = undefined; // that session is over
      this.#set({ state: "offline", why, retryAt: null });
      return;
    }
    const delay = after + backoff(this.#attempt++, this.#options.random);
    this.#retry = setTimeout(() => this.connect(), delay);
    this.#set({ state: "offline", why, retryAt: Date.now() + delay });
  }

  #drop(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    this.#bye = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const w of waiting) {
      clearTimeout(w.timer);
      w.reject(new RequestError("disconnected", "the connection ended"));
    }
  }

  #set(connection: Connection): void {
    this.connection = connection;
    this.#options.onConnection(connection);
  }
}
