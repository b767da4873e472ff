// A server that a test plays: for rooms too large to fill with real people.

import { setTimeout as sleep } from "node:timers/promises";
import { soon } from "./browser.js";

/**
 * play opens a page whose WebSocket goes to the test. It resolves with the page,
 * says to send it a frame, and heard to wait for the next command of a type.
 */
export async function play(browser, url, context = {}) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, ...context })).newPage();
  page.setDefaultTimeout(soon);
  page.complaints = [];
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && page.complaints.push(m.text()));
  page.on("pageerror", (e) => page.complaints.push(String(e)));
  const commands = [];
  let socket;
  await page.routeWebSocket(/\/ws\?/, (ws) => {
    socket = ws;
    ws.onMessage((text) => {
      const command = JSON.parse(text);
      if (command.type === "ping") ws.send(JSON.stringify({ type: "pong", id: command.id, at: 0 }));
      else commands.push(command);
    });
    ws.send(JSON.stringify({
      type: "welcome", session: "s_me", user: "me", name: "Me", resumed: false, idle_ms: 0, disconnect_ms: 0, max_bytes: 65536, server: "played", at: 0,
    }));
  });
  await page.goto(url);
  return {
    page,
    says: (frame) => socket.send(JSON.stringify(frame)),
    async heard(type) {
      for (const until = Date.now() + soon; Date.now() < until; await sleep(20)) {
        const i = commands.findIndex((c) => c.type === type);
        if (i >= 0) return commands.splice(i, 1)[0];
      }
      throw new Error(`no ${type} came`);
    },
  };
}
