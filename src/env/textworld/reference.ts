/**
 * The plain twin of the engine: facts are strings in sets, conditions and grammar are walked as they stand in the file, nothing is
 * compiled. Slow and obvious; the engine is tested against it.
 */
import { SiriError } from "../../errors.js";
import { type GameFile, readGameFile } from "./file.js";
import { type Grammar, parseGrammar } from "./grammar.js";
import { displayNames, unnumberedName } from "./names.js";
import {
  type Action,
  type Atom,
  conjuncts,
  type Domain,
  type Effect,
  type Formula,
  isVariable,
  parseDomain,
  parseProblem,
} from "./pddl.js";
import { NOTHING_HAPPENS, type Play } from "./play.js";
import { positivePart } from "./reachable.js";
import { pythonStrip } from "./strip.js";
import { ARTICLES, type Expression, type Query, type Template } from "./template.js";

/** Variable -> id. */
type Binding = ReadonlyMap<string, string>;

/** Predicate -> argument lists, joined by a blank. A blank sorts before every character of an id, so the lists sort by argument. */
class Facts {
  private readonly rows = new Map<string, Set<string>>();
  private readonly lists = new Map<string, readonly (readonly string[])[]>();

  constructor(facts: Iterable<readonly string[]> = []) {
    for (const [predicate, ...args] of facts) this.set(predicate!, args, true);
  }

  has(predicate: string, args: readonly string[]): boolean {
    return this.rows.get(predicate)?.has(args.join(" ")) ?? false;
  }

  set(predicate: string, args: readonly string[], holds: boolean): void {
    if (!this.rows.has(predicate)) this.rows.set(predicate, new Set());
    this.lists.delete(predicate);
    const rows = this.rows.get(predicate)!;
    if (holds) rows.add(args.join(" "));
    else rows.delete(args.join(" "));
  }

  sorted(predicate: string): readonly (readonly string[])[] {
    let list = this.lists.get(predicate);
    if (!list) {
      list = [...(this.rows.get(predicate) ?? [])].sort().map((row) => (row === "" ? [] : row.split(" ")));
      this.lists.set(predicate, list);
    }
    return list;
  }

  *[Symbol.iterator](): Generator<[string, ...string[]]> {
    for (const predicate of this.rows.keys()) for (const row of this.sorted(predicate)) yield [predicate, ...row];
  }
}

interface GroundEffect {
  readonly effect: Effect;
  readonly args: readonly string[];
}

interface Command {
  readonly text: string;
  readonly action: Action;
  readonly binding: Binding;
}

export class ReferencePlay implements Play {
  observation: string;
  won: boolean;
  private readonly domain: Domain;
  private readonly grammar: Grammar;
  private readonly grammarText: string;
  private readonly goal: Formula;
  private readonly typeOf = new Map<string, string>();
  private readonly ids: readonly string[];
  private readonly byType = new Map<string, readonly string[]>();
  private readonly names = new Map<string, string>();
  private readonly world: Facts;
  /** What the texts believe: the facts, and `not_p` for every executed negative effect. */
  private readonly told: Facts;
  private reachable: Facts | undefined;

  constructor(source: string | GameFile) {
    const file = readGameFile(source);
    this.domain = parseDomain(file.pddl_domain);
    this.grammar = parseGrammar(file.grammar);
    this.grammarText = file.grammar;
    const { objects, init, goal } = parseProblem(file.pddl_problem, this.domain);
    this.goal = goal;
    for (const { name, type } of objects) this.typeOf.set(name, type);
    this.ids = [...this.typeOf.keys()].sort();
    for (const id of this.ids) this.names.set(id, unnumberedName(id));
    const entities = [...new Set(init.flatMap((atom) => atom.args))].sort();
    displayNames(entities).forEach((name, i) => {
      this.names.set(entities[i]!, name);
    });
    this.world = new Facts(init.map((atom) => [atom.predicate, ...atom.args]));
    this.told = new Facts(this.world);
    this.observation = this.derive("intro", new Map());
    this.won = this.holds(goal, new Map(), this.world);
  }

  get score(): 0 | 1 {
    return this.won ? 1 : 0;
  }

  get admissible(): readonly string[] {
    return [...new Set(this.commands().map((command) => command.text))].sort();
  }

  facts(): Iterable<readonly [string, ...string[]]> {
    return this.world;
  }

  step(input: string): string {
    const text = pythonStrip(input);
    const command = this.commands().find((each) => each.text === text);
    this.observation = command ? this.execute(command) : NOTHING_HAPPENS;
    this.won = this.holds(this.goal, new Map(), this.world);
    return this.observation;
  }

  /** Possible commands in file order of actions, then order of ids. */
  private commands(): Command[] {
    return this.domain.actions.flatMap((action) => {
      const names = action.parameters.map((parameter) => parameter.name);
      const key = (binding: Binding) => names.map((name) => binding.get(name)!).join(" ");
      const unique = new Map([...this.solutions(action, this.world)].map((binding) => [key(binding), binding]));
      return [...unique]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .filter(([, binding]) => !this.isIdle(action, binding))
        .map(([, binding]) => ({ text: this.expand(this.texts(action).template, spoken(action, binding)), action, binding }));
    });
  }

  private texts(action: Action) {
    const texts = this.grammar.actions.get(action.name);
    if (!texts) throw new SiriError("GRAMMAR_CONTENT", `grammar: action '${action.name}' of the domain has no template`);
    return texts;
  }

  private execute({ action, binding }: Command): string {
    const effects = this.ground(action, binding);
    const happening = effects.filter(({ effect }) => !effect.when || this.holds(effect.when, binding, this.world));
    for (const { effect, args } of effects) {
      if (!effect.add && !this.canHold(effect.atom.predicate, args)) continue;
      this.told.set(effect.atom.predicate, args, effect.add);
      this.told.set(`not_${effect.atom.predicate}`, args, !effect.add);
    }
    for (const { effect, args } of happening) if (!effect.add) this.world.set(effect.atom.predicate, args, false);
    for (const { effect, args } of happening) if (effect.add) this.world.set(effect.atom.predicate, args, true);
    return this.expand(this.texts(action).feedback, spoken(action, binding));
  }

  /** Effects with their objects; an atom that is always both added and deleted is only added. */
  private ground(action: Action, binding: Binding): GroundEffect[] {
    const all = action.effects.map((effect) => ({ effect, args: substitute(effect.atom, binding) }));
    const added = new Set(all.filter(({ effect }) => effect.add && !effect.when).map(factOf));
    return all.filter((each) => each.effect.add || each.effect.when || !added.has(factOf(each)));
  }

  /** Whether every effect already holds because the precondition says so. */
  private isIdle(action: Action, binding: Binding): boolean {
    const given = conjuncts(action.precondition).flatMap((condition) => {
      const atom = condition.op === "not" ? condition.part : condition;
      return atom.op === "atom" ? [`${condition.op !== "not"} ${atom.predicate} ${substitute(atom, binding).join(" ")}`] : [];
    });
    return this.ground(action, binding).every((each) => given.includes(`${each.effect.add} ${factOf(each)}`));
  }

  private isA(id: string, type: string): boolean {
    return this.domain.types.get(this.typeOf.get(id) ?? "")?.has(type) ?? false;
  }

  private members(type: string): readonly string[] {
    let ids = this.byType.get(type);
    if (!ids) {
      ids = this.ids.filter((id) => this.isA(id, type));
      this.byType.set(type, ids);
    }
    return ids;
  }

  private holds(formula: Formula, binding: Binding, facts: Facts): boolean {
    switch (formula.op) {
      case "and":
        return formula.parts.every((part) => this.holds(part, binding, facts));
      case "or":
        return formula.parts.some((part) => this.holds(part, binding, facts));
      case "not":
        return !this.holds(formula.part, binding, facts);
      case "exists": {
        const [first, ...rest] = formula.variables;
        if (!first) return this.holds(formula.part, binding, facts);
        const inner: Formula = { ...formula, variables: rest };
        return this.members(first.type).some((id) => this.holds(inner, new Map(binding).set(first.name, id), facts));
      }
      case "equal":
        return value(formula.args[0], binding) === value(formula.args[1], binding);
      case "atom":
        return facts.has(formula.predicate, substitute(formula, binding));
    }
  }

  /** All bindings of an action's parameters that satisfy its precondition: its atoms narrow them down, then all is checked. */
  private *solutions(action: Action, facts: Facts, formula = action.precondition): Generator<Binding> {
    const atoms = conjuncts(formula).filter((part): part is Atom => part.op === "atom");
    const types = new Map(action.parameters.map(({ name, type }) => [name, type]));
    const isA = (id: string, type: string) => this.isA(id, type);
    const members = (type: string) => this.members(type);
    function* narrow(i: number, binding: Binding): Generator<Binding> {
      const atom = atoms[i];
      if (atom) {
        for (const row of facts.sorted(atom.predicate)) {
          const next = new Map(binding);
          const fits = atom.args.every((term, k) => {
            if (isVariable(term) && !next.has(term)) next.set(term, row[k]!);
            return value(term, next) === row[k] && (!isVariable(term) || isA(row[k]!, types.get(term)!));
          });
          if (fits) yield* narrow(i + 1, next);
        }
        return;
      }
      const open = action.parameters.find(({ name }) => !binding.has(name));
      if (!open) yield binding;
      else for (const id of members(open.type)) yield* narrow(i, new Map(binding).set(open.name, id));
    }
    for (const binding of narrow(0, new Map())) if (this.holds(formula, binding, facts)) yield binding;
  }

  private canHold(predicate: string, args: readonly string[]): boolean {
    // The closure of a real game takes seconds: it is only made when some text could show the difference.
    if (this.world.has(predicate, args) || !this.grammarText.includes(`not_${predicate}`)) return true;
    this.reachable ??= this.closure();
    return this.reachable.has(predicate, args);
  }

  /** Facts that could ever be true if nothing were deleted and no negative condition counted. */
  private closure(): Facts {
    const facts = new Facts(this.world);
    for (let before = -1, size = 0; before !== size; before = size, size = [...facts].length) {
      for (const action of this.domain.actions) {
        for (const { add, atom, when } of action.effects) {
          if (!add) continue;
          const condition = positivePart({ op: "and", parts: [action.precondition, ...(when ? [when] : [])] });
          for (const binding of [...this.solutions(action, facts, condition)]) facts.set(atom.predicate, substitute(atom, binding), true);
        }
      }
    }
    return facts;
  }

  private derive(symbol: string, binding: Binding): string {
    const rules = this.grammar.rules.get(symbol);
    const rule = rules?.find(({ condition }) => condition === null || this.matches(condition, binding).length > 0);
    if (!rule) throw new SiriError("GRAMMAR_CONTENT", `grammar: no rule for symbol '#${symbol}#'`);
    return this.expand(rule.template, binding);
  }

  private expand(template: Template, binding: Binding): string {
    return template
      .map((piece) => {
        if (piece.op === "text") return piece.text;
        if (piece.op === "symbol") return this.derive(piece.name, binding);
        const bindings = piece.query ? this.matches(piece.query, binding) : [binding];
        const items = bindings.map((each) => this.evaluate(piece.expression, each));
        if (!piece.list) return items.join("");
        if (items.length === 0) return this.derive("list_empty", binding);
        if (items.length === 1) return items[0];
        const separator = this.derive("list_separator", binding);
        return items.slice(0, -1).join(separator) + this.derive("list_last_separator", binding) + items[items.length - 1];
      })
      .join("");
  }

  private evaluate(expression: Expression, binding: Binding): string {
    switch (expression.op) {
      case "string":
        return expression.text;
      case "symbol":
        return this.derive(expression.name, binding);
      case "concat":
        return expression.parts.map((part) => this.evaluate(part, binding)).join("");
      case "or":
        return expression.parts.map((part) => this.evaluate(part, binding)).find((text) => text !== "") ?? "";
      case "attribute": {
        const id = binding.get(expression.variable);
        if (id === undefined) throw new SiriError("GRAMMAR_CONTENT", `grammar: variable '${expression.variable}' is not bound`);
        if (expression.attribute === "id") return id;
        return expression.attribute === "name" ? this.names.get(id)! : ARTICLES[expression.attribute];
      }
    }
  }

  /** Bindings that satisfy a query, in order: predicates from left to right, facts by ids. */
  private matches(query: Query, binding: Binding): Binding[] {
    const [literal, ...rest] = query;
    if (!literal) return [binding];
    return this.told.sorted(literal.predicate).flatMap((row) => {
      if (row.length !== literal.args.length) return [];
      const next = new Map(binding);
      for (const [i, { variable, type }] of literal.args.entries()) {
        const id = row[i]!;
        if (type !== null && !this.isA(id, type)) return [];
        if (!next.has(variable) && [...next.values()].includes(id)) return [];
        if (next.has(variable) && next.get(variable) !== id) return [];
        next.set(variable, id);
      }
      return this.matches(rest, next);
    });
  }
}

const value = (term: string, binding: Binding): string => (isVariable(term) ? binding.get(term)! : term);

const substitute = (atom: Atom, binding: Binding): string[] => atom.args.map((term) => value(term, binding));

const factOf = ({ effect, args }: GroundEffect): string => `${effect.atom.predicate} ${args.join(" ")}`;

/** The binding that texts see: the action's parameters without '?'. */
const spoken = (action: Action, binding: Binding): Binding =>
  new Map(action.parameters.map(({ name }) => [name.slice(1), binding.get(name)!]));
