// The rooms and people beside the messages. Where there is no width for them
// they are drawers: opened by a button, closed by Esc, a click beside them or
// their own button. Style decides when: an open drawer on a wide page is just a panel.

import { byId } from "./dom.ts";

const drawerWidths = ["(max-width: 1039px)", "(max-width: 719px)"]; // as in layout.css

type Drawer = "rooms" | "people";

export class Panels {
  readonly #chat = byId("chat");
  #opener: HTMLElement | null = null;

  constructor() {
    for (const button of document.querySelectorAll<HTMLElement>("[data-opens]")) {
      button.addEventListener("click", () => this.#open(button.dataset["opens"] as Drawer, button));
    }
    for (const button of document.querySelectorAll<HTMLElement>("[data-closes]")) {
      button.addEventListener("click", () => this.close());
    }
    document.addEventListener("keydown", (e) => e.key === "Escape" && this.close());
    for (const width of drawerWidths) matchMedia(width).addEventListener("change", () => this.close());
  }

  close(): void {
    if (this.#chat.dataset["drawer"] === undefined) return;
    delete this.#chat.dataset["drawer"];
    byId("main").inert = false;
    this.#opener?.setAttribute("aria-expanded", "false");
    this.#opener?.focus();
    this.#opener = null;
  }

  #open(drawer: Drawer, opener: HTMLElement): void {
    this.#chat.dataset["drawer"] = drawer;
    byId("main").inert = true;
    this.#opener = opener;
    opener.setAttribute("aria-expanded", "true");
    byId(`${drawer}-panel`).querySelector<HTMLElement>("[data-closes]")?.focus();
  }
}
