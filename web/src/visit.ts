// Who this tab is and which rooms it is in, across reloads: from the address,
// else from what the tab remembers. Two tabs are two users unless the address
// says otherwise, so that anybody can try the page with itself.

import type { Resume } from "./chat.ts";

export interface Visit {
  user: string;
  name: string;
  rooms: string[]; // the first is on view
}

const storeKey = "rollcall.visit";
const resumeKey = "rollcall.resume";

/** recalled is what the tab remembers of itself. */
export function recalled(): Partial<Visit> {
  try {
    const v: unknown = JSON.parse(sessionStorage.getItem(storeKey) ?? "{}");
    return typeof v === "object" && v !== null ? (v as Partial<Visit>) : {};
  } catch {
    return {}; // storage is off, or holds what is not ours
  }
}

let remembered = "";

/** remember keeps a visit for a reload, and shows the room in the address. */
export function remember(visit: Visit): void {
  const text = JSON.stringify(visit);
  if (text === remembered) return;
  remembered = text;
  try {
    sessionStorage.setItem(storeKey, text);
  } catch {
    // storage is off: a reload asks again
  }
  const query = new URLSearchParams(location.search);
  query.delete("room");
  const [first] = visit.rooms;
  if (first !== undefined) query.set("room", first);
  const search = query.size > 0 ? `?${legible(query.toString())}` : "";
  if (search !== location.search) history.replaceState(null, "", location.pathname + search);
}

// A page that goes away leaves behind what it takes to come back as the same
// session, and the next page of this tab takes it away at once. So there is
// nothing to take for a tab that is made as a copy of this one.

/** leaveBehind keeps a session for the next page of this tab: a reload. */
export function leaveBehind(who: Pick<Visit, "user" | "name">, resume: Resume): void {
  try {
    sessionStorage.setItem(resumeKey, JSON.stringify({ ...resume, user: who.user, name: who.name }));
  } catch {
    // storage is off: a reload is a new session
  }
}

/** pickUp takes what the page before left behind; undefined: nothing, or it was somebody else's. */
export function pickUp(who: Pick<Visit, "user" | "name">): Resume | undefined {
  try {
    const text = sessionStorage.getItem(resumeKey);
    sessionStorage.removeItem(resumeKey);
    return left(text, who);
  } catch {
    return undefined;
  }
}

/** left reads what pickUp found. */
export function left(text: string | null, who: Pick<Visit, "user" | "name">): Resume | undefined {
  const found: unknown = JSON.parse(text ?? "null");
  if (typeof found !== "object" || found === null) return undefined;
  const { token, rooms, user, name } = found as Partial<Resume & Visit>;
  if (typeof token !== "string" || !Array.isArray(rooms) || user !== who.user || name !== who.name) return undefined;
  return { token, rooms: rooms.filter((r) => typeof r === "string") };
}

/** asked is the visit that the address and the tab's memory ask for. */
export function asked(search: string, memory: Partial<Visit>): Partial<Visit> {
  const query = new URLSearchParams(search);
  const user = query.get("user") || memory.user;
  const name = query.get("name") || query.get("user") || memory.name;
  const inAddress = query.getAll("room").filter((r) => r !== "");
  const before = memory.rooms ?? [];
  // The address shows the room on view: with the same one it is a reload, and
  // the other rooms come back too; with another, somebody chose to go elsewhere.
  const reload = inAddress[0] === before[0] && user === memory.user;
  const rooms = [...new Set(reload ? [...inAddress, ...before] : inAddress)];
  return { ...(user ? { user } : {}), ...(name ? { name: clipped(name) } : {}), rooms };
}

// The longest name that the server takes, in characters.
function clipped(name: string): string {
  return [...name].slice(0, 64).join("");
}

/** newUser is an id for somebody who has none. */
export function newUser(): string {
  return "u_" + [...crypto.getRandomValues(new Uint8Array(8))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** roomLink is an address that brings others here, as themselves. */
export function roomLink(room: string): string {
  return `${location.origin}${location.pathname}?room=${legible(encodeURIComponent(room))}`;
}

// Room names may hold / : @, and a query may too (RFC 3986 §3.4).
function legible(query: string): string {
  return query.replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%40", "@");
}
