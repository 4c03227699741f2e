// Every page, looked at as it is. A page that is added to the dashboard is a line more in the table.

import assert from "node:assert/strict";

import { Visitor } from "../browser.mjs";
import { check } from "../checks.mjs";

const TABS = ["network", "https", "files", "processes", "detections", "policy", "steps"];

/** Name, address below the organisation's, and the status where it is not 200. */
const PAGES = [
  ["overview", ""],
  ["projects", "/projects"],
  ["runs", "/runs"],
  ["runs-none", "/runs?q=nothing+is+called+so&tag=loss"],
  ["destinations", "/destinations"],
  ["destination", "/destinations/1"],
  ["detections", "/detections"],
  ["detections-none", "/detections?status=suppressed"],
  ["suppressions", "/suppressions"],
  ["baseline", "/baseline"],
  ["policies", "/policies"],
  ["agents", "/agents"],
  ["settings", "/settings"],
  ["missing", "/runs/ffffffffffffffffffffffffffffffff", 404],
];

export default async function ({ browser, plan, visitors }) {
  const member = await Visitor.of(browser, plan.address);
  visitors.push(member);
  await member.logIn("ada", plan.password);
  const pages = plan.lists ? [...PAGES] : [];
  for (const [name, run] of Object.entries(plan.runs)) {
    pages.push([name, `/runs/${run}`], ...TABS.map((tab) => [`${name}-${tab}`, `/runs/${run}/${tab}`]));
  }
  for (const [name, path, status] of pages) {
    await member.open(`/o/main${path}`, status);
    if (path.endsWith("/processes")) await member.page.locator("#tree .row").first().waitFor();
    // What is folded away is looked at as well.
    await member.page.evaluate(() => document.querySelectorAll("main details").forEach((details) => (details.open = true)));
    await check(member, name);
    // What could have acted is there to be read.
    if (name.startsWith("hostile")) assert.ok((await member.page.locator("main").innerText()).includes("<img src=x"), name);
  }
}
