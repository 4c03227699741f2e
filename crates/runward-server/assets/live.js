// Keeps the page of a run that is under way up to date: asks for the same page every two seconds, and swaps its main
// part when the number of events has changed. What a person has opened, typed, scrolled or focused stays as it is.

const EVERY = 2000;
const SLOWEST = 30000;

const main = document.getElementById("main");
let paused = false;
let etag = null;
let wait = EVERY;
let timer = 0;

function say(state) {
  const live = document.getElementById("live");
  if (!live) return;
  live.classList.toggle("paused", paused);
  live.classList.toggle("broken", state === "broken");
  live.querySelector(".said").textContent =
    state === "broken" ? "The server does not answer" : paused ? "Paused" : "Live";
  const button = document.getElementById("pause");
  button.hidden = false;
  button.textContent = paused ? "Continue" : "Pause";
  button.setAttribute("aria-pressed", String(paused));
}

/** Whether a swap would take something out of a person's hands. */
function busy() {
  const focused = document.activeElement;
  if (focused && main.contains(focused) && focused.matches("input, textarea, select") && focused.type !== "checkbox") return true;
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && main.contains(selection.anchorNode);
}

/** A way to an element that finds its successor in a new version of the page. */
function wayTo(element) {
  const way = [];
  for (let at = element; at && at !== main; at = at.parentElement) {
    if (at.id) return { id: at.id, way };
    way.unshift([...at.parentElement.children].indexOf(at));
  }
  return { id: "main", way };
}

function follow({ id, way }) {
  let at = document.getElementById(id);
  for (const index of way) at = at?.children[index];
  return at ?? null;
}

function swap(next) {
  const states = new Map([...main.querySelectorAll("details[id]")].map((details) => [details.id, details.open]));
  const scrolled = [...main.querySelectorAll(".wide")].map((box) => box.scrollLeft);
  const focused = main.contains(document.activeElement) ? wayTo(document.activeElement) : null;
  const at = { x: window.scrollX, y: window.scrollY };

  main.dataset.version = next.dataset.version;
  // The process tree draws itself, and asks for its rows when it hears that they have changed.
  const tree = main.querySelector("#process-tree:not([hidden])");
  const successor = next.querySelector("#process-tree");
  if (tree && successor) {
    successor.replaceWith(tree);
    const list = next.querySelector("#process-list");
    if (list) list.hidden = true;
  }
  main.replaceChildren(...next.childNodes);

  for (const [id, open] of states) {
    const details = document.getElementById(id);
    if (details) details.open = open;
  }
  main.querySelectorAll(".wide").forEach((box, index) => {
    box.scrollLeft = scrolled[index] ?? 0;
  });
  if (focused) follow(focused)?.focus({ preventScroll: true });
  window.scrollTo({ left: at.x, top: at.y, behavior: "instant" });
  document.dispatchEvent(new CustomEvent("runward:changed"));
}

async function look() {
  const headers = { accept: "text/html" };
  if (etag) headers["if-none-match"] = etag;
  const response = await fetch(location.href.split("#")[0], { headers, cache: "no-store", redirect: "error" });
  if (response.status === 304) return;
  if (!response.ok) throw new Error(String(response.status));
  const seen = response.headers.get("etag");
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const next = page.getElementById("main");
  if (!next) throw new Error("no main part");
  const changed = next.dataset.version !== main.dataset.version || !("live" in next.dataset);
  if (changed && busy()) return;
  etag = seen;
  if (!changed) return;
  swap(next);
  if (!("live" in next.dataset)) {
    // The run has ended: this is the last version.
    delete main.dataset.live;
    paused = true;
  }
}

async function turn() {
  if (!document.hidden && !paused) {
    try {
      await look();
      wait = EVERY;
      say("");
    } catch {
      // The server may be restarting: ask less often, and say so.
      wait = Math.min(wait * 2, SLOWEST);
      say("broken");
    }
  }
  if ("live" in main.dataset) timer = setTimeout(turn, wait);
}

document.addEventListener("click", (event) => {
  if (event.target.id !== "pause") return;
  paused = !paused;
  say("");
  clearTimeout(timer);
  if (!paused) turn();
});

if ("live" in main.dataset) {
  say("");
  timer = setTimeout(turn, EVERY);
}
