/**
 * Conditions compiled to closures over relations. A condition becomes a join: first the predicate with the fewest rows that still fit,
 * then the next, tests as soon as their variables are bound. The order of solutions is therefore free; who needs an order sorts.
 * Knows nothing of actions, effects or texts.
 */
import { conjuncts, type Formula, isVariable, type Term, type TypedName } from "./pddl.js";
import type { Relation } from "./relation.js";

export type Relations = readonly Relation[];
/** Values of variables and constants, by slot: object numbers. */
export type Env = number[];
export type Test = (relations: Relations, env: Env) => boolean;
/** Calls `found` for every solution, which then stands in `env`; stops and returns true as soon as `found` does. */
export type Search = (relations: Relations, env: Env, found: () => boolean) => boolean;

/** What compilation reads of a game. */
export interface Tables {
  /** Predicate -> index of its relation. */
  readonly relationOf: ReadonlyMap<string, number>;
  /** Initial relations; only their sizes matter, for the order of joins. */
  readonly relations: Relations;
  /** Objects of a type in ascending order; empty for an unknown type. */
  members(type: string): readonly number[];
  /** Mask over object numbers. */
  mask(type: string): Uint8Array;
  /** Number of an object, undefined when the game has no such object. */
  numberOf(id: string): number | undefined;
}

type Names = ReadonlyMap<string, number>;

interface Scan {
  readonly relation: number;
  readonly slots: readonly number[];
}

interface Conditions {
  readonly scans: Scan[];
  readonly tests: { readonly needs: ReadonlySet<number>; readonly test: () => Test }[];
  /** Slots still to be bound -> type. */
  readonly open: Map<number, string>;
}

/** Compiles the formulas of one owner (an action, a goal) that share one `env`. */
export class Compiler {
  /** Template of the environment: constants filled in, variables 0. Solutions are found in it directly. */
  readonly env: Env = [];
  private readonly constants = new Map<Term, number>();

  constructor(private readonly tables: Tables) {}

  /** Gives variables slots, in order. */
  declare(variables: readonly TypedName[], outer: Names = new Map()): Map<string, number> {
    const names = new Map(outer);
    for (const { name } of variables) names.set(name, this.env.push(0) - 1);
    return names;
  }

  slots(args: readonly Term[], names: Names): number[] {
    return args.map((term) => (isVariable(term) ? names.get(term)! : this.constant(term)));
  }

  private constant(id: Term): number {
    let slot = this.constants.get(id);
    if (slot === undefined) {
      // An object that the game does not have: a number of its own that stands in no fact.
      slot = this.env.push(this.tables.numberOf(id) ?? -2 - this.constants.size) - 1;
      this.constants.set(id, slot);
    }
    return slot;
  }

  /** All variables of the formula are bound. */
  test(formula: Formula, names: Names): Test {
    switch (formula.op) {
      case "and":
      case "or": {
        const tests = formula.parts.map((part) => this.test(part, names));
        const [first] = tests;
        if (tests.length === 1 && first) return first;
        if (formula.op === "and") return (relations, env) => tests.every((test) => test(relations, env));
        return (relations, env) => tests.some((test) => test(relations, env));
      }
      case "not": {
        const test = this.test(formula.part, names);
        return (relations, env) => !test(relations, env);
      }
      case "exists": {
        const search = this.search(formula, names, new Map());
        const stop = () => true;
        return (relations, env) => search(relations, env, stop);
      }
      case "equal": {
        const [a, b] = this.slots(formula.args, names) as [number, number];
        return (_, env) => env[a] === env[b];
      }
      case "atom": {
        const relation = this.tables.relationOf.get(formula.predicate)!;
        const slots = this.slots(formula.args, names);
        return (relations, env) => relations[relation]!.has(env, slots);
      }
    }
  }

  /** @param open slots of the variables to find -> type; all others are bound. */
  search(formula: Formula, names: Names, open: ReadonlyMap<number, string>): Search {
    const parts = conjuncts(formula);
    const [only] = parts;
    if (parts.length === 1 && only?.op === "or") {
      const searches = only.parts.map((part) => this.search(part, names, open));
      return (relations, env, found) => searches.some((search) => search(relations, env, found));
    }
    const conditions: Conditions = { scans: [], tests: [], open: new Map(open) };
    this.collect(parts, names, conditions);
    return this.join(conditions);
  }

  private collect(parts: readonly Formula[], names: Names, out: Conditions): void {
    for (const part of parts) {
      if (part.op === "exists") {
        const inner = this.declare(part.variables, names);
        for (const { name, type } of part.variables) out.open.set(inner.get(name)!, type);
        this.collect(conjuncts(part.part), inner, out);
      } else if (part.op === "atom") {
        out.scans.push({ relation: this.tables.relationOf.get(part.predicate)!, slots: this.slots(part.args, names) });
      } else {
        const needs = new Set<number>();
        freeSlots(part, names, needs);
        out.tests.push({ needs, test: () => this.test(part, names) });
      }
    }
  }

  private join({ scans, tests, open }: Conditions): Search {
    const steps: ((next: Search) => Search)[] = [];
    const isOpen = (slot: number) => open.has(slot);
    for (;;) {
      for (const ready of tests.filter(({ needs }) => ![...needs].some(isOpen))) {
        tests.splice(tests.indexOf(ready), 1);
        steps.push(testStep(ready.test()));
      }
      const best = smallest(scans, (scan) => this.expectedRows(scan, isOpen));
      if (best) {
        scans.splice(scans.indexOf(best), 1);
        steps.push(this.scanStep(best, open));
        continue;
      }
      const free = smallest([...open], ([, type]) => this.tables.members(type).length);
      if (!free) break;
      open.delete(free[0]);
      steps.push(eachStep(free[0], this.tables.members(free[1])));
    }
    let search: Search = (_relations, _env, found) => found();
    for (const step of steps.reverse()) search = step(search);
    return search;
  }

  /** Rows of a scan for one binding of its bound arguments, if values were spread evenly. */
  private expectedRows({ relation, slots }: Scan, isOpen: (slot: number) => boolean): number {
    const { arity, count, data } = this.tables.relations[relation]!;
    let rows = Math.max(count, 0.5);
    for (let i = 0; i < arity; i++) {
      if (isOpen(slots[i]!)) continue;
      const distinct = new Set<number>();
      for (let row = 0; row < count; row++) distinct.add(data[row * arity + i]!);
      rows /= Math.max(distinct.size, 1);
    }
    return rows;
  }

  private scanStep({ relation, slots }: Scan, open: Map<number, string>): (next: Search) => Search {
    const masks = slots.map((slot) => {
      const type = open.get(slot);
      open.delete(slot);
      return type === undefined ? null : this.tables.mask(type);
    });
    if (masks.every((mask) => mask === null)) return testStep((relations, env) => relations[relation]!.has(env, slots));
    const arity = slots.length;
    const byFirst = masks[0] === null;
    return (next) => (relations, env, found) => {
      const { data, count } = relations[relation]!;
      const first = env[slots[0]!]!;
      for (let row = byFirst ? relations[relation]!.lowerBound(first) : 0; row < count; row++) {
        const start = row * arity;
        if (byFirst && data[start] !== first) break;
        let fits = true;
        for (let i = 0; i < arity && fits; i++) {
          const value = data[start + i]!;
          const mask = masks[i];
          if (mask) {
            fits = mask[value] === 1;
            env[slots[i]!] = value;
          } else fits = env[slots[i]!] === value;
        }
        if (fits && next(relations, env, found)) return true;
      }
      return false;
    };
  }
}

function testStep(test: Test): (next: Search) => Search {
  return (next) => (relations, env, found) => test(relations, env) && next(relations, env, found);
}

function eachStep(slot: number, values: readonly number[]): (next: Search) => Search {
  return (next) => (relations, env, found) => {
    for (const value of values) {
      env[slot] = value;
      if (next(relations, env, found)) return true;
    }
    return false;
  };
}

/** Variables of a formula that are not bound inside it. */
function freeSlots(formula: Formula, names: Names, out: Set<number>): void {
  if (formula.op === "atom" || formula.op === "equal") {
    for (const term of formula.args) {
      const slot = isVariable(term) ? names.get(term) : undefined;
      if (slot !== undefined) out.add(slot);
    }
  } else if (formula.op === "not") freeSlots(formula.part, names, out);
  else if (formula.op === "exists") {
    const inner = new Map(names);
    for (const { name } of formula.variables) inner.delete(name);
    freeSlots(formula.part, inner, out);
  } else for (const part of formula.parts) freeSlots(part, names, out);
}

function smallest<T>(items: readonly T[], size: (item: T) => number): T | undefined {
  let best: T | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const each = size(item);
    if (each < least) {
      best = item;
      least = each;
    }
  }
  return best;
}
