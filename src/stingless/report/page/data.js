// What the report holds: the programs, each unpacked from its own JSON when it is first shown.
"use strict";

const KEEP = 64; // of how many steps one has its whole state kept
const NEVER = { set: -1, learned: -1 };

/** Where a name is told apart by the call it belongs to: each function has its own R6 to R10 and stack. */
function place(name, frame) {
  return /^R[0-5]$/.test(name) ? name : `${frame}/${name}`;
}

/** A program and one verifier's walk over it. */
class Program {
  constructor(raw) {
    this.name = raw.name;
    this.verifier = raw.verifier;
    this.accepted = raw.accepted;
    this.verdict = raw.verdict;
    this.note = raw.note;
    this.statistics = raw.statistics;
    this.diagnostic = raw.diagnostic;
    this.source = raw.source.map(([file, number, text]) => ({ file, number, text, insns: [], path: false }));
    this.insns = raw.insns.map(([pc, text, line, target, sets, reads]) => ({
      pc, text, line, target, sets, reads, visits: [], from: [], path: false,
    }));
    this.at = new Map(this.insns.map((insn, index) => [insn.pc, index])); // place of an instruction in the list
    this.insns.forEach((insn, index) => {
      if (insn.line >= 0) this.source[insn.line].insns.push(index);
      if (insn.target >= 0 && this.at.has(insn.target)) this.insns[this.at.get(insn.target)].from.push(index);
    });
    this.steps = raw.steps.map(([insn, parent, frame, changes]) => ({
      insn, parent, frame, changes, next: -1, path: false,
    }));
    this.steps.forEach((step, number) => {
      this.insns[step.insn].visits.push(number);
      if (step.parent >= 0 && this.steps[step.parent].next < 0) this.steps[step.parent].next = number;
    });
    this.path = raw.path;
    this.path.forEach((number, place) => {
      const step = this.steps[number], insn = this.insns[step.insn];
      step.path = insn.path = true;
      if (insn.line >= 0) this.source[insn.line].path = true;
      if (place + 1 < this.path.length) step.next = this.path[place + 1];
    });
    this.refused = this.accepted || !this.path.length ? -1 : this.path[this.path.length - 1];
    this.states = new Map();
  }

  /** What was known before a step: name -> {text, set, learned}.  `set` is the step whose instruction set it, `learned`
   * the last one that told something of it, such as a branch (-1: none).  Steps hold what differs from their parent's;
   * the whole is kept for some of them. */
  state(number) {
    const chain = [];
    let known;
    for (let n = number; n >= 0 && !known; n = this.steps[n].parent) {
      known = this.states.get(n);
      if (!known) chain.push(n);
    }
    const state = { known: new Map(known?.known), told: new Map(known?.told) };
    chain.reverse().forEach((n, at) => {
      this.apply(state, n);
      if (at % KEEP === KEEP - 1) this.states.set(n, { known: new Map(state.known), told: new Map(state.told) });
    });
    const { frame } = this.steps[number];
    return new Map([...state.known].map(([name, text]) => [name, { text, ...(state.told.get(place(name, frame)) ?? NEVER) }]));
  }

  /** Go on from what was known before step `n`'s parent. */
  apply({ known, told }, n) {
    const { parent, frame, changes } = this.steps[n];
    const tell = (name, what) => {
      const key = place(name, frame);
      told.set(key, { ...(told.get(key) ?? NEVER), ...what });
    };
    for (const name of parent >= 0 ? this.insn(parent).sets : []) tell(name, { set: parent, learned: parent });
    for (const [name, text] of Object.entries(changes)) {
      if (text === null) known.delete(name);
      else known.set(name, text);
      const switched = parent >= 0 && this.steps[parent].frame !== frame && place(name, frame) !== name;
      if (parent < 0 || switched) continue;
      tell(name, /^R\d+$/.test(name) ? { learned: parent } : { set: parent, learned: parent });
    }
  }

  /** The step, from `number` on, whose instruction reads the `name` that is known before `number`, or -1. */
  use(number, name) {
    const { frame } = this.steps[number], own = place(name, frame) !== name;
    for (let n = number; n >= 0; n = this.steps[n].next) {
      if (own && this.steps[n].frame !== frame) continue;
      const { reads, sets } = this.insn(n);
      if (n !== number && reads.includes(name)) return n;
      if (sets.includes(name)) return -1;
    }
    return -1;
  }

  insn(number) {
    return this.insns[this.steps[number].insn];
  }

  /** What a step's instruction changed, in one line. */
  effect(number) {
    const { next } = this.steps[number];
    if (next < 0) return number === this.refused ? this.verdict : "";
    return Object.entries(this.steps[next].changes).map(([name, text]) => `${name}=${text ?? "?"}`).join(" ");
  }
}

class Report {
  constructor() {
    this.scripts = [...document.querySelectorAll("script[data-program]")];
    this.labels = this.scripts.map((each) => each.dataset.program);
    this.programs = [];
  }

  program(number) {
    return (this.programs[number] ??= new Program(JSON.parse(this.scripts[number].textContent)));
  }
}
