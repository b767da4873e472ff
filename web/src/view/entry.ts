// The form that asks who you are and where you want to go.

import { byId, setText } from "./dom.ts";
import { roomName, roomProblem } from "./rooms.ts";

const manners = ["Brisk", "Calm", "Clever", "Gentle", "Jolly", "Keen", "Lucky", "Merry", "Nimble", "Quiet", "Sunny", "Witty"];
const birds = ["Finch", "Heron", "Jay", "Kestrel", "Lark", "Magpie", "Owl", "Plover", "Robin", "Swift", "Tern", "Wren"];

/** suggestedName is a name for somebody who has given none. */
export function suggestedName(): string {
  const pick = (from: string[]) => from[Math.floor(Math.random() * from.length)]!;
  return `${pick(manners)} ${pick(birds)}`;
}

export class EntryView {
  readonly #entry = byId("entry");
  readonly #name = byId<HTMLInputElement>("entry-name");
  readonly #room = byId<HTMLInputElement>("entry-room");

  constructor(onEnter: (name: string, room: string) => void) {
    this.#name.onfocus = () => this.#name.select();
    byId<HTMLFormElement>("entry-form").onsubmit = (e) => {
      e.preventDefault();
      const name = this.#name.value.trim();
      const room = roomName(this.#room.value);
      const nameProblem = name === "" ? "What shall we call you?" : "";
      setText(byId("entry-name-problem"), nameProblem);
      this.#name.setAttribute("aria-invalid", String(nameProblem !== ""));
      const problem = roomProblem(room);
      setText(byId("entry-room-problem"), problem);
      this.#room.setAttribute("aria-invalid", String(problem !== ""));
      if (nameProblem !== "") this.#name.focus();
      else if (problem !== "") this.#room.focus();
      else onEnter(name, room);
    };
  }

  show(name: string, room: string): void {
    this.#name.value = name;
    this.#room.value = room;
    this.#entry.hidden = false;
    this.#name.focus();
  }

  hide(): void {
    this.#entry.hidden = true;
  }
}
