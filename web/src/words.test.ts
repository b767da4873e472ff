import assert from "node:assert/strict";
import { test } from "node:test";
import * as words from "./words.ts";

test("every leave reason of the contract has words of its own", () => {
  const reasons = ["left", "kicked", "banned", "failed", "closed", "lost", "idle", "expired", "unauthorized", "replaced", "violation", "slow", "shutdown", "node_lost"];
  assert.equal(new Set(reasons.map(words.leaveReason)).size, reasons.length);
  assert.equal(words.leaveReason("closed"), "closed the tab");
  assert.equal(words.leaveReason("invented later"), "left");
});

test("why there is no connection: by the bye's code, its reason, or the close code", () => {
  assert.match(words.offlineReason({ kind: "bye", code: 4500, reason: "idle" }), /idle too long/);
  assert.match(words.offlineReason({ kind: "bye", code: 4999, reason: "idle" }), /idle too long/);
  assert.match(words.offlineReason({ kind: "closed", code: 4000 }), /restarting/);
  assert.match(words.offlineReason({ kind: "closed", code: 1006 }), /lost/);
  assert.notEqual(words.offlineReason({ kind: "bye", code: 4999, reason: "constructor?" }), "");
});

test("the countdown counts up to the attempt", () => {
  const at = (retryAt: number | null) => words.countdown({ state: "offline", why: { kind: "silent" }, retryAt }, 1_000);
  assert.equal(at(4_200), "Reconnecting in 4 s");
  assert.equal(at(1_000), "Reconnecting…");
  assert.equal(at(null), "");
});

test("lists and typing", () => {
  assert.equal(words.listed([]), "");
  assert.equal(words.listed(["Ana"]), "Ana");
  assert.equal(words.listed(["Ana", "Bo", "Cy"]), "Ana, Bo and Cy");
  assert.equal(words.listed(["Ana", "Bo", "Cy", "Di"]), "Ana, Bo and 2 others");
  assert.equal(words.typing([]), "");
  assert.equal(words.typing(["Ana"]), "Ana is typing");
  assert.equal(words.typing(["Ana", "Bo"]), "Ana and Bo are typing");
  assert.equal(words.typing(["a", "b", "c", "d"]), "Several people are typing");
});

test("ago", () => {
  const minute = 60_000;
  for (const [passed, want] of [
    [-minute, "just now"], [59_000, "just now"], [minute, "1 min ago"], [59 * minute, "59 min ago"],
    [60 * minute, "1 h ago"], [24 * 60 * minute, "yesterday"], [72 * 60 * minute, "3 days ago"],
  ] as const) assert.equal(words.ago(0, passed), want);
});

test("a few comings and goings are named for screen readers, many are counted", () => {
  const few = [{ name: "Ana", reason: null }, { name: "Bo", reason: "lost" }];
  const crowd = (count: number) => ({ count, names: [] });
  assert.equal(words.presenceSummary(crowd(1), crowd(1), few), "Ana joined. Bo lost connection.");
  assert.equal(words.presenceSummary(crowd(3), crowd(3), few), "3 joined, 3 left.");
});

test("crowds", () => {
  const of = (count: number, ...names: string[]) => words.crowd({ count, names });
  assert.equal(of(1, "Ana"), "Ana");
  assert.equal(of(2, "Ana", "Bo"), "Ana and Bo");
  assert.equal(of(3, "Ana", "Bo"), "Ana, Bo and one other");
  assert.equal(of(50, "Ana", "Bo"), "Ana, Bo and 48 others");
  assert.equal(of(1), "one person");
  assert.equal(words.watching(0), "");
  assert.equal(words.watching(3), "3 people watching");
});
