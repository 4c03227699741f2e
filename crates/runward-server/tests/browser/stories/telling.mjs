// An admin sets up a channel, tries it, and sends again what was given up.

import assert from "node:assert/strict";

import { Visitor } from "../browser.mjs";
import { check } from "../checks.mjs";

export default async function ({ browser, plan, visitors }) {
  const admin = await Visitor.of(browser, plan.address);
  visitors.push(admin);
  await admin.logIn("ada", plan.password);
  const { page } = admin;
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await page.getByRole("link", { name: "Notifications", exact: true }).click();
  await page.getByText("Nobody is told yet").waitFor();
  await check(admin, "notifications-empty");
  await page.getByRole("link", { name: "Make the first channel" }).click();
  await check(admin, "channel-kinds");
  await page.getByRole("link", { name: "Webhook" }).click();
  await page.getByLabel("Name").fill("On call");
  await page.getByLabel("Address").fill("http://not-over-tls.example/");
  await page.getByRole("button", { name: "Make channel" }).click();
  await page.getByText("Messages are sent over TLS only").waitFor();
  await check(admin, "channel-faulty");
  assert.equal(await page.getByLabel("Name").inputValue(), "On call");
  await page.getByLabel("Address").fill(plan.hook);
  await page.getByLabel("Only these:").check();
  await page.getByLabel("anomalous-outbound-call").check();
  await page.getByLabel("outbound-call-blocked").check();
  await page.getByLabel("The same again (hours)").fill("1");
  await page.getByRole("button", { name: "Make channel" }).click();
  const secret = await page.locator("#new-secret").innerText();
  assert.match(secret, /^whsec_/u);
  await check(admin, "channel-made");
  await page.getByRole("button", { name: "Send a test" }).click();
  await page.getByText("The test was taken").waitFor();
  await check(admin, "channel-tested");
  assert.equal(await page.getByText(secret).count(), 0);
  assert.ok(await page.getByLabel("Only these:").isChecked());
  await page.getByRole("link", { name: "Its messages" }).click();
  await page.getByText("test taken").waitFor();
  await check(admin, "notifications-of-one");

  // Another channel leads where nothing is any more.
  const api = (path, body) =>
    fetch(`${plan.address}/api/v1/notifications/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${plan.key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const made = await api("channels", { name: "Old tickets", kind: "webhook", url: plan.gone });
  assert.equal(made.status, 201);
  const sent = await fetch(`${plan.address}/api/v1/runs/${"7".repeat(32)}/events?first=1&host=runner-1`, {
    method: "POST",
    headers: { authorization: `Bearer ${plan.ingest}` },
    body: Buffer.from(plan.record, "base64"),
  });
  assert.equal(sent.status, 200);
  const dead = () => page.getByRole("button", { name: /^Send again/u }).count();
  for (let tries = 0; tries < 60 && !(await dead()); tries += 1) {
    await admin.open("/o/main/settings/notifications?state=dead");
    await page.waitForTimeout(300);
  }
  await check(admin, "notifications-given-up");
  await page.getByRole("button", { name: /^Send again/u }).first().click();
  await page.getByText("The message is being sent again.").waitFor();
  await admin.open("/o/main/settings/notifications");
  await check(admin, "notifications-log");
}
