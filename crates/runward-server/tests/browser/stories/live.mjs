// Somebody watches a run while its events come.

import assert from "node:assert/strict";

import { Visitor } from "../browser.mjs";
import { check } from "../checks.mjs";

export default async function ({ browser, plan, visitors }) {
  const send = async ({ first, body }) => {
    const address = `${plan.address}/api/v1/runs/${plan.run}/events?first=${first}&host=runner-1`;
    const headers = { authorization: `Bearer ${plan.key}` };
    const answer = await fetch(address, { method: "POST", headers, body: Buffer.from(body, "base64") });
    assert.equal(answer.status, 200);
  };
  const [begin, more, later, end] = plan.batches;
  await send(begin);
  const watcher = await Visitor.of(browser, plan.address);
  visitors.push(watcher);
  await watcher.logIn("ada", plan.password);
  const { page } = watcher;
  await watcher.open(`/o/main/runs/${plan.run}/network`);
  const seen = (name) => page.locator("main tbody").getByText(name, { exact: true });
  await seen("step1.live.example").waitFor();
  assert.equal(await page.locator("#live .said").innerText(), "Live");
  await check(watcher, "run-live");
  // What a person has opened, and where the focus is, stays when rows come.
  await page.locator("details.actor summary").first().click();
  await send(more);
  await seen("step2.live.example").waitFor();
  assert.ok(await page.locator("details.actor").first().evaluate((details) => details.open));
  assert.ok(await page.evaluate(() => document.activeElement.matches("details.actor summary")));

  await page.getByRole("button", { name: "Pause" }).click();
  await send(later);
  await page.waitForTimeout(2500);
  assert.equal(await seen("step3.live.example").count(), 0);
  await page.getByRole("button", { name: "Continue" }).click();
  await seen("step3.live.example").waitFor();
  await send(end);
  await seen("step4.live.example").waitFor();
  await page.locator(".pills", { hasText: "finished" }).waitFor();
  assert.equal(await page.locator("#live").count(), 0);
}
