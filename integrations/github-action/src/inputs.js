/**
 * What a step asks for. Its inputs are strings that a fork may have written; they become typed values here, once, or an
 * error that names the input.
 */
import { existsSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";

/** An input that can't be used. */
export class InputError extends Error {}

/** Characters of one input; more than a program can be given as one argument never comes. */
const INPUT_MAX = 100_000;

/**
 * @typedef {object} Inputs
 * @property {"audit" | "block" | undefined} egressPolicy Undefined where the policy decides.
 * @property {string} allowedEndpoints
 * @property {string} deniedEndpoints
 * @property {boolean} disableSudo
 * @property {boolean} disableSudoAndContainers
 * @property {boolean} disableFileMonitoring
 * @property {boolean} sends Whether the record may be sent to the server.
 * @property {string} policyFile
 * @property {string} policyName
 * @property {boolean} usePolicyStore
 * @property {string} apiKey
 * @property {string} server
 * @property {string} lockdown
 * @property {string} failOn
 * @property {string} report
 * @property {number} startLimit Seconds in which the mode in force must be proved.
 * @property {string} version
 * @property {string} checksum
 * @property {string} binary
 * @property {boolean} enforces Whether more is asked for than to record: then a job that can't be watched must fail.
 */

/**
 * @param {import("./runner.js").Environment} env
 * @returns {Readonly<Inputs>}
 */
export function readInputs(env) {
  const workspace = env["GITHUB_WORKSPACE"] || process.cwd();
  const temporary = env["RUNNER_TEMP"] || join(workspace, "..");
  const { policyFile, policyName } = policy(text(env, "policy"), workspace);
  const usePolicyStore = flag(env, "use-policy-store") || policyName !== "";
  const asked = choice(env, "egress-policy", ["audit", "block"]);
  // As Harden-Runner: a step that says nothing is fenced.
  const egressPolicy = asked ?? (policyFile || usePolicyStore ? undefined : "block");
  const server = address(env, "server");
  if (usePolicyStore && server === "") {
    throw new InputError("a policy from the server needs the input `server`: the address of yours");
  }
  const disableSudo = flag(env, "disable-sudo");
  const disableSudoAndContainers = flag(env, "disable-sudo-and-containers");
  const lockdown = text(env, "lockdown");
  const failOn = text(env, "fail-on");
  const report = text(env, "report");
  return Object.freeze({
    egressPolicy,
    allowedEndpoints: text(env, "allowed-endpoints"),
    deniedEndpoints: text(env, "denied-endpoints"),
    disableSudo,
    disableSudoAndContainers,
    disableFileMonitoring: flag(env, "disable-file-monitoring"),
    sends: server !== "" && !flag(env, "disable-telemetry"),
    policyFile,
    policyName,
    usePolicyStore,
    apiKey: text(env, "api-key"),
    server,
    lockdown,
    failOn,
    report: report === "" ? join(temporary, "runward-report") : resolve(workspace, report),
    startLimit: startLimit(env),
    version: version(env),
    checksum: checksum(env),
    binary: binary(env),
    enforces:
      egressPolicy !== "audit" ||
      // Any other source of the policy may ask for block mode.
      policyFile !== "" ||
      env["RUNWARD_EGRESS_POLICY"] === "block" ||
      existsSync(join(workspace, ".runward.yml")) ||
      usePolicyStore ||
      disableSudo ||
      disableSudoAndContainers ||
      lockdown !== "" ||
      failOn !== "",
  });
}

/**
 * @param {import("./runner.js").Environment} env
 * @param {string} name
 */
function text(env, name) {
  const value = (env[`INPUT_${name.toUpperCase()}`] ?? "").trim();
  if (value.length > INPUT_MAX) throw new InputError(`the input \`${name}\` is too long`);
  if (value.includes("\0")) throw new InputError(`the input \`${name}\` has a character in it that no text has`);
  return value;
}

/**
 * As GitHub's own actions read a boolean: YAML 1.2, core schema.
 * @param {import("./runner.js").Environment} env
 * @param {string} name
 */
function flag(env, name) {
  const value = text(env, name);
  if (["", "false", "False", "FALSE"].includes(value)) return false;
  if (["true", "True", "TRUE"].includes(value)) return true;
  throw new InputError(`the input \`${name}\` is \`true\` or \`false\`, not \`${value}\``);
}

/**
 * @template {string} T
 * @param {import("./runner.js").Environment} env
 * @param {string} name
 * @param {T[]} choices
 * @returns {T | undefined}
 */
function choice(env, name, choices) {
  const value = text(env, name);
  if (value === "") return undefined;
  const found = choices.find((choice) => choice === value);
  if (found === undefined) {
    throw new InputError(`the input \`${name}\` is \`${choices.join("` or `")}\`, not \`${value}\``);
  }
  return found;
}

/**
 * A file has a slash or YAML's ending; anything else is a name.
 * @param {string} value
 * @param {string} workspace
 */
function policy(value, workspace) {
  if (value === "") return { policyFile: "", policyName: "" };
  const isFile = value.includes("/") || /\.ya?ml$/i.test(value);
  return isFile
    ? { policyFile: resolve(workspace, value), policyName: "" }
    : { policyFile: "", policyName: value };
}

/**
 * @param {import("./runner.js").Environment} env
 * @param {string} name
 */
function address(env, name) {
  const value = text(env, name);
  if (value !== "") webAddress(name, value);
  return value;
}

/**
 * @param {string} name
 * @param {string} value
 */
function webAddress(name, value) {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw new InputError(`the input \`${name}\` must be an address such as https://runward.example.com`);
  }
  // What stands in an argument or a log is no secret.
  if (url.username || url.password) {
    throw new InputError(`the address of the input \`${name}\` has a password in it: leave it out`);
  }
}

/** @param {import("./runner.js").Environment} env */
function startLimit(env) {
  const value = text(env, "start-limit") || "1";
  const seconds = /^\d{1,2}$/.test(value) ? Number(value) : 0;
  if (seconds < 1 || seconds > 60) {
    throw new InputError(`the input \`start-limit\` is a number of seconds from 1 to 60, not \`${value}\``);
  }
  return seconds;
}

/** @param {import("./runner.js").Environment} env */
function version(env) {
  const value = text(env, "version").replace(/^v/, "");
  if (value !== "" && !/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(value)) {
    throw new InputError(`the input \`version\` is a version such as 1.2.3, not \`${value}\``);
  }
  return value;
}

/** @param {import("./runner.js").Environment} env */
function checksum(env) {
  const value = text(env, "checksum").replace(/^sha256:/i, "").toLowerCase();
  if (value !== "" && !/^[0-9a-f]{64}$/.test(value)) {
    throw new InputError("the input `checksum` is a SHA-256: 64 hexadecimal digits");
  }
  return value;
}

/** @param {import("./runner.js").Environment} env */
function binary(env) {
  const value = text(env, "binary");
  if (/^https?:/i.test(value)) webAddress("binary", value);
  else if (value !== "" && !isAbsolute(value)) {
    throw new InputError("the input `binary` is an absolute path or the address of a mirror");
  }
  return value;
}

/**
 * The arguments of `runward job start`. Each value is a part of one argument, so nothing in it can become another.
 * @param {Inputs} inputs
 * @param {{ workspace: string, policyFile: string, root: number }} found
 */
export function startArguments(inputs, { workspace, policyFile, root }) {
  const options = ["job", "start", `--root=${root}`, `--workspace=${workspace}`, `--report=${inputs.report}`];
  /** @type {[string, string | undefined][]} */
  const values = [
    ["egress-policy", inputs.egressPolicy],
    ["allowed-endpoints", inputs.allowedEndpoints],
    ["denied-endpoints", inputs.deniedEndpoints],
    ["policy", policyFile],
    ["lockdown", inputs.lockdown],
    ["fail-on", inputs.failOn],
    // Without a key, the record is sent when the job has ended, by its own token.
    ["server", inputs.sends && inputs.apiKey ? inputs.server : ""],
  ];
  for (const [name, value] of values) {
    if (value) options.push(`--${name}=${value}`);
  }
  if (inputs.disableFileMonitoring) options.push("--no-diff");
  return options;
}
