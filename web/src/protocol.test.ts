import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, textOf, typingOf, validRoom } from "./protocol.ts";

test("decode passes on what it knows and nothing else", () => {
  assert.deepEqual(decode('{"type":"pong","id":1,"at":2,"extra":true}'), { type: "pong", id: 1, at: 2, extra: true });
  for (const strange of ["", "{", "null", "[]", "7", '{"type":7}', '{"type":"mystery"}', '{"type":"constructor"}', new ArrayBuffer(1), undefined]) {
    assert.equal(decode(strange), null, String(strange));
  }
});

test("room names", () => {
  for (const good of ["lobby", "a/b", "design:2.0", "~x_y-z@w", "x".repeat(128)]) assert.ok(validRoom(good), good);
  for (const bad of ["", "/a", "a/", "a//b", "with space", "é", "a?b", "x".repeat(129)]) assert.ok(!validRoom(bad), bad);
});

test("any data of a message reads as some text", () => {
  assert.equal(textOf("hi"), "hi");
  assert.equal(textOf({ text: "hi", mood: 1 }), "hi");
  assert.equal(textOf({ text: 7 }), '{"text":7}');
  assert.equal(textOf([1, null]), "[1,null]");
  assert.equal(textOf(null), "null");
  assert.equal(textOf(undefined), "");
});

test("only a boolean says whether somebody types", () => {
  assert.equal(typingOf({ typing: true }), true);
  assert.equal(typingOf({ typing: false }), false);
  for (const other of [{ typing: "yes" }, {}, null, "typing", undefined]) assert.equal(typingOf(other), undefined);
});
