// Destinations, names and file changes.

const SHOWN = 200;

/** A table that sorts by its heads, shows the first rows and more on demand. */
class Table {
  /** @param {{title: string, number?: boolean, sort: (row: object) => (number|string)}[]} columns */
  constructor(box, columns, rows, draw, empty) {
    this.box = box;
    this.columns = columns;
    this.rows = rows;
    this.draw = draw;
    this.empty = empty;
    this.limit = SHOWN;
    this.sorted = null;
    this.down = true;
    this.filter = () => true;
    this.render();
  }

  /** Shows the rows that pass; returns how many. */
  show(filter) {
    this.filter = filter;
    this.limit = SHOWN;
    return this.render();
  }

  render() {
    const rows = this.rows.filter((row) => this.filter(row));
    if (this.sorted !== null) {
      const { sort } = this.columns[this.sorted];
      rows.sort((a, b) => (sort(a) < sort(b) ? -1 : sort(a) > sort(b) ? 1 : 0) * (this.down ? -1 : 1));
    }
    if (rows.length === 0) {
      this.box.replaceChildren(make("p", { class: "calm" }, this.rows.length === 0 ? this.empty : "Nothing matches."));
      return 0;
    }
    const head = make("tr", {}, ...this.columns.map((column, i) => this.head(column, i)));
    const body = make("tbody", {}, ...rows.slice(0, this.limit).flatMap((row) => this.draw(row)));
    this.box.replaceChildren(make("div", { class: "wide" }, make("table", {}, make("thead", {}, head), body)));
    const more = rows.length - this.limit;
    if (more > 0) {
      const button = make("button", { type: "button", class: "link", onclick: () => this.grow() }, `Show more (${number(more)})`);
      this.box.append(make("p", { class: "more" }, button));
    }
    return rows.length;
  }

  head(column, i) {
    const order = this.sorted === i ? (this.down ? "descending" : "ascending") : null;
    return make(
      "th",
      { class: column.number ? "n" : null, "aria-sort": order, scope: "col" },
      make("button", { type: "button", onclick: () => this.sortBy(i) }, column.title),
    );
  }

  sortBy(i) {
    this.down = this.sorted === i ? !this.down : Boolean(this.columns[i].number);
    this.sorted = i;
    this.render();
  }

  grow() {
    this.limit += 5 * SHOWN;
    this.render();
  }
}

/** A short list of texts: the first three, and how many more. */
function several(positions, name = (value) => value) {
  const box = make("span");
  [...new Set(positions.map((position) => name(text(position))))].slice(0, 3).forEach((value, i) => {
    if (i > 0) box.append(", ");
    box.append(shown(value, 120));
  });
  if (positions.length > 3) box.append(make("span", { class: "dim" }, ` +${positions.length - 3}`));
  return box;
}

function destinationTable(box, go) {
  const opened = new Set();
  const rows = destinations.map((d, index) => ({
    ...d,
    index,
    lower: [d.label, d.protocol, ...d.ips, ...d.programs, ...d.causes].map(text).join("\n").toLowerCase(),
  }));
  const table = new Table(
    box,
    [
      { title: "Destination", sort: (d) => text(d.label) },
      { title: "Process", sort: (d) => baseName(text(d.programs[0] ?? 0)) },
      { title: "For", sort: (d) => text(d.causes[0] ?? 0) },
      { title: "Connections", number: true, sort: (d) => d.connections },
      { title: "Sent", number: true, sort: (d) => d.sent },
      { title: "Received", number: true, sort: (d) => d.received },
      { title: "First", number: true, sort: (d) => d.first },
    ],
    rows,
    (d) => {
      const open = opened.has(d.index);
      const toggle = () => {
        if (!opened.delete(d.index)) opened.add(d.index);
        table.render();
      };
      const main = make(
        "tr",
        { class: "main" },
        make(
          "td",
          {},
          make(
            "button",
            { type: "button", class: "link", "aria-expanded": String(open), onclick: toggle },
            make("span", { class: "twisty", "aria-hidden": "true" }, open ? "▾" : "▸"),
            make("code", {}, shown(text(d.label), 300)),
          ),
          text(d.protocol) !== "tcp" && !text(d.label).includes(" socket") && make("span", { class: "dim" }, ` ${text(d.protocol)}`),
          d.blocked > 0 && make("span", { class: "tag alarm" }, `${number(d.blocked)} blocked`),
          d.anomalous > 0 && make("span", { class: "tag warn" }, `${number(d.anomalous)} new`),
          d.failed > 0 && make("span", { class: "tag warn" }, `${number(d.failed)} failed`),
        ),
        make("td", {}, several(d.programs, baseName)),
        make("td", {}, several(d.causes), d.by_packages < d.connections && make("span", { class: "dim" }, ` ${number(d.by_packages)} of ${number(d.connections)}`)),
        make("td", { class: "n" }, number(d.connections)),
        make("td", { class: "n" }, bytes(d.sent)),
        make("td", { class: "n" }, bytes(d.received)),
        make("td", { class: "n dim" }, since(d.first)),
      );
      return open ? [main, connectionRows(d, go)] : [main];
    },
    "No connection was made.",
  );
  return (lower) => table.show(lower ? (d) => matches(d.lower) : () => true);
}

/** The single connections of a destination, unfolded below it. */
function connectionRows(d, go) {
  const body = make("tbody");
  let all = 0;
  for (let row = 0; row < network.time.length; row += 1) {
    if (network.destination[row] !== d.index) continue;
    all += 1;
    if (all > SHOWN) continue;
    const process = network.process[row];
    const name = shown(`${baseName(text(network.exe[row]))} (pid ${network.pid[row]})`);
    body.append(
      make(
        "tr",
        {},
        make("td", { class: "dim" }, since(network.time[row])),
        make("td", {}, process >= 0 ? make("button", { type: "button", class: "link", onclick: () => go(process) }, name) : name),
        make("td", {}, make("code", {}, shown(text(network.ip[row])))),
        make("td", {}, shown(text(network.cause[row]), 160)),
        make("td", {}, outcome(row) ?? "", network.status[row] !== 1 && rule(row)),
        make("td", { class: "n" }, `${bytes(network.sent[row])} out, ${bytes(network.received[row])} in`),
        make("td", { class: "n dim" }, network.duration[row] < 0 ? "" : duration(network.duration[row])),
      ),
    );
  }
  const cell = make("td", { colspan: 7 }, make("table", {}, body));
  const more = d.connections - Math.min(all, SHOWN);
  if (more > 0) cell.append(make("p", { class: "more" }, `and ${number(more)} more`));
  return make("tr", { class: "sub" }, cell);
}

function nameTable(box) {
  const rows = names.map((n) => ({
    ...n,
    lower: [n.name, ...n.addresses, ...n.programs, ...n.causes].map(text).join("\n").toLowerCase(),
  }));
  const table = new Table(
    box,
    [
      { title: "Name", sort: (n) => text(n.name) },
      { title: "Types", sort: (n) => text(n.types[0] ?? 0) },
      { title: "Process", sort: (n) => baseName(text(n.programs[0] ?? 0)) },
      { title: "For", sort: (n) => text(n.causes[0] ?? 0) },
      { title: "Addresses", sort: (n) => n.addresses.length },
      { title: "Answers", sort: (n) => text(n.rcodes[0]?.[0] ?? 0) },
      { title: "Questions", number: true, sort: (n) => n.queries },
    ],
    rows,
    (n) => [
      make(
        "tr",
        { class: "main" },
        make("td", {}, make("code", {}, shown(text(n.name), 300))),
        make("td", {}, several(n.types)),
        make("td", {}, several(n.programs, baseName)),
        make("td", {}, several(n.causes), n.by_packages < n.queries && make("span", { class: "dim" }, ` ${number(n.by_packages)} of ${number(n.queries)}`)),
        make("td", {}, make("code", {}, several(n.addresses))),
        make("td", {}, ...answers(n)),
        make("td", { class: "n" }, number(n.queries)),
      ),
    ],
    "No name was looked up.",
  );
  return (lower) => table.show(lower ? (n) => matches(n.lower) : () => true);
}

function answers({ rcodes, refused }) {
  const parts = rcodes.slice(0, 3).map(([rcode, count]) => {
    const good = text(rcode) === "NOERROR";
    return make("span", { class: good ? "dim" : "warn-text" }, shown(text(rcode), 40), count > 1 ? ` ${number(count)} ` : " ");
  });
  if (refused > 0) parts.push(make("span", { class: "tag alarm" }, `${number(refused)} refused`));
  return parts.length > 0 ? parts : [make("span", { class: "warn-text" }, "no answer")];
}

/** File changes: a virtual list with a filter by kind. */
class FileList {
  constructor(box, kinds, go) {
    this.kind = "all";
    this.rows = [];
    this.list = new VirtualList(box, {
      role: "listbox",
      label: "File changes",
      empty: files.time.length === 0 ? "No file in the workspace was changed." : "Nothing matches.",
      draw: (index) => this.row(this.rows[index]),
      key: (event, index) => {
        if (event.key !== "Enter" || !(files.process[this.rows[index]] >= 0)) return false;
        go(files.process[this.rows[index]]);
        return true;
      },
    });
    this.go = go;
    this.buttons(kinds);
    this.show();
  }

  buttons(box) {
    const altered = files.flags.filter((flags) => flags & 2).length;
    const kinds = [["all", "All"], ["altered", `Altered source${altered ? ` (${number(altered)})` : ""}`], ["create", "Created"],
      ["write", "Written"], ["rename", "Renamed"], ["delete", "Deleted"]];
    for (const [kind, title] of kinds) {
      const button = make("button", { type: "button", "aria-pressed": String(kind === this.kind) }, title);
      button.addEventListener("click", () => {
        this.kind = kind;
        for (const other of box.children) other.setAttribute("aria-pressed", String(other === button));
        this.show();
      });
      box.append(button);
    }
  }

  show() {
    this.rows = [];
    for (let row = 0; row < files.time.length; row += 1) {
      if (this.fits(row)) this.rows.push(row);
    }
    // What a person should look at stands first; inside each part the order is that of time.
    if (this.kind === "all") this.rows.sort((a, b) => (files.flags[b] & 2) - (files.flags[a] & 2) || a - b);
    this.list.box.style.height = `${this.rows.length === 0 ? 64 : Math.min(this.rows.length * ROW + 2, 520)}px`;
    this.list.reset(this.rows.length);
    return this.rows.length;
  }

  fits(row) {
    if (this.kind === "altered" && !(files.flags[row] & 2)) return false;
    if (this.kind !== "all" && this.kind !== "altered" && text(files.kind[row]) !== this.kind) return false;
    if (sought.length === 0) return true;
    const { path, from, exe, kind, cause } = files;
    return matches([path, from, exe, kind, cause].map((column) => text(column[row])).join("\n").toLowerCase());
  }

  row(row) {
    const process = files.process[row];
    const altered = (files.flags[row] & 2) !== 0;
    const who = files.exe[row] ? baseName(text(files.exe[row])) : "not known";
    const cell = (width, style, ...children) => {
      const element = make("span", { class: `cell ${style}` }, ...children);
      if (width) element.style.width = width;
      return element;
    };
    const path = make("code", {}, shown(text(files.path[row]), 1000));
    return make(
      "div",
      { role: "option" },
      cell("6.5rem", "dim", since(files.time[row])),
      cell("4.5rem", altered ? "alarm-text" : "", text(files.kind[row])),
      cell("", "fill", files.from[row] !== 0 && shown(text(files.from[row]), 300), files.from[row] !== 0 && " → ", path,
        altered && make("span", { class: "tag alarm" }, files.flags[row] & 4 ? "altered, found at the end" : "altered source")),
      cell("15rem", "", text(files.cause[row]) && shown(text(files.cause[row]), 160)),
      cell("9rem", "", process >= 0 ? make("button", { type: "button", class: "link", onclick: () => this.go(process) }, shown(who, 60)) : shown(who, 60)),
    );
  }
}

