import assert from "node:assert/strict";
import { test } from "node:test";

import { plain } from "../src/runner.js";
import { Bed } from "./bed.js";

test("nothing that is said becomes a command, and nothing ends one early", (t) => {
  const bed = new Bed(t);
  const runner = bed.runner();
  runner.say("::set-env name=PATH::/evil\n::error::x");
  runner.warn("100%\r\n::error::x");
  runner.fail("a\nb");
  runner.mask("one\ntwo\r\n\n");
  assert.deepEqual(bed.lines, [
    "runward: ::set-env name=PATH::/evil ::error::x",
    "::warning title=Runward::100%25%0D%0A::error::x",
    "::error title=Runward::a%0Ab",
    "::add-mask::one",
    "::add-mask::two",
  ]);
  assert.equal(runner.failed, true);
  assert.equal(plain("  ##[error]x"), "runward:   ##[error]x");
  assert.equal(plain("fine :: this"), "fine :: this");
});

test("a value of a state can't begin another one", (t) => {
  const bed = new Bed(t);
  bed.runner().keep("report", "/r\nend\nprogram<<end\n/evil\nend");
  assert.deepEqual(bed.states(), { STATE_report: "/r\nend\nprogram<<end\n/evil\nend" });
});

test("a summary that GitHub would refuse is left out", (t) => {
  const bed = new Bed(t);
  const runner = bed.runner();
  runner.summarise("# fine");
  runner.summarise("é".repeat(600_000));
  assert.equal(bed.text("summary"), "# fine\n");
  assert.match(bed.said(), /::warning/);
});
