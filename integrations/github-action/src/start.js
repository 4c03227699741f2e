/** The beginning of a job: get the program, start it, and know what is in force before any other step runs. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { checkConfinement, confining, proveConfinement } from "./confine.js";
import { InputError, readInputs, startArguments } from "./inputs.js";
import { PlaceError } from "./place.js";
import { asRoot, run, why } from "./privilege.js";
import { ChecksumError, program, released } from "./program.js";
import { jobToken, policyInEffect } from "./server.js";

/**
 * What `runward` reads of the environment: who the job is, and its own variables. Everything else, secrets above all,
 * stays out of a process that runs as root.
 */
const VARIABLES = [
  "CI",
  "FORGEJO_ACTIONS",
  "GITEA_ACTIONS",
  "GITHUB_ACTIONS",
  "GITHUB_ACTOR",
  "GITHUB_EVENT_NAME",
  "GITHUB_EVENT_PATH",
  "GITHUB_JOB",
  "GITHUB_REF",
  "GITHUB_REF_NAME",
  "GITHUB_REF_PROTECTED",
  "GITHUB_REPOSITORY",
  "GITHUB_RUN_ATTEMPT",
  "GITHUB_RUN_ID",
  "GITHUB_RUN_NUMBER",
  "GITHUB_SERVER_URL",
  "GITHUB_SHA",
  "GITHUB_TRIGGERING_ACTOR",
  "GITHUB_WORKFLOW",
  "GITHUB_WORKFLOW_REF",
  "ImageOS",
  "ImageVersion",
  "RUNNER_ENVIRONMENT",
  "RUNWARD_ALLOWED_ENDPOINTS",
  "RUNWARD_DENIED_ENDPOINTS",
  "RUNWARD_EGRESS_POLICY",
];

/** Nothing may hide this, in no mode: something is not what it should be, or can't be understood. */
const ALWAYS_FAIL = [ChecksumError, InputError, PlaceError];

/**
 * Starts to watch the job. Answers the mode in force, and where the report is.
 * @param {import("./runner.js").Runner} runner
 * @param {{ release?: import("./program.js").Release, place?: string, root?: number }} [options]
 */
export async function start(runner, { release = released(), place, root = process.ppid } = {}) {
  runner.keep("started", "tried");
  let inputs;
  try {
    inputs = readInputs(runner.env);
    if (inputs.apiKey !== "") runner.mask(inputs.apiKey);
    return await begin(runner, inputs, { release, place, root });
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    runner.keep("mode", "none");
    if (inputs === undefined || inputs.enforces || ALWAYS_FAIL.some((kind) => error instanceof kind)) {
      runner.fail(`The job is stopped, because Runward does not watch it: ${sentence}`);
    } else {
      runner.warn(`This job is NOT watched (effective mode: none): ${sentence}`);
    }
    return { mode: "none", report: "" };
  }
}

/**
 * @param {import("./runner.js").Runner} runner
 * @param {import("./inputs.js").Inputs} inputs
 * @param {{ release: import("./program.js").Release, place: string | undefined, root: number }} how
 */
async function begin(runner, inputs, { release, place, root }) {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(`Runward runs on Linux on x86-64, and this is ${process.platform} on ${process.arch}`);
  }
  checkConfinement(inputs, runner.env);
  const policyFile = await policy(runner, inputs);
  const path = await program(inputs, release, { place });
  runner.keep("program", path);

  /** @type {Record<string, string>} */
  const env = {};
  for (const name of VARIABLES) {
    const value = runner.env[name];
    if (value) env[name] = value;
  }
  // By the environment: arguments can be read by every process of the machine.
  if (inputs.sends && inputs.apiKey !== "") env["RUNWARD_API_KEY"] = inputs.apiKey;
  const workspace = runner.env["GITHUB_WORKSPACE"] || process.cwd();
  const words = [
    ...asRoot(Object.keys(env)),
    ...confining(inputs),
    // Ends it where we can't: it runs as root, and we may not.
    ...["timeout", "-s", "TERM", "-k", "2", String(inputs.startLimit)],
    path,
    ...startArguments(inputs, { workspace, policyFile, root }),
  ];
  const [first = "", ...rest] = words;
  const begun = Date.now();
  const ended = await run(first, rest, { env, cwd: workspace, limit: (inputs.startLimit + 5) * 1000 });
  if (ended.code === 124 || ended.code === 137) {
    throw new Error(
      `no mode was proved within ${inputs.startLimit} s: where the machine is only busy, give it longer with \`start-limit\``,
    );
  }
  if (ended.code !== 0) throw new Error(why("runward job start failed", ended));
  tell(runner, ended.err);
  const { mode, report, held } = await inForce(path, root);
  if (mode === "none" || (inputs.egressPolicy === "block" && mode !== "block")) {
    const asked = inputs.egressPolicy ?? "the policy's mode";
    throw new Error(`${asked} was asked for, and the effective mode is ${mode}`);
  }
  const seconds = (Date.now() - begun) / 1000;
  await proveConfinement(inputs);
  runner.keep("mode", mode);
  runner.keep("report", report);
  runner.keep("held", held ? "yes" : "");
  runner.keep("started", "yes");
  runner.keep("enforces", inputs.enforces || mode === "block" ? "yes" : "");
  if (held) runner.say("The service of this machine holds the job: its record stays with it, and goes to its own server.");
  runner.say(`Runward watches this job. Effective mode: ${mode}, proved in ${seconds.toFixed(2)} s.`);
  if (inputs.disableFileMonitoring) {
    runner.say("disable-file-monitoring: which files change is still recorded, what changes in them is not.");
  }
  if (inputs.sends && inputs.apiKey === "") {
    runner.say("No api-key: the record is sent at the job's end, if the job may have a token of its own (id-token: write).");
  }
  return { mode, report };
}

/**
 * The file of the policy; empty where there is none.
 * @param {import("./runner.js").Runner} runner
 * @param {import("./inputs.js").Inputs} inputs
 */
async function policy(runner, inputs) {
  if (!inputs.usePolicyStore) return inputs.policyFile;
  const key = inputs.apiKey || (await jobToken(runner.env, inputs.server));
  if (key === "") {
    // Jobs of forks have no secrets. What the step itself says is in force then, and nothing weaker.
    if (inputs.egressPolicy === "block") {
      runner.warn("No api-key, as in a fork: the server's policy is not used; the step's own endpoints are in force, in block mode.");
      return inputs.policyFile;
    }
    throw new Error(
      "the server's policy can't be asked for without an api-key or `id-token: write`; for jobs without secrets, such as those of forks, give `egress-policy: block` and `allowed-endpoints` too",
    );
  }
  if (inputs.apiKey === "") runner.mask(key);
  const { name, text } = await policyInEffect(inputs, runner.env, key);
  runner.say(`The policy \`${name}\` of the server is in effect for this job.`);
  // A folder of its own, which nobody else can have made.
  const folder = mkdtempSync(join(runner.env["RUNNER_TEMP"] || tmpdir(), "runward-policy-"));
  const file = join(folder, "policy.yml");
  writeFileSync(file, text, { flag: "wx", mode: 0o600 });
  return file;
}

/**
 * What is in force for this process, by the word of who holds the job: the mode, `none` when nobody does, and the folder
 * that the report is really in, which is another one where that was taken.
 * @param {string} path
 * @param {number} [root] The process that the job stands and falls with.
 * @returns {Promise<{ mode: string, report: string, held: boolean }>}
 */
export async function inForce(path, root) {
  // Answered to those in the job only, so this also says that we are in it.
  const ended = await run(path, ["job", "status", "--json"]);
  /** @type {{ root: number, mode: string, report: string, held: boolean }[]} */
  const jobs = ended.code === 0 ? JSON.parse(ended.out) : [];
  return jobs.find((job) => root === undefined || job.root === root) ?? { mode: "none", report: "", held: false };
}

/**
 * @param {import("./runner.js").Runner} runner
 * @param {string} text
 */
export function tell(runner, text) {
  for (const line of text.split(/\r?\n/)) {
    if (line !== "") runner.say(line);
  }
}
