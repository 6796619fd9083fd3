// Search over the steps: instruction, what it changed, and its source line; and over source lines never reached.
"use strict";

class Search {
  constructor() {
    this.program = null;
    this.texts = [];
  }

  /** The text of each step, made once a program. */
  of(program) {
    if (this.program !== program) {
      this.program = program;
      this.texts = program.steps.map((step, number) => {
        const insn = program.insns[step.insn];
        const line = insn.line >= 0 ? program.source[insn.line].text : "";
        return `${insn.pc}: ${insn.text} ${program.effect(number)} ${line}`.toLowerCase();
      });
    }
    return this.texts;
  }

  /** {number, place, count}: the nearest match from step `from` in a direction (1, -1), going round; or null. */
  find(program, words, from, direction) {
    const wanted = words.toLowerCase();
    const hits = [];
    this.of(program).forEach((text, number) => text.includes(wanted) && hits.push(number));
    if (!hits.length) return null;
    let at = direction > 0 ? hits.findIndex((hit) => hit > from) : hits.findLastIndex((hit) => hit < from);
    if (at < 0) at = direction > 0 ? 0 : hits.length - 1;
    return { number: hits[at], place: at + 1, count: hits.length };
  }
}
