import assert from "node:assert/strict";
import { chmodSync, chownSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";

import { InputError, readInputs } from "../src/inputs.js";
import { PlaceError, checksumOf } from "../src/place.js";
import { ChecksumError, program, wanted } from "../src/program.js";
import { Bed, skip } from "./bed.js";

const RELEASE = { version: "1.2.3", folder: "https://r.example/v{version}", file: "runward-{version}-x86_64-linux", sha256: "a".repeat(64) };

function inputs(bed, given) {
  const pairs = Object.entries(given).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
  return readInputs({ ...bed.env, ...Object.fromEntries(pairs) });
}

for (const [what, given, release, expected] of [
  ["the release", {}, RELEASE, { checksum: "a".repeat(64), address: "https://r.example/v1.2.3/runward-1.2.3-x86_64-linux" }],
  ["a mirror", { binary: "http://m.example/tools/" }, RELEASE, { checksum: "a".repeat(64), address: "http://m.example/tools/runward-1.2.3-x86_64-linux" }],
  ["another version", { version: "v2.0.0", checksum: `sha256:${"B".repeat(64)}` }, RELEASE, { checksum: "b".repeat(64), address: "https://r.example/v2.0.0/runward-2.0.0-x86_64-linux" }],
  ["another version without its checksum", { version: "2.0.0" }, RELEASE, /checksum of version 2.0.0/],
  ["an action that was not released", {}, { ...RELEASE, sha256: null }, /not released/],
]) {
  test(`where the program comes from: ${what}`, (t) => {
    const read = inputs(new Bed(t), given);
    if (expected instanceof RegExp) {
      assert.throws(() => wanted(read, release), (error) => error instanceof InputError && expected.test(error.message));
    } else assert.deepEqual(wanted(read, release), expected);
  });
}

/** A mirror that has these bytes under every name. */
async function mirror(t, bytes) {
  let asked = 0;
  const server = createServer((request, response) => { asked += 1; response.end(bytes); });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  t.after(() => server.close());
  return { address: `http://127.0.0.1:${server.address().port}`, asked: () => asked };
}

test("a program with the right checksum is installed where only root can write, once", { skip }, async (t) => {
  const bed = new Bed(t);
  const bytes = Buffer.from("#!/bin/sh\n");
  const { address, asked } = await mirror(t, bytes);
  const read = inputs(bed, { binary: address, checksum: checksumOf(bytes) });
  const path = await program(read, RELEASE, { place: bed.place });
  assert.deepEqual(readFileSync(path), bytes);
  assert.equal(await program(read, RELEASE, { place: bed.place }), path);
  assert.equal(asked(), 1, "the second time it is there");

  writeFileSync(path, "#!/bin/sh\necho other\n");
  await program(read, RELEASE, { place: bed.place });
  assert.deepEqual(readFileSync(path), bytes, "what was changed is replaced");
  chownSync(path, 65534, 65534);
  await program(read, RELEASE, { place: bed.place });
  assert.equal(asked(), 3, "what others can change is not taken");
});

test("a program with another checksum is not installed", { skip }, async (t) => {
  const bed = new Bed(t);
  const { address } = await mirror(t, "#!/bin/sh\n");
  const read = inputs(bed, { binary: address, checksum: "c".repeat(64) });
  await assert.rejects(program(read, RELEASE, { place: bed.place }), ChecksumError);
  const local = bed.keeper();
  await assert.rejects(program(inputs(bed, { binary: local, checksum: "c".repeat(64) }), RELEASE, { place: bed.place }), ChecksumError);
  assert.throws(() => readFileSync(bed.place));
});

test("a program of the machine's own is used where it lies, if only root can change it", { skip }, async (t) => {
  const bed = new Bed(t);
  const path = bed.keeper();
  const used = () => program(inputs(bed, { binary: path }), RELEASE, { place: bed.place });
  assert.equal(await used(), path);
  symlinkSync(path, bed.path("link"));
  assert.equal(await program(inputs(bed, { binary: bed.path("link") }), RELEASE), path);

  chmodSync(path, 0o777);
  await assert.rejects(used(), (error) => error instanceof PlaceError && /can be written by others/.test(error.message));
  chmodSync(path, 0o755);
  chownSync(path, 65534, 65534);
  await assert.rejects(used(), (error) => error instanceof PlaceError && /user 65534/.test(error.message));
  chownSync(path, 0, 0);
  chownSync(bed.folder, 65534, 65534);
  await assert.rejects(used(), PlaceError, "a folder above it");
  assert.equal(bed.ran(), false);

  // With a checksum, its bytes are looked at and put elsewhere.
  const checksum = checksumOf(readFileSync(path));
  const copy = await program(inputs(bed, { binary: path, checksum }), RELEASE, { place: new Bed(t).place });
  assert.notEqual(copy, path);
});
