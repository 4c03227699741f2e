/**
 * What the runner gives an action, and what it takes from it: inputs, state, outputs, the summary, and the commands
 * that are written to standard output.
 *
 * GitHub, "Workflow commands": a command is one line, so what could end a line early is escaped.
 */
import { randomBytes } from "node:crypto";
import { appendFileSync } from "node:fs";

/** @typedef {Record<string, string | undefined>} Environment */

/** Bytes of a step's summary that GitHub takes. */
const SUMMARY_MAX = 1024 * 1024;

/**
 * The text of a command, as the runner undoes it.
 * @param {string} text
 */
export function escapeData(text) {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/**
 * The value of a command's property.
 * @param {string} text
 */
export function escapeProperty(text) {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

/**
 * A line that is no command, whatever stands in it.
 * @param {string} text
 */
export function plain(text) {
  const line = text.replaceAll(/[\r\n]+/g, " ");
  return /^\s*(::|##\[)/.test(line) ? `runward: ${line}` : line;
}

/** One step's side of the runner. */
export class Runner {
  /**
   * @param {Environment} env
   * @param {(line: string) => void} print
   */
  constructor(env, print) {
    this.env = env;
    this.print = print;
    this.failed = false;
  }

  /** @param {string} text */
  say(text) {
    this.print(plain(text));
  }

  /** @param {string} text */
  warn(text) {
    this.print(`::warning title=Runward::${escapeData(text)}`);
  }

  /**
   * Fails the step, and with it the job.
   * @param {string} text
   */
  fail(text) {
    this.failed = true;
    this.print(`::error title=Runward::${escapeData(text)}`);
  }

  /**
   * Keeps a secret out of the log. The runner knows secrets line by line.
   * @param {string} secret
   */
  mask(secret) {
    for (const line of secret.split(/[\r\n]+/)) {
      if (line.trim() !== "") this.print(`::add-mask::${escapeData(line)}`);
    }
  }

  /**
   * What an earlier phase of this step has kept; no other step can write it.
   * @param {string} name
   */
  state(name) {
    return this.env[`STATE_${name}`] ?? "";
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  keep(name, value) {
    this.#append("GITHUB_STATE", name, value);
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  output(name, value) {
    this.#append("GITHUB_OUTPUT", name, value);
  }

  /**
   * Adds to the page of the job.
   * @param {string} markdown
   */
  summarise(markdown) {
    const file = this.env["GITHUB_STEP_SUMMARY"];
    if (!file) return;
    if (Buffer.byteLength(markdown) > SUMMARY_MAX) {
      this.warn("The summary is longer than GitHub shows; it is in the report.");
      return;
    }
    appendFileSync(file, `${markdown}\n`);
  }

  /**
   * @param {string} variable
   * @param {string} name
   * @param {string} value
   */
  #append(variable, name, value) {
    const file = this.env[variable];
    // Not every runner has all of these files.
    if (!file) return;
    // Nobody can guess where the value ends, so nothing in it ends it.
    const end = `end-${randomBytes(16).toString("hex")}`;
    appendFileSync(file, `${name}<<${end}\n${value}\n${end}\n`);
  }
}
