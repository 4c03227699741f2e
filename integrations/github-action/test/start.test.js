import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";

import { checksumOf } from "../src/place.js";
import { start } from "../src/start.js";
import { Bed, skip } from "./bed.js";

const POLICY = "egress-policy: block\nallowed-endpoints:\n  - packages.example.com:443\n";

function begin(bed, runner, release) {
  return start(runner, { place: bed.place, root: process.pid, ...(release && { release }) });
}

/** A Runward server, and the issuer of GitHub's tokens; keeps what it was asked. */
async function server(t, answer) {
  const asked = [];
  const listening = createServer((request, response) => {
    asked.push({ url: new URL(request.url, "http://s"), key: request.headers.authorization });
    const { status = 200, body = "{}" } = answer(request.url);
    response.writeHead(status, { location: "/elsewhere" }).end(body);
  });
  await new Promise((ready) => listening.listen(0, "127.0.0.1", ready));
  t.after(() => listening.close());
  return { address: `http://127.0.0.1:${listening.address().port}`, asked };
}

const inEffect = (name) => JSON.stringify({ policy: { id: 1, name, version: 1, mode: "block", text: POLICY }, overridden: [] });

test("the job's other phases learn the mode, and the program is given what the step says", { skip }, async (t) => {
  const bed = new Bed(t);
  const runner = bed.runner({ binary: bed.keeper({ err: "runward: job 1 is watched\n" }), "allowed-endpoints": "a.example:443 b.example", lockdown: "high" });
  assert.deepEqual(await begin(bed, runner), { mode: "block", report: bed.path("report") });
  assert.deepEqual(bed.text("arguments").split("\n"), [
    "job",
    "start",
    `--root=${process.pid}`,
    `--workspace=${bed.env.GITHUB_WORKSPACE}`,
    `--report=${bed.path("temp")}/runward-report`,
    "--egress-policy=block",
    "--allowed-endpoints=a.example:443 b.example",
    "--lockdown=high",
    "",
  ]);
  const { STATE_mode, STATE_started, STATE_report } = bed.states();
  assert.deepEqual([STATE_mode, STATE_started, STATE_report], ["block", "yes", bed.path("report")]);
  assert.match(bed.said(), /Effective mode: block, proved in \d+\.\d\d s/);
});

test("a secret is in no argument and no line but the one that masks it, and the job's own stay out", { skip }, async (t) => {
  const bed = new Bed(t);
  const inputs = { binary: bed.keeper(), server: "https://s.example", "api-key": "key-of-this-test" };
  await begin(bed, bed.runner(inputs, { GITHUB_TOKEN: "token-of-this-test", GITHUB_REPOSITORY: "acme/shop", LD_PRELOAD: "" }));
  assert.match(bed.text("environment"), /^RUNWARD_API_KEY=key-of-this-test$/m);
  assert.match(bed.text("environment"), /^GITHUB_REPOSITORY=acme\/shop$/m);
  assert.doesNotMatch(bed.text("environment"), /token-of-this-test|INPUT_/);
  assert.doesNotMatch(bed.text("arguments"), /key-of-this-test/);
  assert.deepEqual(bed.lines.filter((line) => line.includes("key-of-this-test")), ["::add-mask::key-of-this-test"]);
});

for (const [what, inputs, keeper, failed, said] of [
  ["block that can't be enforced fails the job", {}, { code: 125, err: "runward: no BPF here" }, true, /::error.*no BPF here/],
  ["audit that can't be had does not, and says so", { "egress-policy": "audit" }, { code: 125, err: "runward: no BPF here" }, false, /::warning.*NOT watched \(effective mode: none\).*no BPF here/],
  ["audit with fail-on fails it", { "egress-policy": "audit", "fail-on": "high" }, { code: 125 }, true, /::error/],
  ["audit with lockdown fails it", { "egress-policy": "audit", lockdown: "high" }, { code: 125 }, true, /::error/],
  ["audit without sudo fails it", { "egress-policy": "audit", "disable-sudo": "true" }, { code: 125 }, true, /::error/],
  ["what can't be kept from a runner that is root fails it", { "disable-sudo-and-containers": "true" }, {}, true, /runner is root/],
  ["block that became audit fails it", {}, { mode: "audit" }, true, /block was asked for, and the effective mode is audit/],
  ["a job that nobody holds fails it", {}, { mode: "none" }, true, /effective mode is none/],
  ["an input that is wrong fails it in audit mode too", { "egress-policy": "audit", "disable-sudo": "maybe" }, {}, true, /disable-sudo/],
]) {
  test(what, { skip }, async (t) => {
    const bed = new Bed(t);
    const runner = bed.runner({ binary: bed.keeper(keeper), ...inputs });
    const { mode } = await begin(bed, runner);
    assert.deepEqual([runner.failed, mode], [failed, "none"]);
    assert.match(bed.said(), said);
    assert.notEqual(bed.states().STATE_started, "yes");
  });
}

test("audit that could have been block by another source fails the job too", { skip }, async (t) => {
  for (const where of ["variable", "file"]) {
    const bed = new Bed(t);
    if (where === "file") writeFileSync(bed.path("work space/.runward.yml"), POLICY);
    const env = where === "variable" ? { RUNWARD_EGRESS_POLICY: "block" } : {};
    const runner = bed.runner({ binary: bed.keeper({ code: 125 }), "egress-policy": "audit" }, env);
    await begin(bed, runner);
    assert.equal(runner.failed, true, where);
  }
});

test("what does not prove its mode in time is ended, and fails the job", { skip }, async (t) => {
  const bed = new Bed(t);
  const runner = bed.runner({ binary: bed.keeper({ code: "$(sleep 30; echo 0)" }) });
  const begun = Date.now();
  await begin(bed, runner);
  assert.equal(runner.failed, true);
  assert.match(bed.said(), /no mode was proved within 1 s/);
  assert.ok(Date.now() - begun < 10_000);
});

for (const mode of ["audit", "block"]) {
  test(`a program with another checksum is never run, and fails the job in ${mode} mode`, { skip }, async (t) => {
    const bed = new Bed(t);
    const local = readFileSync(bed.keeper());
    const { address } = await server(t, () => ({ body: local }));
    const runner = bed.runner({ "egress-policy": mode, binary: address, checksum: "d".repeat(64) });
    await begin(bed, runner);
    assert.equal(runner.failed, true);
    assert.equal(bed.ran(), false);
    assert.match(bed.said(), new RegExp(`its SHA-256 is ${checksumOf(local)}, not dddd`));
  });
}

test("a mirror that is away fails the job in block mode, and not in audit mode", { skip }, async (t) => {
  for (const [mode, failed] of [["block", true], ["audit", false]]) {
    const bed = new Bed(t);
    const { address } = await server(t, () => ({ status: 404 }));
    const runner = bed.runner({ "egress-policy": mode, binary: address, checksum: "d".repeat(64) });
    await begin(bed, runner);
    assert.equal(runner.failed, failed, mode);
  }
});

test("the server's policy is asked for with the key, and handed over as a file", { skip }, async (t) => {
  const bed = new Bed(t);
  const { address, asked } = await server(t, () => ({ body: inEffect("web builds") }));
  const env = { GITHUB_REPOSITORY: "acme/shop", GITHUB_WORKFLOW_REF: "acme/shop/.github/workflows/ci.yml@refs/heads/main", GITHUB_JOB: "build" };
  const runner = bed.runner({ binary: bed.keeper(), server: `${address}/`, "api-key": "k", policy: "web builds" }, env);
  await begin(bed, runner);
  assert.equal(runner.failed, false, bed.said());
  const [question] = asked;
  assert.equal(question.key, "Bearer k");
  assert.deepEqual(Object.fromEntries(question.url.searchParams), { provider: "github", project: "acme/shop", pipeline: ".github/workflows/ci.yml", job: "build" });
  const file = /^--policy=(.*)$/m.exec(bed.text("arguments"))[1];
  assert.equal(readFileSync(file, "utf8"), POLICY);
  assert.doesNotMatch(bed.text("arguments"), /egress-policy/, "the policy decides the mode");
});

for (const [what, answer] of [
  ["is away", { status: 503 }],
  ["has none", { body: '{"policy":null,"overridden":[]}' }],
  ["has another", { body: inEffect("another") }],
  ["leads elsewhere", { status: 302 }],
  ["says what is no JSON", { body: "<html>" }],
]) {
  test(`a policy that the server can't give, because it ${what}, fails the job`, { skip }, async (t) => {
    const bed = new Bed(t);
    const { address, asked } = await server(t, () => answer);
    const runner = bed.runner({ binary: bed.keeper(), server: address, "api-key": "k", policy: "web builds" });
    await begin(bed, runner);
    assert.deepEqual([runner.failed, bed.ran(), asked.length], [true, false, 1]);
  });
}

test("a fork without secrets has the step's own policy in block mode, or fails; never something weaker", { skip }, async (t) => {
  for (const [inputs, failed] of [
    [{ "egress-policy": "block", "allowed-endpoints": "a.example" }, false],
    [{ "egress-policy": "audit" }, true],
    [{}, true],
  ]) {
    const bed = new Bed(t);
    const runner = bed.runner({ binary: bed.keeper(), server: "https://s.invalid", "use-policy-store": "true", "api-key": "", ...inputs });
    await begin(bed, runner);
    assert.deepEqual([runner.failed, bed.ran()], [failed, !failed], bed.said());
  }
});

test("a job with a token of its own needs no key", { skip }, async (t) => {
  const bed = new Bed(t);
  const { address, asked } = await server(t, (url) => ({ body: url.startsWith("/token") ? '{"value":"signed-for-this-job"}' : inEffect("p") }));
  const env = { ACTIONS_ID_TOKEN_REQUEST_URL: `${address}/token?x=1`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "asks" };
  const runner = bed.runner({ binary: bed.keeper(), server: address, "use-policy-store": "true" }, env);
  await begin(bed, runner);
  assert.equal(runner.failed, false, bed.said());
  assert.deepEqual(asked.map(({ key }) => key), ["Bearer asks", "Bearer signed-for-this-job"]);
  assert.equal(asked[0].url.searchParams.get("audience"), address);
  assert.ok(bed.lines.includes("::add-mask::signed-for-this-job"));
});

test("a runner that is not root and has no sudo is told what to do", { skip }, (t) => {
  const pre = new URL("../src/pre.js", import.meta.url);
  const bed = new Bed(t);
  const env = { PATH: process.env.PATH, "INPUT_EGRESS-POLICY": "block", INPUT_BINARY: "/bin/true", RUNNER_TEMP: "/tmp", GITHUB_WORKSPACE: "/" };
  // Read as root, because nobody may read this folder in somebody's home.
  const code = `process.setgroups([]); process.setgid(65534); process.setuid(65534); await import(${JSON.stringify(pre.href)});`;
  const script = `await Promise.all(["start", "phase"].map((name) => import(new URL(name + ".js", ${JSON.stringify(pre.href)})))); ${code}`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", script], { env, encoding: "utf8", cwd: bed.folder });
  assert.equal(ended.status, 1, ended.stdout + ended.stderr);
  assert.match(ended.stdout, /::error title=Runward::.*needs root/);
});
