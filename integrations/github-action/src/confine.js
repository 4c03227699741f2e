/**
 * Takes sudo, and the sockets of daemons that start containers, from the rest of the job. A process that runs already
 * can't be made to give up privileges, so who may gain some is changed on the machine; only on GitHub's own, which are
 * thrown away after one job.
 */
import { accessSync, constants } from "node:fs";

import { asRoot, isRoot, run } from "./privilege.js";

/** What was asked for can't be had here. */
export class ConfineError extends Error {}

/** The file by which GitHub's machines let the runner's user call sudo (actions/runner-images). */
const RULE = "/etc/sudoers.d/runner";
/** Through these, a member of their groups is root. */
const SOCKETS = ["/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock"];

/**
 * @param {import("./inputs.js").Inputs} inputs
 * @param {import("./runner.js").Environment} env
 */
export function checkConfinement(inputs, env) {
  if (!inputs.disableSudo && !inputs.disableSudoAndContainers) return;
  if (isRoot()) throw new ConfineError("this runner is root, so `disable-sudo` can't be kept: let it run as a user");
  if (env["RUNNER_ENVIRONMENT"] !== "github-hosted") {
    throw new ConfineError(
      "`disable-sudo` changes who may call sudo, which is only done on GitHub's own machines: on yours, let the runner's user call nothing but Runward by sudo, or put `runward run --disable-sudo --` before commands",
    );
  }
}

/**
 * The words before a program that make root do it first, and then become that program. Before, because a job that changes
 * who may call sudo is a finding.
 * @param {import("./inputs.js").Inputs} inputs
 * @returns {string[]}
 */
export function confining(inputs) {
  if (!inputs.disableSudo && !inputs.disableSudoAndContainers) return [];
  const sockets = inputs.disableSudoAndContainers ? SOCKETS : [];
  // One text for all jobs: what is told apart are its arguments.
  const script = `rule=$1 count=$2
shift 2
while [ "$count" -gt 0 ]; do
  [ ! -e "$1" ] || chmod 000 -- "$1" || exit 125
  shift
  count=$((count - 1))
done
truncate -c -s 0 -- "$rule" || exit 125
exec "$@"`;
  return ["sh", "-c", script, "sh", RULE, String(sockets.length), ...sockets];
}

/**
 * Tries whether it holds.
 * @param {import("./inputs.js").Inputs} inputs
 */
export async function proveConfinement(inputs) {
  if (!inputs.disableSudo && !inputs.disableSudoAndContainers) return;
  const [sudo = "", ...rest] = [...asRoot(), "true"];
  if ((await run(sudo, rest)).code === 0) {
    throw new ConfineError("sudo still works, by another rule than that of GitHub's machines, so `disable-sudo` is not in force");
  }
  const open = inputs.disableSudoAndContainers ? SOCKETS.find(canWrite) : undefined;
  if (open !== undefined) throw new ConfineError(`${open} can still be used, so \`disable-sudo-and-containers\` is not in force`);
}

/** @param {string} path */
function canWrite(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
