// The few ways in which the page touches the DOM. Text goes in as text only.

/** byId is an element of index.html. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found as T;
}

type Attributes = Record<string, string | number | boolean | undefined>;

/** el makes an element. Strings become text nodes; false and undefined attributes are left out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children);
  return node;
}

/** setText writes only what changed, so that live regions stay silent otherwise. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

interface Drawn {
  key: string;
  version: string;
}

const drawn = new WeakMap<Element, Drawn>();

/**
 * reconcile makes the children of parent those of items: what did not change
 * is not touched, what changed is patched (patch returns true) or made anew.
 * Items are plain data; keys are unique among them.
 */
export function reconcile<T extends { key: string }>(
  parent: Element, items: readonly T[], build: (item: T) => HTMLElement, patch?: (node: HTMLElement, item: T) => boolean,
): void {
  const old = new Map<string, HTMLElement>();
  for (const child of parent.children) {
    const d = drawn.get(child);
    if (d !== undefined) old.set(d.key, child as HTMLElement);
  }
  const wanted = new Set(items.map((i) => i.key));
  for (const [key, node] of old) if (!wanted.has(key)) node.remove();

  let next = parent.firstElementChild;
  for (const item of items) {
    const version = JSON.stringify(item);
    let node = old.get(item.key);
    if (node === undefined || drawn.get(node)?.version !== version) {
      if (node === undefined || patch?.(node, item) !== true) {
        const fresh = build(item);
        if (node !== undefined) {
          if (next === node) next = fresh;
          node.replaceWith(fresh);
        }
        node = fresh;
      }
      drawn.set(node, { key: item.key, version });
    }
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
}

/** avatar is a person's initials on a colour of their own. */
export function avatar(user: string, name: string): HTMLElement {
  const node = el("span", { class: "avatar", "aria-hidden": "true" }, initials(name));
  node.style.setProperty("--hue", String(hue(user)));
  return node;
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0]!, words.at(-1)!] : words;
  return letters.map((w) => [...w][0] ?? "").join("").toLocaleUpperCase() || "?";
}

function hue(user: string): number {
  let h = 2166136261; // FNV-1a
  for (const c of user) h = Math.imul(h ^ c.codePointAt(0)!, 16777619);
  h = Math.imul(h ^ (h >>> 15), 2246822507); // names that differ little get hues that differ
  return ((h ^ (h >>> 13)) >>> 0) % 360;
}
