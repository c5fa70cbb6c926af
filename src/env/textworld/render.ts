/**
 * A grammar compiled to closures for one domain, shared by all games that have both. Symbols take the first rule that applies; queries
 * are nested loops from left to right in the order of ids. Knows nothing of actions' effects.
 */
import { SiriError } from "../../errors.js";
import { type Grammar, type Rule, TASK_SYMBOL } from "./grammar.js";
import type { Layout } from "./layout.js";
import type { Env, Relations } from "./search.js";
import { ARTICLES, type Expression, type Piece, type Query, type Template } from "./template.js";

/** What a text is made from. Variables that are not bound hold -1 in the environment. */
export interface View {
  readonly relations: Relations;
  readonly ids: readonly string[];
  readonly names: readonly string[];
  /** One mask over objects per type, in the order of the domain's types. */
  readonly masks: readonly Uint8Array[];
  /** This game's own task sentence, if it was cut out of the grammar. */
  readonly task: Render | null;
  /** Symbols being rendered, and all that were; whoever starts a text sets both to 0. */
  depth: number;
  rendered: number;
}

export type Render = (view: View, env: Env) => string;
type Match = (view: View, env: Env, found: () => boolean) => boolean;

/** What a text depends on. */
export interface Needs {
  readonly variables: Set<string>;
  readonly relations: Set<number>;
}

const LIST = { empty: "list_empty", separator: "list_separator", last: "list_last_separator" } as const;
/** Deeper nesting of symbols than this is a grammar that refers to itself. */
const DEPTH_LIMIT = 200;
/** More symbols than this in the texts of one step are a grammar that unfolds without end. */
const RENDERED_LIMIT = 1_000_000;

export class Texts {
  /** Variable -> slot of the environment. */
  private readonly slots = new Map<string, number>();
  private readonly types: readonly string[];
  private readonly symbols = new Map<string, Render>();

  constructor(
    private readonly grammar: Grammar,
    private readonly layout: Layout,
  ) {
    this.types = [...layout.domain.types.keys()];
    for (const [name, rules] of grammar.rules) this.symbols.set(name, this.rules(name, rules));
  }

  slot(variable: string): number {
    let slot = this.slots.get(variable);
    if (slot === undefined) {
      slot = this.slots.size;
      this.slots.set(variable, slot);
    }
    return slot;
  }

  /** An environment with nothing bound. */
  emptyEnv(): Env {
    return new Array<number>(this.slots.size).fill(-1);
  }

  template(template: Template): Render {
    const parts = template.map((piece) => this.piece(piece));
    const [first] = parts;
    if (parts.length === 1 && first) return first;
    return (view, env) => {
      let text = "";
      for (const part of parts) text += part(view, env);
      return text;
    };
  }

  has(symbol: string): boolean {
    return this.symbols.has(symbol);
  }

  /** The text of a symbol. @throws SiriError `GRAMMAR_CONTENT` when rendered without a rule. */
  symbol(name: string): Render {
    return (view, env) => {
      if (++view.depth > DEPTH_LIMIT) {
        throw new SiriError("GRAMMAR_CONTENT", `grammar: symbol '${name}' refers to itself without end`);
      }
      if (++view.rendered > RENDERED_LIMIT) {
        throw new SiriError("GRAMMAR_CONTENT", `grammar: one text unfolds into more than ${RENDERED_LIMIT} symbols, such as '${name}'`);
      }
      const own = name === TASK_SYMBOL ? view.task : null;
      const text = (own ?? this.symbols.get(name) ?? this.unknown(name))(view, env);
      view.depth--;
      return text;
    };
  }

  private unknown(name: string): never {
    throw new SiriError("GRAMMAR_CONTENT", `grammar: no rules for symbol '#${name}#'`);
  }

  private rules(name: string, rules: readonly Rule[]): Render {
    const compiled = rules.map(({ condition, template }) => ({
      match: condition && this.query(condition),
      render: this.template(template),
    }));
    const any = () => true;
    return (view, env) => {
      for (const { match, render } of compiled) if (!match || match(view, env, any)) return render(view, env);
      throw new SiriError("GRAMMAR_CONTENT", `grammar: no rule of symbol '#${name}#' applies`);
    };
  }

  private piece(piece: Piece): Render {
    if (piece.op === "text") return () => piece.text;
    if (piece.op === "symbol") return this.symbol(piece.name);
    const item = this.expression(piece.expression);
    const match = piece.query && this.query(piece.query);
    if (!piece.list && !match) return item;
    const [empty, separator, last] = [this.symbol(LIST.empty), this.symbol(LIST.separator), this.symbol(LIST.last)];
    return (view, env) => {
      const items: string[] = [];
      if (!match) items.push(item(view, env));
      else {
        match(view, env, () => {
          items.push(item(view, env));
          return false;
        });
      }
      if (!piece.list) return items.join("");
      if (items.length === 0) return empty(view, env);
      const end = items.pop()!;
      if (items.length === 0) return end;
      return items.join(separator(view, env)) + last(view, env) + end;
    };
  }

  private expression(expression: Expression): Render {
    switch (expression.op) {
      case "string":
        return () => expression.text;
      case "symbol":
        return this.symbol(expression.name);
      case "attribute":
        return this.attribute(expression.variable, expression.attribute);
      case "concat": {
        const parts = expression.parts.map((part) => this.expression(part));
        return (view, env) => {
          let text = "";
          for (const part of parts) text += part(view, env);
          return text;
        };
      }
      case "or": {
        const parts = expression.parts.map((part) => this.expression(part));
        return (view, env) => {
          let text = "";
          for (const part of parts) {
            text = part(view, env);
            if (text !== "") break;
          }
          return text;
        };
      }
    }
  }

  private attribute(variable: string, attribute: "name" | "id" | "definite" | "indefinite"): Render {
    const slot = this.slot(variable);
    const read = (env: Env): number => {
      const value = env[slot];
      if (value === undefined || value < 0) {
        throw new SiriError("GRAMMAR_CONTENT", `grammar: variable '${variable}' is used where nothing binds it`);
      }
      return value;
    };
    if (attribute === "name") return (view, env) => view.names[read(env)]!;
    if (attribute === "id") return (view, env) => view.ids[read(env)]!;
    const article = ARTICLES[attribute];
    return (_, env) => {
      read(env);
      return article;
    };
  }

  private query(query: Query): Match {
    let next: Match = (_view, _env, found) => found();
    for (const { predicate, args } of [...query].reverse()) {
      const relation = this.layout.text(predicate);
      if (relation < 0 || this.layout.arities[relation] !== args.length) return () => false;
      const types = args.map(({ type }) => (type === null ? null : this.types.indexOf(type)));
      if (types.includes(-1)) return () => false;
      const slots = args.map(({ variable }) => this.slot(variable));
      next = matchFacts(relation, slots, types, next);
    }
    return next;
  }

  /** Variables a text reads and relations it asks, symbols included. */
  needs(template: Template, out: Needs = { variables: new Set(), relations: new Set() }, seen = new Set<string>()): Needs {
    const query = (literals: Query | null) => {
      for (const { predicate, args } of literals ?? []) {
        const relation = this.layout.text(predicate);
        if (relation >= 0) out.relations.add(relation);
        for (const { variable } of args) out.variables.add(variable);
      }
    };
    const symbol = (name: string) => {
      if (seen.has(name)) return;
      seen.add(name);
      for (const rule of this.grammar.rules.get(name) ?? []) {
        query(rule.condition);
        this.needs(rule.template, out, seen);
      }
    };
    const expression = (each: Expression) => {
      if (each.op === "attribute") out.variables.add(each.variable);
      else if (each.op === "symbol") symbol(each.name);
      else if (each.op !== "string") each.parts.forEach(expression);
    };
    for (const piece of template) {
      if (piece.op === "symbol") symbol(piece.name);
      if (piece.op !== "each") continue;
      query(piece.query);
      expression(piece.expression);
      if (piece.list) Object.values(LIST).forEach(symbol);
    }
    return out;
  }
}

/** Binds slots to the rows of a relation, in order. A new binding must be of the type and may not repeat another variable's object. */
function matchFacts(relation: number, slots: readonly number[], types: readonly (number | null)[], next: Match): Match {
  const arity = slots.length;
  return (view, env, found) => {
    const { data, count } = view.relations[relation]!;
    const first = arity > 0 ? env[slots[0]!]! : -1;
    for (let row = first >= 0 ? view.relations[relation]!.lowerBound(first) : 0; row < count; row++) {
      const start = row * arity;
      if (first >= 0 && data[start] !== first) return false;
      let bound = 0; // bit i: this row bound argument i
      let fits = true;
      for (let i = 0; i < arity && fits; i++) {
        const value = data[start + i]!;
        const type = types[i]!;
        const slot = slots[i]!;
        if (type !== null && view.masks[type]![value] !== 1) fits = false;
        else if (env[slot]! >= 0) fits = env[slot] === value;
        else if (env.includes(value)) fits = false;
        else {
          env[slot] = value;
          bound |= 1 << i;
        }
      }
      const stop = fits && next(view, env, found);
      for (let i = 0; bound !== 0; i++, bound >>= 1) if (bound & 1) env[slots[i]!] = -1;
      if (stop) return true;
    }
    return false;
  };
}
