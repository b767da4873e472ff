import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, left } from "./visit.ts";

test("the address decides, the tab's memory fills in", () => {
  const memory = { user: "u1", name: "Kim", rooms: ["dev", "lobby"] };
  for (const [story, search, remembered, want] of [
    ["all in the address", "?room=r&user=u&name=N", {}, { user: "u", name: "N", rooms: ["r"] }],
    ["a user is a name where none is given", "?room=r&user=u", {}, { user: "u", name: "u", rooms: ["r"] }],
    ["a link from somebody", "?room=r", {}, { rooms: ["r"] }],
    ["several rooms, none twice", "?room=a&room=b&room=a&room=", {}, { rooms: ["a", "b"] }],
    ["a reload", "?room=dev", memory, { user: "u1", name: "Kim", rooms: ["dev", "lobby"] }],
    ["another address in the same tab", "?room=other", memory, { user: "u1", name: "Kim", rooms: ["other"] }],
    ["somebody else in the same tab", "?room=dev&user=u2", memory, { user: "u2", name: "u2", rooms: ["dev"] }],
    ["a name too long", `?room=r&user=u&name=${"é".repeat(70)}`, {}, { user: "u", name: "é".repeat(64), rooms: ["r"] }],
    ["nothing known", "", {}, { rooms: [] }],
  ] as const) assert.deepEqual(asked(search, { ...remembered, rooms: [...(("rooms" in remembered && remembered.rooms) || [])] }), want, story);
});

test("a session is taken up by who left it, and by nobody else", () => {
  const who = { user: "u1", name: "Kim" };
  const resume = { token: "t1", rooms: ["dev", "lobby"] };
  const kept = JSON.stringify({ ...resume, ...who });
  assert.deepEqual(left(kept, who), resume);
  for (const [story, text, by] of [
    ["nothing was left", null, who],
    ["another user", kept, { user: "u2", name: "Kim" }],
    ["another name", kept, { user: "u1", name: "Bo" }],
    ["no token", JSON.stringify({ rooms: [], ...who }), who],
    ["not ours", "7", who],
    ["not ours either", JSON.stringify({ token: "t", rooms: "dev", ...who }), who],
  ] as const) assert.equal(left(text, by), undefined, story);
});
