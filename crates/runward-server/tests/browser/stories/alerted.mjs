// The first ten minutes after an alert: from the message's link to what happened, who did it, what is normal, and a decision.

import assert from "node:assert/strict";

import { Visitor } from "../browser.mjs";
import { check } from "../checks.mjs";

const CALL = "collect.evil.example";

export default async function ({ browser, plan, visitors }) {
  const engineer = await Visitor.of(browser, plan.address);
  visitors.push(engineer);
  await engineer.logIn("grace", plan.password);
  await look(engineer, plan);
  await compare(engineer);
  await reject(engineer);
  await silence(engineer);
  await spread(engineer);
  await loosen(engineer);
}

/** The message leads to the detections of the run; from there to the call, the process, and back. */
async function look(engineer, plan) {
  const { page } = engineer;
  await engineer.open(`/o/main/runs/${plan.run}/detections`);
  const detection = page.locator("article.detection", { hasText: CALL });
  assert.equal(await detection.count(), 1);
  assert.match(await detection.innerText(), /anomalous-outbound-call[^]*curl/u);
  await check(engineer, "alert");
  await detection.getByRole("link", { name: "What happened" }).click();
  await page.waitForURL(`**/runs/${plan.run}/network?q=${CALL}`);
  const row = page.getByRole("row", { name: CALL });
  assert.match(await row.innerText(), /anomalous/u);
  await check(engineer, "alert-call");
  await row.getByRole("link", { name: /No run of this job/u }).click();
  await page.waitForURL(`**/runs/${plan.run}/detections`);
  await page.getByRole("link", { name: "Summary", exact: true }).click();
  await page.getByRole("heading", { name: "Not normal for this job" }).waitFor();
  // What the job always overwrites is no finding.
  assert.equal(await page.getByRole("region", { name: /findings/u }).getByText("version.txt").count(), 0);
  await check(engineer, "alert-run");
}

/** What is normal for the job, and how sure that is. */
async function compare(engineer) {
  const { page } = engineer;
  await page.getByRole("link", { name: "Baselines" }).click();
  await page.getByRole("heading", { level: 1, name: "build" }).waitFor();
  await page.getByText(/an alert .*once in/u).waitFor();
  const normal = page.getByRole("region", { name: /Table: Normal destinations/u });
  await normal.getByText("registry.npmjs.example:443").first().waitFor();
  await page.getByRole("region", { name: "Table: new things" }).getByText(`${CALL}:443`).first().waitFor();
  await check(engineer, "alert-baseline");
}

/** It is wrong: from now on, every run that does it alerts. */
async function reject({ page }) {
  await page.getByRole("button", { name: `Reject ${CALL}:443` }).click();
  await page.getByText("rejected by grace").waitFor();
  const changelog = page.getByRole("region", { name: "Table: changelog" });
  await changelog.getByRole("row", { name: /rejected/u }).getByText("grace").waitFor();
}

/** A rule for something else, made from its detection, which says beforehand what it would hide. */
async function silence(engineer) {
  const { page } = engineer;
  await page.getByRole("link", { name: "Detections", exact: true }).click();
  const detection = page.locator("article.detection", { hasText: "version.txt" }).first();
  await detection.getByRole("link", { name: "Suppress…" }).click();
  await check(engineer, "alert-suppression");
  await page.locator("#rule-name").fill("the release writes its version");
  await page.locator("#rule-reason").fill("the release does this");
  await page.getByRole("button", { name: "Preview" }).click();
  await page.locator("#preview").getByText("version.txt").first().waitFor();
  await page.getByRole("button", { name: "Save rule" }).click();
  await page.getByRole("link", { name: "Detections", exact: true }).click();
  await page.getByText(/detections? (is|are)/u).first().waitFor();
}

/** Whether anybody else sees it. */
async function spread(engineer) {
  const { page } = engineer;
  await page.getByRole("link", { name: "Incidents", exact: true }).click();
  const incident = page.locator("article.detection", { hasText: CALL });
  await incident.getByText("2 jobs in 2 projects").waitFor();
  await check(engineer, "incident");
}

/** Somebody explains it: it is accepted after all, and the detection is resolved with it. */
async function loosen(engineer) {
  const { page } = engineer;
  await page.getByRole("link", { name: "Baseline", exact: true }).click();
  await page.getByRole("row", { name: /shop\/web/u }).getByRole("link").first().click();
  await page.getByRole("button", { name: `Accept ${CALL}:443` }).click();
  await page.getByRole("region", { name: "Table: changelog" }).getByRole("row", { name: /joined/u }).first().getByText("grace").waitFor();
  const normal = page.getByRole("region", { name: /Table: Normal destinations/u });
  await normal.getByText(`${CALL}:443`).first().waitFor();
  await page.getByRole("link", { name: "Make a policy of them" }).click();
  assert.match(await page.getByLabel("Policy file (YAML)").inputValue(), /collect\.evil\.example:443/u);
  await check(engineer, "policy-of-a-baseline");
}
