// The browser, and what must not happen in it on any page: errors, dialogs, anything that the page's policy forbids.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// Packages are installed below the target folder and not here.
const require = createRequire(join(process.env.RUNWARD_NODE, "package.json"));
const { chromium } = require("playwright-core");
export const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

/** How long anything may take, in milliseconds: the machine may be busy. */
const LIMIT = 20_000;

export async function launch() {
  return chromium.launch({
    executablePath: process.env.RUNWARD_CHROMIUM,
    args: ["--disable-dev-shm-usage", "--disable-gpu"],
  });
}

/** One person with a window: a page of a context of its own, and the faults that were seen in it. */
export class Visitor {
  static async of(browser, address, options = {}) {
    const context = await browser.newContext({ baseURL: address, viewport: DESKTOP, reducedMotion: "reduce", ...options });
    context.setDefaultTimeout(LIMIT);
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`the page's policy forbids it: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    return new Visitor(context, await context.newPage());
  }

  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.faults = [];
    page.on("console", (message) => {
      // The answer to an address that is asked for on purpose; its status is looked at where it is asked for.
      const answer = message.text().startsWith("Failed to load resource") && message.location().url === page.url();
      if (message.type() === "error" && !answer) this.fault(message.text());
    });
    page.on("pageerror", (error) => this.fault(String(error)));
    page.on("dialog", (dialog) => {
      this.fault(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
  }

  fault(text) {
    this.faults.push(`${this.page.url()}: ${text}`);
  }

  /** Shows an address; its status must be the expected one. */
  async open(path, status = 200) {
    const answer = await this.page.goto(path);
    if (answer.status() !== status) throw new Error(`${path} answers ${answer.status()} and not ${status}`);
  }

  async logIn(login, password) {
    const { page } = this;
    await this.open("/login");
    await page.getByLabel("Login").fill(login);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL("**/o/main");
  }

  /** Another window of the same person. */
  async another(browser, address, options) {
    const storageState = await this.context.storageState();
    return Visitor.of(browser, address, { storageState, ...options });
  }
}
