// A list that draws only the rows in view, so that fifty thousand of them cost no more than fifty.

const ROW = 26;
const MARGIN = 12;
const PRINTED = 1000;

class VirtualList {
  /**
   * @param {HTMLElement} box where the list scrolls
   * @param {{role: string, label: string, empty: string, draw: (index: number) => HTMLElement,
   *          select?: (index: number) => void, key?: (event: KeyboardEvent, index: number) => boolean}} options
   */
  constructor(box, options) {
    this.box = box;
    this.options = options;
    this.length = 0;
    this.selected = -1;
    this.drawn = new Map();
    this.sheet = make("div", { class: "sheet" });
    this.none = make("p", { class: "none", hidden: true }, options.empty);
    box.append(this.sheet, this.none);
    box.setAttribute("role", options.role);
    box.setAttribute("aria-label", options.label);
    box.tabIndex = 0;
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    box.addEventListener("keydown", (event) => this.keydown(event));
    this.sheet.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row && this.sheet.contains(row)) this.choose(Number(row.dataset.index), event);
    });
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(box);
    window.addEventListener("beforeprint", () => this.print(true));
    window.addEventListener("afterprint", () => this.print(false));
  }

  /** Shows so many rows; what they hold may have changed. */
  reset(length) {
    this.length = length;
    this.selected = Math.min(this.selected, length - 1);
    this.sheet.style.height = `${length * ROW}px`;
    this.none.hidden = length > 0;
    this.refresh();
  }

  refresh() {
    this.drawn.clear();
    this.sheet.replaceChildren();
    this.draw();
  }

  draw() {
    if (this.printing) return;
    const from = Math.max(0, Math.floor(this.box.scrollTop / ROW) - MARGIN);
    const to = Math.min(this.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + MARGIN);
    for (const [index, row] of this.drawn) {
      if (index < from || index >= to) {
        row.remove();
        this.drawn.delete(index);
      }
    }
    for (let index = from; index < to; index += 1) {
      if (!this.drawn.has(index)) this.place(index);
    }
  }

  place(index) {
    const row = this.options.draw(index);
    row.classList.add("row");
    row.dataset.index = index;
    row.id = `${this.box.id}-${index}`;
    row.setAttribute("aria-selected", String(index === this.selected));
    row.style.transform = `translateY(${index * ROW}px)`;
    this.drawn.set(index, row);
    this.sheet.append(row);
  }

  choose(index, event) {
    if (index < 0 || index >= this.length) return;
    this.drawn.get(this.selected)?.setAttribute("aria-selected", "false");
    this.selected = index;
    this.reveal(index);
    this.drawn.get(index)?.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", `${this.box.id}-${index}`);
    this.options.select?.(index, event);
  }

  /** Scrolls as little as it takes to bring a row into view. */
  reveal(index) {
    const top = index * ROW;
    const room = this.box.clientHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW > this.box.scrollTop + room) this.box.scrollTop = top + ROW - room;
    this.draw();
  }

  keydown(event) {
    if (event.target !== this.box || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const index = Math.max(0, Math.min(this.length - 1, this.selected + steps[event.key]));
      this.choose(index);
    } else if (!this.options.key?.(event, this.selected)) {
      return;
    }
    event.preventDefault();
  }

  /** On paper there is no scrolling: the first rows stand one after the other. */
  print(on) {
    this.printing = on;
    this.drawn.clear();
    this.sheet.replaceChildren();
    if (!on) {
      this.draw();
      return;
    }
    for (let index = 0; index < Math.min(this.length, PRINTED); index += 1) this.place(index);
    const more = this.length - PRINTED;
    if (more > 0) this.sheet.append(make("p", { class: "more" }, `and ${number(more)} more`));
  }
}

