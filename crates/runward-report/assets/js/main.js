// Puts the page together.

const element = (id) => document.getElementById(id);

element("app").hidden = false;
element("search").hidden = false;

const detail = new Detail(element("detail"), (process) => go(process));
const timeline = new Timeline(element("canvas"), element("tip"), (process) => go(process));
const tree = new Tree(element("tree"), (process) => {
  detail.show(process);
  timeline.choose(process);
});
const showDestinations = destinationTable(element("destination-table"), (process) => go(process));
const showNames = nameTable(element("name-table"));
const fileList = new FileList(element("file-list"), element("file-kinds"), (process) => go(process));

/** Shows a process in the tree, from wherever a person asked for it. */
function go(process) {
  if (!tree.show(process)) {
    // The search hides it: asking for it is stronger.
    element("search").value = "";
    search("");
    tree.show(process);
  }
  const box = element("processes").getBoundingClientRect();
  if (box.top < 0 || box.top > window.innerHeight * 0.6) element("processes").scrollIntoView();
}

function search(query) {
  sought = query.toLowerCase().split(/\s+/u).filter(Boolean);
  const searching = sought.length > 0;
  count("nav-processes", tree.search());
  count("nav-destinations", showDestinations(searching));
  count("nav-names", showNames(searching));
  count("nav-files", fileList.show());
}

function count(id, found) {
  const link = element(id);
  link.querySelector(".n")?.remove();
  link.append(make("span", { class: "n" }, number(found)));
}

let waiting = 0;
element("search").addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => search(event.target.value), 120);
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    element("search").focus();
    event.preventDefault();
  } else if (event.key === "Escape" && typing) {
    event.target.value = "";
    search("");
    event.target.blur();
  }
});

// Enter goes to the first part of the page that has a match.
element("search").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  clearTimeout(waiting);
  search(event.target.value);
  const parts = ["processes", "destinations", "names", "files"];
  const part = parts.find((id) => element(`nav-${id}`).querySelector(".n").textContent !== "0");
  if (part) element(part).scrollIntoView();
});

element("expand").addEventListener("click", () => tree.unfold(Infinity));
element("collapse").addEventListener("click", () => tree.unfold(1));
element("zoom-in").addEventListener("click", () => timeline.zoom(0.5));
element("zoom-out").addEventListener("click", () => timeline.zoom(2));
element("zoom-all").addEventListener("click", () => timeline.zoomTo(0, timeline.whole));

// Findings and refusals stand in the page itself, so that they show without scripts; here they learn the way to their process.
const rowOfId = new Map(processes.id.map((id, row) => [String(id), row]));
for (const button of document.querySelectorAll("button[data-process]")) {
  const row = rowOfId.get(button.dataset.process);
  if (row === undefined) continue;
  button.hidden = false;
  button.addEventListener("click", () => go(row));
}

search("");

// Begin where a person would look first: at the process of the first finding, else at the job's first process.
const first = data.findings.find((finding) => finding.process >= 0)?.process ?? roots[0];
if (first !== undefined) tree.show(first);
