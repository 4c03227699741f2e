/** One phase of the action, in its process. */
import { Runner } from "./runner.js";

/** @param {(runner: Runner) => Promise<unknown>} work */
export async function play(work) {
  const runner = new Runner(process.env, (line) => process.stdout.write(`${line}\n`));
  try {
    await work(runner);
  } catch (error) {
    runner.fail(error instanceof Error ? error.message : String(error));
  }
  // Not process.exit(), which would cut off what is still being written.
  process.exitCode = runner.failed ? 1 : 0;
}
