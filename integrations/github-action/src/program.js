/** The program that this step runs: from the runner's own disk, a mirror, or the release; and only if it is that one. */
import { readFileSync, realpathSync } from "node:fs";

import { DownloadError, download } from "./download.js";
import { InputError } from "./inputs.js";
import { PlaceError, checksumOf, install, installed, whoElse } from "./place.js";

/** The program is not the one that it should be. Never run, in any mode. */
export class ChecksumError extends Error {}

/**
 * What this action was released with; `pin.js` writes it.
 * @typedef {object} Release
 * @property {string} version
 * @property {string} folder
 * @property {string} file
 * @property {string | null} sha256
 */

/** @returns {Release} */
export function released() {
  return JSON.parse(readFileSync(new URL("../release.json", import.meta.url), "utf8"));
}

/**
 * @param {import("./inputs.js").Inputs} inputs
 * @param {Release} release
 * @param {{ place?: string, limits?: Parameters<typeof download>[1] }} [options]
 * @returns {Promise<string>} Its path, where only root can change it.
 */
export async function program(inputs, release, { place, limits } = {}) {
  const isLocal = inputs.binary.startsWith("/");
  if (isLocal && inputs.checksum === "") return trusted(inputs.binary);
  const { checksum, address } = wanted(inputs, release);
  const there = installed(checksum, place);
  if (there !== undefined) return there;
  const bytes = isLocal ? read(inputs.binary) : await download(address, limits);
  const found = checksumOf(bytes);
  if (found !== checksum) {
    throw new ChecksumError(
      `${isLocal ? inputs.binary : address} is not the program that it should be, and was not run: its SHA-256 is ${found}, not ${checksum}`,
    );
  }
  return install(bytes, place);
}

/**
 * @param {import("./inputs.js").Inputs} inputs
 * @param {Release} release
 */
export function wanted(inputs, release) {
  const version = inputs.version || release.version;
  const checksum = inputs.checksum || (version === release.version ? release.sha256 : null);
  if (checksum === null) {
    throw new InputError(
      inputs.version === ""
        ? "this copy of the action was not released, so it knows no program: give the inputs `binary` or `checksum`"
        : `the checksum of version ${version} is not known here: give it in the input \`checksum\``,
    );
  }
  /** @param {string} text */
  const filled = (text) => text.replaceAll("{version}", version);
  const folder = inputs.binary || filled(release.folder);
  return { checksum, address: `${folder.replace(/\/+$/, "")}/${filled(release.file)}` };
}

/**
 * A program that the machine's administrator has put there.
 * @param {string} path
 */
function trusted(path) {
  let real;
  let other;
  try {
    real = realpathSync(path);
    other = whoElse(real);
  } catch (error) {
    throw new DownloadError(`cannot use ${path}: ${error instanceof Error ? error.message : error}`);
  }
  if (other !== undefined) {
    throw new PlaceError(`${path} is not run as root, because ${other}: let it belong to root, or give its \`checksum\``);
  }
  return real;
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new DownloadError(`cannot use ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
