// A chat hub on ws, with the protocol of ../protocol.go.
//
//	node ws.js HOST PORT PING [quiet]
//
// PING is in milliseconds. Where it is quiet, joins and leaves are not told, and
// members are not listed.

import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";

const messageBytes = 64 << 10; // of one message from a client
const backlogBytes = 64 << 20; // that may wait for one client; who reads more slowly is cut

const [host, port, ping, mode] = process.argv.slice(2);
const quiet = mode === "quiet";
const rooms = new Map(); // by name: the set of its sockets

const encode = (message) => Buffer.from(JSON.stringify(message));

function send(socket, text) {
  if (socket.readyState !== WebSocket.OPEN) return;
  if (socket.bufferedAmount > backlogBytes) {
    socket.terminate();
    return;
  }
  socket.send(text, { binary: false });
}

function tell(room, message) {
  const text = encode(message);
  for (const socket of room) send(socket, text);
}

function join(socket, data) {
  if (rooms.get(socket.room)?.has(socket)) return;
  const room = rooms.get(socket.room) ?? new Set();
  rooms.set(socket.room, room);
  socket.data = data;
  if (!quiet) tell(room, { type: "join", id: socket.user, data });
  room.add(socket);
  const members = quiet ? null : Array.from(room, ({ user: id, data }) => ({ id, data }));
  send(socket, encode({ type: "members", count: room.size, members }));
}

function leave(socket) {
  const room = rooms.get(socket.room);
  if (!room?.delete(socket)) return;
  if (room.size === 0) rooms.delete(socket.room);
  if (!quiet) tell(room, { type: "leave", id: socket.user });
}

function receive(socket, text) {
  let command;
  try {
    command = JSON.parse(text);
  } catch {
    send(socket, encode({ type: "error", data: "not JSON" }));
    return;
  }
  const { type, data } = command ?? {};
  const room = rooms.get(socket.room);
  if (type === "join") {
    join(socket, data);
  } else if (!room?.has(socket)) {
    send(socket, encode({ type: "error", data: "join first" }));
  } else if (type === "publish") {
    tell(room, { type: "message", id: socket.user, data });
  } else if (type === "update") {
    socket.data = data;
    tell(room, { type: "update", id: socket.user, data });
  } else if (type === "leave") {
    leave(socket);
    send(socket, encode({ type: "left" }));
  } else {
    send(socket, encode({ type: "error", data: "unknown type" }));
  }
}

// verify reads ?user=…&room=…, and lets nobody in without them.
function verify({ req }, done) {
  const query = new URL(req.url, "ws://localhost").searchParams;
  req.user = query.get("user") ?? "";
  req.room = query.get("room") ?? "";
  const good = (name) => name !== "" && name.length <= 64;
  done(good(req.user) && good(req.room), 400);
}

const http = createServer();
const server = new WebSocketServer({ server: http, maxPayload: messageBytes, verifyClient: verify });

server.on("connection", (socket, request) => {
  socket.user = request.user;
  socket.room = request.room;
  socket.alive = true;
  socket.on("pong", () => (socket.alive = true));
  socket.on("error", () => {}); // a close follows
  socket.on("close", () => leave(socket));
  socket.on("message", (text) => receive(socket, text));
  join(socket);
});

setInterval(() => {
  for (const socket of server.clients) {
    if (!socket.alive) {
      socket.terminate();
      continue;
    }
    socket.alive = false;
    socket.ping();
  }
}, Number(ping));

http.listen(Number(port), host);
