// What must be so of every page, at every width and in every colour scheme.

import { join } from "node:path";

import { AXE, DESKTOP, PHONE } from "./browser.mjs";

const SHOTS = process.env.RUNWARD_SCREENSHOTS;

/** Looks at the page that is shown, in every look; what is wrong becomes a fault of the visitor. */
export async function check(visitor, name) {
  const { page } = visitor;
  for (const [width, size] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    await page.setViewportSize(size);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const look = `${name}-${width}-${colorScheme}`;
      const wrong = [...(await accessibility(page)), ...(await overflow(page))];
      for (const text of wrong) visitor.fault(`${look}: ${text}`);
      if (SHOTS) await page.screenshot({ path: join(SHOTS, `${look}.png`), fullPage: true });
    }
    for (const text of await keyboard(page)) visitor.fault(`${name}-${width}: ${text}`);
  }
  for (const text of await page.evaluate(actingContent)) visitor.fault(`${name}: ${text}`);
  await page.setViewportSize(DESKTOP);
  await page.emulateMedia({ colorScheme: "light" });
}

async function accessibility(page) {
  if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const result = await axe.run(document, { resultTypes: ["violations"], rules: { "target-size": { enabled: true } } });
    return result.violations;
  });
  return violations.map(({ id, nodes }) => `${id} (axe), ${nodes.length} times: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary ?? ""}`);
}

async function overflow(page) {
  const { content, window } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, window: innerWidth }));
  return content > window ? [`the page is ${content} wide in a window of ${window}`] : [];
}

/** Walks by Tab: whatever can be used must be reached, and be seen to have the focus. */
async function keyboard(page) {
  const expected = await page.evaluate(() => {
    document.activeElement?.blur();
    const control = "a[href], button, input, select, textarea, summary";
    // Of radio buttons of one name Tab reaches the one that is set; arrows reach the others.
    const reached = (element) => {
      if (element.type !== "radio" || element.checked) return true;
      const alike = document.getElementsByName(element.name);
      return ![...alike].some((other) => other.type === "radio" && other.form === element.form && other.checked);
    };
    const lacking = new Set(
      [...document.querySelectorAll(`${control}, [tabindex]`)].filter(
        (element) => (element.tabIndex >= 0 || element.matches(control)) && !element.disabled && reached(element) && element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0,
      ),
    );
    const say = (element) => element.outerHTML.slice(0, 120).replaceAll(/\s+/gu, " ");
    const wrong = [];
    // Whether a ring is cut on two sides or more by something that can't be scrolled that way.
    const cut = (element, reach) => {
      const box = element.getBoundingClientRect();
      for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
        const style = getComputedStyle(at);
        if (style.overflowX === "visible" && style.overflowY === "visible") continue;
        const hole = at.getBoundingClientRect();
        const high = at.scrollHeight <= at.clientHeight + 1;
        const wide = at.scrollWidth <= at.clientWidth + 1;
        const sides = [high && box.top - reach < hole.top, high && box.bottom + reach > hole.bottom, wide && box.left - reach < hole.left, wide && box.right + reach > hole.right];
        if (sides.filter(Boolean).length > 1) return at;
      }
      return null;
    };
    const ring = (element) => {
      const style = getComputedStyle(element);
      return style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
    };
    const focused = (event) => {
      const element = event.target;
      if (!lacking.delete(element)) return;
      // A frame around the element may draw the ring for it.
      const ringed = [element, element.parentElement].find((at) => ring(at) >= 1);
      if (!ringed) return wrong.push(`the focus can't be seen on ${say(element)}`);
      const by = cut(ringed, ring(ringed) + parseFloat(getComputedStyle(ringed).outlineOffset));
      if (by) wrong.push(`the ring of the focus is cut on ${say(element)} by ${say(by)}`);
    };
    document.addEventListener("focusin", focused);
    globalThis.walk = { lacking, wrong, say, end: () => document.removeEventListener("focusin", focused) };
    return lacking.size;
  });
  const left = () => page.evaluate(() => globalThis.walk.lacking.size);
  for (let pressed = 0; pressed < 2 * expected + 10; pressed += 1) {
    await page.keyboard.press("Tab");
    if (pressed >= expected && pressed % 5 === 0 && (await left()) === 0) break;
  }
  return page.evaluate(() => {
    const { lacking, wrong, say, end } = globalThis.walk;
    end();
    document.activeElement?.blur();
    return [...wrong, ...[...lacking].map((element) => `Tab does not reach ${say(element)}`)];
  });
}

/** Runs in the page: content that could act, or that could turn the direction of what stands around it. */
function actingContent() {
  const wrong = [];
  const say = (element) => element.outerHTML.slice(0, 160);
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on")) wrong.push(`a handler in ${say(element)}`);
      if (["href", "src", "action", "formaction"].includes(name) && !/^(\/|#|\?|https:\/\/)/u.test(value)) wrong.push(`an address in ${say(element)}`);
    }
    if (element.matches("script:not([src^='/assets/']), iframe, object, embed, base, img")) wrong.push(`an element ${say(element)}`);
  }
  if (/[\u202a-\u202e\u2066-\u2069\u0000-\u0008]/u.test(document.documentElement.textContent)) wrong.push("characters that turn the direction of text");
  if (globalThis.attacked) wrong.push("a script of the job ran");
  return wrong;
}
