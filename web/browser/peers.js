// Peers in node: stompjs as applications use it, and a native client.

import { Client } from "@stomp/stompjs";
import WebSocket from "ws";

/** a queue of what came, with promises for what is still to come */
class Inbox {
  #items = [];
  #waiting;

  push(item) {
    this.#items.push(item);
    this.#waiting?.();
  }

  /** next takes the first item that fits, and drops those before it. */
  async next(fits = () => true) {
    for (;;) {
      while (this.#items.length > 0) {
        const item = this.#items.shift();
        if (fits(item)) return item;
      }
      await new Promise((resolve) => (this.#waiting = resolve));
    }
  }

  /** take takes the first item that fits, and leaves the others. */
  async take(fits) {
    for (;;) {
      const at = this.#items.findIndex(fits);
      if (at >= 0) return this.#items.splice(at, 1)[0];
      await new Promise((resolve) => (this.#waiting = resolve));
    }
  }
}

const open = new Set();

/** connect activates a stompjs client and resolves when it is connected. */
export async function connect(server, headers = {}, options = {}) {
  const client = new Client({
    brokerURL: `ws://${server.address}/stomp`,
    connectHeaders: headers,
    reconnectDelay: 0,
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
    ...options,
  });
  client.webSocketFactory ??= () => new WebSocket(client.brokerURL, client.stompVersions.protocolVersions());
  const peer = { client, errors: new Inbox(), closes: new Inbox(), receipts: 0 };
  client.onStompError = (frame) => peer.errors.push(frame);
  client.onWebSocketClose = (event) => peer.closes.push(event);
  peer.connected = new Promise((resolve) => (client.onConnect = (frame) => { peer.hello = frame.headers; resolve(frame); }));
  /** subscribe resolves when the server says that the subscription works. */
  peer.subscribe = async (destination, headers = {}) => {
    const inbox = new Inbox();
    inbox.subscription = client.subscribe(destination, (message) => inbox.push(message), await peer.receipt(headers));
    await peer.receipted;
    return inbox;
  };
  /** receipt adds a receipt to headers, which receipted waits for. */
  peer.receipt = async (headers = {}) => {
    const receipt = `r-${++peer.receipts}`;
    peer.receipted = new Promise((resolve) => client.watchForReceipt(receipt, resolve));
    return { ...headers, receipt };
  };
  open.add(() => client.deactivate({ force: true }));
  client.activate();
  await peer.connected;
  return peer;
}

/** native opens a connection of the native protocol. */
export async function native(server, query) {
  const socket = new WebSocket(`ws://${server.address}/ws?${query}`);
  const inbox = new Inbox();
  socket.on("message", (text) => inbox.push(JSON.parse(text)));
  socket.on("close", (code) => inbox.push({ type: "closed", code }));
  open.add(() => socket.terminate());
  inbox.socket = socket;
  inbox.send = (command) => socket.send(JSON.stringify(command));
  inbox.of = (type) => inbox.next((m) => m.type === type);
  await inbox.of("welcome");
  return inbox;
}

export async function closeAll() {
  for (const close of open) await close();
  open.clear();
}

export { Inbox, WebSocket };
