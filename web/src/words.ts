// What the page says to people, in one place.

import type { Connection, Why } from "./client.ts";
import type { Crowd } from "./crowd.ts";
import type { State } from "./protocol.ts";

const leaveReasons: Record<string, string> = {
  left: "left the room",
  kicked: "was removed from the room",
  banned: "was banned from the room",
  failed: "left because of a fault on the server",
  closed: "closed the tab",
  lost: "lost connection",
  idle: "was idle too long",
  expired: "reached the end of the session",
  unauthorized: "is no longer signed in",
  replaced: "went on somewhere else",
  violation: "was cut off for breaking the rules",
  slow: "could not keep up",
  shutdown: "went when the server restarted",
  node_lost: "went with a failed server",
};

/** leaveReason goes on after a name: "Kim …". */
export function leaveReason(reason: string): string {
  return leaveReasons[reason] ?? "left";
}

const endings: Record<string, string> = {
  kicked: "You were removed from this room.",
  banned: "You are banned from this room.",
  failed: "This room had a fault on the server.",
  room_full: "This room is full.",
  forbidden: "You may not enter this room.",
  unauthorized: "You need to sign in to enter this room.",
  bad_request: "The server did not accept this room name.",
  rate_limited: "Too many rooms at once. Trying again shortly.",
  unavailable: "This room is not available at the moment. Trying again shortly.",
  timeout: "The server did not answer.",
};

/** outOfRoom says why this page is not in a room. */
export function outOfRoom(code: string): string {
  return endings[code] ?? "You are no longer in this room.";
}

const problems: Record<string, string> = {
  timeout: "No answer came.",
  too_large: "Too long for this server.",
  rate_limited: "You are sending too fast.",
  not_joined: "You are not in this room.",
  unavailable: "The room is not available at the moment.",
};

/** sendProblem says why a message was not sent. */
export function sendProblem(code: string | undefined): string {
  return problems[code ?? ""] ?? "The server did not take it.";
}

const byeReasons: Record<string, string> = {
  idle: "You were disconnected because you were idle too long.",
  expired: "You were disconnected because your session reached its end.",
  kicked: "You were disconnected by an administrator.",
  banned: "You are banned from this server.",
  unauthorized: "You were disconnected because you are no longer signed in.",
  replaced: "You were disconnected because you went on somewhere else.",
  violation: "You were disconnected because this page sent too much at once.",
  shutdown: "The server is restarting.",
  slow: "The connection could not keep up.",
  overloaded: "The server is busy.",
  failed: "The server had a fault.",
};

const byCode: Record<number, string> = {
  4000: "shutdown", 4002: "slow", 4003: "failed", 4004: "overloaded",
  4500: "idle", 4501: "expired", 4502: "kicked", 4503: "banned", 4504: "unauthorized", 4505: "replaced", 4506: "violation",
};

/** offlineReason says why there is no connection. */
export function offlineReason(why: Why): string {
  switch (why.kind) {
    case "bye":
      return byeReasons[byCode[why.code] ?? why.reason] ?? "The server ended the connection.";
    case "closed":
      return byeReasons[byCode[why.code] ?? ""] ?? "The connection was lost.";
    case "silent":
      return "The network does not answer.";
    case "unreachable":
      return "The server can’t be reached.";
    case "stopped":
      return "You are disconnected.";
  }
}

/** countdown says when the next attempt is due; "" when none is. */
export function countdown(connection: Connection, now: number): string {
  if (connection.state !== "offline" || connection.retryAt === null) return "";
  const seconds = Math.ceil((connection.retryAt - now) / 1000);
  return seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…";
}

const states: Record<State, string> = {
  active: "active",
  idle: "idle",
  lost: "connection lost",
  unresponsive: "not responding",
};

/** stateWord is a member's state as people read it. */
export function stateWord(state: State): string {
  return states[state] ?? "unknown";
}

/** listed joins names: "Ana", "Ana and Bo", "Ana, Bo and 3 others". */
export function listed(names: string[], max = 3): string {
  if (names.length <= 1) return names[0] ?? "";
  if (names.length > max) {
    const rest = names.length - (max - 1);
    return `${names.slice(0, max - 1).join(", ")} and ${rest} others`;
  }
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** crowd names the first of many: "Ana", "Ana and Bo", "Ana, Bo and 48 others". */
export function crowd({ count, names }: Crowd): string {
  const rest = count - names.length;
  if (rest <= 0) return names.join(" and ");
  if (names.length === 0) return people(rest);
  return `${names.join(", ")} and ${rest === 1 ? "one other" : `${number(rest)} others`}`;
}

/** people counts them: "one person", "1,204 people". */
export function people(n: number): string {
  return n === 1 ? "one person" : `${number(n)} people`;
}

/** number is a whole number with its thousands apart. */
export function number(n: number): string {
  return n.toLocaleString();
}

/** typing says who types; "" when nobody does. */
export function typing(names: string[]): string {
  if (names.length === 0) return "";
  if (names.length > 3) return "Several people are typing";
  return `${listed(names)} ${names.length === 1 ? "is" : "are"} typing`;
}

/** watching says how many observe; "" when nobody does. */
export function watching(observers: number): string {
  return observers === 0 ? "" : `${people(observers)} watching`;
}

/** ago is a past instant as people say it. */
export function ago(at: number, now: number): string {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.floor(hours / 24);
  return days === 1 ? "yesterday" : `${days} days ago`;
}

/** day is a date as people say it. */
export function day(at: number, now: number): string {
  const date = new Date(at);
  if (date.toDateString() === new Date(now).toDateString()) return "Today";
  const yesterday = new Date(now);
  yesterday.setDate(yesterday.getDate() - 1);
  if (date.toDateString() === yesterday.toDateString()) return "Yesterday";
  return dayFormat.format(date);
}

const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** clock is the time of day. */
export function clock(at: number): string {
  return clockFormat.format(at);
}

/** full is date and time with seconds. */
export function full(at: number): string {
  return fullFormat.format(at);
}

/** presenceSummary tells comings and goings in one go, for screen readers. */
export function presenceSummary(came: Crowd, went: Crowd, only: { name: string; reason: string | null }[]): string {
  if (came.count + went.count === only.length) {
    return only.map((c) => (c.reason === null ? `${c.name} joined.` : `${c.name} ${leaveReason(c.reason)}.`)).join(" ");
  }
  return [came.count > 0 ? `${number(came.count)} joined` : "", went.count > 0 ? `${number(went.count)} left` : ""].filter(Boolean).join(", ") + ".";
}
