// Front ends: code as applications have it, run in node or in a page of
// Chromium with the clients that npm has, as they are.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Inbox } from "./peers.js";

const require = createRequire(import.meta.url);

/** The STOMP clients that tests run: today's, and the one of old tutorials. */
export const stomps = ["@stomp/stompjs", "stompjs"];
const scripts = ["sockjs-client/dist/sockjs.min.js", "@stomp/stompjs/bundles/stomp.umd.min.js", "stompjs/lib/stomp.min.js"]
  .map((script) => fileURLToPath(new URL(`node_modules/${script}`, import.meta.url)));

/**
 * A front end is { run, told }: run(code, settings) calls code with what it may
 * use, and with settings, which are JSON; told is what it told by tell. What it
 * keeps in app, the next code finds there. The code refers to nothing else, as
 * it may run in a page.
 *
 * inNode is one in node, for the server at base.
 */
export async function inNode(base, stomp = "@stomp/stompjs") {
  const told = new Inbox();
  const StompJs = require("@stomp/stompjs");
  const given = {
    base, StompJs, SockJS: require("sockjs-client"), Stomp: stomp === "stompjs" ? require("stompjs") : StompJs.Stomp,
    app: {}, tell: (what) => told.push(what),
  };
  return { told, run: async (code, settings) => code(given, settings) };
}

/** inPage is a front end in page, which any page of the server's origin will do for. */
export async function inPage(page, stomp = "@stomp/stompjs") {
  const told = new Inbox();
  for (const path of scripts) await page.addScriptTag({ path });
  await page.exposeFunction("tell", (what) => told.push(what));
  await page.evaluate((old) => {
    const { SockJS, StompJs, Stomp, tell } = window;
    window.given = { base: "", StompJs, SockJS, Stomp: old ? Stomp : StompJs.Stomp, app: {}, tell };
  }, stomp === "stompjs");
  return { told, page, run: (code, settings) => page.evaluate(`(${code})(given, ${JSON.stringify(settings ?? {})})`) };
}

/** inTab is a front end in a tab of its own, on a page that does nothing by itself. */
export async function inTab(browser, base, stomp) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${base}/healthz`);
  return inPage(page, stomp);
}

/**
 * connect is how tutorials begin. On a machine that has much to do, sockjs-client
 * gives a transport up before it had its turn, unless it gets a timeout.
 */
export function connect({ base, SockJS, Stomp, app, tell }, { headers = {}, transports, timeout = 20_000, beats = 0, prefix = "/qr-websocket" }) {
  const socket = new SockJS(base + prefix, null, { transports, timeout });
  const stompClient = Stomp.over(socket);
  stompClient.debug = () => {};
  stompClient.heartbeat.outgoing = beats;
  stompClient.heartbeat.incoming = beats;
  stompClient.onreceipt = (frame) => tell({ receipt: frame.headers["receipt-id"] });
  stompClient.connect(headers, (frame) => {
    tell({ connected: { ...frame.headers }, transport: socket.transport, url: socket._transport.url ?? socket._transport.transUrl });
  }, (error) => tell({ error: error.headers?.message ?? String(error) }));
  socket.addEventListener("close", (event) => tell({ closed: event.code, reason: event.reason }));
  Object.assign(app, { socket, stompClient });
}

/** subscribe tells what comes. */
export function subscribe({ app, tell }, { destination, headers = {} }) {
  app.stompClient.subscribe(destination, (message) => {
    tell({ to: destination, body: message.body, headers: { ...message.headers } });
  }, headers);
}

export function send({ app }, { destination, headers = {}, body }) {
  app.stompClient.send(destination, headers, body);
}

/** The name of a SockJS session, as the engineers' front end found it. */
export const sockjsSession = (url, prefix = "/qr-websocket") => new URL(url, "http://x").pathname.slice(prefix.length).split("/")[2];

/** heard takes the next message to destination, and presence the next event of that type. */
export const heard = (front, destination) => front.told.take((m) => m.to === destination);
export async function presence(front, room, type) {
  const destination = `/topic/${room}/presence`;
  return JSON.parse((await front.told.take((m) => m.to === destination && JSON.parse(m.body).type === type)).body);
}
