// Rooms of thousands, as the page shows them: what a server says is played.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { play } from "./actor.js";
import { fits, launch, member, message, noMember, query, say, shoot, soon, state } from "./browser.js";
import { startServer } from "./server.js";

let server, browser;
before(async () => {
  server = await startServer();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

const given = ["Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jo"];
const family = ["Abe", "Berg", "Cruz", "Diaz", "Egan", "Ford", "Gray", "Hale", "Ito", "Jung"];
const person = (n) => ({
  session: `s${n}`, user: `u${n}`, name: `${given[n % 10]} ${family[Math.floor(n / 10) % 10]}${n < 100 ? "" : ` ${Math.floor(n / 100)}`}`,
  state: "active", since: 1_790_000_000_000,
});
const me = { session: "s_me", user: "me", name: "Me", state: "active", since: 1_790_000_000_000 };
const people = (n, from = 0) => Array.from({ length: n }, (_, i) => person(from + i));
const count = (users, observers) => ({ sessions: users, users, ...(observers && { observers }) });

async function open(more = {}, joined = {}, context) {
  const actor = await play(browser, server.url + query({ room: "arena", user: "me", name: "Me", ...more }), context);
  const join = await actor.heard("join");
  actor.says({
    type: "joined", id: join.id, room: "arena", epoch: "e1", offset: 100, session: "s_me", mode: "batch",
    count: count(3), members: [me, ...people(2)], recovered: true, messages: [], ...joined,
  });
  await actor.page.locator('#chat[data-standing="in"]').waitFor();
  return { ...actor, join };
}

// frame is a presence frame behind offset, in which those join and those leave.
function frame(offset, joins, leaves, users, updates = []) {
  const from = offset + 1;
  const stamp = () => ({ offset: ++offset, at: Date.now() });
  return {
    type: "presence", room: "arena", from, at: Date.now(), count: count(users),
    joins: joins.map((m) => ({ ...stamp(), member: m, first: true })),
    leaves: leaves.map((m) => ({ ...stamp(), session: m.session, user: m.user, reason: "closed", last: true })),
    updates: updates.map((u) => ({ ...stamp(), user: "?", ...u })),
    offset,
  };
}

const said = (offset, text, prev) => ({
  type: "message", room: "arena", offset, at: Date.now(), message: `m${offset}`, user: "u0", name: "Ann Abe", data: { text }, ...(prev && { prev }),
});

test("crowds are told as a person would", async () => {
  const { page, says } = await open();
  says(frame(100, people(50, 2), [], 53));
  const line = page.locator("#timeline .comings").first();
  await line.filter({ hasText: /^Cleo Abe, Dan Abe and 48 others joined / }).waitFor();
  says(frame(150, people(2, 60), people(3), 52));
  await line.filter({ hasText: "Cleo Abe, Dan Abe and 50 others joined" }).waitFor();
  await line.filter({ hasText: "Ann Abe, Bob Abe and one other left" }).waitFor();
  says(said(156, "What a crowd!"));
  says(frame(156, [], [person(10)], 51, [{ session: "s11", state: "lost" }, { session: "s12", state: "unresponsive" }]));
  await page.locator("#timeline .comings", { hasText: "Ann Berg closed the tab" }).waitFor();
  await member(page, "u11", "lost");
  await noMember(page, "u10");
  assert.equal(await page.locator("#members li").count(), 51);
  assert.equal(await page.locator("#people-panel [data-count]").textContent(), "51");
  await page.locator("#announcer", { hasText: "52 joined, 4 left." }).waitFor({ state: "attached" });
  await shoot(page, "crowd");
  assert.deepEqual(page.complaints, []);
});

test("a room of 5,000 that comes and goes leaves the page usable", async (t) => {
  const { page, says } = await open({}, { count: count(5_000), members: [me, ...people(4_999)] });
  await page.locator("#members li").nth(499).waitFor();
  assert.equal(await page.locator("#members li").count(), 500, "and no more at first");
  await page.locator("#more-members", { hasText: "and 4,500 more" }).waitFor();
  let offset = 100;
  for (let n = 0; n < 40; n++) { // ten seconds' worth of a storm, at once
    const e = frame(offset, people(50, 10_000 + 50 * n), people(50, 50 * n), 5_000, people(50, 3_000).map((p) => ({ session: p.session, state: n % 2 ? "active" : "idle" })));
    offset = e.offset;
    says(e);
  }
  says(said(++offset, "still readable"));
  await message(page, "still readable");
  await say(page, "and writable");
  await page.locator(".message", { hasText: "and writable" }).waitFor();
  assert.equal(await page.locator("#timeline .comings").count(), 1);
  await page.locator("#timeline .comings", { hasText: "and 1,998 others joined" }).waitFor();
  const longest = await page.evaluate(() => new Promise((resolve) => {
    let [last, worst] = [performance.now(), 0];
    const until = last + 500;
    const look = (now) => {
      worst = Math.max(worst, now - last);
      last = now;
      if (now < until) requestAnimationFrame(look);
      else resolve(worst);
    };
    requestAnimationFrame(look);
  }));
  t.diagnostic(`the longest frame afterwards: ${Math.round(longest)} ms`);

  await page.locator("#more-members-button", { hasText: "Show more" }).click();
  await page.locator("#members li").nth(999).waitFor();
  await page.locator("#more-members", { hasText: "and 4,000 more" }).waitFor();
  await shoot(page, "five-thousand");
});

test("in a very large room there is a number, and pages of members for who asks", async () => {
  const { page, says, heard } = await open({}, { mode: "count", count: count(20_480), members: [] });
  await page.locator("#people-panel [data-count]", { hasText: "20,480" }).waitFor();
  assert.equal(await page.locator("#members li").count(), 0);
  await page.locator("#more-members", { hasText: "Too many to list them all." }).waitFor();
  says(said(120, "hello everybody", 100));
  await message(page, "hello everybody");
  says({ type: "occupancy", room: "arena", offset: 160, at: Date.now(), count: count(21_000, 3) });
  await page.locator("#people-panel [data-count]", { hasText: "21,000" }).waitFor();
  await page.locator("#watching", { hasText: "3 people watching" }).waitFor();
  await shoot(page, "count");

  await page.locator("#more-members-button", { hasText: "Show some" }).click();
  const first = await heard("members");
  says({ type: "members", id: first.id, room: "arena", members: people(100), next: "n1", count: count(21_010, 3) });
  await page.locator("#members li").nth(99).waitFor();
  await page.locator("#more-members", { hasText: "and 20,910 more" }).waitFor();
  await page.locator("#more-members-button", { hasText: "Show more" }).click();
  const second = await heard("members");
  assert.equal(second.cursor, "n1");
  says({ type: "members", id: second.id, room: "arena", members: people(100, 100), next: "n2", count: count(21_010, 3) });
  await page.locator("#members li").nth(199).waitFor();
  await shoot(page, "count-members");

  // Small again: the list comes by itself, after a while.
  says({ type: "occupancy", room: "arena", offset: 190, at: Date.now(), count: count(2) });
  says({ type: "mode", room: "arena", mode: "batch", offset: 200 });
  says({ type: "presence", room: "arena", from: 201, offset: 201, at: 1, joins: [], leaves: [], updates: [], count: count(2) });
  const join = await heard("join");
  assert.deepEqual(join.since, { epoch: "e1", offset: 201 });
  says({
    type: "joined", id: join.id, room: "arena", epoch: "e1", offset: 201, session: "s_me", mode: "batch",
    count: count(2), members: [me, person(7)], recovered: true, messages: [],
  });
  await member(page, "u7");
  assert.deepEqual(await page.locator("#members li").count(), 2);
  assert.equal(await page.locator("#messages .gap").count(), 0);
  assert.deepEqual(page.complaints, []);
});

test("who only watches sees everything, is in no list, and has nothing to write with", async () => {
  const { page, says, join } = await open({ observe: 1 }, { observer: true, members: people(2), count: count(2, 1) });
  assert.equal(join.observe, true);
  await state(page, "online");
  await page.locator("#you-watch", { hasText: "watching" }).waitFor();
  await page.locator("#watching", { hasText: "one person watching" }).waitFor();
  assert.equal(await page.locator("#composer-form").isVisible(), false);
  says(frame(100, [person(2)], [], 3));
  says(said(102, "nobody sees you"));
  await message(page, "nobody sees you");
  await member(page, "u2");
  await noMember(page, "me");
  await fits(page);
  await shoot(page, "watching");
});

test("something missed is asked for again, once", async () => {
  const { page, says, heard } = await open();
  says(frame(105, people(2, 5), [], 5));
  says(frame(107, people(2, 7), [], 7));
  const join = await heard("join");
  assert.deepEqual(join.since, { epoch: "e1", offset: 100 });
  says({
    type: "joined", id: join.id, room: "arena", epoch: "e1", offset: 109, session: "s_me", mode: "batch",
    count: count(10), members: [me, ...people(9)], recovered: true, messages: [said(103, "in between")],
  });
  await message(page, "in between");
  assert.equal(await page.locator("#members li").count(), 10);
});
