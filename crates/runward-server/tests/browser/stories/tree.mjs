// Somebody walks through the tree of a run with very many processes, by wheel, by keys and by searching.

import assert from "node:assert/strict";

import { PHONE, Visitor } from "../browser.mjs";
import { check } from "../checks.mjs";

/** Rows that may be drawn at a time: those in view and some more. */
const DRAWN = 100;

export default async function ({ browser, plan, visitors }) {
  const reader = await Visitor.of(browser, plan.address);
  visitors.push(reader);
  await reader.logIn("ada", plan.password);
  await reader.open(`/o/main/runs/${plan.run}/processes`);
  const { page } = reader;
  const rows = page.locator("#tree .row");
  await rows.first().waitFor();
  await scroll(page, plan.processes);
  await keys(page);
  await search(page);
  await page.setViewportSize(PHONE);
  assert.ok((await rows.count()) < DRAWN);
  await check(reader, "tree");
}

/** Scrolls all the way; at each stop the view is full of rows, and few are drawn. */
async function scroll(page, processes) {
  const { stops, slowest, height } = await page.evaluate(async () => {
    const tree = document.getElementById("tree");
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const stops = [];
    let slowest = 0;
    for (let part = 0; part <= 40; part += 1) {
      const began = performance.now();
      tree.scrollTop = ((tree.scrollHeight - tree.clientHeight) * part) / 40;
      await frame();
      await frame();
      slowest = Math.max(slowest, performance.now() - began);
      const view = tree.getBoundingClientRect();
      const lines = [...tree.querySelectorAll(".row")].map((row) => row.getBoundingClientRect());
      const full = [view.top + 4, (view.top + view.bottom) / 2, view.bottom - 4].every((y) => lines.some((line) => line.top <= y && line.bottom >= y));
      stops.push({ full, drawn: lines.length });
    }
    return { stops, slowest, height: tree.scrollHeight };
  });
  assert.equal(height, processes * 26);
  for (const [index, { full, drawn }] of stops.entries()) assert.ok(full && drawn < DRAWN, `stop ${index}: ${drawn} rows, full: ${full}`);
  console.log(`the slowest of ${stops.length} jumps through ${processes} processes took ${Math.round(slowest)} ms for two frames`);
}

async function keys(page) {
  const chosen = () => page.locator("#tree .row[aria-selected=true]").innerText();
  await page.locator("#tree").focus();
  await page.keyboard.press("Home");
  assert.match(await chosen(), /make/u);
  await page.keyboard.press("ArrowDown");
  assert.match(await chosen(), /cd part0/u);
  assert.match(await page.locator("#tree-detail").innerText(), /Started by\s+make/u);
  // Closed, the shell hides the hundred below it.
  await page.keyboard.press("ArrowLeft");
  assert.match(await chosen(), /99 below/u);
  await page.keyboard.press("ArrowDown");
  assert.match(await chosen(), /cd part1 /u);
  await page.keyboard.press("End");
  assert.match(await chosen(), /unit/u);
  await page.keyboard.press("ArrowLeft");
  assert.match(await chosen(), /cd part/u);
  // Tab leads from the tree to what is chosen, and out of it.
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest("#tree-detail") !== null));
}

async function search(page) {
  await page.getByLabel("Search processes").first().fill("unit777.c");
  await page.locator("#tree-found", { hasText: "1 found" }).waitFor();
  // The one, and those above it.
  assert.equal(await page.locator("#tree .row").count(), 3);
  await page.getByRole("button", { name: "Collapse all" }).click();
  await page.waitForFunction(() => document.getElementById("tree-found").textContent === "");
  await page.getByRole("button", { name: "Expand all" }).click();
}
