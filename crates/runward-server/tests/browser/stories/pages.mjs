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
  ["detection-kinds", "/detections/kinds"],
  ["detections-of-a-kind", "/detections?kind=source-code-overwritten"],
  ["detections-none", "/detections?status=resolved"],
  ["suppressions", "/suppressions"],
  ["suppression-new", "/suppressions/new?kind=outbound-call-blocked&destination=collect.evil.example%3A443"],
  ["suppression", "/suppressions/1"],
  ["incidents", "/incidents"],
  ["baselines", "/baseline"],
  ["baseline", "/baseline/1"],
  ["policies", "/policies"],
  ["policies-archived", "/policies?archived=1"],
  ["policy-new", "/policies/new?project=&runs=5"],
  ["policy", "/policies/1"],
  ["policy-version", "/policies/1/versions/2"],
  ["agents", "/agents"],
  ["settings", "/settings"],
  ["notifications", "/settings/notifications"],
  ["channel-kinds", "/settings/notifications/new"],
  ["channel-new", "/settings/notifications/new?channel=webhook"],
  ["channel", "/settings/notifications/1"],
  ["missing", "/runs/ffffffffffffffffffffffffffffffff", 404],
];

/** What somebody sees who is not logged in. */
const OUTSIDE = [
  ["login", "/login"],
  ["confirmed", "/login/confirmed"],
  ["reference", "/docs/api"],
];

export default async function ({ browser, plan, visitors }) {
  const member = await Visitor.of(browser, plan.address);
  visitors.push(member);
  await member.logIn("ada", plan.password);
  const pages = (plan.lists ? PAGES : []).map(([name, path, status]) => [name, `/o/main${path}`, status]);
  for (const [name, run] of Object.entries(plan.runs)) {
    pages.push([name, `/o/main/runs/${run}`], ...TABS.map((tab) => [`${name}-${tab}`, `/o/main/runs/${run}/${tab}`]));
  }
  for (const [name, path, status] of pages) {
    await member.open(path, status);
    if (path.endsWith("/processes") && !name.startsWith("gone")) await member.page.locator("#tree .row").first().waitFor();
    // What is folded away is looked at as well.
    await member.page.evaluate(() => document.querySelectorAll("main details").forEach((details) => (details.open = true)));
    await check(member, name);
    // Every page of a run without its events says so.
    if (name.startsWith("gone")) await member.page.getByText("The events of this run were deleted").waitFor();
    // What could have acted is there to be read.
    if (name.startsWith("hostile")) assert.ok((await member.page.locator("main").innerText()).includes("<img src=x"), name);
  }
  if (!plan.lists) return;
  const outside = await Visitor.of(browser, plan.address);
  visitors.push(outside);
  for (const [name, path] of OUTSIDE) {
    await outside.open(path);
    await check(outside, name);
  }
  await confirm(browser, plan, visitors);
  allSeen(plan.templates, [...pages, ...OUTSIDE].map(([, path]) => path.split("?")[0]));
}

/** Somebody who showed long ago who it is, and now wants something dangerous. */
async function confirm(browser, plan, visitors) {
  const late = await Visitor.of(browser, plan.address);
  visitors.push(late);
  const [name, value] = plan.late.split("=");
  await late.context.addCookies([{ name, value, url: plan.address }]);
  await late.open("/o/main/settings");
  await late.page.getByLabel("Name of the new key").fill("everything");
  await late.page.getByLabel("Scope").selectOption("admin");
  await late.page.getByRole("button", { name: "Make key" }).click();
  await late.page.getByText("make a key that may do everything").waitFor();
  await check(late, "confirm");
  await late.page.getByLabel("Password").fill(plan.password);
  await late.page.getByRole("button", { name: "Go on" }).click();
  await late.page.locator("#new-key").waitFor();
}

/** A page of the server's that has no line in the tables above is a fault. */
function allSeen(templates, paths) {
  for (const template of templates) {
    const pattern = new RegExp(`^${template.replaceAll(/\{[^}]+\}/gu, "[^/]+")}$`, "u");
    assert.ok(paths.some((path) => pattern.test(path)), `no line of the table looks at ${template}`);
  }
}
