// A message's text as nodes: web addresses become links, all else stays text.

import { el } from "./dom.ts";

const address = /\bhttps?:\/\/[^\s<>"']+/gi;

/** linked is text with its web addresses as links. */
export function linked(text: string): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const match of text.matchAll(address)) {
    const url = match[0].replace(/[.,;:!?)\]}]+$/, ""); // a sentence's own marks
    if (!URL.canParse(url)) continue;
    parts.push(text.slice(end, match.index));
    parts.push(el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, url));
    end = match.index + url.length;
  }
  parts.push(text.slice(end));
  return parts;
}
