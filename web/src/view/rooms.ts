// The rooms of this page, what is unread in them, and the way into another.

import type { Chat } from "../chat.ts";
import { validRoom } from "../protocol.ts";
import { avatar, byId, el, reconcile, setText } from "./dom.ts";

interface RoomRow {
  key: string;
  unread: number;
  current: boolean;
  out: boolean;
}

export class RoomsView {
  readonly #list = byId("rooms");
  readonly #form = byId<HTMLFormElement>("join-form");
  readonly #input = byId<HTMLInputElement>("join-room");
  readonly #problem = byId("join-problem");

  constructor(readonly chat: Chat, readonly onChosen: () => void) {
    byId("self-face").replaceChildren(avatar(chat.user, chat.name));
    setText(byId("self-name"), chat.name);
    this.#form.onsubmit = (e) => {
      e.preventDefault();
      const name = roomName(this.#input.value);
      const problem = roomProblem(name);
      setText(this.#problem, problem);
      if (problem !== "") return;
      this.#input.value = "";
      chat.join(name);
      onChosen();
    };
  }

  render(): void {
    const items = this.chat.rooms.map((r): RoomRow => ({
      key: r.name, unread: r.unread, current: r === this.chat.current, out: r.standing.is === "out",
    }));
    reconcile(this.#list, items, (row) => this.#build(row), (node, row) => this.#patch(node, row));
  }

  #build(row: RoomRow): HTMLElement {
    const open = el("button", { type: "button", class: "room" },
      el("span", { class: "hash", "aria-hidden": "true" }, "#"), el("span", { class: "room-name" }, row.key), el("span", { class: "unread" }));
    open.addEventListener("click", () => {
      const room = this.chat.rooms.find((r) => r.name === row.key);
      if (room !== undefined) this.chat.select(room);
      this.onChosen();
    });
    const leave = el("button", { type: "button", class: "leave-room", "aria-label": `Leave ${row.key}`, title: `Leave ${row.key}` }, "×");
    leave.addEventListener("click", () => {
      const room = this.chat.rooms.find((r) => r.name === row.key);
      if (room !== undefined) this.chat.leave(room);
      this.onChosen();
    });
    const node = el("li", { "data-room": row.key }, open, leave);
    this.#patch(node, row);
    return node;
  }

  #patch(node: HTMLElement, row: RoomRow): boolean {
    const open = node.querySelector<HTMLElement>("button.room")!;
    if (row.current) open.setAttribute("aria-current", "page");
    else open.removeAttribute("aria-current");
    node.classList.toggle("out", row.out);
    const unread = node.querySelector<HTMLElement>(".unread")!;
    setText(unread, row.unread === 0 ? "" : row.unread > 99 ? "99+" : String(row.unread));
    if (row.unread > 0) unread.setAttribute("aria-label", `${row.unread} unread`);
    else unread.removeAttribute("aria-label");
    return true;
  }
}

/** roomName is what somebody typed as a room's name: spaces become dashes. */
export function roomName(typed: string): string {
  return typed.trim().replace(/^#/, "").replace(/\s+/g, "-");
}

/** roomProblem says what is wrong with a room's name; "" when nothing is. */
export function roomProblem(name: string): string {
  if (name === "") return "Which room?";
  if (name.startsWith("@")) return "Names that begin with @ belong to the server.";
  if (!validRoom(name)) return "Letters a to z, digits and . _ : - ~ @ / only, 128 at most.";
  return "";
}
