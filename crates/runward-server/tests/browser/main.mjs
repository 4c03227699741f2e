// Plays one story against a server: `node main.mjs STORY`, with what the story needs to know as JSON on standard input.

import { readFileSync } from "node:fs";

import { launch } from "./browser.mjs";

const { default: story } = await import(`./stories/${process.argv[2]}.mjs`);
const plan = JSON.parse(readFileSync(0, "utf8"));
const browser = await launch();
const visitors = [];
try {
  await story({ browser, plan, visitors });
} finally {
  await browser.close();
}
const faults = [...new Set(visitors.flatMap((visitor) => visitor.faults))];
for (const fault of faults) console.log(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
