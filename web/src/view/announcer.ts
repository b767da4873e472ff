// Tells screen readers who came and went, several at a time.

import { joined, nobody } from "../crowd.ts";
import * as words from "../words.ts";
import { byId } from "./dom.ts";

const batchMs = 2_500;
const named = 4; // told by name; more are counted

export class Announcer {
  readonly #region = byId("announcer");
  #came = nobody;
  #went = nobody;
  #first: { name: string; reason: string | null }[] = [];
  #due = false;

  presence(name: string, reason: string | null): void {
    if (reason === null) this.#came = joined(this.#came, [name]);
    else this.#went = joined(this.#went, [name]);
    if (this.#first.length < named) this.#first.push({ name, reason });
    if (this.#due) return;
    this.#due = true;
    setTimeout(() => {
      this.#due = false;
      this.say(words.presenceSummary(this.#came, this.#went, this.#first));
      this.#came = nobody;
      this.#went = nobody;
      this.#first = [];
    }, batchMs);
  }

  say(text: string): void {
    this.#region.textContent = text;
  }
}
