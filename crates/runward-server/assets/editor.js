// The box that a policy is typed in: numbers beside its lines, and links from faults to their places. Without scripts,
// the box is a box, and each fault shows its line.

for (const box of document.querySelectorAll("textarea[data-lines]")) {
  const numbers = document.createElement("div");
  numbers.className = "lines mono";
  numbers.setAttribute("aria-hidden", "true");
  const frame = document.createElement("div");
  frame.className = "numbered";
  box.replaceWith(frame);
  frame.append(numbers, box);
  const marked = new Set([...document.querySelectorAll("a[data-line]")].map((link) => Number(link.dataset.line)));
  const tone = box.hasAttribute("aria-invalid") ? "faulty" : "odd";
  let shown = 0;

  const number = () => {
    const lines = box.value.split("\n").length;
    if (lines === shown) return;
    shown = lines;
    numbers.replaceChildren(
      ...Array.from({ length: lines }, (_, i) => {
        const line = document.createElement("span");
        line.textContent = String(i + 1);
        if (marked.has(i + 1)) line.className = tone;
        return line;
      }),
    );
  };
  const follow = () => {
    numbers.scrollTop = box.scrollTop;
  };
  box.addEventListener("input", () => {
    number();
    follow();
  });
  box.addEventListener("scroll", follow);
  new ResizeObserver(() => {
    numbers.style.height = `${box.offsetHeight}px`;
    follow();
  }).observe(box);
  number();

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line]");
    if (!link) return;
    event.preventDefault();
    const lines = box.value.split("\n");
    const line = Number(link.dataset.line) - 1;
    // Columns are counted in characters, and strings in halves of them.
    const units = (from, length) => [...(lines[line] ?? "")].slice(from, from + length).join("").length;
    const column = Number(link.dataset.column) - 1;
    const start = lines.slice(0, line).reduce((sum, text) => sum + text.length + 1, 0) + units(0, column);
    box.focus();
    box.setSelectionRange(start, start + units(column, Number(link.dataset.length)));
    box.scrollTop = Math.max(0, (line - 3) * (box.scrollHeight / lines.length));
    box.scrollIntoView({ block: "center" });
  });
}
