/**
 * The full-knowledge planner for ALFWorld games: reads the room and the goal from the game's own facts and plans with household's
 * planner. The goal is the file's, not the sentence's, so it does not matter how a person worded the task.
 */
import { SiriError } from "../../errors.js";
import { type Chore, planChore } from "../household/planner.js";
import { PROCESS_OF, type Process, type TaskType } from "../household/tasks.js";
import type { Formula, Game } from "../textworld/index.js";

/** Type of furniture that serves, property of what it serves for, and the state it leads to. */
const TREATMENTS: Readonly<Record<Process, { readonly appliance: string; readonly able: string; readonly state: string }>> = {
  clean: { appliance: "sinkbasintype", able: "cleanable", state: "isclean" },
  heat: { appliance: "microwavetype", able: "heatable", state: "ishot" },
  cool: { appliance: "fridgetype", able: "coolable", state: "iscool" },
};

/** A goal by ids of types: `mugtype`, `shelftype`. For a look task the target is the lamp's type. */
export interface TypedGoal {
  readonly type: TaskType;
  readonly object: string;
  readonly target: string;
}

/** @throws SiriError GOAL_UNKNOWN when the goal is of none of the six task types */
export function goalOf(game: Game): TypedGoal {
  const atoms: { readonly predicate: string; readonly args: readonly string[] }[] = [];
  const collect = (formula: Formula): void => {
    if (formula.op === "atom") atoms.push(formula);
    else if (formula.op === "exists") collect(formula.part);
    else if (formula.op === "and") formula.parts.forEach(collect);
  };
  collect(game.goal);
  const argument = (predicate: string, place: number): string | undefined =>
    atoms.find((atom) => atom.predicate === predicate)?.args[place];
  const typeOf = (variable: string | undefined): string | undefined =>
    atoms.find(({ predicate, args }) => predicate === "objecttype" && args[0] === variable)?.args[1];
  const given = (type: TaskType, object: string | undefined, target: string | undefined): TypedGoal => {
    if (object !== undefined && target !== undefined) return { type, object, target };
    throw new SiriError("GOAL_UNKNOWN", `game '${game.name}': its goal is of none of ALFWorld's six task types ("${game.task}")`);
  };
  const lamp = argument("istoggled", 0);
  if (lamp !== undefined) return given("look_at_obj_in_light", typeOf(argument("holds", 1)), typeOf(lamp));
  const object = typeOf(argument("inreceptacle", 0));
  const target = argument("receptacletype", 1);
  const moved = new Set(atoms.filter(({ predicate }) => predicate === "inreceptacle").map(({ args }) => args[0]));
  if (moved.size > 1) return given("pick_two_obj_and_place", object, target);
  for (const type of ["pick_clean_then_place_in_recep", "pick_heat_then_place_in_recep", "pick_cool_then_place_in_recep"] as const) {
    if (argument(TREATMENTS[PROCESS_OF[type]!].state, 0) !== undefined) return given(type, object, target);
  }
  return given("pick_and_place_simple", object, target);
}

function choreOf(game: Game): Chore {
  const { type, object, target } = goalOf(game);
  const facts = new Map<string, (readonly string[])[]>();
  for (const [predicate, ...args] of game.start().facts()) facts.set(predicate, [...(facts.get(predicate) ?? []), args]);
  const rows = (predicate: string) => facts.get(predicate) ?? [];
  const name = (id: string) => game.names.get(id)!;
  const having = (predicate: string): ReadonlySet<string> => new Set(rows(predicate).map(([id]) => name(id!)));
  /** First argument's name -> second argument. */
  const table = (predicate: string): ReadonlyMap<string, string> => new Map(rows(predicate).map(([id, value]) => [name(id!), value!]));
  const ofType = (types: ReadonlyMap<string, string>, wanted: string) =>
    [...types].filter(([, value]) => value === wanted).map(([key]) => key);

  const objectTypes = table("objecttype");
  const furnitureTypes = table("receptacletype");
  const spots = table("receptacleatlocation");
  const openable = having("openable");
  const pickupable = having("pickupable");
  const fits = new Set(rows("cancontain").map(([furniture, thing]) => `${furniture} ${thing}`));
  const places = new Map<string, string[]>();
  for (const [thing, furniture] of rows("inreceptacle")) places.set(name(thing!), [...(places.get(name(thing!)) ?? []), name(furniture!)]);
  const process = PROCESS_OF[type];
  const treatment = process && TREATMENTS[process];
  const able = treatment ? having(treatment.able) : new Set<string>();
  const treated = treatment ? having(treatment.state) : new Set<string>();
  const objects = ofType(objectTypes, object);
  return {
    type,
    sentence: game.task,
    // The goal asks that a thing can be treated even where it is treated from the start.
    objects: treatment ? objects.filter((thing) => able.has(thing)) : objects,
    targets:
      type === "look_at_obj_in_light"
        ? ofType(objectTypes, target).filter((lamp) => having("toggleable").has(lamp))
        : ofType(furnitureTypes, target),
    places,
    appliances: treatment ? ofType(furnitureTypes, treatment.appliance) : [],
    spot: (furniture) => spots.get(furniture)!,
    isOpenable: (furniture) => openable.has(furniture),
    canTake: (thing) => pickupable.has(thing),
    accepts: (furniture, thing) => fits.has(`${furnitureTypes.get(furniture)} ${objectTypes.get(thing)}`),
    canTreat: (thing) => able.has(thing),
    isTreated: (thing) => treated.has(thing),
  };
}

/**
 * The commands of a shortest plan that wins, in the game's own wording; each is admissible when its turn comes.
 * @throws SiriError GOAL_UNKNOWN, WORLD_UNSOLVABLE
 */
export function plan(game: Game): readonly string[] {
  const play = game.start();
  const commands = planChore(choreOf(game)).map((command) => {
    // Files of 2020 and 2021 say the same in other words.
    const spoken = play.admissible.includes(command) ? command : command.replace(/^move (.+) to (.+)$/, "put $1 in/on $2");
    if (!play.admissible.includes(spoken)) {
      throw new SiriError(
        "WORLD_UNSOLVABLE",
        `game '${game.name}': the plan for "${game.task}" asks for '${spoken}', which cannot be done there`,
      );
    }
    play.step(spoken);
    return spoken;
  });
  if (!play.won) throw new SiriError("WORLD_UNSOLVABLE", `game '${game.name}': the plan for "${game.task}" does not reach its goal`);
  return commands;
}
