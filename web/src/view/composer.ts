// Where a message is written. Enter sends, Shift+Enter starts a line.

import type { Chat } from "../chat.ts";
import type { Room } from "../room.ts";
import { byId, setText } from "./dom.ts";

export class ComposerView {
  readonly #text = byId<HTMLTextAreaElement>("composer");
  readonly #hint = byId("composer-hint");
  #room: Room | null = null;

  constructor(readonly chat: Chat, onSent: () => void) {
    const send = () => {
      const room = this.#room;
      const text = this.#text.value.trim();
      if (room === null || text === "") return;
      if (!chat.post(room, text)) {
        setText(this.#hint, "Too many messages wait for the connection.");
        return;
      }
      this.#write("");
      setText(this.#hint, "");
      onSent();
    };
    this.#text.onkeydown = (e) => {
      // Enter that ends an input method's composition is not a send.
      if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      send();
    };
    this.#text.oninput = () => {
      if (this.#room !== null) this.#room.draft = this.#text.value;
      this.#fit();
      chat.type(this.#text.value.trim() === "");
    };
    byId<HTMLFormElement>("composer-form").onsubmit = (e) => {
      e.preventDefault();
      send();
      this.#text.focus();
    };
  }

  focus(): void {
    this.#text.focus();
  }

  render(room: Room): void {
    if (room === this.#room) return;
    this.#room = room;
    this.#text.placeholder = `Message #${room.name}`;
    this.#write(room.draft);
  }

  #write(text: string): void {
    this.#text.value = text;
    if (this.#room !== null) this.#room.draft = text;
    this.#fit();
  }

  #fit(): void {
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }
}
