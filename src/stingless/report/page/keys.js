// The keys: one table from key to what it does.
"use strict";

const PAGE = 20; // steps

/** `view` is what main.js makes. */
function listen(view) {
  const typing = (target) => target.closest?.("input, select, textarea, dialog[open]");
  const moves = {
    j: () => view.move(1),
    k: () => view.move(-1),
    n: () => view.along(1),
    p: () => view.along(-1),
    e: () => view.end(),
    v: () => view.visit(1),
    V: () => view.visit(-1),
    g: () => view.follow(),
    b: () => view.back(),
    t: () => view.theme(),
    "/": () => view.find(),
    "?": () => view.help(),
    "[": () => view.turn(-1),
    "]": () => view.turn(1),
    ArrowDown: () => view.arrow(1),
    ArrowUp: () => view.arrow(-1),
    PageDown: () => view.move(PAGE),
    PageUp: () => view.move(-PAGE),
    Home: () => view.move(-Infinity),
    End: () => view.move(Infinity),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  });
}
