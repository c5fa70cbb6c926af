/**
 * Games from a seed: draws a world, proves it solvable, and writes it as the JSON object of a `.tw-pddl` file. The same seed and
 * options give the same bytes. Knows the file format, no engine.
 */
import { SiriError } from "../../errors.js";
import type { GameFile } from "../textworld/index.js";
import { accepts, classOf, furnitureKind, thingKind } from "./catalog.js";
import { DOMAIN, grammarFor } from "./domain.js";
import { plan } from "./planner.js";
import { type PairPool, PROCESS_OF, TASK_TYPES, type TaskType } from "./tasks.js";
import { drawWorld, SIZES, type Size, type World } from "./world.js";

export interface GenerateOptions {
  /** Default: the seed modulo 6, in the order of TASK_TYPES. */
  readonly type?: TaskType;
  /** Default `small`. */
  readonly size?: Size;
  /** Which (object, target) pairs may be drawn. Default `held-in`. */
  readonly pool?: PairPool;
}

/** A game file that is known to be solvable, with its plan. */
export interface HouseholdFile extends GameFile {
  readonly solvable: true;
  readonly walkthrough: readonly string[];
}

/** What the generator knows and an agent does not. */
export interface HouseholdMeta {
  readonly seed: number;
  readonly size: Size;
  readonly type: TaskType;
  readonly room: World["room"];
  readonly object: string;
  readonly target: string;
  readonly sentence: string;
  /** Furniture kinds that hold a goal object at the start: what a true place hint names. */
  readonly objectPlaces: readonly string[];
  readonly furniture: number;
  readonly things: number;
}

export interface GeneratedGame {
  readonly file: HouseholdFile;
  readonly meta: HouseholdMeta;
}

/**
 * @param seed whole number in [0, 2^53)
 * @throws SiriError (bad_seed, unknown_size, unknown_task_type)
 */
export function generateGame(seed: number, options: GenerateOptions = {}): GeneratedGame {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new SiriError("TASK_SEED", `household seed is ${seed}; it must be a whole number from 0 to 2^53 - 1`);
  }
  const type = options.type ?? TASK_TYPES[seed % TASK_TYPES.length]!;
  const size = options.size ?? "small";
  if (!SIZES.includes(size)) {
    throw new SiriError("CONFIG_ENVIRONMENT", `household size is ${JSON.stringify(size)}; use one of ${SIZES.join(", ")}`);
  }
  const world = drawWorld(seed, { type, size, pool: options.pool ?? "held-in" });
  return {
    file: {
      pddl_domain: DOMAIN,
      grammar: grammarFor(world.sentence),
      pddl_problem: problemText(world, `household-${seed}`),
      solvable: true,
      walkthrough: plan(world),
    },
    meta: {
      seed,
      size,
      type,
      room: world.room,
      object: world.goal.object,
      target: world.goal.target,
      sentence: world.sentence,
      objectPlaces: [
        ...new Set([...world.places].filter(([thing]) => classOf(thing) === world.goal.object).map(([, place]) => classOf(place))),
      ],
      furniture: world.furniture.length,
      things: world.places.size,
    },
  };
}

/**
 * Displayed name -> PDDL id. Engines number the ids of a class downwards in sorted order, so `drawer 1` of three is the last id;
 * a class that ends in `basin` is written `sink_bar_01_bar_basin`.
 */
function ids(names: readonly string[]): Map<string, string> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(classOf(name), (counts.get(classOf(name)) ?? 0) + 1);
  return new Map(
    names.map((name) => {
      const kind = classOf(name);
      const rank = String(counts.get(kind)! - Number(name.slice(kind.length + 1)) + 1).padStart(2, "0");
      return [name, kind.endsWith("basin") ? `${kind.slice(0, -"basin".length)}_bar_${rank}_bar_basin` : `${kind}_bar_${rank}`];
    }),
  );
}

const furnitureKindId = (kind: string): string => `${kind.replace(/basin$/, "")}_fkind`;
const thingKindId = (kind: string): string => `${kind}_tkind`;
const spotId = (index: number): string => `loc_bar_${String(index).padStart(2, "0")}`;

function problemText(world: World, name: string): string {
  const things = [...world.places.keys()];
  const furnitureIds = ids(world.furniture);
  const thingIds = ids(things);
  const furnitureKinds = [...new Set(world.furniture.map(classOf))];
  const thingKinds = [...new Set(things.map(classOf))];
  const init: string[] = [`(at agent1 ${spotId(0)})`];
  for (const kind of furnitureKinds) {
    for (const thing of thingKinds) if (accepts(kind, thing)) init.push(`(takes ${furnitureKindId(kind)} ${thingKindId(thing)})`);
  }
  world.furniture.forEach((piece, i) => {
    const id = furnitureIds.get(piece)!;
    const kind = furnitureKind(classOf(piece));
    init.push(`(stands ${id} ${spotId(i + 1)})`, `(iskind ${id} ${furnitureKindId(kind.name)})`);
    if (kind.openable) init.push(`(hasdoor ${id})`);
    if (kind.appliance) init.push(`(${{ clean: "washes", heat: "warms", cool: "chills" }[kind.appliance]} ${id})`);
  });
  for (const [thing, place] of world.places) {
    const id = thingIds.get(thing)!;
    const kind = thingKind(classOf(thing));
    init.push(`(ofkind ${id} ${thingKindId(kind.name)})`, `(within ${id} ${furnitureIds.get(place)!})`);
    init.push(kind.category === "lamp" ? `(lightable ${id})` : `(portable ${id})`);
    if (kind.washable) init.push(`(washable ${id})`);
    if (kind.heatable) init.push(`(warmable ${id})`);
    if (kind.coolable) init.push(`(chillable ${id})`);
  }
  const objects = [
    "agent1 - agent",
    ...[0, ...world.furniture.map((_, i) => i + 1)].map((i) => `${spotId(i)} - spot`),
    ...[...furnitureIds.values()].map((id) => `${id} - furniture`),
    ...[...thingIds.values()].map((id) => `${id} - thing`),
    ...furnitureKinds.map((kind) => `${furnitureKindId(kind)} - fkind`),
    ...thingKinds.map((kind) => `${thingKindId(kind)} - tkind`),
  ];
  const lines = (items: readonly string[]): string => items.map((item) => `    ${item}\n`).join("");
  return `(define (problem ${name})\n  (:domain household)\n  (:objects\n${lines(objects)}  )\n  (:init\n${lines(init)}  )\n  (:goal ${goalText(world)})\n)\n`;
}

function goalText(world: World): string {
  const { type, object, target } = world.goal;
  const kind = thingKindId(object);
  if (type === "look_at_obj_in_light") {
    return (
      "(exists (?a - agent ?l - spot ?r - furniture ?o - thing ?t - thing)\n    (and " +
      `(ofkind ?t ${thingKindId(target)}) (lit ?t) (within ?t ?r) (stands ?r ?l) (at ?a ?l) (ofkind ?o ${kind}) (carries ?a ?o)))`
    );
  }
  const place = `(iskind ?r ${furnitureKindId(target)})`;
  if (type === "pick_two_obj_and_place") {
    return (
      "(exists (?r - furniture ?o - thing ?p - thing)\n    (and " +
      `${place} (ofkind ?o ${kind}) (ofkind ?p ${kind}) (not (= ?o ?p)) (within ?o ?r) (within ?p ?r)))`
    );
  }
  const process = PROCESS_OF[type];
  const state = process === undefined ? "" : ` (${{ clean: "washed", heat: "warmed", cool: "chilled" }[process]} ?o)`;
  return `(exists (?r - furniture ?o - thing)\n    (and ${place} (ofkind ?o ${kind})${state} (within ?o ?r)))`;
}
