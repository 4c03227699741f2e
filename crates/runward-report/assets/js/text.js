// Making text and elements. The page is built from nodes and text only: nothing that a job wrote is ever read as HTML.

// Characters that act instead of showing; the same set as `visible` in text.rs.
const ACTING = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u180e\\u200b-\\u200f\\u2028-\\u202e" +
    "\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\u{e0000}-\\u{e0fff}]",
  "gu",
);
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeOf(character) {
  const code = character.codePointAt(0);
  return SHORT[character] ?? (code < 0x100 ? "\\x" + code.toString(16).padStart(2, "0") : `\\u{${code.toString(16)}}`);
}

/** `text` as a string in which acting characters are written as escapes. */
function visible(text) {
  return text.replace(ACTING, escapeOf);
}

/** `text` as a node: escapes stand out, direction marks can't leave it, and matches of the search are marked. */
function shown(text, max = 20000) {
  const box = document.createElement("bdi");
  const cut = text.length > max;
  const part = cut ? text.slice(0, max) : text;
  let from = 0;
  for (const match of part.matchAll(ACTING)) {
    appendMarked(box, part.slice(from, match.index));
    box.append(make("span", { class: "esc" }, escapeOf(match[0])));
    from = match.index + match[0].length;
  }
  appendMarked(box, part.slice(from));
  if (cut) box.append("…");
  return box;
}

// The words of the search box, in lower case.
let sought = [];

function appendMarked(box, text) {
  const word = sought[0];
  const lower = word ? text.toLowerCase() : "";
  // Lower case may have another length than the original; then positions would lie.
  if (!word || lower.length !== text.length) {
    box.append(text);
    return;
  }
  let from = 0;
  for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, from)) {
    box.append(text.slice(from, at), make("mark", {}, text.slice(at, at + word.length)));
    from = at + word.length;
  }
  box.append(text.slice(from));
}

/** An element with attributes and children; false and null children are skipped. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

/** The last part of a program's path, which is what people call it. */
function baseName(path) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name || path || "?";
}

const GROUPED = new Intl.NumberFormat("en-US");
const number = (n) => GROUPED.format(n);

function bytes(n) {
  if (n < 1000) return `${n} B`;
  const units = ["kB", "MB", "GB", "TB", "PB", "EB"];
  let unit = -1;
  do {
    n /= 1000;
    unit += 1;
  } while (n >= 1000 && unit < units.length - 1);
  // Cut, not rounded, as the other reports do.
  return `${n < 10 ? (Math.floor(n * 10) / 10).toFixed(1) : Math.floor(n)} ${units[unit]}`;
}

/** A duration of so many microseconds. */
function duration(micros) {
  if (micros < 1000) return `${micros} µs`;
  if (micros < 9950) return `${(micros / 1000).toFixed(1)} ms`;
  if (micros < 999500) return `${Math.round(micros / 1000)} ms`;
  if (micros < 59950000) return `${(micros / 1e6).toFixed(1)} s`;
  const seconds = Math.round(micros / 1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")} min`;
}

/** A point in the job: `+1.204 s`. */
const since = (micros) => `+${(micros / 1e6).toFixed(3)} s`;

