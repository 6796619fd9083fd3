// The page: one program is shown, one step of it is the current one; everything else follows from these two.
"use strict";

const $$ = (id) => document.getElementById(id);

class View {
  constructor(report) {
    this.report = report;
    this.search = new Search();
    this.trail = []; // steps that jumps left
    const list = (id, what, choose) =>
      new VirtualList($$(id), this[`draw${what}`].bind(this), this[`mark${what}`].bind(this), choose);
    this.source = list("source", "Line", (index) => this.chooseLine(index));
    this.code = list("code", "Insn", (index) => this.chooseInsn(index));
    this.steps = list("steps", "Step", (index) => this.go(index));
    report.labels.forEach((label, number) => $$("programs").add(new Option(label, number)));
    $$("programs").addEventListener("change", (event) => this.open(Number(event.target.value)));
    $$("theme").addEventListener("click", () => this.theme());
    $$("ask").addEventListener("click", () => this.help());
    $$("find").addEventListener("submit", (event) => event.preventDefault());
    $$("words").addEventListener("keydown", (event) => this.findKey(event));
    this.open(0);
  }

  /** Show a program, at the refused step or at the first. */
  open(number) {
    this.number = number;
    this.program = this.report.program(number);
    const { program } = this;
    $$("programs").value = number;
    $$("verdict").textContent = program.accepted ? "accepted" : "refused";
    $$("verdict").className = program.accepted ? "accepted" : "refused";
    $$("statistics").replaceChildren(...program.statistics.map(([name, value]) => {
      const pair = element("div");
      pair.append(element("dt", "", name), element("dd", "", value));
      return pair;
    }));
    drawDiagnostic($$("diagnostic"), program.diagnostic, (where) => this.goTo(where));
    $$("steps-head").textContent = `Steps of the verifier (${program.steps.length}${program.note})`;
    this.trail = [];
    this.step = this.line = this.insn = -1;
    this.source.show(program.source.length);
    this.code.show(program.insns.length);
    this.steps.show(program.steps.length);
    this.select(program.refused >= 0 ? program.refused : program.steps.length ? 0 : -1);
  }

  /** Make a step the current one; `insn` and `line` when what is shown is not on any step. */
  select(step, insn = step >= 0 ? this.program.steps[step].insn : -1, line = -1) {
    const { program } = this;
    this.step = step;
    this.insn = insn;
    this.line = line >= 0 || insn < 0 ? line : program.insns[insn].line;
    this.source.select(this.line);
    this.code.select(insn);
    this.steps.select(step);
    drawState($$("state").tBodies[0], program, step, (other) => this.go(other));
    this.drawPlace();
  }

  drawPlace() {
    const { program, step } = this;
    const insn = program.insns[this.insn], line = program.source[this.line];
    $$("state-head").textContent = step < 0 ? "State before" : `State before step ${step + 1} of ${program.steps.length}`;
    const box = $$("place");
    box.replaceChildren();
    if (insn) {
      box.append(element("code", "", `${insn.pc}: ${insn.text}`));
      if (!insn.visits.length) box.append(" never reached ");
      const links = [];
      if (program.at.has(insn.target))
        links.push(jump(`to ${insn.target}`, "where it jumps (g)", () => this.follow()));
      for (const from of insn.from)
        links.push(jump(`from ${program.insns[from].pc}`, "a jump to it", () => this.jumpInsn(from)));
      if (insn.visits.length > 1)
        links.push(jump(`visit ${insn.visits.indexOf(step) + 1} of ${insn.visits.length}`, "the next one (v)", () => this.visit(1)));
      if (links.length) box.append(element("br"));
      for (const link of links) box.append(" ", link);
    }
    if (line) box.append(element("br"), element("span", "", `${line.file}:${line.number}: ${line.text.trim()}`));
    $$("said").textContent = [step >= 0 && `step ${step + 1}`, insn && `instruction ${insn.pc}: ${insn.text}`,
      line?.number && `line ${line.number}`].filter(Boolean).join(", ");
  }

  // What rows look like.

  drawLine(row, index) {
    const line = this.program.source[index];
    if (line.number) this.fillRow(row, line.number, line.text);
    else row.textContent = line.file;
  }

  drawInsn(row, index) {
    const insn = this.program.insns[index];
    this.fillRow(row, insn.pc, insn.text);
  }

  drawStep(row, index) {
    const insn = this.program.insn(index);
    this.fillRow(row, insn.pc, insn.text);
    row.append(element("span", "effect", this.program.effect(index)));
  }

  fillRow(row, number, text) {
    row.append(element("span", "number", number), element("span", "text", text));
  }

  markLine(row, index) {
    const line = this.program.source[index];
    const marks = { here: index === this.line, path: line.path, unreached: !line.insns.length };
    this.mark(row, line.number ? marks : { file: true });
  }

  markInsn(row, index) {
    const { program } = this, insn = program.insns[index];
    this.mark(row, {
      here: index === this.insn,
      kin: insn.line >= 0 && insn.line === this.line,
      path: insn.path,
      unreached: !insn.visits.length,
      refused: program.refused >= 0 && program.steps[program.refused].insn === index,
    });
  }

  markStep(row, index) {
    const { program } = this, { line } = program.insn(index);
    this.mark(row, {
      here: index === this.step,
      kin: line >= 0 && line === this.line,
      path: program.steps[index].path,
      refused: index === program.refused,
    });
  }

  mark(row, marks) {
    const name = ["row", ...Object.keys(marks).filter((each) => marks[each])].join(" ");
    if (row.className !== name) row.className = name;
  }

  // Ways to go.

  /** A jump: `back()` returns from it. */
  go(step) {
    if (this.step >= 0 && step !== this.step) this.trail.push(this.step);
    this.select(step);
  }

  back() {
    if (this.trail.length) this.select(this.trail.pop());
  }

  move(by) {
    const last = this.program.steps.length - 1;
    if (last >= 0) this.select(Math.min(Math.max(this.step + by, 0), last));
  }

  along(by) {
    const { path } = this.program;
    const next = by > 0 ? path.find((step) => step > this.step) : path.findLast((step) => step < this.step);
    if (next !== undefined) this.select(next);
  }

  end() {
    const { program } = this;
    this.go(program.refused >= 0 ? program.refused : program.steps.length - 1);
  }

  visit(by) {
    const visits = this.program.insns[this.insn]?.visits ?? [];
    if (!visits.length) return;
    this.select(visits[(visits.indexOf(this.step) + by + visits.length) % visits.length]);
  }

  follow() {
    const index = this.program.at.get(this.program.insns[this.insn]?.target);
    if (index !== undefined) this.jumpInsn(index);
  }

  jumpInsn(index) {
    if (this.step >= 0) this.trail.push(this.step);
    this.chooseInsn(index);
  }

  /** The step of an instruction that is nearest to the current one, of the failing path if it is on it. */
  chooseInsn(index) {
    const { program } = this, { visits } = program.insns[index];
    const onPath = visits.filter((step) => program.steps[step].path);
    const distance = (step) => Math.abs(step - this.step);
    const best = (onPath.length ? onPath : visits).reduce((a, b) => (a < 0 || distance(b) < distance(a) ? b : a), -1);
    this.select(best, index);
  }

  chooseLine(index) {
    const { insns, number } = this.program.source[index];
    if (!number) return;
    const reached = insns.find((insn) => this.program.insns[insn].path) ??
      insns.find((insn) => this.program.insns[insn].visits.length) ?? insns[0];
    if (reached === undefined) this.select(-1, -1, index);
    else this.chooseInsn(reached);
  }

  goTo({ file, line, insn }) {
    if (this.program.at.has(insn)) this.jumpInsn(this.program.at.get(insn));
    else {
      const index = this.program.source.findIndex((each) => each.number === line && (!file || each.file.endsWith(file)));
      if (index >= 0) this.chooseLine(index);
    }
  }

  /** The arrows move by what the part of the page with the focus lists. */
  arrow(by) {
    const next = (list, from) => Math.min(Math.max(from + by, 0), list.count - 1);
    if (document.activeElement === this.source.box) {
      const { source } = this.program;
      let index = next(this.source, this.line);
      while (source[index] && !source[index].number) index += by; // a file's name
      if (source[index]) this.chooseLine(index);
    } else if (document.activeElement === this.code.box) {
      if (this.code.count) this.chooseInsn(next(this.code, this.insn));
    } else this.move(by);
  }

  turn(by) {
    const count = this.report.labels.length;
    this.open((this.number + by + count) % count);
  }

  // The rest.

  find() {
    $$("words").focus();
    $$("words").select();
  }

  findKey(event) {
    if (event.key === "Escape") $$("steps").focus();
    if (event.key !== "Enter" || !event.target.value) return;
    const hit = this.search.find(this.program, event.target.value, this.step, event.shiftKey ? -1 : 1);
    $$("found").textContent = hit ? `${hit.place} of ${hit.count}` : "not found";
    if (hit) this.go(hit.number);
  }

  theme() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  }

  help() {
    $$("help").showModal();
  }
}

const view = new View(new Report());
listen(view);
$$("steps").focus();
