/**
 * S-expressions as PDDL writes them: lists of blank-separated tokens, `;` comments to the end of the line, everything read in
 * lower case. Only blanks and parentheses separate tokens: a comma belongs to its token. Knows nothing of what a list means.
 */
import { SiriError } from "../../errors.js";

export type Sexpr = string | SexprList;

export interface SexprList {
  readonly items: readonly Sexpr[];
  /** Line of the opening parenthesis, from 1. */
  readonly line: number;
}

/** Lists nested deeper than this are no game's: reading them must end in an error, not in a stack overflow. */
const DEPTH_LIMIT = 200;

/** Where an expression stands, for error texts: the text's name and the line. */
export function at(where: string, line: number): string {
  return `${where}, line ${line}`;
}

/**
 * Reads the first list of a text; what follows it must be blank or comments.
 * @param where name of the text in errors (`pddl_domain`).
 * @throws SiriError `PDDL_SYNTAX`
 */
export function parseSexpr(source: string, where: string): SexprList {
  const text = source.toLowerCase();
  const open: { items: Sexpr[]; line: number }[] = [];
  let root: SexprList | undefined;
  let line = 1;
  let start = -1;
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) : 10;
    const separates = c === 32 || (c >= 9 && c <= 13) || c === 40 || c === 41 || c === 59;
    if (!separates) {
      if (c > 126 || c < 32) {
        throw new SiriError(
          "PDDL_SYNTAX",
          `${at(where, line)}: character U+${c.toString(16).padStart(4, "0")} outside a comment; PDDL is ASCII`,
        );
      }
      if (start < 0) start = i;
      continue;
    }
    if (start >= 0) {
      const token = text.slice(start, i);
      start = -1;
      const top = open[open.length - 1];
      if (top === undefined) {
        throw new SiriError(
          "PDDL_SYNTAX",
          `${at(where, line)}: '${token}' ${root ? "after the end of the definition" : "where '(' was expected"}`,
        );
      }
      top.items.push(token);
    }
    if (c === 40) {
      if (root && open.length === 0) throw new SiriError("PDDL_SYNTAX", `${at(where, line)}: a second '(' after the end of the definition`);
      if (open.length >= DEPTH_LIMIT) {
        throw new SiriError("PDDL_SYNTAX", `${at(where, line)}: lists are nested more than ${DEPTH_LIMIT} deep; games need about 10`);
      }
      const list = { items: [], line };
      open[open.length - 1]?.items.push(list);
      open.push(list);
      root ??= list;
    } else if (c === 41) {
      if (open.pop() === undefined) throw new SiriError("PDDL_SYNTAX", `${at(where, line)}: ')' without '('`);
    } else if (c === 59) {
      const end = text.indexOf("\n", i);
      i = (end < 0 ? text.length : end) - 1;
    } else if (c === 10) {
      line++;
    }
  }
  const unclosed = open[open.length - 1];
  if (unclosed) {
    const what = typeof unclosed.items[0] === "string" ? ` '(${unclosed.items[0]}'` : "";
    throw new SiriError(
      "PDDL_SYNTAX",
      `${at(where, unclosed.line)}: the list${what} is never closed; the text is cut off or a ')' is missing`,
    );
  }
  if (!root) throw new SiriError("PDDL_SYNTAX", `${where}: empty, expected '(define ...)'`);
  return root;
}
