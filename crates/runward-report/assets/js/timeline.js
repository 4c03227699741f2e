// What happened when: lanes of processes, destinations and file changes over one axis, drawn on a canvas because there
// may be a hundred thousand things. Everything in it also stands in the lists.

const GUTTER = 230;
const AXIS = 26;
const LANE = 16;
const DESTINATION_LANES = 8;
const PROCESS_LANES = 46;
const PROCESS_ROOM = 230;
const RIGHT = 14;

class Timeline {
  /** @param {(process: number) => void} select called with the process that a person chose */
  constructor(canvas, tip, select) {
    this.canvas = canvas;
    this.tip = tip;
    this.select = select;
    this.context = canvas.getContext("2d");
    this.whole = Math.max(1, data.length);
    this.from = 0;
    this.to = this.whole;
    this.chosen = -1;
    this.drag = null;
    this.packProcesses();
    this.packDestinations();
    this.readColors();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.readColors();
      this.draw();
    });
    new ResizeObserver(() => requestAnimationFrame(() => this.resize())).observe(canvas.parentElement);
    this.resize();
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("dblclick", () => this.zoomTo(0, this.whole));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // Each process gets the first lane that is free when it starts, so that a lane reads as a strand of the job.
  packProcesses() {
    this.laneOf = new Uint16Array(PROCESSES);
    const freeAt = [];
    const order = Array.from({ length: PROCESSES }, (_, i) => i).sort((a, b) => processes.start[a] - processes.start[b]);
    for (const i of order) {
      let lane = freeAt.findIndex((end) => end <= processes.start[i]);
      if (lane < 0) lane = freeAt.length < PROCESS_LANES ? freeAt.length : PROCESS_LANES - 1;
      this.laneOf[i] = lane;
      freeAt[lane] = Math.max(freeAt[lane] ?? 0, endOf(i));
    }
    this.lanes = Math.max(1, freeAt.length);
    this.laneHeight = Math.max(4, Math.min(12, Math.floor(PROCESS_ROOM / this.lanes)));
  }

  // The destinations with most connections get lanes of their own, in the order of first use; the rest share one.
  packDestinations() {
    const shownOnes = destinations
      .map((d, i) => ({ i, weight: d.blocked * 1e9 + d.anomalous * 1e6 + d.connections }))
      .sort((a, b) => b.weight - a.weight)
      .slice(0, DESTINATION_LANES)
      .map(({ i }) => i)
      .sort((a, b) => destinations[a].first - destinations[b].first);
    this.netLanes = shownOnes.map((i) => visible(text(destinations[i].label)));
    const lane = new Map(shownOnes.map((i, at) => [i, at]));
    const rest = shownOnes.length;
    let used = false;
    this.netLaneOf = network.destination.map((d) => {
      if (lane.has(d)) return lane.get(d);
      used = true;
      return rest;
    });
    if (used) this.netLanes.push("other destinations");
  }

  readColors() {
    const style = getComputedStyle(document.documentElement);
    this.color = {};
    for (const name of ["ink", "soft", "faint", "line", "card", "process", "package", "network", "failed", "file", "alarm", "accent"]) {
      this.color[name] = style.getPropertyValue(`--${name}`).trim();
    }
    this.font = `12px ${style.getPropertyValue("--sans").trim()}`;
  }

  // Where the bands lie, from the top.
  bands() {
    const processTop = AXIS + 8;
    const netTop = processTop + this.lanes * this.laneHeight + 14;
    const fileTop = netTop + this.netLanes.length * LANE + (this.netLanes.length > 0 ? 12 : 0);
    const fileLanes = files.time.length > 0 ? 2 : 0;
    return { processTop, netTop, fileTop, fileLanes, height: fileTop + fileLanes * LANE + 10 };
  }

  resize() {
    const width = this.canvas.parentElement.clientWidth;
    if (width === this.width) return;
    const height = this.bands().height;
    const scale = window.devicePixelRatio || 1;
    this.width = width;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.draw();
  }

  x(time) {
    return GUTTER + ((time - this.from) / (this.to - this.from)) * (this.width - GUTTER - RIGHT);
  }

  timeAt(x) {
    const share = (x - GUTTER) / (this.width - GUTTER - RIGHT);
    return this.from + Math.max(0, Math.min(1, share)) * (this.to - this.from);
  }

  draw() {
    if (!this.width) return;
    const { context: c, color } = this;
    const bands = this.bands();
    c.clearRect(0, 0, this.width, bands.height);
    c.font = this.font;
    c.textBaseline = "middle";
    this.drawAxis(bands);
    c.save();
    c.beginPath();
    c.rect(GUTTER - 4, 0, this.width - GUTTER + 4, bands.height);
    c.clip();
    this.drawProcesses(bands);
    this.drawNetwork(bands);
    this.drawFiles(bands);
    this.drawFindings(bands);
    c.restore();
    this.drawLabels(bands);
    if (this.drag?.now !== undefined) {
      c.fillStyle = color.accent;
      c.globalAlpha = 0.14;
      c.fillRect(Math.min(this.drag.x, this.drag.now), 0, Math.abs(this.drag.now - this.drag.x), bands.height);
      c.globalAlpha = 1;
    }
  }

  drawAxis(bands) {
    const { context: c, color } = this;
    const step = niceStep((this.to - this.from) / Math.max(2, (this.width - GUTTER) / 110));
    c.strokeStyle = color.line;
    c.fillStyle = color.faint;
    c.lineWidth = 1;
    c.textAlign = "center";
    const start = Math.ceil(this.from / step) * step;
    // Counted, because in a record with absurd times a step may be too small to change a number.
    for (let tick = 0; tick < 100; tick += 1) {
      const time = start + tick * step;
      if (time > this.to) break;
      const x = Math.round(this.x(time)) + 0.5;
      c.beginPath();
      c.moveTo(x, AXIS - 4);
      c.lineTo(x, bands.height);
      c.stroke();
      if (x < this.width - 24) c.fillText(axisLabel(time, step), x, AXIS / 2);
    }
  }

  drawProcesses(bands) {
    const { context: c, color } = this;
    const gap = this.laneHeight > 5 ? 2 : 1;
    // Packages and what is chosen are drawn last, so that they are not covered where bars are thinner than a pixel.
    for (const pass of [false, true]) {
      for (let i = 0; i < PROCESSES; i += 1) {
        const special = processes.dependency[i] !== 0 || alarming[i] === 1 || i === this.chosen;
        if (special !== pass || endOf(i) < this.from || processes.start[i] > this.to) continue;
        const x = Math.max(GUTTER - 4, this.x(processes.start[i]));
        const width = Math.max(1.5, Math.min(this.width, this.x(endOf(i))) - x - 0.5);
        const y = bands.processTop + this.laneOf[i] * this.laneHeight;
        c.fillStyle = processes.dependency[i] !== 0 ? color.package : color.process;
        if (alarming[i] === 1) c.fillStyle = color.alarm;
        c.fillRect(x, y, width, this.laneHeight - gap);
        if (i === this.chosen) {
          c.strokeStyle = color.ink;
          c.lineWidth = 1.5;
          c.strokeRect(x - 1, y - 1, width + 2, this.laneHeight - gap + 2);
        }
      }
    }
    this.drawNames(bands);
  }

  // Names of the processes whose bars have room for one.
  drawNames(bands) {
    if (this.laneHeight < 11) return;
    const { context: c, color } = this;
    c.save();
    c.font = this.font.replace("12px", "10px");
    c.textAlign = "left";
    for (let i = 0; i < PROCESSES; i += 1) {
      const x = Math.max(GUTTER, this.x(processes.start[i]));
      const room = Math.min(this.width - RIGHT, this.x(endOf(i))) - x - 8;
      if (room < 24) continue;
      const name = visible(program(i)).slice(0, 40);
      if (c.measureText(name).width > room) continue;
      c.fillStyle = alarming[i] === 1 ? color.card : color.ink;
      c.fillText(name, x + 4, bands.processTop + this.laneOf[i] * this.laneHeight + this.laneHeight / 2 - 0.5);
    }
    c.restore();
  }

  drawNetwork(bands) {
    const { context: c } = this;
    for (let row = 0; row < network.time.length; row += 1) {
      const end = endOfConnection(row);
      if (end < this.from || network.time[row] > this.to) continue;
      const x = Math.max(GUTTER - 4, this.x(network.time[row]));
      const width = Math.max(3, this.x(end) - x);
      c.fillStyle = this.netColor(row);
      c.fillRect(x, bands.netTop + this.netLaneOf[row] * LANE + 3, width, LANE - 7);
    }
  }

  netColor(row) {
    if (network.status[row] === 1) return this.color.alarm;
    if (network.outcome[row] === 2 || network.status[row] === 2) return this.color.failed;
    return this.color.network;
  }

  drawFiles(bands) {
    const { context: c, color } = this;
    if (bands.fileLanes === 0) return;
    for (let row = 0; row < files.time.length; row += 1) {
      if (files.time[row] < this.from || files.time[row] > this.to) continue;
      const altered = (files.flags[row] & 2) !== 0;
      c.fillStyle = altered ? color.alarm : color.file;
      c.globalAlpha = altered ? 1 : 0.55;
      c.fillRect(this.x(files.time[row]) - 1, bands.fileTop + (altered ? 0 : LANE) + 2, altered ? 3 : 2, LANE - 5);
    }
    c.globalAlpha = 1;
  }

  // A finding is a line through everything, with a head that can't be missed.
  drawFindings(bands) {
    const { context: c, color } = this;
    c.strokeStyle = color.alarm;
    c.fillStyle = color.alarm;
    c.lineWidth = 1;
    for (const finding of data.findings.slice(0, 500)) {
      const x = this.x(finding.time);
      if (x < GUTTER - 4 || x > this.width) continue;
      c.globalAlpha = 0.35;
      c.beginPath();
      c.moveTo(x, AXIS);
      c.lineTo(x, bands.height);
      c.stroke();
      c.globalAlpha = 1;
      c.beginPath();
      c.moveTo(x - 5, AXIS - 5);
      c.lineTo(x + 5, AXIS - 5);
      c.lineTo(x, AXIS + 3);
      c.fill();
    }
  }

  drawLabels(bands) {
    const { context: c, color } = this;
    c.textAlign = "left";
    c.fillStyle = color.soft;
    c.fillText("Processes", 14, bands.processTop + Math.min(8, (this.lanes * this.laneHeight) / 2));
    this.netLanes.forEach((label, lane) => {
      c.fillText(fitText(c, label, GUTTER - 28), 14, bands.netTop + lane * LANE + LANE / 2);
    });
    if (bands.fileLanes > 0) {
      c.fillText("Altered source", 14, bands.fileTop + LANE / 2);
      c.fillText("Other files", 14, bands.fileTop + LANE * 1.5);
    }
  }

  /** What lies under a point: a process, a connection or a file change. */
  hit(x, y) {
    if (x < GUTTER - 4) return null;
    const bands = this.bands();
    const slack = ((this.to - this.from) / (this.width - GUTTER)) * 4;
    const time = this.timeAt(x);
    if (y >= bands.processTop && y < bands.netTop - 8) {
      const lane = Math.min(this.lanes - 1, Math.floor((y - bands.processTop) / this.laneHeight));
      // Two thin bars may lie under the pointer: the nearer middle wins.
      const far = (i) => Math.max(processes.start[i] - time, time - endOf(i), 0) * 1e3 + (endOf(i) - processes.start[i]);
      return nearest("process", PROCESSES, slack * 1e3 + this.whole, far, (i) =>
        this.laneOf[i] === lane && processes.start[i] <= time + slack && endOf(i) >= time - slack);
    }
    if (y >= bands.netTop && y < bands.fileTop - 6) {
      const lane = Math.floor((y - bands.netTop) / LANE);
      return nearest("network", network.time.length, Infinity, (row) => Math.abs(network.time[row] - time), (row) => {
        const end = endOfConnection(row);
        return this.netLaneOf[row] === lane && network.time[row] <= time + slack && end >= time - slack;
      });
    }
    if (bands.fileLanes > 0 && y >= bands.fileTop) {
      const altered = y < bands.fileTop + LANE ? 2 : 0;
      return nearest("file", files.time.length, slack, (row) => Math.abs(files.time[row] - time), (row) => (files.flags[row] & 2) === altered);
    }
    return null;
  }

  move(event) {
    const { x, y } = this.point(event);
    if (this.drag) {
      this.drag.now = x;
      this.tip.hidden = true;
      this.draw();
      return;
    }
    const hit = this.hit(x, y);
    this.canvas.style.cursor = hit ? "pointer" : "crosshair";
    this.tip.hidden = !hit;
    if (!hit) return;
    this.tip.replaceChildren(...this.describe(hit));
    const left = Math.min(x + 14, this.width - this.tip.offsetWidth - 8);
    this.tip.style.left = `${Math.max(4, left)}px`;
    const below = y + 18 + this.tip.offsetHeight < this.bands().height;
    this.tip.style.top = `${below ? y + 18 : Math.max(2, y - this.tip.offsetHeight - 10)}px`;
  }

  describe({ kind, index }) {
    const line = (...parts) => make("div", {}, ...parts);
    const dim = (...parts) => make("div", { class: "dim" }, ...parts);
    if (kind === "process") {
      const dependency = text(processes.dependency[index]);
      return [
        line(make("b", {}, shown(program(index))), " ", shown(argumentLine(index), 160)),
        dim(`${since(processes.start[index])}, ${duration(Math.max(0, endOf(index) - processes.start[index]))}, pid ${processes.pid[index]}`),
        ...(dependency ? [dim(shown(dependency))] : []),
      ];
    }
    if (kind === "network") {
      return [
        line(make("b", {}, shown(text(network.label[index])))),
        dim(`${since(network.time[index])} by `, shown(baseName(text(network.exe[index]))), `, ${bytes(network.sent[index])} out, ${bytes(network.received[index])} in`),
      ];
    }
    return [
      line(`${text(files.kind[index])} `, make("b", {}, shown(text(files.path[index]), 200))),
      dim(`${since(files.time[index])} by `, files.exe[index] ? shown(baseName(text(files.exe[index]))) : "an unknown process"),
    ];
  }

  leave() {
    this.tip.hidden = true;
  }

  press(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = { x: this.point(event).x };
  }

  release(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    const { x, y } = this.point(event);
    if (Math.abs(x - drag.x) > 5) {
      this.zoomTo(this.timeAt(Math.min(x, drag.x)), this.timeAt(Math.max(x, drag.x)));
      return;
    }
    const hit = this.hit(x, y);
    if (!hit) return;
    const process = { process: hit.index, network: network.process[hit.index], file: files.process[hit.index] }[hit.kind];
    if (process >= 0) this.select(process);
  }

  key(event) {
    const span = this.to - this.from;
    const keys = {
      ArrowLeft: () => this.zoomTo(this.from - span / 5, this.to - span / 5),
      ArrowRight: () => this.zoomTo(this.from + span / 5, this.to + span / 5),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => this.zoomTo(0, this.whole),
      Escape: () => this.zoomTo(0, this.whole),
    };
    if (!(event.key in keys) || event.ctrlKey || event.metaKey) return;
    keys[event.key]();
    event.preventDefault();
  }

  zoom(factor) {
    const middle = (this.from + this.to) / 2;
    const half = ((this.to - this.from) * factor) / 2;
    this.zoomTo(middle - half, middle + half);
  }

  /** Shows a span of time; it is moved and cut to lie inside the job, and never gets shorter than ten microseconds. */
  zoomTo(from, to) {
    const span = Math.max(Math.min(10, this.whole), Math.min(this.whole, to - from));
    this.from = Math.max(0, Math.min(this.whole - span, from));
    this.to = this.from + span;
    this.tip.hidden = true;
    this.draw();
  }

  choose(process) {
    this.chosen = process;
    this.draw();
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}

function nearest(kind, length, limit, distance, eligible) {
  let index = -1;
  let best = limit;
  for (let i = 0; i < length; i += 1) {
    if (!eligible(i)) continue;
    const away = distance(i);
    if (away <= best) {
      best = away;
      index = i;
    }
  }
  return index < 0 ? null : { kind, index };
}

/** The next step of 1, 2 or 5 times a power of ten, in microseconds; above a minute, of whole minutes. */
function niceStep(raw) {
  if (raw > 3e7) return Math.max(1, niceUnit(raw / 6e7)) * 6e7;
  return Math.max(1, niceUnit(raw));
}

function niceUnit(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5, 10].find((unit) => unit * power >= raw) ?? 10);
}

function axisLabel(time, step) {
  if (step >= 6e7) return `${Math.round(time / 6e7)} min`;
  if (step >= 1e6) return `${Math.round(time / 1e6)} s`;
  const digits = Math.min(6, Math.ceil(6 - Math.log10(step)));
  return `${(time / 1e6).toFixed(digits)} s`;
}

function fitText(context, label, room) {
  if (context.measureText(label).width <= room) return label;
  // A name may be long; try no more of it than could ever fit.
  let kept = label.slice(0, 60);
  while (kept.length > 1 && context.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
  return `${kept}…`;
}

