/**
 * The facts that could ever be true if nothing were ever deleted and no negative condition counted. Planners ground only these; the one
 * trace this leaves in a text game is that deleting any other fact leaves no `not_` fact behind.
 */
import type { Layout } from "./layout.js";
import type { Formula } from "./pddl.js";
import type { Relation } from "./relation.js";
import { Compiler, type Relations, type Tables } from "./search.js";

/** A condition without its negative parts. */
export function positivePart(formula: Formula): Formula {
  switch (formula.op) {
    case "not":
      return { op: "and", parts: [] };
    case "exists":
      return { ...formula, part: positivePart(formula.part) };
    case "and":
    case "or":
      return { op: formula.op, parts: formula.parts.map(positivePart) };
    default:
      return formula;
  }
}

export function reachableFacts(layout: Layout, tables: Tables): Relations {
  const relations: Relation[] = tables.relations.map((relation) => relation.copy());
  const rules = layout.domain.actions.flatMap((action) =>
    action.effects
      .filter((effect) => effect.add)
      .map(({ atom, when }) => {
        const compiler = new Compiler(tables);
        const names = compiler.declare(action.parameters);
        const open = new Map(action.parameters.map(({ name, type }) => [names.get(name)!, type]));
        const slots = compiler.slots(atom.args, names);
        const condition: Formula = { op: "and", parts: [action.precondition, ...(when ? [when] : [])] };
        const search = compiler.search(positivePart(condition), names, open);
        return { search, env: compiler.env, slots, world: layout.world.get(atom.predicate)! };
      }),
  );
  for (let grows = true; grows; ) {
    grows = false;
    for (const { search, env, slots, world } of rules) {
      const rows: number[][] = [];
      search(relations, env, () => {
        if (!relations[world]!.has(env, slots)) rows.push(slots.map((slot) => env[slot]!));
        return false;
      });
      const relation = relations[world]!;
      const order = slots.map((_, i) => i);
      for (const row of rows) {
        const place = relation.find(row, order);
        if (place >= 0) continue;
        relation.insert(~place, row, order);
        grows = true;
      }
    }
  }
  return relations;
}
