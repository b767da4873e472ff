// Who is here, and who has gone and why. A large room is shown as far as somebody
// asks for it, and drawn only when what is shown has changed.

import type { Departure, Room } from "../room.ts";
import type { Person } from "../roster.ts";
import * as words from "../words.ts";
import { avatar, byId, el, reconcile, setText } from "./dom.ts";

const step = 500; // people shown at first, and more at a time
const most = 5_000; // people shown at all

interface PersonRow extends Person {
  key: string;
  ago: string; // since when the state is so, where that matters; "" where it is not known
}

export class PeopleView {
  readonly #members = byId("members");
  readonly #notices = byId("notices");
  readonly #noneLeft = byId("none-left");
  readonly #more = byId("more-members");
  readonly #moreText = byId("more-members-text");
  readonly #moreButton = byId<HTMLButtonElement>("more-members-button");
  readonly #counts = document.querySelectorAll<HTMLElement>("[data-count]");
  #room: Room | null = null;
  #shown = step;
  #drawn: unknown[] = []; // what the list was made of

  /** onBrowse asks for more members of a room that lists nobody; onMore draws again. */
  constructor(onBrowse: (room: Room) => void, onMore: () => void) {
    this.#moreButton.onclick = () => {
      const room = this.#room;
      if (room === null) return;
      if (room.roster.listed || room.people().length > this.#shown) this.#shown += step;
      else onBrowse(room);
      onMore();
    };
  }

  render(room: Room): void {
    if (room !== this.#room) this.#shown = step;
    this.#room = room;
    const now = Date.now();
    const people = room.people();
    const { count, listed, next } = room.roster;
    for (const c of this.#counts) setText(c, words.number(count.users));

    const from = [people, this.#shown, listed, next, count.users, Math.floor(now / 20_000)];
    if (from.some((part, i) => part !== this.#drawn[i])) {
      this.#drawn = from;
      reconcile(this.#members, people.slice(0, this.#shown).map((p) => row(p, now)), build, patch);
      this.#tellMore(room, people.length);
    }
    reconcile(this.#notices, room.departures.map((d) => ({ ...d, ago: words.ago(d.at, now) })), departure);
    this.#noneLeft.hidden = room.departures.length > 0;
    setText(this.#noneLeft, room.roster.mode === "count" ? "Nobody is told in a room this large." : "Nobody since you came.");
  }

  #tellMore(room: Room, known: number): void {
    const { count, listed, next } = room.roster;
    const shown = Math.min(known, this.#shown);
    const rest = count.users - shown;
    const unlisted = !listed && room.standing.is === "in";
    const text = rest <= 0 ? "" : shown > 0 ? `and ${words.number(rest)} more` : unlisted ? "Too many to list them all." : "";
    setText(this.#moreText, text);
    const left = listed || known > shown ? known > shown : next !== null;
    this.#moreButton.hidden = text === "" || !left || shown >= most;
    setText(this.#moreButton, shown > 0 ? "Show more" : "Show some");
    this.#more.hidden = text === "";
  }
}

function row(p: Person, now: number): PersonRow {
  const told = (p.state === "lost" || p.state === "unresponsive") && p.stateAt !== null;
  return { key: p.user, ...p, ago: told ? words.ago(p.stateAt!, now) : "" };
}

function build(p: PersonRow): HTMLElement {
  const node = el("li", { "data-user": p.user },
    el("span", { class: "face" }, avatar(p.user, p.name), el("span", { class: "presence", "aria-hidden": "true" })),
    el("span", { class: "who" }, el("span", { class: "name", dir: "auto" }, p.name)),
    el("span", { class: "state-word" }));
  patch(node, p);
  return node;
}

// What changes of a person stays the same node, so that it fades rather than jumps.
function patch(node: HTMLElement, p: PersonRow): boolean {
  node.dataset["state"] = p.state;
  node.title = `Here since ${words.full(p.since)}`;
  node.querySelector<HTMLElement>(".presence")!.dataset["state"] = p.state;
  const name = node.querySelector(".name")!;
  if (name.textContent !== p.name) {
    setText(name, p.name);
    node.querySelector(".avatar")!.replaceWith(avatar(p.user, p.name));
  }
  const tags = [p.self ? "you" : "", p.sessions > 1 ? `${p.sessions} devices` : ""].filter(Boolean);
  node.querySelector(".who")!.replaceChildren(name, ...tags.map((t) => el("span", { class: "tag" }, t)));
  const since = p.ago === "" ? [] : [" ", el("time", { datetime: new Date(p.stateAt!).toISOString(), title: words.full(p.stateAt!) }, p.ago)];
  node.querySelector(".state-word")!.replaceChildren(words.stateWord(p.state), ...since);
  return true;
}

function departure(d: Departure & { ago: string }): HTMLElement {
  return el("li", { class: "leave", "data-user": d.user, "data-reason": d.reason },
    avatar(d.user, d.name),
    el("span", { class: "what" }, el("b", { dir: "auto" }, d.name), ` ${words.leaveReason(d.reason)}`),
    el("time", { datetime: new Date(d.at).toISOString(), title: words.full(d.at) }, d.ago));
}
