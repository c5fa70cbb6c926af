/**
 * Where the facts of a domain live: one array of relations with three parts of P predicates each. Part 1: the world. Part 2: what the
 * texts believe, where that can differ (predicates with a `when` effect: texts record both branches). Part 3: `not_p` facts, which
 * negative effects leave behind for the texts; at the start there are none.
 */
import type { Action, Domain } from "./pddl.js";

export interface Layout {
  readonly domain: Domain;
  readonly predicates: readonly string[];
  /** Predicate -> its relation in part 1. */
  readonly world: ReadonlyMap<string, number>;
  /** Arguments of every relation of the three parts. */
  readonly arities: readonly number[];
  /** Predicates that some action changes. */
  readonly fluent: ReadonlySet<string>;
  /** The relation a text means by a predicate, or -1 when the domain has none of that name. */
  text(predicate: string): number;
  /** The relation of `not_<predicate>`. */
  negated(predicate: string): number;
  /** Whether any action can change what a relation holds. */
  changes(relation: number): boolean;
}

const NOT = "not_";

export function layoutOf(domain: Domain): Layout {
  const predicates = [...domain.predicates.keys()];
  const size = predicates.length;
  const world = new Map(predicates.map((predicate, i) => [predicate, i]));
  const arity = [...domain.predicates.values()];
  const effects = domain.actions.flatMap((action) => action.effects);
  const fluent = new Set(effects.map((effect) => effect.atom.predicate));
  const divided = new Set(effects.filter((effect) => effect.when).map((effect) => effect.atom.predicate));
  const negated = (predicate: string) => 2 * size + world.get(predicate)!;
  return {
    domain,
    predicates,
    world,
    arities: [...arity, ...arity, ...arity],
    fluent,
    text(predicate) {
      const index = world.get(predicate);
      if (index !== undefined) return divided.has(predicate) ? size + index : index;
      const positive = predicate.startsWith(NOT) ? predicate.slice(NOT.length) : "";
      return world.has(positive) ? negated(positive) : -1;
    },
    negated,
    changes: (relation) => fluent.has(predicates[relation % size]!),
  };
}

/** Effects that count: an atom that an action both adds and deletes (always, by these arguments) is added. */
export function isOverridden(action: Action, index: number, same: (other: number) => boolean): boolean {
  const effect = action.effects[index]!;
  if (effect.add || effect.when) return false;
  return action.effects.some((other, i) => other.add && !other.when && other.atom.predicate === effect.atom.predicate && same(i));
}
