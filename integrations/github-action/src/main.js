import { play } from "./phase.js";
import { inForce, start } from "./start.js";

await play(async (runner) => {
  // An action that is used by its path (`./…`) has no phase before the job: it starts where it stands.
  const { mode, report } = runner.state("started") === "" ? await start(runner) : await still(runner);
  if (runner.failed) return;
  runner.output("effective-mode", mode);
  runner.output("report", report);
});

/**
 * Says what is in force now, which others that began before us could have ended.
 * @param {import("./runner.js").Runner} runner
 */
async function still(runner) {
  const begun = runner.state("mode") || "none";
  const now = begun === "none" ? { mode: begun, report: "" } : await inForce(runner.state("program"));
  if (now.mode === begun) runner.say(`Runward's effective mode in this job: ${begun}.`);
  else runner.fail(`This job began in ${begun} mode, and the effective mode is ${now.mode} now: somebody has ended Runward.`);
  return now;
}
