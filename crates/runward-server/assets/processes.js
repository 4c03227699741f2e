// The process tree: takes the rows from the server and draws only those in view, so that a hundred thousand of them
// cost no more than fifty. Rows come in the order of a walk from the top (see process_rows.rs), so the descendants of a
// row are the `size` rows after it.

const ROW = 26;
const MARGIN = 15;
const FORKED = 1;
const PARENT_UNKNOWN = 2;
const CUT = 4;

const state = { closed: new Set(), chosen: null, query: "", scroll: 0 };
let rows = null;
/** Positions of the rows that are shown, in order. */
let shown = [];
let matches = null;

const element = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") made.addEventListener("click", value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return made;
}

const text = (position) => rows.strings[position] ?? "";
const number = (n) => n.toLocaleString("en");
/** Text of the job, kept from turning the direction of its neighbours. */
const bdi = (string) => make("bdi", {}, string);

function duration(millis) {
  if (millis < 1000) return `${millis} ms`;
  const seconds = millis / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** Whether more may come: without it, what has no end was left running, or its end was lost. */
const live = () => "live" in element("main").dataset;

/** The row that made this one; -1 for a row at the top. */
const parent = (row) => (row >= 0 ? rows.parent[row] : -1);

function findParents() {
  rows.parent = new Int32Array(rows.id.length).fill(-1);
  const path = [];
  for (let row = 0; row < rows.id.length; row += 1) {
    const depth = rows.depth[row];
    path.length = depth;
    if (depth > 0) rows.parent[row] = path[depth - 1];
    path.push(row);
  }
}

function wayUp(row) {
  const way = [];
  for (let at = parent(row); at >= 0 && way.length < 64; at = parent(at)) way.push(at);
  return way;
}

/** Decides which rows are shown: not those below a closed one; with a search, those that match and those above them. */
function arrange() {
  const all = rows.id.length;
  shown = [];
  if (matches) {
    const kept = new Uint8Array(all);
    const path = [];
    for (let row = 0; row < all; row += 1) {
      path.length = rows.depth[row];
      path.push(row);
      if (!matches.has(row)) continue;
      for (let at = path.length - 1; at >= 0 && !kept[path[at]]; at -= 1) kept[path[at]] = 1;
    }
    for (let row = 0; row < all; row += 1) if (kept[row]) shown.push(row);
  } else {
    for (let row = 0; row < all; row += 1) {
      shown.push(row);
      if (state.closed.has(rows.id[row])) row += rows.size[row];
    }
  }
  const box = element("tree");
  box.querySelector(".stretch").style.height = `${shown.length * ROW}px`;
  box.style.height = `min(74vh, 48rem, ${Math.max(shown.length, 4) * ROW + 2}px)`;
  refresh();
}

const drawn = new Map();

function refresh() {
  drawn.clear();
  element("tree").querySelector(".stretch").replaceChildren();
  draw();
}

function draw() {
  const box = element("tree");
  if (!box || !rows) return;
  const from = Math.max(0, Math.floor(box.scrollTop / ROW) - MARGIN);
  const to = Math.min(shown.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + MARGIN);
  for (const [index, line] of drawn) {
    if (index < from || index >= to) {
      line.remove();
      drawn.delete(index);
    }
  }
  const stretch = box.querySelector(".stretch");
  for (let index = from; index < to; index += 1) {
    if (drawn.has(index)) continue;
    const line = rowLine(shown[index], index);
    drawn.set(index, line);
    stretch.append(line);
  }
  // Only what is drawn can be named; scrolled out of view, the chosen row is not.
  const chosen = `row-${state.chosen}`;
  if (element(chosen)) box.setAttribute("aria-activedescendant", chosen);
  else box.removeAttribute("aria-activedescendant");
}

function rowLine(row, index) {
  const id = rows.id[row];
  const parental = rows.size[row] > 0;
  const closed = state.closed.has(id) && !matches;
  const forked = (rows.flags[row] & FORKED) !== 0;
  const guide = make("span", { class: "guide" });
  guide.style.width = `${Math.min(rows.depth[row], 40) * 14}px`;
  const line = make(
    "div",
    {
      class: matches && !matches.has(row) ? "row dimmed" : "row",
      id: `row-${id}`,
      role: "treeitem",
      "aria-level": rows.depth[row] + 1,
      "aria-expanded": parental ? String(!closed) : null,
      "aria-selected": String(state.chosen === id),
      "data-index": index,
    },
    guide,
    make("span", { class: "twisty", "aria-hidden": "true" }, parental ? (closed ? "▸" : "▾") : ""),
    make("span", { class: forked ? "program forked" : "program", title: text(rows.path[row]) }, bdi(text(rows.program[row]))),
    make("span", { class: "args" }, bdi(forked ? "runs its parent's program" : text(rows.command[row]))),
    closed && make("span", { class: "pill quiet" }, `${number(rows.size[row])} below`),
    text(rows.cause[row]) && rows.cause[row] !== rows.cause[parent(row)] && make("span", { class: "pill info", title: text(rows.cause[row]) }, bdi(text(rows.cause[row]))),
    rows.blocked[row] > 0 && make("span", { class: "pill alarm" }, `${number(rows.blocked[row])} blocked`),
    rows.connections[row] > rows.blocked[row] && make("span", { class: "pill plain" }, `${number(rows.connections[row] - rows.blocked[row])} net`),
    text(rows.end[row]) && make("span", { class: "pill warn" }, text(rows.end[row])),
    make("span", { class: "took" }, rows.took[row] >= 0 ? duration(rows.took[row]) : live() ? "running" : "no end"),
  );
  line.style.transform = `translateY(${index * ROW}px)`;
  return line;
}

function indexOf(row) {
  // Rows are shown in ascending order.
  let low = 0;
  let high = shown.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (shown[middle] === row) return middle;
    if (shown[middle] < row) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

const rowOf = (id) => rows.id.indexOf(id);

/** Chooses a row, opens what hides it and brings it into view. */
function choose(row) {
  if (row < 0) return;
  let index = indexOf(row);
  if (index < 0) {
    if (matches) search("");
    for (const above of wayUp(row)) state.closed.delete(rows.id[above]);
    arrange();
    index = indexOf(row);
  }
  const box = element("tree");
  state.chosen = rows.id[row];
  if (index * ROW < box.scrollTop) box.scrollTop = index * ROW;
  else if ((index + 1) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = (index + 1) * ROW - box.clientHeight;
  draw();
  for (const line of drawn.values()) line.setAttribute("aria-selected", String(line.id === `row-${state.chosen}`));
  detail(row);
}

function toggle(row, open = state.closed.has(rows.id[row])) {
  if (rows.size[row] === 0 || matches) return;
  if (open) state.closed.delete(rows.id[row]);
  else state.closed.add(rows.id[row]);
  arrange();
}

function detail(row) {
  const list = make("dl");
  const fact = (label, value, style) => {
    if (value) list.append(make("dt", {}, label), make("dd", { class: style }, value));
  };
  const flags = rows.flags[row];
  fact("PID", String(rows.pid[row]));
  fact("For", text(rows.cause[row]) && bdi(text(rows.cause[row])));
  fact("Started", `+${duration(rows.start[row])}`);
  fact("Ran for", rows.took[row] >= 0 ? duration(rows.took[row]) : "still running, or its end was lost");
  fact("End", text(rows.end[row]), "warn-text");
  fact("Folder", text(rows.folder[row]) && make("code", {}, bdi(text(rows.folder[row]))));
  fact("User", rows.user[row] >= 0 ? String(rows.user[row]) : "");
  const base = element("process-tree").dataset.rows.replace(/processes\.json$/u, "");
  const link = (tab, n, what) =>
    n > 0 && make("a", { href: `${base}${tab}?q=${encodeURIComponent(rows.pid[row])}` }, `${number(n)} ${what}`);
  fact("Connections", rows.connections[row] > 0 && link("network", rows.connections[row], rows.blocked[row] > 0 ? `(${number(rows.blocked[row])} blocked)` : "in all"));
  fact("File changes", rows.files[row] > 0 && number(rows.files[row]));
  const way = wayUp(row);
  element("tree-detail").replaceChildren(
    ...[
      make("h2", {}, bdi(text(rows.program[row]))),
      text(rows.path[row]) && make("p", {}, make("code", { class: "soft" }, bdi(text(rows.path[row])))),
      list,
      make("p", { class: "label" }, "Arguments"),
      make("p", {}, text(rows.command[row]) ? make("code", {}, bdi(text(rows.command[row]))) : make("span", { class: "faint" }, "none, or not known")),
      flags & FORKED && make("p", { class: "soft" }, "It never started a program of its own: it ran its parent's."),
      flags & CUT && make("p", { class: "warn-text" }, "Something of it is cut, because it was too long to record."),
      way.length > 0 && make("p", { class: "label" }, "Started by"),
      way.length > 0 &&
        make(
          "ol",
          {},
          ...way.map((above) =>
            make("li", {}, make("button", { type: "button", onclick: () => choose(above) }, bdi(text(rows.program[above]))), " ", make("span", { class: "faint" }, String(rows.pid[above]))),
          ),
        ),
      flags & PARENT_UNKNOWN && make("p", { class: "warn-text" }, "Its parent is not known: the event of its birth was lost."),
    ].filter(Boolean),
  );
}

function search(query) {
  state.query = query;
  element("tree-search").value = query;
  const words = query.toLowerCase().split(/\s+/u).filter(Boolean);
  const found = element("tree-found");
  if (words.length === 0) {
    matches = null;
    found.textContent = "";
  } else {
    // Texts stand once, so each is looked at once.
    const hits = rows.strings.map((string) => {
      const lower = string.toLowerCase();
      return words.map((word) => lower.includes(word));
    });
    matches = new Set();
    const columns = [rows.program, rows.path, rows.command, rows.cause, rows.end];
    for (let row = 0; row < rows.id.length; row += 1) {
      const pid = String(rows.pid[row]);
      if (words.every((word, i) => pid === word || columns.some((column) => hits[column[row]][i]))) matches.add(row);
    }
    found.textContent = `${number(matches.size)} found`;
  }
  arrange();
}

function keydown(event) {
  if (event.target !== element("tree") || event.ctrlKey || event.metaKey || event.altKey || shown.length === 0) return;
  const row = state.chosen === null ? -1 : rowOf(state.chosen);
  const index = row < 0 ? -1 : indexOf(row);
  const page = Math.max(1, Math.floor(element("tree").clientHeight / ROW) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (event.key in steps) {
    choose(shown[Math.max(0, Math.min(shown.length - 1, index + steps[event.key]))]);
  } else if (event.key === "ArrowRight" && row >= 0) {
    if (state.closed.has(rows.id[row])) toggle(row, true);
    else if (rows.size[row] > 0) choose(row + 1);
  } else if (event.key === "ArrowLeft" && row >= 0) {
    if (rows.size[row] > 0 && !state.closed.has(rows.id[row])) toggle(row, false);
    else if (parent(row) >= 0) choose(parent(row));
  } else if ((event.key === "Enter" || event.key === " ") && row >= 0) {
    toggle(row);
  } else {
    return;
  }
  event.preventDefault();
}

/** Closes or opens everything; the top stays in view either way. */
function all(open) {
  state.closed.clear();
  if (!open) for (let row = 0; row < rows.id.length; row += 1) if (rows.size[row] > 0 && rows.depth[row] > 0) state.closed.add(rows.id[row]);
  if (matches) search("");
  else arrange();
}

async function load() {
  const response = await fetch(element("process-tree").dataset.rows, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(String(response.status));
  rows = await response.json();
  findParents();
}

function wire() {
  const box = element("tree");
  box.replaceChildren(make("div", { class: "stretch", role: "none" }));
  box.addEventListener("scroll", () => {
    state.scroll = box.scrollTop;
    draw();
  }, { passive: true });
  box.addEventListener("keydown", keydown);
  box.addEventListener("click", (event) => {
    const line = event.target.closest(".row");
    if (!line) return;
    const row = shown[Number(line.dataset.index)];
    choose(row);
    if (event.target.closest(".twisty")) toggle(row);
  });
  box.addEventListener("dblclick", (event) => {
    const line = event.target.closest(".row");
    if (line && !event.target.closest(".twisty")) toggle(shown[Number(line.dataset.index)]);
  });
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(box);
  let waiting = 0;
  element("tree-search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => search(event.target.value), 120);
  });
  element("tree-open").addEventListener("click", () => all(true));
  element("tree-close").addEventListener("click", () => all(false));
}

async function begin() {
  try {
    await load();
  } catch {
    // Without rows, the list that the server made stays.
    return;
  }
  if (rows.id.length === 0) return;
  element("process-tree").hidden = false;
  element("process-list").hidden = true;
  wire();
  // What was searched for in the address is searched for here.
  const asked = new URLSearchParams(location.search).get("q");
  if (asked) search(asked);
  else arrange();
  // Begin where a person would look first.
  const blocked = rows.blocked.findIndex((n) => n > 0);
  choose(matches ? (matches.values().next().value ?? -1) : Math.max(blocked, 0));
}

document.addEventListener("runward:changed", async () => {
  if (!rows) return begin();
  // Being moved into the new page took the tree back to its top.
  const at = state.scroll;
  try {
    await load();
  } catch {
    return;
  }
  search(state.query);
  element("tree").scrollTop = at;
  const row = state.chosen === null ? -1 : rowOf(state.chosen);
  if (row >= 0) detail(row);
});

begin();
