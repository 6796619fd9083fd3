// A list of any length, of which only the rows in sight are in the page.
"use strict";

const ROW = 20; // pixels; --row in the style
const SPARE = 12; // rows made above and below what is in sight

function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== "") made.textContent = text;
  return made;
}

class VirtualList {
  /** `draw(row, index)` fills a row once; `mark(row, index)` gives it the classes that change; `choose(index)` is called
   * when it is clicked. */
  constructor(box, draw, mark, choose) {
    this.box = box;
    this.draw = draw;
    this.mark = mark;
    this.room = box.appendChild(element("div"));
    this.rows = new Map();
    this.count = this.height = 0;
    this.selected = -1;
    box.addEventListener("scroll", () => this.fill(), { passive: true });
    new ResizeObserver(() => {
      this.height = box.clientHeight; // kept: to ask for it makes the browser lay out the page
      this.fill();
    }).observe(box);
    this.room.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) choose(Number(row.dataset.index));
    });
  }

  show(count) {
    this.count = count;
    this.selected = -1;
    this.height = this.box.clientHeight;
    this.room.style.height = `${count * ROW}px`;
    this.box.scrollTop = 0;
    this.rows.forEach((row) => row.remove());
    this.rows.clear();
    this.fill();
  }

  /** Have the rows that are in sight, and no others, in the page. */
  fill() {
    const top = this.box.scrollTop;
    const first = Math.max(Math.floor(top / ROW) - SPARE, 0);
    const last = Math.min(Math.ceil((top + this.height) / ROW) + SPARE, this.count);
    for (const [index, row] of this.rows) {
      if (index < first || index >= last) {
        row.remove();
        this.rows.delete(index);
      }
    }
    const made = [];
    for (let index = first; index < last; index++) {
      if (this.rows.has(index)) continue;
      const row = element("div", "row");
      row.id = `${this.box.id}-${index}`;
      row.dataset.index = index;
      row.style.top = `${index * ROW}px`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-setsize", this.count);
      row.setAttribute("aria-posinset", index + 1);
      this.draw(row, index);
      this.paint(row, index);
      this.rows.set(index, row);
      made.push(row);
    }
    if (made.length) this.room.append(...made);
  }

  paint(row, index) {
    row.setAttribute("aria-selected", index === this.selected);
    this.mark(row, index);
  }

  /** Make one row the selected one and bring it in sight; -1: none. */
  select(index) {
    this.selected = index;
    if (index >= 0) {
      const top = index * ROW, seen = this.box.scrollTop;
      if (top < seen + ROW || top > seen + this.height - 3 * ROW) {
        this.box.scrollTop = top - this.height / 2;
        this.fill();
      }
      this.box.setAttribute("aria-activedescendant", `${this.box.id}-${index}`);
    } else this.box.removeAttribute("aria-activedescendant");
    this.rows.forEach((row, each) => this.paint(row, each));
  }
}
