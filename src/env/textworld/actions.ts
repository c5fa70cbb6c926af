/**
 * The actions of a domain made ready for one game: a search for what is possible, its effects as changes of relations, its command and
 * feedback. Nothing is grounded in advance: a search finds the few possible actions of a state in microseconds, while all ground
 * actions of a game would cost megabytes.
 */
import { SiriError } from "../../errors.js";
import type { Grammar } from "./grammar.js";
import { isOverridden, type Layout } from "./layout.js";
import { type Action, conjuncts, type Formula, type Term } from "./pddl.js";
import type { Render, Texts } from "./render.js";
import { Compiler, type Env, type Search, type Tables, type Test } from "./search.js";

export interface CompiledEffect {
  readonly add: boolean;
  readonly when: Test | null;
  readonly slots: readonly number[];
  /** Relation of the world. */
  readonly world: number;
  /** The texts' own relation of this predicate, or -1 when it is the world's. */
  readonly text: number;
  /** The relation of `not_p`, or -1 when no text asks for it. */
  readonly negated: number;
}

export interface CompiledAction {
  /** Environment of `search` and of the effects; the first slots are the parameters, in order. */
  readonly env: Env;
  readonly parameters: number;
  readonly search: Search;
  /** True when every effect already holds by the precondition: such ground actions do not exist. Null: never. */
  readonly isIdle: ((env: Env) => boolean) | null;
  readonly effects: readonly CompiledEffect[];
  /** Relations that decide what is possible and how it reads. */
  readonly reads: readonly number[];
  readonly command: Render;
  readonly feedback: Render;
  /** Slots of the texts' environment for the parameters. */
  readonly textSlots: readonly number[];
  /** Parameters that determine the command's text, or null when the state does too. */
  readonly textKey: readonly number[] | null;
}

/** The parts that do not depend on the game: one per domain and grammar. */
export interface ActionTexts {
  readonly action: Action;
  readonly command: Render;
  readonly feedback: Render;
  readonly textSlots: readonly number[];
  readonly textKey: readonly number[] | null;
  readonly textReads: readonly number[];
  /** Predicates whose `not_` facts some text asks for. */
  readonly negatedAsked: ReadonlySet<number>;
}

/** @throws SiriError `GRAMMAR_CONTENT` when an action has no texts. */
export function compileTexts(layout: Layout, grammar: Grammar, texts: Texts): ActionTexts[] {
  const asked = new Set<number>();
  for (const rules of grammar.rules.values()) {
    for (const { condition, template } of rules) {
      for (const { predicate } of condition ?? []) asked.add(layout.text(predicate));
      for (const relation of texts.needs(template).relations) asked.add(relation);
    }
  }
  for (const { template, feedback } of grammar.actions.values()) {
    for (const part of [template, feedback]) for (const relation of texts.needs(part).relations) asked.add(relation);
  }
  return layout.domain.actions.map((action) => {
    const own = grammar.actions.get(action.name);
    if (!own) throw new SiriError("GRAMMAR_CONTENT", `grammar: action '${action.name}' of the domain has no template`);
    const variables = action.parameters.map(({ name }) => name.slice(1));
    const { variables: read, relations } = texts.needs(own.template);
    const textReads = [...relations].filter((relation) => layout.changes(relation));
    // A variable that only a query binds may not take any object a parameter holds: then all parameters matter.
    const onlyParameters = [...read].every((variable) => variables.includes(variable));
    const textKey = variables.map((_, i) => i).filter((i) => !onlyParameters || read.has(variables[i]!));
    return {
      action,
      command: texts.template(own.template),
      feedback: texts.template(own.feedback),
      textSlots: variables.map((variable) => texts.slot(variable)),
      textKey: textReads.length > 0 ? null : textKey,
      textReads,
      negatedAsked: asked,
    };
  });
}

export function compileAction(layout: Layout, tables: Tables, texts: ActionTexts): CompiledAction {
  const { action, command, feedback, textSlots, textKey } = texts;
  const compiler = new Compiler(tables);
  const names = compiler.declare(action.parameters);
  const open = new Map(action.parameters.map(({ name, type }) => [names.get(name)!, type]));
  const slots = action.effects.map(({ atom }) => compiler.slots(atom.args, names));
  const effects = action.effects.map(({ add, atom, when }, i): CompiledEffect => {
    const world = layout.world.get(atom.predicate)!;
    const text = layout.text(atom.predicate);
    const negated = layout.negated(atom.predicate);
    return {
      add,
      when: when && compiler.test(when, names),
      slots: slots[i]!,
      world,
      text: text === world ? -1 : text,
      negated: texts.negatedAsked.has(negated) ? negated : -1,
    };
  });
  const reads = new Set(texts.textReads);
  predicatesOf(action.precondition, (predicate) => {
    if (layout.fluent.has(predicate)) reads.add(layout.world.get(predicate)!);
  });
  return {
    search: compiler.search(action.precondition, names, open),
    isIdle: idleTest(action, slots, (args) => compiler.slots(args, names)),
    effects,
    env: compiler.env,
    parameters: action.parameters.length,
    reads: [...reads],
    command,
    feedback,
    textSlots,
    textKey,
  };
}

export function predicatesOf(formula: Formula, visit: (predicate: string) => void): void {
  if (formula.op === "atom") visit(formula.predicate);
  else if (formula.op === "not" || formula.op === "exists") predicatesOf(formula.part, visit);
  else if (formula.op !== "equal") for (const part of formula.parts) predicatesOf(part, visit);
}

/** For every effect, the ways in which it can be idle: lists of slot pairs that must hold the same object. */
function idleTest(
  action: Action,
  slots: readonly (readonly number[])[],
  slotsOf: (args: readonly Term[]) => number[],
): CompiledAction["isIdle"] {
  type Pairs = readonly (readonly [number, number])[];
  const pair = (a: readonly number[], b: readonly number[]): Pairs =>
    a.map((slot, i) => [slot, b[i]!] as const).filter(([x, y]) => x !== y);
  const ways = action.effects.map((effect, i) => {
    const out: Pairs[] = [];
    for (const condition of conjuncts(action.precondition)) {
      const literal = condition.op === "not" ? condition.part : condition;
      if (literal.op !== "atom" || (condition.op !== "not") !== effect.add || literal.predicate !== effect.atom.predicate) continue;
      out.push(pair(slots[i]!, slotsOf(literal.args)));
    }
    isOverridden(action, i, (other) => {
      out.push(pair(slots[i]!, slots[other]!));
      return false;
    });
    return out;
  });
  if (ways.some((way) => way.length === 0)) return null;
  return (env) => ways.every((way) => way.some((pairs) => pairs.every(([a, b]) => env[a] === env[b])));
}
