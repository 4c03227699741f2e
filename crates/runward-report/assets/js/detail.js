// Everything about one process, beside the tree.

const ACTS = 20;

class Detail {
  /** @param {(process: number) => void} go called when a person asks for another process */
  constructor(box, go) {
    this.box = box;
    this.go = go;
    this.clear();
  }

  clear() {
    this.box.replaceChildren(make("p", { class: "calm" }, "Choose a process to see its arguments and the way up."));
  }

  show(i) {
    this.box.replaceChildren(
      make("h3", {}, shown(program(i))),
      make("p", { class: "path" }, make("code", {}, shown(text(processes.exe[i]) || "program not known"))),
      this.facts(i),
      ...this.section(forked.has(i) ? "Arguments of the parent's program, which it runs" : "Arguments", this.args(processes.args[i])),
      text(processes.truncated[i]) &&
        make("p", { class: "cut" }, `Cut, because too long: ${text(processes.truncated[i])}`),
      ...this.earlier(i),
      ...this.section("Way up", this.lineage(i)),
      ...this.connections(i),
      ...this.files(i),
    );
    this.box.scrollTop = 0;
  }

  section(title, content) {
    return [make("h4", {}, title), content];
  }

  facts(i) {
    const end = processes.end[i];
    let how = "still running, or its end was lost";
    if (processes.signal[i] !== null) how = `ended by signal ${processes.signal[i]}`;
    else if (processes.code[i] !== null) how = `exit ${processes.code[i]}`;
    else if (end >= 0) how = "ended";
    const list = make("dl");
    const fact = (label, value, style) => {
      if (value) list.append(make("dt", {}, label), make("dd", { class: style }, typeof value === "string" ? shown(value) : value));
    };
    fact("Result", how, failed(i) ? "warn-text" : null);
    fact("Process id", String(processes.pid[i]));
    fact("Started", since(processes.start[i]));
    fact("Ran for", end >= 0 ? duration(Math.max(0, end - processes.start[i])) : "");
    fact("Step", text(processes.step[i]));
    fact("Package", text(processes.dependency[i]));
    fact("Folder", text(processes.cwd[i]) && make("code", {}, shown(text(processes.cwd[i]))));
    fact("User id", processes.uid[i] >= 0 ? String(processes.uid[i]) : "");
    fact("Container", text(processes.container[i]));
    return list;
  }

  args(positions) {
    if (positions.length === 0) return make("p", { class: "calm" }, "None, or not known.");
    const list = make("ol", { class: "arguments" });
    for (const position of positions.slice(0, 2000)) list.append(make("li", {}, make("span", {}, shown(text(position)))));
    if (positions.length > 2000) list.append(make("li", {}, make("span", { class: "cut" }, `and ${number(positions.length - 2000)} more`)));
    return list;
  }

  earlier(i) {
    const images = processes.earlier.filter((image) => image.process === i);
    return images.flatMap((image) =>
      this.section(`Before that, from ${since(image.time)}: ${visible(text(image.exe))}`, this.args(image.args)),
    );
  }

  lineage(i) {
    const list = make("ul", { class: "lineage" });
    const up = lineage(i);
    for (const at of up) {
      list.append(
        make(
          "li",
          {},
          make("button", { type: "button", class: "link", onclick: () => this.go(at) }, shown(program(at))),
          " ",
          make("span", { class: "dim" }, shown(argumentLine(at), 200)),
        ),
      );
    }
    const top = up.at(-1) ?? i;
    if (processes.parent[top] === -2) {
      list.append(make("li", { class: "warn-text" }, "not known: the event of its birth was lost"));
    } else if (processes.parent[top] === -3) {
      list.append(make("li", { class: "dim" }, "not listed in this report; see events.jsonl"));
    } else if (up.length === 0) {
      list.append(make("li", { class: "dim" }, "the job's first process"));
    }
    return list;
  }

  connections(i) {
    const own = rowsOf(network.process, i, connectionCount[i]);
    const lines = own.rows.map((row) =>
      make(
        "li",
        {},
        make("code", {}, shown(text(network.label[row]))),
        ` ${since(network.time[row])} `,
        outcome(row) ?? make("span", { class: "dim" }, `${bytes(network.sent[row])} out, ${bytes(network.received[row])} in`),
      ),
    );
    return this.acts("Connections", lines, own.all);
  }

  files(i) {
    const own = rowsOf(files.process, i, fileCount[i]);
    const lines = own.rows.map((row) =>
      make("li", { class: files.flags[row] & 2 ? "alarm-text" : null }, `${text(files.kind[row])} `, make("code", {}, shown(text(files.path[row])))),
    );
    return this.acts("File changes", lines, own.all);
  }

  acts(title, lines, all) {
    if (all === 0) return [];
    const list = make("ul", { class: "acts" }, ...lines);
    if (all > lines.length) list.append(make("li", { class: "dim" }, `and ${number(all - lines.length)} more`));
    return this.section(`${title} (${number(all)})`, list);
  }
}

/** The first rows of a column that belong to a process. */
function rowsOf(column, i, all) {
  const rows = [];
  if (all > 0) {
    for (let row = 0; row < column.length && rows.length < ACTS; row += 1) if (column[row] === i) rows.push(row);
  }
  return { rows, all };
}

/** The name that the first bytes of a connection said, when it was stopped for them. */
function said(row) {
  return network.said[row] !== 0 && make("span", {}, " (", make("code", {}, shown(text(network.said[row]), 300)), ")");
}

/** The rule that let a connection through, by its text. */
function rule(row) {
  const rule = data.rules[network.rule[row]];
  return rule !== undefined && make("span", { class: "dim", title: `rule ${network.rule[row]}` }, "by ", make("code", {}, shown(text(rule), 200)));
}

/** What is worth saying about a connection's fate; null when it simply went well. */
function outcome(row) {
  if (network.status[row] === 1) return make("span", { class: "alarm-text" }, "blocked: ", text(network.reason[row]), said(row));
  if (network.outcome[row] === 2) return make("span", { class: "warn-text" }, "failed");
  if (network.outcome[row] === 0) return make("span", { class: "dim" }, "open at the end");
  return null;
}

