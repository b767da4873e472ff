// The chat itself: the views together, drawn at most once per frame.

import { Chat } from "../chat.ts";
import * as words from "../words.ts";
import { startTicker } from "../ticker.ts";
import { leaveBehind, pickUp, remember, roomLink } from "../visit.ts";
import type { Visit } from "../visit.ts";
import { Announcer } from "./announcer.ts";
import { BannerView } from "./banner.ts";
import { ComposerView } from "./composer.ts";
import { byId, setText } from "./dom.ts";
import { MessagesView } from "./messages.ts";
import { Panels } from "./panels.ts";
import { PeopleView } from "./people.ts";
import { RoomsView } from "./rooms.ts";

const minuteMs = 60_000;

/** showChat opens the chat for a visit; onLeft is called when the last room was left. */
export function showChat(visit: Visit, how: { observe: boolean; tickMs: number }, onLeft: () => void): void {
  const announcer = new Announcer();
  const promise = startTicker(how.tickMs, () => chat.client.tick());
  const resume = pickUp(visit);
  const chat: Chat = new Chat({
    origin: location.origin,
    user: visit.user,
    name: visit.name,
    ...how,
    promise,
    ...(resume && { resume }),
    onChange: () => draw(),
    onPresence: (name, reason) => announcer.presence(name, reason),
  });

  const panels = new Panels();
  const messages = new MessagesView(chat);
  const people = new PeopleView((room) => chat.browse(room), () => draw());
  const composer = new ComposerView(chat, () => messages.pin());
  const rooms = new RoomsView(chat, () => {
    panels.close();
    composer.focus();
  });
  const banner = new BannerView(chat, () => announcer.say("Connected again."));
  byId("leave").onclick = () => chat.current !== null && chat.leave(chat.current);
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-copies]")) {
    button.hidden = navigator.clipboard === undefined; // plain http beyond localhost
    button.onclick = async () => {
      if (chat.current === null) return;
      await navigator.clipboard.writeText(roomLink(chat.current.name)).catch(() => {});
      announcer.say("Link copied.");
      button.dataset["copied"] = "";
      setTimeout(() => delete button.dataset["copied"], 1_500);
    };
  }

  const render = () => {
    const room = chat.current;
    if (room === null) {
      document.title = "Rollcall";
      byId("chat").hidden = true;
      remember({ user: chat.user, name: chat.name, rooms: [] });
      onLeft();
      return;
    }
    const unread = chat.rooms.reduce((n, r) => n + r.unread, 0);
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${room.name} · Rollcall`;
    setText(byId("room-title"), room.name);
    setText(byId("typing-text"), words.typing(room.typists(Date.now())));
    byId("chat").dataset["standing"] = room.standing.is;
    byId("chat").toggleAttribute("data-observing", room.observing);
    setText(byId("watching"), words.watching(room.roster.count.observers ?? 0));
    byId("you-watch").hidden = !room.observing;
    setText(byId("self-note"), room.observing ? "you are not in the list" : "this is you");
    banner.render();
    rooms.render();
    people.render(room);
    messages.render(room);
    composer.render(room);
    remember({ user: chat.user, name: chat.name, rooms: [room.name, ...chat.rooms.map((r) => r.name).filter((r) => r !== room.name)] });
  };
  const draw = oncePerFrame(render);

  watchThePerson(chat);
  setInterval(draw, minuteMs / 2); // "2 min ago" goes on
  byId("chat").hidden = false;
  chat.client.connect();
  for (const name of visit.rooms) chat.join(name);
  chat.select(chat.rooms[0]!);
  composer.focus();
}

// Frames do not come while a page is hidden, and its title has to: a timer stands in.
function oncePerFrame(render: () => void): () => void {
  let due = false;
  const run = () => {
    if (!due) return;
    due = false;
    render();
  };
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(run);
    setTimeout(run, 100);
  };
}

function watchThePerson(chat: Chat): void {
  const { client } = chat;
  document.addEventListener("visibilitychange", () => chat.setLooking(!document.hidden));
  chat.setLooking(!document.hidden);
  for (const type of ["keydown", "pointerdown"]) document.addEventListener(type, () => chat.stir(), { passive: true });
  addEventListener("online", () => client.wake());
  addEventListener("offline", () => client.wake()); // asks, for the browser may be wrong
  // A page that goes away says so, and leaves its session to the next page of the
  // tab: a reload. One that comes back from the history takes it up itself.
  addEventListener("pagehide", () => {
    if (chat.resume !== undefined) leaveBehind(chat, chat.resume);
    client.stop();
  });
  addEventListener("pageshow", (e) => {
    if (!e.persisted) return;
    pickUp(chat);
    if (chat.rooms.length > 0) client.connect();
  });
}
