// An admin decides about detections, and changes who and what may use the server.

import assert from "node:assert/strict";

import { Visitor } from "../browser.mjs";
import { check } from "../checks.mjs";

export default async function ({ browser, plan, visitors }) {
  const admin = await Visitor.of(browser, plan.address);
  const stranger = await Visitor.of(browser, plan.address);
  visitors.push(admin, stranger);
  await admin.logIn("ada", plan.password);
  await decide(admin);
  await makeKey(admin, plan);
  await addMember(admin, plan, visitors, browser);
  await publish(admin, stranger, plan);
  await keepShorter(admin);
  await leave(admin);
}

async function decide({ page }) {
  await page.getByRole("link", { name: "Detections", exact: true }).click();
  await page.getByRole("link", { name: /source-code-overwritten/u }).click();
  await page.waitForURL("**/detections?kind=source-code-overwritten");
  const detection = page.locator("article.detection");
  assert.equal(await detection.count(), 1);
  await detection.locator("summary", { hasText: "Resolve" }).click();
  await page.getByLabel("Comment").fill("<b>meant</b>: the formatter of the release");
  await detection.getByRole("button", { name: "Resolve" }).click();
  await page.waitForURL("**/o/main/detections");
  assert.equal(await page.getByText("payment.ts").count(), 0);
  await page.getByRole("navigation", { name: "State" }).getByRole("link", { name: /resolved/iu }).click();
  await page.getByText("<b>meant</b>: the formatter of the release").waitFor();
  assert.match(await detection.innerText(), /Decided by ada/u);
  await detection.getByRole("button", { name: "Reopen" }).click();
  await page.waitForURL("**/o/main/detections");
  assert.ok((await page.getByText("payment.ts").count()) > 0);
}

async function makeKey(admin, plan) {
  const { page } = admin;
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Name of the new key").fill("dashboards");
  await page.getByLabel("Scope").selectOption("read");
  await page.getByRole("button", { name: "Make key" }).click();
  const secret = await page.locator("#new-key").innerText();
  await check(admin, "settings-new-key");
  const ask = () => fetch(`${plan.address}/api/v1/projects`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal((await ask()).status, 200);
  // It is told this once.
  await admin.open("/o/main/settings");
  assert.equal(await page.getByText(secret).count(), 0);
  await page.getByRole("button", { name: "Revoke dashboards" }).click();
  await page.getByText(/^revoked/u).waitFor();
  assert.equal((await ask()).status, 401);
}

async function addMember({ page }, plan, visitors, browser) {
  await page.getByLabel("Login of the new member").fill("carol");
  await page.getByLabel("Password to begin with").fill(plan.password);
  await page.getByLabel("Role", { exact: true }).selectOption("auditor");
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByText("carol can log in now.").waitFor();
  const carol = await Visitor.of(browser, plan.address);
  visitors.push(carol);
  await carol.logIn("carol", plan.password);
  await carol.open("/o/main/settings");
  assert.equal(await carol.page.getByRole("button", { name: /Make|Add|Revoke/u }).count(), 0);
  await check(carol, "settings-of-an-auditor");
}

async function publish(admin, stranger, plan) {
  const { page } = admin;
  const run = `/o/main/runs/${plan.run}`;
  await stranger.open(run);
  assert.match(stranger.page.url(), /\/login/u);
  await admin.open("/o/main/settings");
  await page.getByRole("button", { name: "Make public shop/web" }).click();
  await page.getByRole("button", { name: "Make private shop/web" }).waitFor();
  await stranger.open(run);
  await stranger.page.getByRole("heading", { level: 1, name: "build" }).waitFor();
  await check(stranger, "run-of-a-public-project");
  for (const path of ["/o/main", "/o/main/runs", "/o/main/destinations"]) {
    await stranger.open(path);
    assert.match(stranger.page.url(), /\/login/u);
  }
}

async function keepShorter(admin) {
  const { page } = admin;
  await admin.open("/o/main/settings");
  await page.getByLabel("Events, days").fill("7");
  await page.getByLabel("Runs, days").fill("");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Nothing is changed yet.").waitFor();
  await check(admin, "settings-shorter-terms");
  assert.equal(await page.getByLabel("Events, days").inputValue(), "7");
  await page.getByRole("button", { name: "Save and delete" }).click();
  await page.waitForURL("**/settings#retention");
  const terms = await page.locator("section", { has: page.getByRole("heading", { name: "Retention" }) }).innerText();
  for (const said of [/Events\s+7 days/u, /Detections\s+400 days/u, /Runs\s+for ever/u]) assert.match(terms, said);
}

async function leave(admin) {
  const { page } = admin;
  await admin.open("/o/main/settings");
  const log = await page.getByRole("region", { name: "Table: audit log" }).innerText();
  for (const act of ["detection.resolve", "detection.reopen", "api-key.create", "api-key.revoke", "user.create", "project.publish", "retention.change"]) {
    assert.ok(log.includes(act), act);
  }
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL("**/login");
  await page.goBack();
  await admin.open("/o/main");
  assert.match(page.url(), /\/login/u);
}
