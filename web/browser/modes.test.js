// A room that grows through its modes and shrinks again, with the real server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, launch, left, member, message, noMember, say, shoot, visit } from "./browser.js";
import { startProxy } from "./proxy.js";
import { startServer } from "./server.js";

let server, browser;
before(async () => {
  server = await startServer({ "presence.full_max": "3", "presence.list_max": "10", "presence.interval": "250ms" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// crowd is many sockets of one page: come lets more people in, go takes some out.
async function crowd(room) {
  const page = await visit(browser, `${server.url}/healthz`);
  await page.evaluate(() => (window.sockets = []));
  return {
    come: (n) => page.evaluate(async ({ n, room }) => {
      const from = window.sockets.length;
      await Promise.all(Array.from({ length: n }, (_, i) => new Promise((resolve) => {
        const who = `p${from + i}`;
        const socket = new WebSocket(`ws://${location.host}/ws?${new URLSearchParams({ room, user: who, name: who.toUpperCase() })}`);
        socket.onmessage = (e) => JSON.parse(e.data).type === "joined" && resolve();
        window.sockets.push(socket);
      })));
    }, { n, room }),
    go: (n) => page.evaluate((n) => window.sockets.splice(-n).forEach((s) => s.close(1000)), n),
  };
}

const here = (page, n) => page.locator("#people-panel [data-count]", { hasText: new RegExp(`^${n}$`) }).waitFor();
const listed = (page, n) => page.locator("#members li").nth(n - 1).waitFor({ state: "attached" });

test("a room grows and shrinks through its modes, and the page is right in each", async (t) => {
  const proxy = await startProxy(server.address);
  t.after(() => proxy.stop());
  const ana = await enter(browser, proxy.url, { room: "arena", user: "ana", name: "Ana" });
  const bo = await enter(browser, server.url, { room: "arena", user: "bo", name: "Bo" });
  const others = await crowd("arena");
  await others.come(6); // batch
  await here(ana, 8);
  await listed(ana, 8);
  await say(bo, "in a batch");
  await message(ana, "in a batch");
  await others.come(12); // count
  await here(ana, 20);
  await ana.locator("#more-members", { hasText: "Too many to list them all." }).waitFor();
  await say(bo, "in a crowd");
  await message(ana, "in a crowd");
  await ana.locator("#more-members-button").click();
  await listed(ana, 20);
  await shoot(ana, "real-count");

  // Whoever comes back meanwhile finds the room as it is.
  proxy.cut();
  await ana.locator("#state", { hasText: "offline" }).waitFor();
  await say(bo, "while you were away");
  proxy.mend();
  await message(ana, "while you were away");
  await here(ana, 20);
  assert.equal(await ana.locator("#notices .leave").count(), 0);

  await others.go(15);
  await here(ana, 5);
  await listed(ana, 5); // by itself, after a while
  await noMember(ana, "p10");
  await say(bo, "and small again");
  await message(ana, "and small again");
  await others.go(3);
  await here(ana, 2);
  await listed(ana, 2);
  await member(ana, "bo", "active");
  await bo.close();
  assert.equal(await left(ana, "bo"), "closed");
  assert.deepEqual(ana.complaints.filter((c) => !c.includes("WebSocket connection")), []);
});
