import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, maxDelay, minDelay } from "./backoff.ts";

test("the wait grows from half a second to twenty, and chance decides within", () => {
  const least = () => 0;
  const most = () => 1 - Number.EPSILON;
  assert.equal(backoff(0, least), minDelay);
  assert.equal(backoff(30, least), minDelay, "even late, some come back soon: that spreads the herd");
  let before = 0;
  for (let attempt = 0; attempt < 40; attempt++) {
    const delay = backoff(attempt, most);
    assert.ok(delay >= before && delay <= maxDelay, `attempt ${attempt}: ${delay}`);
    before = delay;
  }
  assert.equal(Math.round(before), maxDelay);
  assert.equal(backoff(5_000, most), maxDelay, "no overflow");
});
