// The real sockjs-client against the real server: each transport, forced, in
// node and in Chromium, from the server's own origin and from another.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { launch, soon } from "./browser.js";
import { startServer } from "./server.js";

const require = createRequire(import.meta.url);
const script = require.resolve("sockjs-client/dist/sockjs.min.js");
const text = 'quotes " and \\, \u2028, é, 😀, </script>, 100% %41';

/**
 * talk joins a room by one transport, publishes, and resolves with what it saw
 * up to its end. It runs in node and in pages.
 */
function talk({ SockJS = globalThis.SockJS, url, transport, text }) {
  return new Promise((resolve) => {
    const socket = new SockJS(url, null, { transports: [transport] });
    const seen = { types: [] };
    const send = (command) => socket.send(JSON.stringify(command));
    socket.onopen = () => {
      seen.transport = socket.transport;
      seen.name = socket._transport.url?.split("?")[0].split("/").at(-2);
      send({ type: "join", id: 1, room: "lobby" });
    };
    socket.onmessage = (e) => {
      const m = JSON.parse(e.data);
      seen.types.push(m.type);
      if (m.type === "welcome") seen.session = m.session;
      if (m.type === "joined") send({ type: "publish", id: 2, room: "lobby", data: { text } });
      if (m.type === "message" && m.session === seen.session) {
        seen.text = m.data.text;
        socket.close();
        resolve(seen);
      }
    };
    socket.onclose = (e) => resolve({ ...seen, code: e.code, reason: e.reason });
  });
}

function check(seen, transport) {
  assert.equal(seen.text, text, JSON.stringify(seen));
  assert.equal(seen.transport, transport);
  assert.equal(seen.types[0], "welcome");
}

let server, elsewhere, browser;
before(async () => {
  elsewhere = createServer((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>elsewhere</title><body>"));
  await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  elsewhere.url = `http://127.0.0.1:${elsewhere.address().port}`;
  server = await startServer({ origins: elsewhere.url, "sockjs.prefixes": "/sockjs,/qr-websocket", "limits.publish_rate": "0" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  elsewhere?.close();
});

for (const transport of ["websocket", "xhr-streaming", "xhr-polling", "eventsource"]) {
  test(`node: ${transport}`, { timeout: soon }, async () => {
    check(await talk({ SockJS: require("sockjs-client"), url: `${server.url}/qr-websocket?user=node`, transport, text }), transport);
  });
}

const inPages = [
  "websocket", "xhr-streaming", "xhr-polling", "eventsource", "htmlfile", "jsonp-polling", "iframe-eventsource", "iframe-htmlfile", "iframe-xhr-polling",
];
for (const [from, transports] of [["its own origin", inPages], ["another origin", inPages.filter((t) => t !== "htmlfile")]]) {
  for (const transport of transports) {
    test(`Chromium, from ${from}: ${transport}`, { timeout: soon }, async () => {
      const page = await (await browser.newContext()).newPage();
      await page.goto(from === "its own origin" ? `${server.url}/healthz` : elsewhere.url);
      await page.addScriptTag({ path: script });
      const seen = await page.evaluate(talk, { url: `${server.url}/sockjs?user=page`, transport, text });
      check(seen, transport);
      await page.context().close();
    });
  }
}
