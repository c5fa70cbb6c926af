/**
 * The text grammar of a game file: `action NAME { template :: "..."; feedback :: "..."; grammar :: """ {json} """; }` and
 * `grammar :: """ {json} """;`. All rule blocks merge into one map, later symbols replace earlier ones.
 *
 * Thousands of files share one grammar up to the task sentence, so the text is cached with that sentence cut out.
 */
import { SiriError } from "../../errors.js";
import { boundedCache } from "./cache.js";
import { parseQuery, parseTemplate, type Query, type Template } from "./template.js";

/** A rule applies when its condition is null or has a match; the first that applies is taken. */
export interface Rule {
  readonly condition: Query | null;
  readonly template: Template;
}

export interface ActionTexts {
  readonly template: Template;
  readonly feedback: Template;
}

export interface Grammar {
  readonly rules: ReadonlyMap<string, readonly Rule[]>;
  /** By action name, lower case. */
  readonly actions: ReadonlyMap<string, ActionTexts>;
}

/** A grammar, and what the symbol `task` stands for in one game where that was cut out (null: the grammar's own rules hold). */
export interface GameGrammar {
  readonly grammar: Grammar;
  readonly task: Template | null;
}

export const TASK_SYMBOL = "task";
const TASK_RULE = /("task"\s*:\s*\[\s*\{\s*"rhs"\s*:\s*)("(?:[^"\\]|\\[\s\S])*")/g;
const CUT_OUT = "(the task of one game)";
const skeletons = boundedCache<string, Grammar>(16);

/** @throws SiriError `GRAMMAR_SYNTAX`, `GRAMMAR_CONTENT` */
export function loadGrammar(source: string): GameGrammar {
  const found = [...source.matchAll(TASK_RULE)];
  const only = found[0];
  if (found.length === 1 && only) {
    const start = only.index + only[1]!.length;
    const end = start + only[2]!.length;
    const skeleton = source.slice(0, start) + JSON.stringify(CUT_OUT) + source.slice(end);
    const grammar = skeletons.get(skeleton, () => parseGrammar(skeleton));
    const rules = grammar.rules.get(TASK_SYMBOL);
    const rule = rules?.length === 1 ? rules[0]! : undefined;
    const piece = rule?.condition === null ? rule.template[0] : undefined;
    if (piece?.op === "text" && piece.text === CUT_OUT) {
      return { grammar, task: parseTemplate(parseJson(only[2]!, `symbol '${TASK_SYMBOL}'`) as string, `symbol '${TASK_SYMBOL}'`) };
    }
  }
  return { grammar: skeletons.get(source, () => parseGrammar(source)), task: null };
}

/** Characters that mean something in a text; between double quotes they stand for themselves. */
const SPECIAL = /[;|"<>[\]#{}]/;

/**
 * The grammar with another task sentence. What the mini-language would cut off or interpret is shown as it is written; only double
 * quotes, which it cannot hold, become single ones.
 * @throws SiriError `GRAMMAR_CONTENT` unless exactly one rule says what the task is
 */
export function replaceTask(source: string, sentence: string): string {
  const found = [...source.matchAll(TASK_RULE)];
  if (found.length !== 1) {
    throw new SiriError(
      "GRAMMAR_CONTENT",
      `grammar: the task sentence cannot be replaced: ${found.length} rules of '${TASK_SYMBOL}' hold one`,
    );
  }
  const { index, 0: all, 1: head } = found[0]!;
  const shown = SPECIAL.test(sentence) ? `"${sentence.replaceAll('"', "'")}"` : sentence;
  return source.slice(0, index) + head + JSON.stringify(`Your task is to: ${shown}.`) + source.slice(index + all.length);
}

interface Token {
  readonly text: string;
  readonly kind: "word" | "string" | "block";
  readonly line: number;
}

/** Words, `"strings"`, `"""blocks"""` and the marks `{ } :: ;`; `#` outside strings starts a comment. */
const TOKEN = /\s+|#[^\n]*|"""([\s\S]*?)"""|"([^"]*)"|::|[{};]|[^\s{};:"#]+/y;

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  TOKEN.lastIndex = 0;
  for (let i = 0; i < source.length; i = TOKEN.lastIndex) {
    const match = TOKEN.exec(source);
    if (!match || match[0].length === 0) {
      const rest = source.slice(i, i + 12).split("\n")[0];
      const why = source.startsWith('"', i) ? "a string that is never closed" : "an unexpected character";
      throw new SiriError("GRAMMAR_SYNTAX", `grammar, line ${line}: ${why} at '${rest}'`);
    }
    const [all, block, string] = match;
    if (block !== undefined) tokens.push({ text: block, kind: "block", line });
    else if (string !== undefined) tokens.push({ text: string, kind: "string", line });
    else if (!/^[\s#]/.test(all)) tokens.push({ text: all, kind: "word", line });
    for (let at = all.indexOf("\n"); at >= 0; at = all.indexOf("\n", at + 1)) line++;
  }
  return tokens;
}

/** @throws SiriError `GRAMMAR_SYNTAX`, `GRAMMAR_CONTENT` */
export function parseGrammar(source: string): Grammar {
  const tokens = tokenize(source);
  const rules = new Map<string, readonly Rule[]>();
  const actions = new Map<string, ActionTexts>();
  let i = 0;
  const fail = (token: Token | undefined, expected: string): never => {
    const where = token ? `line ${token.line}: '${token.text.slice(0, 40)}'` : "end of text";
    throw new SiriError("GRAMMAR_SYNTAX", `grammar, ${where} where ${expected} was expected`);
  };
  const expect = (text: string) => {
    if (tokens[i]?.kind !== "word" || tokens[i]?.text !== text) fail(tokens[i], `'${text}'`);
    i++;
  };
  const value = (kind: Token["kind"], what: string): Token => {
    expect("::");
    const token = tokens[i];
    if (token?.kind !== kind) return fail(token, what);
    i++;
    expect(";");
    return token;
  };
  while (i < tokens.length) {
    const head = tokens[i++]!;
    if (head.kind === "word" && head.text === "grammar") {
      addRules(value("block", 'a """ block """'), rules);
    } else if (head.kind === "word" && head.text === "action") {
      const name = tokens[i++];
      if (name?.kind !== "word") return fail(name, "an action name");
      expect("{");
      const texts: { template?: Template; feedback?: Template } = {};
      while (tokens[i]?.text !== "}" || tokens[i]?.kind !== "word") {
        const key = tokens[i++];
        if (key?.text === "grammar") addRules(value("block", 'a """ block """'), rules);
        else if (key?.text === "template" || key?.text === "feedback") {
          texts[key.text] = parseTemplate(value("string", 'a "string"').text, `${key.text} of action '${name.text}'`);
        } else fail(key, "template, feedback, grammar or '}'");
      }
      i++;
      const { template, feedback } = texts;
      if (!template || !feedback) {
        throw new SiriError(
          "GRAMMAR_CONTENT",
          `grammar, line ${name.line}: action '${name.text}' has no ${template ? "feedback" : "template"}`,
        );
      }
      actions.set(name.text.toLowerCase(), { template, feedback });
    } else fail(head, "'action' or 'grammar'");
  }
  return { rules, actions };
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SiriError("GRAMMAR_SYNTAX", `grammar, ${where}: not JSON: ${(error as Error).message}`, { cause: error });
  }
}

function addRules(block: Token, rules: Map<string, readonly Rule[]>): void {
  const where = `block at line ${block.line}`;
  const json = parseJson(block.text.replace(/^[ \t]*#.*$/gm, ""), where);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new SiriError("GRAMMAR_CONTENT", `grammar, ${where}: an object of symbols was expected`);
  }
  for (const [symbol, list] of Object.entries(json)) {
    if (!Array.isArray(list)) throw new SiriError("GRAMMAR_CONTENT", `grammar, ${where}: symbol '${symbol}' needs a list of rules`);
    rules.set(
      symbol,
      list.map((rule: { rhs?: unknown; condition?: unknown } | null, i) => {
        const owner = `symbol '${symbol}', rule ${i + 1}`;
        if (typeof rule?.rhs !== "string") throw new SiriError("GRAMMAR_CONTENT", `grammar, ${where}: ${owner} has no text 'rhs'`);
        const { condition } = rule;
        if (condition !== undefined && condition !== null && typeof condition !== "string") {
          throw new SiriError("GRAMMAR_CONTENT", `grammar, ${where}: the condition of ${owner} is not a text`);
        }
        return { condition: condition?.trim() ? parseQuery(condition, owner) : null, template: parseTemplate(rule.rhs, owner) };
      }),
    );
  }
}
