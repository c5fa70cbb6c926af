/**
 * The six task types: which goals exist in which room, which (object, target) pairs are held out, how a goal is said in one
 * sentence and how that sentence is read back. Knows no world and no text beyond the sentence.
 */
import { SiriError } from "../../errors.js";
import { accepts, furnitureKind, LAMPS, ROOM_KINDS, ROOMS, type RoomName, thingKind } from "./catalog.js";
import { hashText, type Rng } from "./rng.js";

export const TASK_TYPES = [
  "pick_and_place_simple",
  "look_at_obj_in_light",
  "pick_clean_then_place_in_recep",
  "pick_heat_then_place_in_recep",
  "pick_cool_then_place_in_recep",
  "pick_two_obj_and_place",
] as const;
export type TaskType = (typeof TASK_TYPES)[number];

/** What must be done to the object before it counts. */
export type Process = "clean" | "heat" | "cool";

export const PROCESS_OF: Readonly<Partial<Record<TaskType, Process>>> = {
  pick_clean_then_place_in_recep: "clean",
  pick_heat_then_place_in_recep: "heat",
  pick_cool_then_place_in_recep: "cool",
};

export const APPLIANCE_OF: Readonly<Record<Process, string>> = { clean: "sinkbasin", heat: "microwave", cool: "fridge" };

/** A goal by class names. `target` is a furniture kind, or the lamp of a look task. */
export interface Goal {
  readonly type: TaskType;
  readonly object: string;
  readonly target: string;
}

export interface RoomGoal extends Goal {
  readonly room: RoomName;
}

export type PairPool = "held-in" | "held-out";

/** One pair in five is never seen in training: 32-bit FNV-1a of `object|target`, modulo 5. */
export function isHeldOut(object: string, target: string): boolean {
  return hashText(`${object}|${target}`) % 5 === 0;
}

function goalsOfRoom(type: TaskType, room: RoomName): RoomGoal[] {
  const { stock, things } = ROOM_KINDS[room];
  const kinds = stock.map((entry) => entry.kind);
  const process = PROCESS_OF[type];
  if (process !== undefined && !kinds.includes(APPLIANCE_OF[process])) return [];
  const out: RoomGoal[] = [];
  for (const object of things) {
    const kind = thingKind(object);
    if (LAMPS.includes(object)) continue;
    if (process === "clean" && !kind.washable) continue;
    if (process === "heat" && !kind.heatable) continue;
    if (process === "cool" && !kind.coolable) continue;
    const places = kinds.filter((name) => accepts(name, object));
    if (type === "look_at_obj_in_light") {
      for (const target of LAMPS) if (things.includes(target) && places.length > 0) out.push({ type, room, object, target });
      continue;
    }
    // The object starts somewhere else than the target, and a processed object is not delivered to the appliance itself.
    for (const target of places) {
      if (places.length > 1 && (process === undefined || target !== APPLIANCE_OF[process])) out.push({ type, room, object, target });
    }
  }
  return out;
}

const POOLS: ReadonlyMap<string, readonly (readonly RoomGoal[])[]> = new Map(
  TASK_TYPES.flatMap((type) =>
    (["held-in", "held-out"] as const).map((pool) => {
      const rooms = ROOMS.map((room) =>
        goalsOfRoom(type, room).filter((goal) => isHeldOut(goal.object, goal.target) === (pool === "held-out")),
      ).filter((goals) => goals.length > 0);
      return [`${type} ${pool}`, rooms] as const;
    }),
  ),
);

/** A room that allows the type, uniformly, then one of its goals, uniformly. */
export function drawGoal(type: TaskType, pool: PairPool, rng: Rng): RoomGoal {
  const rooms = POOLS.get(`${type} ${pool}`);
  if (rooms === undefined) {
    throw new SiriError("TASK_TYPE_UNKNOWN", `task type ${JSON.stringify(type)} is not one of ${TASK_TYPES.join(", ")}`);
  }
  return rng.pick(rng.pick(rooms));
}

/** Two ways to say each goal. {o} object, {r} target, {in} the target's preposition. */
const SENTENCES: Readonly<Record<TaskType, readonly string[]>> = {
  pick_and_place_simple: ["put a {o} {in} the {r}", "bring some {o} to the {r}"],
  look_at_obj_in_light: ["look at a {o} under the {r}", "view some {o} by the light of the {r}"],
  pick_clean_then_place_in_recep: ["put a clean {o} {in} the {r}", "wash some {o} and put it {in} the {r}"],
  pick_heat_then_place_in_recep: ["put a hot {o} {in} the {r}", "warm up some {o} and put it {in} the {r}"],
  pick_cool_then_place_in_recep: ["put a cold {o} {in} the {r}", "chill some {o} and put it {in} the {r}"],
  pick_two_obj_and_place: ["put two {o} {in} the {r}", "bring a pair of {o} to the {r}"],
};

export function taskSentence(goal: Goal, rng: Rng): string {
  const preposition = goal.type === "look_at_obj_in_light" ? "" : furnitureKind(goal.target).preposition;
  return rng.pick(SENTENCES[goal.type]).replace("{o}", goal.object).replace("{in}", preposition).replace("{r}", goal.target);
}

/** How ALFWorld says them (sentences of its released games); its `{in}` is `in` or `on` whatever the target. */
const ALFWORLD_SENTENCES: Readonly<Record<TaskType, readonly string[]>> = {
  pick_and_place_simple: ["put a {o} {in} {r}", "put some {o} {in} {r}"],
  look_at_obj_in_light: ["look at {o} under the {r}", "examine the {o} with the {r}"],
  pick_clean_then_place_in_recep: ["put a clean {o} {in} {r}", "clean some {o} and put it {in} {r}"],
  pick_heat_then_place_in_recep: ["put a hot {o} {in} {r}", "heat some {o} and put it {in} {r}"],
  pick_cool_then_place_in_recep: ["put a cool {o} {in} {r}", "cool some {o} and put it {in} {r}"],
  pick_two_obj_and_place: ["put two {o} {in} {r}", "find two {o} and put them {in} {r}"],
};

const READERS: readonly (readonly [RegExp, TaskType])[] = TASK_TYPES.flatMap((type) =>
  [...SENTENCES[type], ...ALFWORLD_SENTENCES[type]].map((sentence) => {
    const pattern = sentence.replace("{o}", "([a-z]+)").replace("{in}", "(?:in|on)").replace("{r}", "([a-z]+)");
    return [new RegExp(`^${pattern}$`), type] as const;
  }),
);

/** Reads a sentence of `taskSentence`, or of an ALFWorld game, back. @throws SiriError (unreadable_task) for any other sentence. */
export function readTask(sentence: string): Goal {
  for (const [pattern, type] of READERS) {
    const match = pattern.exec(sentence);
    if (match !== null) return { type, object: match[1]!, target: match[2]! };
  }
  throw new SiriError("TASK_UNREADABLE", `the expert cannot read the task ${JSON.stringify(sentence)}`);
}
