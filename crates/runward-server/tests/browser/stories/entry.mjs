// The first person sets the server up, logs out, and logs in again.

import assert from "node:assert/strict";

import { Visitor } from "../browser.mjs";
import { check } from "../checks.mjs";

/** What a person sees of a server that nobody has sent anything to. */
const EMPTY = ["", "/projects", "/runs", "/destinations", "/detections", "/agents", "/settings"];

export default async function ({ browser, plan, visitors }) {
  const first = await Visitor.of(browser, plan.address);
  visitors.push(first);
  const { page } = first;
  await first.open("/setup?token=wrong", 404);
  await first.open(`/setup?token=${plan.token}`);
  await check(first, "setup");

  await page.getByLabel("Login").fill("ada");
  await page.getByLabel("Password, at least 12 characters").fill(plan.password);
  await page.getByLabel("The same password again").fill(`${plan.password}!`);
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").innerText(), /not the same/u);
  assert.equal(await page.getByLabel("Login").inputValue(), "ada");
  await page.getByLabel("Password, at least 12 characters").fill(plan.password);
  await page.getByLabel("The same password again").fill(plan.password);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/o/main");
  for (const path of EMPTY) {
    await first.open(`/o/main${path}`);
    await check(first, `empty${path.replace("/", "-") || "-overview"}`);
  }
  await first.open(`/setup?token=${plan.token}`, 404);

  await first.open("/o/main/agents");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL("**/login");
  await first.open("/o/main/agents");
  assert.match(page.url(), /\/login\?next=/u);
  await page.getByLabel("Login").fill("ada");
  await page.getByLabel("Password").fill("not the right one");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").innerText(), /wrong/u);
  await check(first, "login-refused");
  await page.getByLabel("Password").fill(plan.password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL("**/o/main/agents");
}
