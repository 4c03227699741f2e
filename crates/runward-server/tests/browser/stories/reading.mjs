// Somebody looks for a run, reads everything of it, tries another policy on it, and goes on to where its calls went.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { Visitor } from "../browser.mjs";

export default async function ({ browser, plan, visitors }) {
  const reader = await Visitor.of(browser, plan.address);
  visitors.push(reader);
  await reader.logIn("bob", plan.password);
  await findRuns(reader.page);
  await readRun(reader.page);
  await tryPolicy(reader.page);
  await followDestinations(reader.page);
}

const rows = (page) => page.locator("main tbody tr");

async function findRuns(page) {
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await page.waitForURL("**/o/main/runs");
  assert.equal(await rows(page).count(), 50);
  await page.getByRole("link", { name: "Next" }).click();
  await page.waitForURL("**/runs?after=*");
  assert.ok((await rows(page).count()) < 50);
  await page.getByRole("link", { name: "Newest" }).click();
  await page.waitForURL("**/o/main/runs");

  await page.getByLabel("Branch").fill("release/2026.11");
  await page.getByLabel("Project").selectOption({ label: "shop/api" });
  await page.getByRole("button", { name: "Filter" }).click();
  await page.waitForURL("**/runs?*branch=release*");
  const found = await rows(page).allInnerTexts();
  assert.ok(found.length > 0 && found.every((text) => text.includes("shop/api") && text.includes("release/2026.11")), found.join());
  // What was chosen stays in the form, and the address can be shared.
  assert.equal(await page.getByLabel("Branch").inputValue(), "release/2026.11");
  await page.getByRole("link", { name: "Clear" }).click();
  await page.waitForURL("**/o/main/runs");

  await page.getByText("More: pipeline, job, dates, tags").click();
  await page.getByLabel("blocked call").check();
  await page.getByRole("searchbox", { name: "Search" }).fill("shop/web");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/runs?*tag=blocked-call*");
  assert.equal(await rows(page).count(), 1);
  assert.ok(await page.getByLabel("blocked call").isChecked());
  await rows(page).getByRole("link", { name: "build" }).click();
  await page.getByRole("heading", { level: 1, name: "build" }).waitFor();
}

async function tab(page, name) {
  const link = page.getByRole("navigation", { name: "Parts of this run" }).getByRole("link", { name });
  await link.click();
  await page.waitForFunction((text) => document.querySelector(".tabs [aria-current]")?.textContent.includes(text), name);
}

async function readRun(page) {
  assert.match(await page.locator("main").innerText(), /src\/checkout\/payment\.ts/u);
  await tab(page, "Network");
  assert.equal(await rows(page).count(), 4);
  await page.getByRole("link", { name: /Findings/u }).click();
  await page.waitForURL("**/network?findings=1");
  assert.equal(await rows(page).count(), 1);
  // The process of the row opens what it was started with, and the way up to the job's first process.
  const actor = rows(page).locator("details.actor");
  assert.ok(!(await actor.locator(".arguments").isVisible()));
  await actor.locator("summary").focus();
  await page.keyboard.press("Enter");
  await actor.locator(".arguments").waitFor();
  assert.match(await actor.locator(".arguments").innerText(), /@\/builds\/app\/\.env/u);
  const way = await actor.locator(".way li").allInnerTexts();
  assert.deepEqual([way.length, way.at(-1).includes("npm run ci")], [5, true], way.join(" / "));

  await tab(page, "HTTPS");
  assert.match(await rows(page).first().innerText(), /registry\.npmjs\.example/u);
  await tab(page, "Files");
  await page.getByRole("link", { name: /Source code overwritten/u }).click();
  await page.waitForURL("**/files?findings=1");
  assert.match(await rows(page).innerText(), /payment\.ts/u);
  await tab(page, "Processes");
  await page.locator("#tree .row").first().waitFor();
  // It begins where something was stopped.
  assert.match(await page.locator("#tree-detail").innerText(), /curl/u);
  await tab(page, "Detections");
  assert.equal(await page.locator("article.detection").count(), 3);
  await tab(page, "Steps");
  assert.match(await page.locator("main").innerText(), /left-padding/u);
}

async function tryPolicy(page) {
  await tab(page, "Policy");
  assert.match(await rows(page).first().innerText(), /\.runward\.yml:4/u);
  const policy = page.getByLabel("A policy to try on this run's record");
  await policy.fill("registry.npmjs.example:99999");
  await page.getByRole("button", { name: "Try" }).click();
  await page.locator("#policy-error").waitFor();
  assert.match(await page.locator("#policy-error").innerText(), /99999/u);
  await policy.fill("registry.npmjs.example:443");
  await page.getByRole("button", { name: "Try" }).click();
  await page.locator(".answer").waitFor();
  const answer = await page.locator(".answer").innerText();
  assert.match(answer, /objects\.github\.example/u);
  assert.equal(await policy.inputValue(), "registry.npmjs.example:443");
}

async function followDestinations(page) {
  await page.getByRole("link", { name: "Destinations", exact: true }).click();
  await page.waitForURL("**/o/main/destinations");
  await page.getByLabel("Search").fill("evil");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/destinations?q=evil*");
  assert.equal(await rows(page).count(), 1);
  for (const [name, first] of [["CSV", "destination,runs"], ["JSON", "["]]) {
    const coming = page.waitForEvent("download");
    await page.getByRole("link", { name }).click();
    const text = await readFile(await (await coming).path(), "utf8");
    assert.ok(text.startsWith(first) && text.includes("collect.evil.example") && !text.includes("npmjs"), text);
  }
  await rows(page).getByRole("link").click();
  await page.getByRole("heading", { level: 1, name: /collect\.evil\.example/u }).waitFor();
  assert.match(await rows(page).innerText(), /curl/u);
  await page.getByLabel("Only where").isVisible();
}
