// The message list: rows of the timeline, kept at the bottom while the reader is there.

import type { Chat } from "../chat.ts";
import type { Crowd } from "../crowd.ts";
import { keptEntries } from "../room.ts";
import type { Room } from "../room.ts";
import { rows } from "../timeline.ts";
import type { Change, Row } from "../timeline.ts";
import * as words from "../words.ts";
import { avatar, byId, el, reconcile, setText } from "./dom.ts";
import { linked } from "./text.ts";

const nearPx = 60; // so close to the bottom is at the bottom
const pageOfEarlier = 100;

type MessageRow = Extract<Row, { kind: "message" }>;

export class MessagesView {
  readonly #log = byId("messages");
  readonly #jump = byId<HTMLButtonElement>("jump");
  readonly #earlier = byId<HTMLButtonElement>("earlier");
  readonly #list = byId("timeline");
  readonly #empty = byId("empty");
  readonly #emptyTitle = byId("empty-title");
  #room: Room | null = null;
  #pinned = true;
  #seen: string | null = null; // key of the last message when the reader was at the bottom

  constructor(readonly chat: Chat) {
    this.#log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#pinned && this.#toBottom()).observe(this.#log);
    this.#jump.addEventListener("click", () => {
      this.#pinned = true;
      this.#toBottom();
      byId("composer").focus();
    });
    this.#earlier.addEventListener("click", () => this.#room !== null && chat.recall(this.#room));
  }

  /** pin goes to the newest message and stays there. */
  pin(): void {
    this.#pinned = true;
  }

  render(room: Room): void {
    const other = room !== this.#room;
    this.#room = room;
    if (other) {
      // Another room's messages are not news to be read out.
      this.#log.setAttribute("aria-busy", "true");
      this.#list.replaceChildren();
      this.#pinned = true;
      this.#seen = null;
    }
    const items = rows(room, this.chat.name);
    const settle = this.#hold();
    reconcile(this.#list, items, (row) => this.#build(row), (node, row) => row.kind === "message" && this.#patch(node, row));
    this.#earlier.hidden = !room.earlier || room.timeline.length + pageOfEarlier > keptEntries;
    this.#empty.hidden = room.standing.is !== "in" || items.some((r) => r.kind === "message") || room.roster.count.users > Number(!room.observing);
    setText(this.#emptyTitle, room.observing ? "Nobody is here" : "You are the first one here");
    settle();
    this.#count(items);
    if (room.standing.is === "in") this.#log.removeAttribute("aria-busy");
  }

  #count(items: Row[]): void {
    const messages = items.filter((r) => r.kind === "message");
    if (this.#pinned) this.#seen = messages.at(-1)?.key ?? null;
    const fresh = messages.length - 1 - messages.findIndex((m) => m.key === this.#seen);
    this.#jump.hidden = this.#pinned;
    setText(this.#jump, fresh > 0 && this.#seen !== null ? `Jump to latest (${fresh})` : "Jump to latest");
  }

  #scrolled(): void {
    const below = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight;
    this.#pinned = below <= nearPx;
    this.#jump.hidden = this.#pinned;
    if (this.#pinned && this.#room !== null) this.#count(rows(this.#room, this.chat.name));
  }

  // Before a change of the list: what to do after it, so that the reader stays
  // at the bottom, or with the message that was the first in sight.
  #hold(): () => void {
    if (this.#pinned) return () => this.#toBottom();
    const top = this.#log.getBoundingClientRect().top;
    const first = [...this.#list.querySelectorAll(".message")].find((m) => m.getBoundingClientRect().bottom > top);
    const before = first?.getBoundingClientRect().top ?? 0;
    return () => {
      if (first?.isConnected) this.#log.scrollTop += first.getBoundingClientRect().top - before;
    };
  }

  #toBottom(): void {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #build(row: Row): HTMLElement {
    switch (row.kind) {
      case "day":
        return el("h3", { class: "divider day" }, el("time", { datetime: new Date(row.at).toISOString().slice(0, 10) }, words.day(row.at, Date.now())));
      case "unread":
        return el("p", { class: "divider unread-from" }, "New");
      case "gap":
        return el("p", { class: "divider gap" }, "You were away. Messages from that time may be missing.");
      case "presence":
        return el("p", { class: "comings", "aria-hidden": "true" }, ...comings(row.changes));
      case "crowd":
        return el("p", { class: "comings", "aria-hidden": "true" }, ...crowds(row.came, row.went, row.at));
      case "message": {
        const bubble = el("div", { class: "bubble", dir: "auto" }, ...linked(row.text));
        const node = el("article", { "data-user": row.user },
          avatar(row.user, row.name),
          el("div", { class: "meta" }, el("span", { class: "author", dir: "auto" }, row.own ? "You" : row.name), " ", el("time")),
          bubble,
          el("div", { class: "delivery" }));
        this.#patch(node, row);
        return node;
      }
    }
  }

  // What changes of a message: its place in a group, its time, and how far it came.
  #patch(node: HTMLElement, row: MessageRow): boolean {
    const status = row.pending?.status;
    node.className = ["message", row.own && "own", row.head && "head", status].filter(Boolean).join(" ");
    const time = node.querySelector("time")!;
    time.dateTime = new Date(row.at).toISOString();
    time.title = words.full(row.at);
    setText(time, words.clock(row.at));
    const delivery = node.querySelector(".delivery")!;
    if (status === "failed") {
      const retry = el("button", { type: "button", class: "link" }, "Retry");
      const discard = el("button", { type: "button", class: "link" }, "Discard");
      retry.addEventListener("click", () => this.#room !== null && this.chat.retry(this.#room, row.key));
      discard.addEventListener("click", () => this.#room !== null && this.chat.discard(this.#room, row.key));
      delivery.replaceChildren(`Not sent. ${words.sendProblem(row.pending?.problem)} `, retry, " ", discard);
    } else {
      setText(delivery, status === "sending" ? "Sending…" : status === "waiting" ? "Waiting for the connection" : "");
    }
    return true;
  }
}

function comings(changes: Change[]): Node[] {
  return changes.map((c) => {
    const what = c.reason === null ? (c.came ? "joined" : "came back")
      : c.came ? `came by and ${words.leaveReason(c.reason)}` : words.leaveReason(c.reason);
    return el("span", { "data-change": c.reason === null ? "join" : "leave" },
      el("b", { dir: "auto" }, c.name), ` ${what} `,
      time(c.at));
  });
}

function crowds(came: Crowd, went: Crowd, at: number): Node[] {
  const told = (crowd: Crowd, change: string, what: string) => crowd.count === 0 ? [] : [
    el("span", { "data-change": change, "data-many": crowd.count }, el("b", { dir: "auto" }, words.crowd(crowd)), ` ${what} `, time(at)),
  ];
  return [...told(came, "join", "joined"), ...told(went, "leave", "left")];
}

function time(at: number): HTMLElement {
  return el("time", { datetime: new Date(at).toISOString(), title: words.full(at) }, words.clock(at));
}
