/**
 * The PDDL subset of text games, as values: types, predicates, actions with and/or/not/exists/= conditions and `when` effects, and
 * a problem's objects, initial facts and goal. Costs and metrics are read over. Knows nothing of states or grounding.
 *
 * A type that is declared nowhere has no objects. This matters: in ALFWorld's `(exists (?l - location, ?r - receptacle) ...)`
 * the comma is part of the type's name, so that condition never holds.
 */
import { SiriError } from "../../errors.js";
import { at, parseSexpr, type Sexpr, type SexprList } from "./sexpr.js";

/** A variable (`?x`) or the id of an object. */
export type Term = string;

export interface TypedName {
  readonly name: string;
  readonly type: string;
}

export type Formula =
  | { readonly op: "and" | "or"; readonly parts: readonly Formula[] }
  | { readonly op: "not"; readonly part: Formula }
  | { readonly op: "exists"; readonly variables: readonly TypedName[]; readonly part: Formula }
  | { readonly op: "equal"; readonly args: readonly [Term, Term] }
  | Atom;

export interface Atom {
  readonly op: "atom";
  readonly predicate: string;
  readonly args: readonly Term[];
}

export interface Effect {
  readonly add: boolean;
  readonly atom: Atom;
  /** What must hold before the action for the effect to happen; null when it always happens. */
  readonly when: Formula | null;
}

export interface Action {
  readonly name: string;
  readonly parameters: readonly TypedName[];
  readonly precondition: Formula;
  readonly effects: readonly Effect[];
}

export interface Domain {
  readonly name: string;
  /** Declared types, each with itself and all its parents. */
  readonly types: ReadonlyMap<string, ReadonlySet<string>>;
  /** Predicate -> number of arguments. */
  readonly predicates: ReadonlyMap<string, number>;
  readonly constants: readonly TypedName[];
  readonly actions: readonly Action[];
}

export interface Problem {
  readonly objects: readonly TypedName[];
  readonly init: readonly Atom[];
  readonly goal: Formula;
}

const ROOT = "object";
const TRUE: Formula = { op: "and", parts: [] };

export const isVariable = (term: Term): boolean => term.startsWith("?");

/** The conjuncts of a formula: itself, or the parts of nested `and`s in order. */
export function conjuncts(formula: Formula): readonly Formula[] {
  return formula.op === "and" ? formula.parts.flatMap(conjuncts) : [formula];
}

/** Reads one text; keeps the text's name for errors. */
class Reader {
  constructor(
    readonly where: string,
    readonly predicates: ReadonlyMap<string, number>,
  ) {}

  fail(list: SexprList, message: string): never {
    throw new SiriError("PDDL_CONTENT", `${at(this.where, list.line)}: ${message}`);
  }

  list(node: Sexpr | undefined, parent: SexprList, what: string): SexprList {
    if (node === undefined) return this.fail(parent, `${what} is missing`);
    if (typeof node === "string") return this.fail(parent, `'${node}' where ${what} was expected`);
    return node;
  }

  token(node: Sexpr | undefined, parent: SexprList, what: string): string {
    if (typeof node !== "string") return this.fail(parent, `${what} was expected`);
    return node;
  }

  /** `a b - t c - u d` from `from` on; names without a type get the root type. */
  typed(list: SexprList, from = 0): TypedName[] {
    const out: TypedName[] = [];
    let open: string[] = [];
    for (let i = from; i < list.items.length; i++) {
      const name = this.token(list.items[i], list, "a name");
      if (name !== "-") {
        open.push(name);
        continue;
      }
      const type = this.token(list.items[++i], list, "a type name after '-' (either is not supported)");
      for (const each of open) out.push({ name: each, type });
      open = [];
    }
    for (const each of open) out.push({ name: each, type: ROOT });
    return out;
  }

  variables(list: SexprList): TypedName[] {
    const out = this.typed(list);
    for (const { name } of out) if (!isVariable(name)) this.fail(list, `'${name}' is not a variable; variables start with '?'`);
    return out;
  }

  atom(list: SexprList): Atom {
    const predicate = this.token(list.items[0], list, "a predicate");
    const arity = this.predicates.get(predicate);
    if (arity === undefined) this.fail(list, `unknown predicate '${predicate}'`);
    const args: Term[] = [];
    for (let i = 1; i < list.items.length; i++) args.push(this.token(list.items[i], list, `an argument of '${predicate}'`));
    if (args.length !== arity) this.fail(list, `predicate '${predicate}' takes ${arity} arguments, got ${args.length}`);
    return { op: "atom", predicate, args };
  }

  formula(list: SexprList): Formula {
    const head = list.items[0];
    if (head === undefined) return TRUE;
    const rest = list.items.slice(1);
    switch (head) {
      case "and":
      case "or":
        return { op: head, parts: rest.map((item) => this.formula(this.list(item, list, "a condition"))) };
      case "not":
        if (rest.length !== 1) this.fail(list, `'not' takes 1 condition, got ${rest.length}`);
        return { op: "not", part: this.formula(this.list(rest[0], list, "a condition")) };
      case "exists": {
        if (rest.length !== 2) this.fail(list, `'exists' takes variables and 1 condition, got ${rest.length} items`);
        const variables = this.variables(this.list(rest[0], list, "the variables of 'exists'"));
        return { op: "exists", variables, part: this.formula(this.list(rest[1], list, "a condition")) };
      }
      case "=": {
        if (rest.length !== 2) this.fail(list, `'=' takes 2 terms, got ${rest.length}`);
        return { op: "equal", args: [this.token(rest[0], list, "a term"), this.token(rest[1], list, "a term")] };
      }
      case "forall":
      case "imply":
      case "preference":
        return this.fail(list, `'${head}' is not supported in conditions; and, or, not, exists and = are`);
      default:
        return this.atom(list);
    }
  }

  effects(list: SexprList, when: Formula | null, out: Effect[]): Effect[] {
    const head = list.items[0];
    if (head === undefined || head === "increase") return out;
    if (head === "and") {
      for (const item of list.items.slice(1)) this.effects(this.list(item, list, "an effect"), when, out);
    } else if (head === "when") {
      if (when) this.fail(list, "'when' inside 'when' is not supported");
      if (list.items.length !== 3) this.fail(list, `'when' takes a condition and an effect, got ${list.items.length - 1} items`);
      const condition = this.formula(this.list(list.items[1], list, "the condition of 'when'"));
      this.effects(this.list(list.items[2], list, "the effect of 'when'"), condition, out);
    } else if (head === "not") {
      out.push({ add: false, atom: this.atom(this.list(list.items[1], list, "an atom after 'not'")), when });
    } else if (head === "forall" || head === "assign" || head === "decrease") {
      this.fail(list, `'${head}' is not supported in effects; and, not, when and increase are`);
    } else {
      out.push({ add: true, atom: this.atom(list), when });
    }
    return out;
  }

  /** Checks `(define (<kind> <name>) section...)`. */
  define(root: SexprList, kind: "domain" | "problem"): { name: string; sections: SexprList[] } {
    if (root.items[0] !== "define") this.fail(root, `'(define (${kind} ...) ...)' was expected`);
    const title = this.list(root.items[1], root, `'(${kind} NAME)'`);
    if (title.items[0] !== kind) this.fail(title, `'(${kind} NAME)' was expected, got '(${String(title.items[0])} ...'`);
    const sections = root.items.slice(2).map((item) => this.list(item, root, "a section"));
    return { name: this.token(title.items[1], title, `the name of the ${kind}`), sections };
  }

  action(list: SexprList): Action {
    const name = this.token(list.items[1], list, "the action's name");
    const parts = new Map<string, SexprList>();
    for (let i = 2; i < list.items.length; i += 2) {
      const key = this.token(list.items[i], list, `a key of action '${name}'`);
      if (key !== ":parameters" && key !== ":precondition" && key !== ":effect")
        this.fail(list, `unknown key '${key}' of action '${name}'`);
      parts.set(key, this.list(list.items[i + 1], list, `the value of '${key}' of action '${name}'`));
    }
    const parameterList = parts.get(":parameters");
    const parameters = parameterList ? this.variables(parameterList) : [];
    const condition = parts.get(":precondition");
    const effect = parts.get(":effect");
    const action: Action = {
      name,
      parameters,
      precondition: condition ? this.formula(condition) : TRUE,
      effects: effect ? this.effects(effect, null, []) : [],
    };
    const known = new Set(parameters.map((p) => p.name));
    this.checkScope(list, `action '${name}'`, action.precondition, known);
    for (const { atom, when } of action.effects) {
      this.checkScope(list, `action '${name}'`, atom, known);
      if (when) this.checkScope(list, `action '${name}'`, when, known);
    }
    return action;
  }

  /** Every variable must be a parameter or bound by an enclosing `exists`. */
  checkScope(list: SexprList, owner: string, formula: Formula, known: ReadonlySet<string>): void {
    if (formula.op === "atom" || formula.op === "equal") {
      for (const term of formula.args) if (isVariable(term) && !known.has(term)) this.fail(list, `unbound variable '${term}' in ${owner}`);
    } else if (formula.op === "not") this.checkScope(list, owner, formula.part, known);
    else if (formula.op === "exists") {
      this.checkScope(list, owner, formula.part, new Set([...known, ...formula.variables.map((v) => v.name)]));
    } else for (const part of formula.parts) this.checkScope(list, owner, part, known);
  }
}

function typeTable(declared: readonly TypedName[]): Map<string, ReadonlySet<string>> {
  // A root type that the file declares itself (as ALFWorld does) is a type like any other, and parent of nothing by default.
  const rootIsPlain = declared.some(({ name }) => name === ROOT);
  const parent = new Map<string, string>();
  for (const { name, type } of declared) if (name !== type && !(rootIsPlain && type === ROOT)) parent.set(name, type);
  const types = new Map<string, ReadonlySet<string>>();
  for (const name of [ROOT, ...declared.map((d) => d.name), ...parent.values()]) {
    const line = new Set<string>();
    for (let each: string | undefined = name; each !== undefined && !line.has(each); each = parent.get(each)) line.add(each);
    if (!rootIsPlain) line.add(ROOT);
    types.set(name, line);
  }
  return types;
}

/** @throws SiriError `PDDL_SYNTAX`, `PDDL_CONTENT` */
export function parseDomain(source: string, where = "pddl_domain"): Domain {
  const predicates = new Map<string, number>();
  const reader = new Reader(where, predicates);
  const { name, sections } = reader.define(parseSexpr(source, where), "domain");
  let types: TypedName[] = [];
  let constants: TypedName[] = [];
  const actions: SexprList[] = [];
  for (const section of sections) {
    switch (section.items[0]) {
      case ":requirements":
      case ":functions":
        break;
      case ":types":
        types = reader.typed(section, 1);
        break;
      case ":constants":
        constants = reader.typed(section, 1);
        break;
      case ":predicates":
        for (const item of section.items.slice(1)) {
          const list = reader.list(item, section, "a predicate");
          predicates.set(reader.token(list.items[0], list, "a predicate's name"), reader.typed(list, 1).length);
        }
        break;
      case ":action":
        actions.push(section);
        break;
      default:
        reader.fail(section, `unknown section '${String(section.items[0])}' of a domain`);
    }
  }
  return { name, types: typeTable(types), predicates, constants, actions: actions.map((a) => reader.action(a)) };
}

/** @throws SiriError `PDDL_SYNTAX`, `PDDL_CONTENT` (undeclared predicates, objects, wrong argument counts, no goal) */
export function parseProblem(source: string, domain: Domain, where = "pddl_problem"): Problem {
  const reader = new Reader(where, domain.predicates);
  const { sections } = reader.define(parseSexpr(source, where), "problem");
  const objects: TypedName[] = [...domain.constants];
  let init: SexprList | undefined;
  let goal: SexprList | undefined;
  for (const section of sections) {
    switch (section.items[0]) {
      case ":domain":
        if (section.items[1] !== domain.name)
          reader.fail(section, `the problem is for domain '${String(section.items[1])}', the game's domain is '${domain.name}'`);
        break;
      case ":requirements":
      case ":metric":
        break;
      case ":objects":
        for (const object of reader.typed(section, 1)) objects.push(object);
        break;
      case ":init":
        init = section;
        break;
      case ":goal":
        goal = section;
        break;
      default:
        reader.fail(section, `unknown section '${String(section.items[0])}' of a problem`);
    }
  }
  if (!init) throw new SiriError("PDDL_CONTENT", `${where}: section ':init' is missing`);
  if (!goal) throw new SiriError("PDDL_CONTENT", `${where}: section ':goal' is missing`);

  const declared = new Map<string, string>();
  for (const { name, type } of objects) {
    const known = declared.get(name);
    if (known !== undefined && known !== type) {
      throw new SiriError("PDDL_CONTENT", `${where}: object '${name}' is declared as ${known} and as ${type}; an object has one type`);
    }
    declared.set(name, type);
  }
  const checkTerms = (list: SexprList, args: readonly Term[]) => {
    for (const term of args) if (!isVariable(term) && !declared.has(term)) reader.fail(list, `undeclared object '${term}'`);
  };
  const facts: Atom[] = [];
  for (const item of init.items.slice(1)) {
    const list = reader.list(item, init, "a fact");
    // Numbers, and facts that are said to be false: absent facts are false anyway.
    if (list.items[0] === "=" || list.items[0] === "not") continue;
    const fact = reader.atom(list);
    for (const term of fact.args) if (isVariable(term)) reader.fail(list, `variable '${term}' in an initial fact`);
    checkTerms(list, fact.args);
    facts.push(fact);
  }
  const goalList = reader.list(goal.items[1], goal, "the goal's condition");
  const goalFormula = reader.formula(goalList);
  reader.checkScope(goalList, "the goal", goalFormula, new Set());
  const visit = (formula: Formula): void => {
    if (formula.op === "atom" || formula.op === "equal") checkTerms(goalList, formula.args);
    else if (formula.op === "not" || formula.op === "exists") visit(formula.part);
    else formula.parts.forEach(visit);
  };
  visit(goalFormula);
  return { objects: Array.from(declared, ([name, type]) => ({ name, type })), init: facts, goal: goalFormula };
}
