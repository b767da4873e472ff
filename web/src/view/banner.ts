// How the connection and the room stand: the state word, and a line above the
// messages when there is something to know or to do.

import type { Chat } from "../chat.ts";
import type { Why } from "../client.ts";
import * as words from "../words.ts";
import { byId, setText } from "./dom.ts";

interface Notice {
  tone: "trouble" | "ended" | "calm";
  text: string;
  countdown?: string;
  action?: { label: string; run(): void };
}

export class BannerView {
  readonly #state = byId("state");
  readonly #banner = byId("banner");
  readonly #text = byId("banner-text");
  readonly #countdown = byId("banner-countdown");
  readonly #button = byId<HTMLButtonElement>("banner-action");
  #why: Why | null = null; // of the trouble that is not over
  #action: (() => void) | undefined;

  constructor(readonly chat: Chat, readonly onBack: () => void) {
    this.#button.onclick = () => this.#action?.();
    setInterval(() => chat.client.connection.state === "offline" && this.render(), 500);
  }

  render(): void {
    const connection = this.chat.client.connection;
    setText(this.#state, connection.state);
    this.#state.dataset["state"] = connection.state;
    document.documentElement.dataset["connection"] = connection.state;
    if (connection.state === "offline") this.#why = connection.why;
    if (connection.state === "online" && this.#why !== null) {
      this.#why = null;
      this.onBack();
    }

    const notice = this.#notice();
    this.#banner.hidden = notice === null;
    setText(this.#text, notice?.text ?? "");
    setText(this.#countdown, notice?.countdown ?? "");
    this.#button.hidden = notice?.action === undefined;
    setText(this.#button, notice?.action?.label ?? "");
    this.#action = notice?.action?.run;
    if (notice !== null) this.#banner.dataset["tone"] = notice.tone;
  }

  #notice(): Notice | null {
    const { client, current: room } = this.chat;
    const connection = client.connection;
    const connect = () => client.connect();
    if (connection.state === "offline" && connection.retryAt === null) {
      return { tone: "ended", text: words.offlineReason(connection.why), action: { label: "Join again", run: connect } };
    }
    if (connection.state === "offline") {
      return {
        tone: "trouble", text: words.offlineReason(connection.why), countdown: words.countdown(connection, Date.now()),
        action: { label: "Reconnect now", run: connect },
      };
    }
    if (connection.state === "connecting") {
      return this.#why === null ? null : { tone: "trouble", text: words.offlineReason(this.#why), countdown: "Reconnecting…" };
    }
    if (room?.standing.is === "out") {
      return { tone: "ended", text: words.outOfRoom(room.standing.code), action: { label: "Join again", run: () => this.chat.rejoin(room) } };
    }
    if (room?.self?.state === "idle") {
      return { tone: "calm", text: "Others see you as idle. Type or click, and you are back." };
    }
    return null;
  }
}
