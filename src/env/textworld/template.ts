/**
 * The small language of grammar texts: literal text, `#symbol#`, `{expression | query}` and lists `[{expression | query}]`.
 * Parsing has no end anchor: from the first character that fits nowhere the rest of a text is dropped without a word, as the
 * original does. Expressions and queries are strict. Knows nothing of facts; `render.ts` and `reference.ts` give it meaning.
 */
import { SiriError } from "../../errors.js";

export type Expression =
  | { readonly op: "attribute"; readonly variable: string; readonly attribute: Attribute }
  | { readonly op: "string"; readonly text: string }
  /** `a + b`: texts joined. */
  | { readonly op: "concat"; readonly parts: readonly Expression[] }
  /** `a or b`: the first that is not empty, else the last. */
  | { readonly op: "or"; readonly parts: readonly Expression[] }
  | { readonly op: "symbol"; readonly name: string };

export type Attribute = "name" | "id" | "definite" | "indefinite";

export interface QueryArgument {
  readonly variable: string;
  /** Null: any type. */
  readonly type: string | null;
}

/** `p(x:t) & q(x:t, y:u)`, matched from left to right. */
export type Query = readonly { readonly predicate: string; readonly args: readonly QueryArgument[] }[];

export type Piece =
  | { readonly op: "text"; readonly text: string }
  | { readonly op: "symbol"; readonly name: string }
  | { readonly op: "each"; readonly list: boolean; readonly expression: Expression; readonly query: Query | null };

export type Template = readonly Piece[];

export const ARTICLES: Readonly<Record<"definite" | "indefinite", string>> = { definite: "the", indefinite: "a" };

/** One piece: a list, a conditional (expression, query), a symbol, a quoted run, literal text. */
const PIECE = /\[\s*\{([^{}|]*)(?:\|([^{}]*))?\}\s*\]|\{([^{}|]*)(?:\|([^{}]*))?\}|#([^;|"<>[\]#{}]+)#|"([^"]*)"|([^;|"<>[\]#{}]+)/y;
/** Blanks and `// comments` before the first piece; later only tabs are passed over. */
const LEAD = /^(?:\s+|\/\/[^\n]*)*/;

/**
 * @param owner what the text belongs to, for errors.
 * @throws SiriError `GRAMMAR_CONTENT` when an expression or a query cannot be read.
 */
export function parseTemplate(text: string, owner: string): Template {
  const pieces: Piece[] = [];
  const each = (list: boolean, expression: string, query: string | undefined) => {
    pieces.push({
      op: "each",
      list,
      expression: parseExpression(expression.trim(), owner),
      query: query === undefined ? null : parseQuery(query, owner),
    });
  };
  let i = LEAD.exec(text)![0].length;
  for (;;) {
    while (text[i] === "\t") i++;
    PIECE.lastIndex = i;
    const match = PIECE.exec(text);
    if (!match) return pieces;
    const [all, listExpression, listQuery, expression, query, symbol, quoted, literal] = match;
    if (listExpression !== undefined) each(true, listExpression, listQuery);
    else if (expression !== undefined) each(false, expression, query);
    else if (symbol !== undefined) pieces.push({ op: "symbol", name: symbol });
    else pieces.push({ op: "text", text: quoted ?? literal! });
    i += all.length;
  }
}

const ATTRIBUTES: ReadonlySet<string> = new Set(["name", "id", "definite", "indefinite"]);
const EXPRESSION_TOKEN = /\s*(?:'([^']*)'|([A-Za-z_]\w*)(?:\.(\w+))?|(\+)|(\S))/y;

function parseExpression(text: string, owner: string): Expression {
  const symbol = /^#([^#]+)#$/.exec(text);
  if (symbol) return { op: "symbol", name: symbol[1]! };
  const fail = (what: string): never => {
    throw new SiriError(
      "GRAMMAR_CONTENT",
      `grammar, ${owner}: ${what} in the expression '${text}'; x.name, x.id, x.definite, x.indefinite, 'text', + and or are supported`,
    );
  };
  const alternatives: Expression[] = [];
  let sum: Expression[] = [];
  let wantsOperand = true;
  const closeSum = () => {
    if (wantsOperand) fail("an operand is missing");
    alternatives.push(sum.length === 1 ? sum[0]! : { op: "concat", parts: sum });
    sum = [];
    wantsOperand = true;
  };
  EXPRESSION_TOKEN.lastIndex = 0;
  for (let match = EXPRESSION_TOKEN.exec(text); match; match = EXPRESSION_TOKEN.exec(text)) {
    const [, quoted, variable, attribute, plus, other] = match;
    if (other !== undefined) fail(`unexpected '${other}'`);
    if (plus !== undefined) {
      if (wantsOperand) fail("an operand is missing");
      wantsOperand = true;
    } else if (variable === "or" && attribute === undefined) closeSum();
    else {
      if (!wantsOperand) fail("an operator is missing");
      wantsOperand = false;
      if (quoted !== undefined) sum.push({ op: "string", text: quoted });
      else if (attribute === undefined) sum.push({ op: "attribute", variable: variable!, attribute: "name" });
      else if (ATTRIBUTES.has(attribute)) sum.push({ op: "attribute", variable: variable!, attribute: attribute as Attribute });
      else fail(`unknown attribute '.${attribute}'`);
    }
  }
  closeSum();
  return alternatives.length === 1 ? alternatives[0]! : { op: "or", parts: alternatives };
}

const LITERAL_QUERY = /^\s*([\w-]+)\s*\(([^()]*)\)\s*$/;
const ARGUMENT = /^\s*(\w+)\s*(?::\s*(\S+)\s*)?$/;

/** @throws SiriError `GRAMMAR_CONTENT` */
export function parseQuery(text: string, owner: string): Query {
  return text.split("&").map((part) => {
    const match = LITERAL_QUERY.exec(part);
    const args = match?.[2]?.trim() ? match[2].split(",").map((arg) => ARGUMENT.exec(arg)) : [];
    if (!match || args.includes(null)) {
      throw new SiriError("GRAMMAR_CONTENT", `grammar, ${owner}: '${part.trim()}' is not a query; write predicate(x:type, y:type) & ...`);
    }
    return { predicate: match[1]!, args: args.map((arg) => ({ variable: arg![1]!, type: arg![2] ?? null })) };
  });
}
