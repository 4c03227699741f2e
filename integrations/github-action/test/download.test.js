import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { DownloadError, download } from "../src/download.js";

const PROGRAM = Buffer.from("the program".repeat(1000));

/** A mirror on loopback; `answers` by path, and how often each was asked. */
async function mirror(t, answers) {
  const asked = {};
  const server = createServer((request, response) => {
    asked[request.url] = (asked[request.url] ?? 0) + 1;
    answers[request.url](response, asked[request.url]);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `http://127.0.0.1:${server.address().port}`, asked };
}

const sent = (response) => response.end(PROGRAM);
const to = (place) => (response) => response.writeHead(302, { location: place }).end();
const status = (code) => (response) => response.writeHead(code).end("no");
const limits = { pause: 1, patience: 2000, bytes: 1_000_000 };

test("a file comes whole, over redirects too", async (t) => {
  const { address } = await mirror(t, { "/a": to("/b"), "/b": to("c"), "/c": sent });
  assert.deepEqual(await download(`${address}/a`, limits), PROGRAM);
});

test("a server that stumbles is asked again, and no more than three times", async (t) => {
  const { address, asked } = await mirror(t, {
    "/busy": (response, time) => (time < 3 ? status(503)(response) : sent(response)),
    "/down": status(500),
  });
  assert.deepEqual(await download(`${address}/busy`, limits), PROGRAM);
  await assert.rejects(download(`${address}/down`, limits), /answers 500/);
  assert.equal(asked["/down"], 3);
});

for (const [what, answer, message] of [
  ["is not there", status(404), /answers 404/],
  ["has less than it said", (response) => { response.writeHead(200, { "content-length": PROGRAM.length + 1 }); response.end(PROGRAM); }, /cannot download/],
  ["breaks off", (response) => { response.writeHead(200, { "content-length": PROGRAM.length }); response.write("the"); setTimeout(() => response.destroy(), 10); }, /cannot download/],
  ["never ends", (response) => { const more = () => response.write(PROGRAM, more); more(); }, /longer than 1000000 bytes/],
  ["unpacks to more than it is", async (response) => { const { gzipSync } = await import("node:zlib"); response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(Buffer.alloc(2_000_000))); }, /longer than/],
  ["leads in circles", to("/x"), /more than 5 times/],
  ["leads to a file", to("file:///etc/passwd"), /away from HTTPS/],
  ["leads to what is no address", to("http://"), /no address/],
  ["is part of itself", status(206), /answers 206/],
]) {
  test(`a file that ${what} is refused`, async (t) => {
    const { address } = await mirror(t, { "/x": answer });
    await assert.rejects(download(`${address}/x`, limits), (error) => error instanceof DownloadError && message.test(error.message));
  });
}

test("a server that says nothing is given up", async (t) => {
  const { address } = await mirror(t, { "/x": () => {} });
  await assert.rejects(download(`${address}/x`, { ...limits, patience: 100, attempts: 1 }), DownloadError);
});
