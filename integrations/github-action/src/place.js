/**
 * Where the program lies. It is run as root, so it must lie where only root can write: between the look at its bytes
 * and its start, and until the end of the job, when it is started again.
 */
import { createHash } from "node:crypto";
import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";

import { runAsRoot } from "./privilege.js";

/** A program that must not be run. */
export class PlaceError extends Error {}

/** Programs by their checksum; on a machine that is kept, the next job finds them there. */
export const PLACE = "/var/lib/runward/bin";

/** @param {Buffer} bytes */
export function checksumOf(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Answers why somebody other than root could change a file, or nothing.
 * @param {string} path Without links in it.
 * @returns {string | undefined}
 */
export function whoElse(path) {
  for (let at = path; ; at = dirname(at)) {
    const found = lstatSync(at);
    if (found.uid !== 0) return `${at} belongs to user ${found.uid}`;
    // In a folder with the sticky bit, such as /tmp, nobody can replace what belongs to root.
    const isSafe = (found.mode & 0o022) === 0 || (found.isDirectory() && (found.mode & 0o1000) !== 0);
    if (!isSafe) return `${at} can be written by others`;
    if (at === dirname(at)) return undefined;
  }
}

/**
 * The program with this checksum, if it was installed before and nobody can have changed it.
 * @param {string} checksum
 * @param {string} place
 */
export function installed(checksum, place = PLACE) {
  try {
    const path = realpathSync(join(place, checksum, "runward"));
    return whoElse(path) === undefined && checksumOf(readFileSync(path)) === checksum ? path : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Writes bytes that were looked at to a place of root's own.
 * @param {Buffer} bytes
 * @param {string} place
 * @returns {Promise<string>}
 */
export async function install(bytes, place = PLACE) {
  const folder = join(place, checksumOf(bytes));
  const path = join(folder, "runward");
  // Another job of this machine may run the one that is there: replaced, not written over.
  const fresh = join(folder, `.runward-${process.pid}-${Date.now()}`);
  await runAsRoot("install", ["-d", "-m", "755", "--", folder]);
  await runAsRoot("dd", [`of=${fresh}`, "bs=1M", "conv=excl", "status=none"], { input: bytes });
  await runAsRoot("chmod", ["755", "--", fresh]);
  await runAsRoot("mv", ["-f", "--", fresh, path]);
  const real = realpathSync(path);
  const other = whoElse(real);
  if (other !== undefined) throw new PlaceError(`Runward can't be installed safely: ${other}`);
  return real;
}
