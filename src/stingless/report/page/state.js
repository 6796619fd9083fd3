// The state before a step: registers, then the stack from its top down, then what else is held.
"use strict";

function rank(name) {
  const frame = /^frame(\d+) /.exec(name);
  const own = frame ? name.slice(frame[0].length) : name;
  const number = Number(/-?\d+$/.exec(own)?.[0] ?? 0);
  const kind = /^R\d+$/.test(own) ? 0 : /^fp/.test(own) ? 1 : 2;
  return [frame ? 1 + Number(frame[1]) : 0, kind, kind === 1 ? -number : number];
}

function inOrder(names) {
  return [...names].map((name) => [rank(name), name]).sort(([a, x], [b, y]) =>
    a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || (x < y ? -1 : 1)).map(([, name]) => name);
}

function jump(text, title, go) {
  const button = element("button", "jump", text);
  button.type = "button";
  button.title = title;
  button.addEventListener("click", go);
  return button;
}

/** Fill the table with the state before step `number`. `go(step)` shows another. */
function drawState(body, program, number, go) {
  body.replaceChildren();
  if (number < 0) return;
  const step = program.steps[number], insn = program.insns[step.insn];
  const state = program.state(number);
  const before = step.parent >= 0 ? program.state(step.parent) : new Map();
  const gone = Object.keys(step.changes).filter((name) => step.changes[name] === null);
  for (const name of inOrder(new Set([...state.keys(), ...gone]))) {
    const row = body.insertRow();
    const changed = name in step.changes && step.parent >= 0;
    row.className = [changed && "changed", insn.reads.includes(name) && "read"].filter(Boolean).join(" ");
    row.dataset.name = name;
    const head = element("th", "", name);
    head.scope = "row";
    row.append(head);
    const value = row.insertCell();
    const { text, set, learned } = state.get(name) ?? { text: "not known any more", ...NEVER };
    value.append(element("span", "", text));
    if (changed && before.has(name)) value.append(element("span", "was", `was ${before.get(name).text}`));
    const jumps = row.insertCell();
    const link = (word, title, other) =>
      other >= 0 && jumps.append(jump(word, `${title} ${program.insn(other).pc}`, () => go(other)), " ");
    link("set", "set by instruction", set);
    if (learned !== set) link("learned", "more became known at instruction", learned);
    link("used", "next used by instruction", program.use(number, name));
  }
}
