// Why the program is refused: the message, what led there, and the edit that mends it.
"use strict";

/** `go({file, line, insn})` shows a place of the program. */
function drawDiagnostic(box, diagnostic, go) {
  box.replaceChildren();
  box.hidden = !diagnostic;
  if (!diagnostic) return;
  box.append(element("h2", "", diagnostic.message));
  if (diagnostic.where) box.append(placeLink(diagnostic.where, go));
  if (diagnostic.history.length) {
    const list = element("ol");
    for (const event of diagnostic.history) {
      const item = element("li", "", `${event.text} `);
      item.append(placeLink(event.where, go));
      list.append(item);
    }
    box.append(list);
  }
  if (diagnostic.notes.length) for (const note of diagnostic.notes) box.append(element("p", "note", note));
  if (diagnostic.hint) box.append(element("p", "hint", `What to do: ${diagnostic.hint}`));
  if (diagnostic.edit.length) {
    const edit = element("pre", "edit");
    for (const [sign, text] of diagnostic.edit)
      edit.append(element("span", { "+": "add", "-": "remove" }[sign] ?? "same", `${sign} ${text}\n`));
    box.append(edit);
  }
  if (diagnostic.link) {
    const link = element("a", "", "more on this");
    link.href = diagnostic.link;
    link.rel = "noreferrer";
    box.append(link);
  }
}

function placeLink(where, go) {
  const parts = [];
  if (where.line) parts.push(where.file ? `${where.file}:${where.line}` : `line ${where.line}`);
  if (where.insn >= 0) parts.push(`instruction ${where.insn}`);
  return parts.length ? jump(parts.join(", "), "show it", () => go(where)) : element("span");
}
