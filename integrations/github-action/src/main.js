import { readInputs } from "./inputs.js";
import { play } from "./phase.js";
import { effectiveMode, start } from "./start.js";

await play(async (runner) => {
  // An action that is used by its path (`./…`) has no phase before the job: it starts where it stands.
  const mode = runner.state("started") === "" ? await start(runner) : await still(runner);
  if (runner.failed) return;
  runner.output("effective-mode", mode);
  runner.output("report", readInputs(runner.env).report);
});

/**
 * Says what is in force now, which others that began before us could have ended.
 * @param {import("./runner.js").Runner} runner
 */
async function still(runner) {
  const begun = runner.state("mode") || "none";
  const mode = begun === "none" ? begun : await effectiveMode(runner.state("program"));
  if (mode === begun) runner.say(`Runward's effective mode in this job: ${mode}.`);
  else runner.fail(`This job began in ${begun} mode, and the effective mode is ${mode} now: somebody has ended Runward.`);
  return mode;
}
