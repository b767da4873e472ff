// The page's start: from the address or the form into the chat.
//
// Address: /?room=R&user=U&name=N joins at once. room may repeat; without user
// the tab gets an id of its own; without any name the form asks. observe=1
// watches without being a member, and needs no name. ping_ms is how often the
// page looks after a silent connection (1000 to 150000; default 10000): it
// promises the server a ping every two of them.

import { asked, newUser, recalled } from "./visit.ts";
import { EntryView, suggestedName } from "./view/entry.ts";
import { showChat } from "./view/page.ts";

const query = new URLSearchParams(location.search);
const ping = Number(query.get("ping_ms"));
const tickMs = ping >= 1_000 && ping <= 150_000 ? ping : 10_000;
const observe = query.get("observe") === "1";

const { user = newUser(), name = observe ? "Observer" : undefined, rooms = [] } = asked(location.search, recalled());

if (name !== undefined && rooms.length > 0) {
  enter(name, rooms);
} else {
  const entry = new EntryView((typed, room) => {
    entry.hide();
    enter(typed, [room]);
  });
  entry.show(name ?? suggestedName(), rooms[0] ?? "lobby");
}

// The last room left is the end of a visit: the page begins anew.
function enter(as: string, where: string[]): void {
  showChat({ user, name: as, rooms: where }, { observe, tickMs }, () => location.reload());
}
