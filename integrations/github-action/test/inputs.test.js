import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";

import { InputError, readInputs, startArguments } from "../src/inputs.js";

/** The arguments that a step with these inputs starts Runward with, after those that are always there. */
function argumentsOf(inputs) {
  const given = Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
  const env = { GITHUB_WORKSPACE: "/w", RUNNER_TEMP: "/t", ...Object.fromEntries(given) };
  const read = readInputs(env);
  const all = startArguments(read, { workspace: "/w", policyFile: read.policyFile, root: 7 });
  assert.deepEqual(all.slice(0, 4), ["job", "start", "--root=7", "--workspace=/w"]);
  return all.slice(4);
}

const report = "--report=/t/runward-report";

for (const [what, inputs, expected] of [
  ["nothing is block mode, as of Harden-Runner", {}, [report, "--egress-policy=block"]],
  ["audit", { "egress-policy": "audit" }, [report, "--egress-policy=audit"]],
  [
    "lists go on as they are, each in one argument",
    {
      "allowed-endpoints": "github.com:443\n  *.example.com:443 # why\n--egress-policy=audit",
      "denied-endpoints": "-x; rm -rf / $(id) `id` 'a' \"b\"",
    },
    [
      report,
      "--egress-policy=block",
      "--allowed-endpoints=github.com:443\n  *.example.com:443 # why\n--egress-policy=audit",
      "--denied-endpoints=-x; rm -rf / $(id) `id` 'a' \"b\"",
    ],
  ],
  ["a policy file decides the mode", { policy: "ci/policy.yml" }, [report, "--policy=/w/ci/policy.yml"]],
  [
    "unless the step says one",
    { policy: "/etc/runward/policy", "egress-policy": "audit" },
    [report, "--egress-policy=audit", "--policy=/etc/runward/policy"],
  ],
  ["the report's folder is below the workspace", { report: "my report" }, ["--report=/w/my report", "--egress-policy=block"]],
  ["or where it says", { report: "/r" }, ["--report=/r", "--egress-policy=block"]],
  [
    "findings",
    { lockdown: "high", "fail-on": "any" },
    [report, "--egress-policy=block", "--lockdown=high", "--fail-on=any"],
  ],
  ["sudo is not the program's business", { "disable-sudo-and-containers": "True" }, [report, "--egress-policy=block"]],
  ["nothing of what is in files", { "disable-file-monitoring": "true" }, [report, "--egress-policy=block", "--no-diff"]],
  ["no server without a key", { server: "https://s.example" }, [report, "--egress-policy=block"]],
  [
    "a server with a key, which is no argument",
    { server: "https://s.example", "api-key": "k" },
    [report, "--egress-policy=block", "--server=https://s.example"],
  ],
  [
    "no telemetry is no server",
    { server: "https://s.example", "api-key": "k", "disable-telemetry": "true" },
    [report, "--egress-policy=block"],
  ],
]) {
  test(`arguments: ${what}`, () => assert.deepEqual(argumentsOf(inputs), expected));
}

for (const [inputs, message] of [
  [{ "egress-policy": "blok" }, /egress-policy.*blok/],
  [{ "egress-policy": "BLOCK" }, /egress-policy/],
  [{ "disable-sudo": "yes" }, /disable-sudo.*yes/],
  [{ "allowed-endpoints": "a\0b" }, /allowed-endpoints/],
  [{ "allowed-endpoints": "a".repeat(100_001) }, /too long/],
  [{ server: "runward.example.com" }, /server/],
  [{ server: "file:///etc/passwd" }, /server/],
  [{ server: "https://me:secret@s.example" }, /password/],
  [{ "use-policy-store": "true" }, /server/],
  [{ policy: "web-builds" }, /server/],
  [{ version: "latest" }, /version/],
  [{ version: "1.2.3/../../x" }, /version/],
  [{ checksum: "abc" }, /checksum/],
  [{ binary: "tools/runward" }, /binary/],
  [{ binary: "https://u:p@mirror.example" }, /password/],
  [{ "start-limit": "0" }, /start-limit/],
  [{ "start-limit": "1; id" }, /start-limit/],
]) {
  test(`refused: ${JSON.stringify(inputs).slice(0, 60)}`, () => {
    assert.throws(() => argumentsOf(inputs), (error) => error instanceof InputError && message.test(error.message));
  });
}

test("a password in an address is not repeated", () => {
  assert.throws(() => argumentsOf({ server: "https://me:hunter2@s.example" }), (error) => !/hunter2/.test(error.message));
});

test("action.yml and the program know the same inputs", () => {
  const action = readFileSync(new URL("../action.yml", import.meta.url), "utf8");
  const described = /^inputs:\n([^]*?)^outputs:/m.exec(action)[1].matchAll(/^ {2}([a-z-]+):$/gm);
  const source = readFileSync(new URL("../src/inputs.js", import.meta.url), "utf8");
  const read = source.matchAll(/(?:text|flag|address|choice)\(env, "([a-z-]+)"/g);
  const sorted = (found) => [...new Set([...found].map((one) => one[1]))].sort();
  assert.deepEqual(sorted(read), sorted(described));
});
