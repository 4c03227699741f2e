// The data of the page, as html/payload.rs lays it out: texts stand once in `strings`, everything else is columns.

const data = JSON.parse(document.getElementById("data").textContent);
const { strings, processes, network, files, destinations, names } = data;
const text = (position) => strings[position] ?? "";

const PROCESSES = processes.pid.length;

// Children as linked lists, because an array for each of 50,000 processes would be heavy.
const firstChild = new Int32Array(PROCESSES).fill(-1);
const nextSibling = new Int32Array(PROCESSES).fill(-1);
const roots = [];
{
  const lastChild = new Int32Array(PROCESSES).fill(-1);
  for (let i = 0; i < PROCESSES; i += 1) {
    const parent = processes.parent[i];
    // Parents stand before their children, so nothing here can loop.
    if (parent < 0 || parent >= i) {
      roots.push(i);
    } else if (lastChild[parent] < 0) {
      firstChild[parent] = i;
      lastChild[parent] = i;
    } else {
      nextSibling[lastChild[parent]] = i;
      lastChild[parent] = i;
    }
  }
}

const forked = new Set(processes.forked);

// How much each process did itself, and which of it a person should look at.
const connectionCount = countBy(network.process);
const fileCount = countBy(files.process);
const alarming = new Uint8Array(PROCESSES);
for (const finding of data.findings) if (finding.process >= 0) alarming[finding.process] = 1;
network.status.forEach((status, i) => {
  if (status === 1 && network.process[i] >= 0) alarming[network.process[i]] = 1;
});

function countBy(column) {
  const counts = new Uint32Array(PROCESSES);
  for (const i of column) if (i >= 0) counts[i] += 1;
  return counts;
}

const program = (i) => baseName(text(processes.exe[i]));

/** The arguments after the first, which is the program again. */
const argumentLine = (i) => processes.args[i].slice(1, 40).map(text).join(" ");

/** When a process ended, or the end of the record. */
const endOf = (i) => (processes.end[i] < 0 ? data.length : processes.end[i]);

/** When a connection ended, or the end of the record; one that was blocked at once has no length. */
function endOfConnection(row) {
  if (network.duration[row] >= 0) return network.time[row] + network.duration[row];
  return network.status[row] === 1 ? network.time[row] : data.length;
}

/** The ancestors of a process, from the parent up. */
function lineage(i) {
  const up = [];
  for (let at = processes.parent[i]; at >= 0 && at < i && up.length < 200; at = processes.parent[at]) {
    up.push(at);
    i = at;
  }
  return up;
}

/** Whether a process failed: a signal, or an exit code other than 0. */
const failed = (i) => processes.signal[i] !== null || (processes.code[i] ?? 0) !== 0;

// What the search looks through, in lower case; made when first needed.
let haystack = null;

function processHaystack() {
  haystack ??= processes.pid.map((pid, i) =>
    [
      text(processes.exe[i]),
      processes.args[i].map(text).join(" "),
      `pid ${pid}`,
      text(processes.dependency[i]),
      text(processes.step[i]),
    ]
      .join("\n")
      .toLowerCase(),
  );
  return haystack;
}

const matches = (lower) => sought.every((word) => lower.includes(word));

