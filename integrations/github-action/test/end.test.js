import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { spawnSync } from "node:child_process";

import { Bed } from "./bed.js";

/** Plays the last phase, in a process of its own as the runner does. */
function end(bed, { keeper = {}, state = {}, inputs = {}, path } = {}) {
  const env = { PATH: path ?? process.env.PATH, ...bed.env, STATE_started: "yes", STATE_program: bed.keeper(keeper), STATE_report: bed.path("report"), STATE_mode: "block", STATE_enforces: "yes" };
  for (const [name, value] of Object.entries(state)) env[`STATE_${name}`] = value;
  for (const [name, value] of Object.entries(inputs)) env[`INPUT_${name.toUpperCase()}`] = value;
  return spawnSync(process.execPath, [new URL("../src/post.js", import.meta.url).pathname], { env, encoding: "utf8" });
}

function report(bed, text = "## Runward: 3 processes\n") {
  mkdirSync(bed.path("report"));
  writeFileSync(bed.path("report/summary.md"), text);
}

test("the summary is on the job's page, and annotations are in the log", (t) => {
  const bed = new Bed(t);
  report(bed);
  const ended = end(bed, { keeper: {
    err: "one\n::error::two\n  ::error title=Runward x::three\n::set-env name=Runward x::four\n::warning title=Runward dns-tunnel::x\n",
  } });
  assert.equal(ended.status, 0, ended.stdout);
  assert.equal(bed.text("summary"), "## Runward: 3 processes\n\n");
  assert.deepEqual(ended.stdout.split("\n"), [
    "one",
    "runward: ::error::two",
    "runward:   ::error title=Runward x::three",
    "runward: ::set-env name=Runward x::four",
    "::warning title=Runward dns-tunnel::x",
    "",
  ]);
  assert.deepEqual(bed.text("arguments").split("\n"), ["job", "end", ""]);
});

for (const [code, enforces, status, said] of [
  [0, "yes", 0, /^$/],
  [86, "", 1, /::error.*`fail-on`/],
  [87, "", 1, /::error.*killed/],
  [1, "yes", 1, /::error.*can't say/],
  [1, "", 0, /::warning.*can't say/],
]) {
  test(`a job whose end is ${code}${enforces && ", with something to enforce,"} ends with ${status}`, (t) => {
    const bed = new Bed(t);
    report(bed);
    const ended = end(bed, { keeper: { code }, state: { enforces } });
    assert.equal(ended.status, status);
    assert.match(ended.stdout, said);
  });
}

test("a job that was not watched has nothing to end", (t) => {
  for (const started of ["", "tried"]) {
    const bed = new Bed(t);
    assert.equal(end(bed, { state: { started } }).status, 0);
    assert.equal(bed.ran(), false);
  }
});

test("what a job puts in the summary's place is not followed", (t) => {
  for (const put of [
    (path) => symlinkSync("/etc/passwd", path),
    (path) => mkdirSync(path),
    (path) => assert.equal(spawnSync("mkfifo", [path]).status, 0),
    (path) => writeFileSync(path, "x".repeat(5 * 1024 * 1024)),
  ]) {
    const bed = new Bed(t);
    mkdirSync(bed.path("report"));
    put(bed.path("report/summary.md"));
    const ended = end(bed);
    assert.equal(ended.status, 0);
    assert.match(ended.stdout, /::warning.*summary can't be shown/);
    assert.equal(bed.text("summary"), "");
  }
});

test("a folder that a job puts before the system's on the PATH changes nothing", (t) => {
  const bed = new Bed(t);
  report(bed);
  bed.make("evil");
  for (const name of ["sudo", "timeout", "runward", "sh"]) writeFileSync(bed.path(`evil/${name}`), `#!/bin/dash\ntouch '${bed.path("taken")}'\n`, { mode: 0o755 });
  end(bed, { path: `${bed.path("evil")}:${process.env.PATH}` });
  assert.equal(bed.ran(), true);
  assert.equal(spawnSync("test", ["-e", bed.path("taken")]).status, 1);
});
