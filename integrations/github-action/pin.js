/**
 * Ties this action to a release: `node pin.js VERSION FILE` writes the version and the file's SHA-256 to release.json.
 */
import { readFileSync, writeFileSync } from "node:fs";

import { checksumOf } from "./src/place.js";
import { released } from "./src/program.js";

const [version, file] = process.argv.slice(2);
if (!version || !file || !/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version)) {
  console.error("usage: node pin.js VERSION FILE, such as: node pin.js 1.2.3 runward-1.2.3-x86_64-linux");
  process.exit(2);
}
const release = { ...released(), version, sha256: checksumOf(readFileSync(file)) };
writeFileSync(new URL("release.json", import.meta.url), `${JSON.stringify(release, null, 2)}\n`);
