/** A folder for one test, the runner's side of a step in it, and programs to run. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { isRoot } from "../src/privilege.js";
import { Runner } from "../src/runner.js";

/** For tests of what root does: why they are skipped, or nothing. */
export const skip = isRoot() ? false : "needs root";

export class Bed {
  /** @param {import("node:test").TestContext} t */
  constructor(t) {
    // With a space, as paths may have one.
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), "runward action ")));
    t.after(() => rmSync(this.folder, { recursive: true, force: true }));
    this.lines = [];
    this.env = {
      GITHUB_WORKSPACE: this.make("work space"),
      RUNNER_TEMP: this.make("temp"),
      GITHUB_STATE: this.path("state"),
      GITHUB_OUTPUT: this.path("output"),
      GITHUB_STEP_SUMMARY: this.path("summary"),
    };
    this.place = join(this.folder, "place");
  }

  path(name) {
    return join(this.folder, name);
  }

  make(name) {
    mkdirSync(this.path(name));
    return this.path(name);
  }

  text(name) {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), "utf8") : "";
  }

  /** A step with these inputs. */
  runner(inputs = {}, env = {}) {
    const given = Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
    return new Runner({ ...this.env, ...Object.fromEntries(given), ...env }, (line) => this.lines.push(line));
  }

  /** What earlier phases kept, as the runner hands it to the next one. */
  states() {
    const found = this.text("state").matchAll(/^(.+)<<(end-.+)\n([^]*?)\n\2$/gm);
    return Object.fromEntries([...found].map(([, name, , value]) => [`STATE_${name}`, value]));
  }

  said() {
    return this.lines.join("\n");
  }

  /**
   * A program that keeps its arguments and environment, says `status` when asked for it, and ends with `code`. It shows
   * what the action hands over, not what Runward does with it; crates/runward/tests/it/github.rs is about that.
   */
  keeper({ mode = "block", code = 0, out = "", err = "", name = "keeper" } = {}) {
    const path = this.path(name);
    const status = JSON.stringify([{ root: process.pid, mode, report: this.path("report") }]);
    writeFileSync(
      path,
      `#!/bin/sh
if [ "$2" = status ]; then printf '%s' '${status}'; exit 0; fi
printf '%s\\n' "$@" > '${this.path("arguments")}'
env > '${this.path("environment")}'
printf '%s' '${out}'
printf '%s' '${err}' >&2
exit ${code}
`,
    );
    chmodSync(path, 0o755);
    return path;
  }

  ran() {
    return existsSync(this.path("arguments"));
  }
}
