// A chat hub on Socket.IO, by WebSocket only, with its own rooms. The events are
// those of ../protocol.go.
//
//	node socketio.js HOST PORT PING [quiet]
//
// PING is in milliseconds. Where it is quiet, joins and leaves are not told, and
// members are not listed.

import { createServer } from "node:http";
import { Server } from "socket.io";

const messageBytes = 64 << 10; // of one message from a client
const backlogPackets = 1 << 16; // that may wait for one client; who reads more slowly is cut

const [host, port, ping, mode] = process.argv.slice(2);
const quiet = mode === "quiet";
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  maxHttpBufferSize: messageBytes,
  pingInterval: Number(ping),
});

io.use((socket, next) => {
  const { user, room } = socket.handshake.query;
  const good = (name) => typeof name === "string" && name !== "" && name.length <= 64;
  if (!good(user) || !good(room)) {
    next(new Error("user and room are 1 to 64 characters each"));
    return;
  }
  socket.data = { user, room };
  next();
});

function join(socket, data) {
  const { user, room } = socket.data;
  if (socket.rooms.has(room)) return;
  socket.data.data = data;
  if (!quiet) socket.to(room).emit("join", { id: user, data });
  socket.join(room);
  const ids = io.of("/").adapter.rooms.get(room);
  const members = quiet ? null : Array.from(ids, (id) => {
    const { user, data } = io.of("/").sockets.get(id).data;
    return { id: user, data };
  });
  socket.emit("members", { count: ids.size, members });
}

io.on("connection", (socket) => {
  const { user, room } = socket.data;
  const inside = () => socket.rooms.has(room);
  socket.on("publish", (data) => inside() && io.to(room).emit("message", { id: user, data }));
  socket.on("update", (data) => {
    if (!inside()) return;
    socket.data.data = data;
    io.to(room).emit("update", { id: user, data });
  });
  socket.on("join", (data) => join(socket, data));
  const leaving = () => !quiet && inside() && socket.to(room).emit("leave", { id: user });
  socket.on("leave", () => {
    leaving();
    socket.leave(room);
    socket.emit("left");
  });
  socket.on("disconnecting", leaving);
  join(socket);
});

setInterval(() => {
  for (const socket of io.of("/").sockets.values()) {
    if (socket.conn.writeBuffer.length > backlogPackets) socket.disconnect(true);
  }
}, 1_000);

http.listen(Number(port), host);
