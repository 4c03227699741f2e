// The process tree: a virtual list over the rows that are unfolded.

// More than this many processes start folded below the second level.
const UNFOLDED = 3000;
const INDENT = 14;
const DEEPEST = 24;

class Tree {
  /** @param {(process: number) => void} select called with the process that a person chose */
  constructor(box, select) {
    this.open = new Uint8Array(PROCESSES);
    this.rows = [];
    this.depths = [];
    // 0 hidden, 1 leads to a match, 2 matches; null without a search.
    this.filter = null;
    this.list = new VirtualList(box, {
      role: "tree",
      label: "Process tree",
      empty: "No process matches.",
      draw: (index) => this.row(index),
      select: (index, event) => {
        if (event?.target.closest(".twisty")) this.toggle(this.rows[index]);
        select(this.rows[index]);
      },
      key: (event, index) => this.key(event, index),
    });
    this.unfold(PROCESSES <= UNFOLDED ? Infinity : 2);
  }

  /** Unfolds everything above a depth and folds everything below. */
  unfold(depth) {
    const depths = new Int32Array(PROCESSES);
    for (let i = 0; i < PROCESSES; i += 1) {
      const parent = processes.parent[i];
      depths[i] = parent >= 0 && parent < i ? depths[parent] + 1 : 0;
      this.open[i] = depths[i] < depth ? 1 : 0;
    }
    this.layout();
  }

  /** Computes the rows in view order. A stack, because a chain of processes may be fifty thousand deep. */
  layout() {
    const chosen = this.rows[this.list.selected];
    this.rows = [];
    this.depths = [];
    const stack = [];
    const push = (first, depth) => {
      const siblings = [];
      for (let i = first; i >= 0; i = nextSibling[i]) siblings.push(i);
      while (siblings.length > 0) stack.push([siblings.pop(), depth]);
    };
    for (let r = roots.length - 1; r >= 0; r -= 1) stack.push([roots[r], 0]);
    while (stack.length > 0) {
      const [i, depth] = stack.pop();
      if (this.filter && this.filter[i] === 0) continue;
      this.rows.push(i);
      this.depths.push(depth);
      if ((this.open[i] || this.filter?.[i] & 1) && firstChild[i] >= 0) push(firstChild[i], depth + 1);
    }
    this.list.selected = chosen === undefined ? -1 : this.rows.indexOf(chosen);
    this.list.reset(this.rows.length);
  }

  /** Shows what matches and the way up from it. Returns how many match. */
  search() {
    if (sought.length === 0) {
      this.filter = null;
      this.layout();
      return PROCESSES;
    }
    const lines = processHaystack();
    this.filter = new Uint8Array(PROCESSES);
    let found = 0;
    // Parents stand before their children, so one pass from the end carries the marks up.
    for (let i = PROCESSES - 1; i >= 0; i -= 1) {
      if (matches(lines[i])) {
        this.filter[i] |= 2;
        found += 1;
      }
      const parent = processes.parent[i];
      if (this.filter[i] && parent >= 0 && parent < i) this.filter[parent] |= 1;
    }
    this.layout();
    return found;
  }

  /** Brings a process into view, whatever is folded or searched for. */
  show(i) {
    for (const up of lineage(i)) this.open[up] = 1;
    if (this.filter && this.filter[i] === 0) return false;
    this.layout();
    const index = this.rows.indexOf(i);
    if (index >= 0) this.list.choose(index);
    return index >= 0;
  }

  toggle(i) {
    if (firstChild[i] < 0) return;
    this.open[i] ^= 1;
    this.layout();
  }

  key(event, index) {
    const i = this.rows[index];
    if (i === undefined) return false;
    const unfolded = this.open[i] && firstChild[i] >= 0;
    if (event.key === "ArrowRight") {
      if (unfolded) this.list.choose(index + 1);
      else this.toggle(i);
    } else if (event.key === "ArrowLeft") {
      if (unfolded) this.toggle(i);
      else if (processes.parent[i] >= 0) this.list.choose(this.rows.indexOf(processes.parent[i]));
    } else if (event.key === "Enter" || event.key === " ") {
      this.toggle(i);
    } else {
      return false;
    }
    return true;
  }

  row(index) {
    const i = this.rows[index];
    const depth = this.depths[index];
    const parent = firstChild[i] >= 0;
    const unfolded = parent && (this.open[i] || this.filter?.[i] & 1);
    const guide = make("span", { class: "guide" });
    guide.style.width = `${Math.min(depth, DEEPEST) * INDENT}px`;
    const row = make(
      "div",
      {
        role: "treeitem",
        "aria-level": depth + 1,
        "aria-expanded": parent ? String(Boolean(unfolded)) : null,
        class: this.filter && !(this.filter[i] & 2) ? "unmatched" : null,
      },
      guide,
      depth > DEEPEST && make("span", { class: "dim" }, `${depth} `),
      make("span", { class: "twisty", "aria-hidden": "true" }, parent ? (unfolded ? "▾" : "▸") : ""),
      make("span", { class: forked.has(i) ? "program forked" : "program" }, shown(program(i), 100)),
      make("span", { class: "args" }, shown(forked.has(i) ? "" : argumentLine(i), 300)),
      ...this.tags(i),
      make("span", { class: "took" }, processes.end[i] < 0 ? "running" : duration(Math.max(0, processes.end[i] - processes.start[i]))),
    );
    return row;
  }

  tags(i) {
    const parent = processes.parent[i];
    const dependency = processes.dependency[i];
    // A package is named where its part of the tree begins.
    const begins = dependency !== 0 && (parent < 0 || processes.dependency[parent] !== dependency);
    return [
      parent === -2 && make("span", { class: "tag warn" }, "parent unknown"),
      parent === -3 && make("span", { class: "tag" }, "parent not listed"),
      alarming[i] === 1 && make("span", { class: "tag alarm" }, "finding"),
      begins && make("span", { class: "tag package" }, shown(text(dependency), 80)),
      connectionCount[i] > 0 && make("span", { class: "tag network" }, `${number(connectionCount[i])} conn`),
      processes.signal[i] !== null && make("span", { class: "tag warn" }, `signal ${processes.signal[i]}`),
      (processes.code[i] ?? 0) !== 0 && make("span", { class: "tag warn" }, `exit ${processes.code[i]}`),
      text(processes.truncated[i]) !== "" && make("span", { class: "tag warn" }, "cut"),
    ];
  }
}

