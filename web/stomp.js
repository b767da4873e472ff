// A chat through stompjs over sockjs-client: all that /stomp.html runs besides
// those two, as they come from npm. Copy what you need. What is on the wire, the
// server's docs/stomp.md says.

const query = new URLSearchParams(location.search);
const room = query.get("room") ?? "lobby";
const user = query.get("user") ?? `guest-${Math.random().toString(36).slice(2, 10)}`;
const name = query.get("name") ?? user;
const prefix = query.get("prefix") ?? "/sockjs";
// The first that gets through. SockJS has more, which need frames, and a
// Content-Security-Policy that lets them be.
const transports = query.get("transport")?.split(",") ?? ["websocket", "xhr-streaming", "eventsource", "xhr-polling"];

const people = new Map(); // who is here: members, by session
let listed = true; // false: the room is too large to tell who, just how many
let session = ""; // ours, for as long as this connection lasts
let newest = ""; // message-id of the newest message that we have
let presence; // our subscription to who is here
let socket;

const client = new StompJs.Client({
  webSocketFactory: () => (socket = new SockJS(prefix, null, { transports })),
  connectHeaders: { login: user, "rollcall-name": name, page: "stomp.html" }, // what is not the server's is our data, for all to see
  reconnectDelay: 2000,
  onConnect(frame) {
    session = frame.headers.session;
    show("online");
    facts({ Transport: socket.transport, STOMP: frame.headers.version, User: frame.headers["user-name"], Session: session });
    client.subscribe("/user/queue/errors", (m) => tell("trouble", JSON.parse(m.body).message ?? m.body));
    watch();
    client.subscribe(`/topic/${room}`, said, newest ? { "rollcall-since": newest } : { "rollcall-history": "50" });
  },
  // The last frame that the server sends. Past a limit of its own (idle, too old,
  // kicked) it asks us not to come back unasked, which stompjs would do.
  onStompError({ headers }) {
    if (headers["rollcall-reconnect"] !== "true") end(`The server ended the connection: ${headers.message}.`);
  },
  onWebSocketClose(event) {
    session = "";
    if (client.active) show("connecting", `The connection is lost (${event.code}). Trying again…`);
  },
});

function watch() {
  presence = client.subscribe(`/topic/${room}/presence`, (m) => happened(JSON.parse(m.body)));
}

/** happened applies an event of the room to people: first a snapshot, then what changes. */
function happened(event) {
  switch (event.type) {
    case "joined":
      people.clear();
      for (const m of event.members) people.set(m.session, m);
      listed = event.mode !== "count";
      return drawPeople(event.count.users);
    case "join":
      people.set(event.member.session, event.member);
      return drawPeople();
    case "leave":
      left(event);
      return drawPeople();
    case "update":
      Object.assign(people.get(event.session) ?? {}, event);
      return drawPeople();
    case "presence": // many at once, in a large room
      for (const { member } of event.joins ?? []) people.set(member.session, member);
      for (const u of event.updates ?? []) Object.assign(people.get(u.session) ?? {}, u);
      event.leaves?.forEach(left);
      return drawPeople();
    case "occupancy":
      return drawPeople(event.count.users);
    case "mode":
      if (event.mode === "count") listed = false;
      else if (!listed) setTimeout(listAgain, 5000 * Math.random()); // not everybody at once
  }
}

/** listAgain has the snapshot come again, in a room that has shrunk to where there is a list. */
function listAgain() {
  if (!client.connected || listed) return;
  presence.unsubscribe();
  watch();
}

function left({ session: gone, user, reason, last }) {
  if (gone === session) end(`You are out of the room: ${reason}.`);
  const who = people.get(gone)?.name ?? user;
  people.delete(gone);
  if (last) {
    $("notices").prepend(make("li", { class: "leave", "data-user": user, "data-reason": reason }, avatar(user, who), make("span", { class: "what" }, who, `: ${reason}`)));
    $("notices").children[20]?.remove();
  }
}

function said(message) {
  const { headers } = message;
  newest = headers["message-id"];
  const own = headers["rollcall-user"] === user;
  const time = new Date(Number(headers["rollcall-at"]));
  $("timeline").append(make("article", { class: `message head${own ? " own" : ""}`, "data-user": headers["rollcall-user"] },
    avatar(headers["rollcall-user"], headers["rollcall-name"]),
    make("div", { class: "meta" }, make("span", { class: "author" }, headers["rollcall-name"]), make("time", {}, time.toLocaleTimeString())),
    make("div", { class: "bubble", dir: "auto" }, textOf(message.body))));
  $("timeline").children[500]?.parentNode.firstChild.remove();
  $("messages").scrollTop = $("messages").scrollHeight;
}

/** textOf is what people read: the text of {"text": …}, as chat pages send it, or the body as it is. */
function textOf(body) {
  try {
    const { text } = JSON.parse(body);
    return typeof text === "string" ? text : body;
  } catch {
    return body;
  }
}

function send() {
  const text = $("composer").value.trim();
  if (text === "" || !client.connected) return;
  client.publish({ destination: `/app/${room}`, body: JSON.stringify({ text }) });
  $("composer").value = "";
  tell("calm", "");
}

/** end is the end: nothing comes back by itself. */
function end(why) {
  void client.deactivate();
  show("offline", why);
}

// From here on: the page.

function $(id) {
  return document.getElementById(id);
}

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
  node.append(...children);
  return node;
}

function avatar(user, name) {
  const node = make("span", { class: "avatar", "aria-hidden": "true" }, [...name][0]?.toUpperCase() ?? "?");
  node.style.setProperty("--hue", [...user].reduce((hue, c) => (hue * 31 + c.codePointAt(0)) % 360, 7));
  return node;
}

/** drawPeople draws users, each in the state of the session that is most alive; or how many there are. */
function drawPeople(count) {
  const states = ["active", "idle", "unresponsive", "lost"];
  const users = new Map();
  for (const m of listed ? people.values() : []) {
    const known = users.get(m.user);
    if (!known || states.indexOf(m.state) < states.indexOf(known.state)) users.set(m.user, m);
  }
  $("unlisted").hidden = listed;
  if (listed) $("count").textContent = users.size;
  else if (count !== undefined) $("count").textContent = count;
  $("members").replaceChildren(...[...users.values()].slice(0, 500).map((m) => make("li", { "data-user": m.user, "data-state": m.state },
    make("span", { class: "face" }, avatar(m.user, m.name), make("span", { class: "presence", "data-state": m.state })),
    make("span", { class: "who" }, make("span", { class: "name", dir: "auto" }, m.name), ...(m.user === user ? [make("span", { class: "tag" }, "you")] : [])),
    make("span", { class: "state-word" }, m.state))));
}

function show(state, why = "") {
  $("state").textContent = $("state").dataset.state = $("chat").dataset.connection = state;
  $("again").hidden = state !== "offline";
  $("disconnect").hidden = state === "offline";
  tell(state === "offline" ? "ended" : "trouble", why);
}

function tell(tone, text) {
  $("banner").hidden = text === "";
  $("banner").dataset.tone = tone;
  $("banner-text").textContent = text;
}

function facts(all) {
  $("transport").textContent = all.Transport;
  $("facts").replaceChildren(...Object.entries(all).flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v)]));
}

$("composer-form").onsubmit = (event) => {
  event.preventDefault();
  send();
};
$("composer").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
};
$("disconnect").onclick = () => end("You are disconnected.");
$("again").onclick = connect;
$("entry-form").onsubmit = (event) => {
  event.preventDefault();
  location.search = new URLSearchParams([...new FormData(event.target)].filter(([, v]) => v !== "")); // to this page, with who and where in its address
};

function connect() {
  show("connecting");
  client.activate();
}

if (query.has("room")) {
  document.title = `#${room} – Rollcall`;
  $("room-title").textContent = room;
  $("chat").hidden = false;
  connect();
} else {
  $("entry").hidden = false;
}
