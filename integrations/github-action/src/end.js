/** The end of a job: finish the record, show it, and end as what was found asks for. */
import { constants, closeSync, fstatSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readInputs } from "./inputs.js";
import { run, why } from "./privilege.js";
import { jobToken } from "./server.js";
import { tell } from "./start.js";

/** crates/runward/src/exit.rs */
const FOUND = 86;
const LOCKDOWN = 87;
/** Commands that are meant to be some: `runward` escapes what a job could put into them, and no other line begins so. */
const ANNOTATION = /^::(error|warning|notice) title=Runward [^\r\n]*$/;
/** Milliseconds for finishing: hashing what changed, writing reports, and sending what the server has not got. */
const LIMIT = 10 * 60_000;
/** Bytes of a summary that are read. */
const SUMMARY_MAX = 4 * 1024 * 1024;

/** @param {import("./runner.js").Runner} runner */
export async function end(runner) {
  // Never started, or said already why not.
  if (runner.state("started") !== "yes") return;
  const held = runner.state("held") === "yes";
  // Who holds the job for the whole machine keeps the report where no job can read it.
  const report = held ? mkdtempSync(join(runner.env["RUNNER_TEMP"] || tmpdir(), "runward-")) : runner.state("report");
  const summary = held ? [`--summary=${join(report, "summary.md")}`] : [];
  const ended = await call(["job", "end", ...summary], runner);
  for (const line of ended.err.split("\n")) {
    if (ANNOTATION.test(line)) runner.print(line);
    else if (line !== "") runner.say(line);
  }
  show(runner, report);
  if (!held) await send(runner, report);
  if (ended.code === 0) return;
  if (ended.code === LOCKDOWN) runner.fail("The job was killed: it did what `lockdown` names. The summary says what.");
  else if (ended.code === FOUND) runner.fail("Something that `fail-on` names was found. The summary says what.");
  else {
    const sentence = why("the job was not watched to its end", ended);
    if (runner.state("enforces") === "yes") runner.fail(`Runward can't say what this job did: ${sentence}`);
    else runner.warn(`Runward can't say what this job did: ${sentence}`);
  }
}

/**
 * Asks as who we are: any process of the job may, and the program that is asked is none that the job could have changed.
 * @param {string[]} args
 * @param {import("./runner.js").Runner} runner
 * @param {Record<string, string>} [env]
 */
function call(args, runner, env = {}) {
  const variables = { ...env, NO_COLOR: "1" };
  return run(runner.state("program"), args, { env: variables, limit: LIMIT });
}

/**
 * Puts the summary on the job's page. A job may have put something else in its place, so no link is followed and no
 * pipe waited for.
 * @param {import("./runner.js").Runner} runner
 * @param {string} report
 */
function show(runner, report) {
  let file;
  try {
    file = openSync(join(report, "summary.md"), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const found = fstatSync(file);
    if (!found.isFile() || found.size > SUMMARY_MAX) throw new Error("it is no summary of Runward's");
    runner.summarise(readFileSync(file, "utf8"));
  } catch (error) {
    runner.warn(`The summary can't be shown: ${error instanceof Error ? error.message : error}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Without a key, the record goes by the job's own token, which is good for some minutes only.
 * @param {import("./runner.js").Runner} runner
 * @param {string} report
 */
async function send(runner, report) {
  const inputs = readInputs(runner.env);
  if (!inputs.sends || inputs.apiKey !== "") return;
  try {
    const token = await jobToken(runner.env, inputs.server);
    if (token === "") {
      runner.say("The record is not sent: this job has neither an api-key nor a token of its own, as in a fork.");
      return;
    }
    runner.mask(token);
    const ended = await call(["upload", `--server=${inputs.server}`, "--", report], runner, { RUNWARD_API_KEY: token });
    if (ended.code !== 0) throw new Error(why("runward upload failed", ended));
    tell(runner, ended.err);
  } catch (error) {
    runner.warn(`The record was not sent: ${error instanceof Error ? error.message : error}`);
  }
}
