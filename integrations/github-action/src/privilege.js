/**
 * Programs that run as root: directly, or through a sudo that asks nothing. Always with a list of arguments, never by a
 * shell.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";

/** Something that root is needed for did not work. */
export class PrivilegeError extends Error {}

/** Characters of what a program says that are kept. */
const SAID_MAX = 1_000_000;
/** Milliseconds that a program's output is waited for after its end; a child of its own may hold it open for hours. */
const REST = 250;
/** Milliseconds for what is asked of the system. */
const PATIENCE = 30_000;
/** Where the system's own programs are. A job can put others before them on the PATH that the last phase gets. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SUDO = ["/usr/bin/sudo", "/run/wrappers/bin/sudo", "/usr/local/bin/sudo", "/bin/sudo"];

/**
 * @typedef {object} Ended
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 * @property {string} out
 * @property {string} err
 */

/**
 * Runs a program to its end. Rejects when it can't be started, or does not end in time.
 * @param {string} program
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, cwd?: string, input?: Buffer, limit?: number }} [options]
 * @returns {Promise<Ended>}
 */
export function run(program, args, { env = {}, cwd, input, limit = PATIENCE } = {}) {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { env: { ...env, PATH }, cwd, shell: false, stdio: ["pipe", "pipe", "pipe"] });
    let out = "";
    let err = "";
    let over = false;
    child.stdout.setEncoding("utf8").on("data", (text) => (out = (out + text).slice(0, SAID_MAX)));
    child.stderr.setEncoding("utf8").on("data", (text) => (err = (err + text).slice(0, SAID_MAX)));
    const timer = setTimeout(() => {
      if (over) return;
      over = true;
      // In vain where it runs as root and we don't; then it is left behind.
      child.kill("SIGKILL");
      letGo();
      failed(new PrivilegeError(`${program} did not end within ${limit / 1000} s`));
    }, limit);
    const letGo = () => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
    };
    child.on("error", (error) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      failed(new PrivilegeError(`cannot start ${program}: ${error.message}`));
    });
    child.on("exit", (code, signal) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      const rest = setTimeout(() => {
        letGo();
        done({ code, signal, out, err });
      }, REST);
      child.on("close", () => {
        clearTimeout(rest);
        done({ code, signal, out, err });
      });
    });
    // It may end without reading.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** Whether this process is root. */
export function isRoot() {
  return process.geteuid?.() === 0;
}

/**
 * The words before a program that make it run as root. Through sudo, only these variables reach it.
 * @param {string[]} variables
 * @returns {string[]}
 */
export function asRoot(variables = []) {
  if (isRoot()) return [];
  const keep = variables.length > 0 ? [`--preserve-env=${variables.join(",")}`] : [];
  const sudo = SUDO.find((path) => existsSync(path));
  if (sudo === undefined) {
    throw new PrivilegeError("Runward needs root, and this machine has no sudo: run the runner as root, or install sudo and let the runner's user call it without a password");
  }
  return [sudo, "-n", ...keep, "--"];
}

/**
 * Runs a program of the system as root; an error when it fails.
 * @param {string} program
 * @param {string[]} args
 * @param {{ input?: Buffer }} [options]
 */
export async function runAsRoot(program, args, options = {}) {
  const [first = program, ...rest] = [...asRoot(), program, ...args];
  const ended = await run(first, rest, options);
  if (ended.code === 0) return;
  throw new PrivilegeError(why(`${program} failed`, ended));
}

/**
 * What a program that failed said, with what to do where it was sudo that failed.
 * @param {string} what
 * @param {Ended} ended
 */
export function why(what, ended) {
  const said = ended.err.trim().split("\n").slice(-20).join("\n");
  if (!isRoot() && /^sudo:|a password is required/m.test(said)) {
    return `Runward needs root, and sudo says: ${said}. Let the runner's user call sudo without a password, or run the runner as root`;
  }
  return said === "" ? `${what} (${ended.signal ?? `exit code ${ended.code}`})` : `${what}: ${said}`;
}

