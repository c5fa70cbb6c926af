/**
 * One household as a value: which furniture stands in the room, which things are where, and the goal. Drawn from a seed so that
 * the goal can be reached. Knows nothing of PDDL or of texts; names are those an engine will show.
 */
import { SiriError } from "../../errors.js";
import { accepts, classOf, furnitureKind, ROOM_KINDS, type RoomName, thingKind } from "./catalog.js";
import { Rng } from "./rng.js";
import { APPLIANCE_OF, drawGoal, type Goal, type PairPool, PROCESS_OF, TASK_TYPES, type TaskType, taskSentence } from "./tasks.js";

export const SIZES = ["small", "medium", "large"] as const;
export type Size = (typeof SIZES)[number];

/** Bounds (both included) on the pieces of furniture and on the things that have nothing to do with the goal. */
export const SIZE_LIMITS: Readonly<
  Record<Size, { readonly furniture: readonly [number, number]; readonly distractors: readonly [number, number] }>
> = {
  small: { furniture: [8, 14], distractors: [5, 9] },
  medium: { furniture: [14, 20], distractors: [12, 20] },
  large: { furniture: [20, 30], distractors: [30, 40] },
};

/** In a small world furniture plus doors stay within this, so that a search that opens everything still fits into 30 steps. */
const SMALL_SEARCH_STEPS = 22;

export interface World {
  readonly room: RoomName;
  readonly goal: Goal;
  readonly sentence: string;
  /** Displayed names, `drawer 2`; each stands alone at its own spot. */
  readonly furniture: readonly string[];
  /** Thing name -> furniture name. */
  readonly places: ReadonlyMap<string, string>;
}

export interface WorldOptions {
  readonly type: TaskType;
  readonly size: Size;
  readonly pool: PairPool;
}

/** @throws SiriError (unsolvable_world) when the catalog leaves no place for the goal object: a fault of the catalog. */
export function drawWorld(seed: number, options: WorldOptions): World {
  if (!TASK_TYPES.includes(options.type)) {
    throw new SiriError("TASK_TYPE_UNKNOWN", `task type ${JSON.stringify(options.type)} is not one of ${TASK_TYPES.join(", ")}`);
  }
  const rng = new Rng(seed, `world ${options.type} ${options.size} ${options.pool}`);
  const goal = drawGoal(options.type, options.pool, rng);
  const counts = drawFurniture(goal.room, goal, options.size, rng);
  const furniture = displayedNames(counts);
  const places = new Map<string, string>();
  const copies = drawThings(goal.room, goal, options.size, furniture, rng);
  for (const [kind, homes] of copies) {
    rng.shuffle(homes).forEach((home, i) => {
      places.set(`${kind} ${i + 1}`, home);
    });
  }
  return { room: goal.room, goal, sentence: taskSentence(goal, rng), furniture, places };
}

function drawFurniture(room: RoomName, goal: Goal, size: Size, rng: Rng): Map<string, number> {
  const { stock } = ROOM_KINDS[room];
  const process = PROCESS_OF[goal.type];
  const needed = new Set(process === undefined ? [goal.target] : [goal.target, APPLIANCE_OF[process]]);
  const range = (entry: (typeof stock)[number]): readonly [number, number] => {
    const [low, high] =
      size === "medium"
        ? [Math.floor((entry.small[0] + entry.large[0]) / 2), Math.ceil((entry.small[1] + entry.large[1]) / 2)]
        : entry[size];
    return [needed.has(entry.kind) ? Math.max(1, low) : low, Math.max(1, high)];
  };
  const counts = new Map<string, number>();
  for (const entry of stock) {
    const [low, high] = range(entry);
    counts.set(entry.kind, rng.int(low, high));
  }
  // One place to start from besides the target stays, whatever is taken away below.
  const starts = stock.map((entry) => entry.kind).filter((kind) => kind !== goal.target && accepts(kind, goal.object));
  const drawn = starts.filter((kind) => (counts.get(kind) ?? 0) > 0);
  const start = rng.pick(drawn.length > 0 ? drawn : starts);
  counts.set(start, Math.max(1, counts.get(start) ?? 0));
  needed.add(start);
  const total = (): number => [...counts.values()].reduce((sum, n) => sum + n, 0);
  const doors = (): number => [...counts].reduce((sum, [kind, n]) => sum + (furnitureKind(kind).openable ? n : 0), 0);
  const [least, most] = SIZE_LIMITS[size].furniture;
  const spare = (kind: string): number => (counts.get(kind) ?? 0) - range(stock.find((entry) => entry.kind === kind)!)[0];
  while (total() > most || (size === "small" && total() + doors() > SMALL_SEARCH_STEPS)) {
    const tooManyDoors = total() <= most;
    const removable = [...counts.keys()].filter((kind) => spare(kind) > 0 && (!tooManyDoors || furnitureKind(kind).openable));
    const kind = rng.pick(removable.length > 0 ? removable : [...counts.keys()].filter((name) => spare(name) > 0));
    counts.set(kind, (counts.get(kind) ?? 0) - 1);
  }
  while (total() < least) {
    const growing = stock.filter((entry) => !furnitureKind(entry.kind).openable && (counts.get(entry.kind) ?? 0) < range(entry)[1]);
    const kind = rng.pick(growing).kind;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

function displayedNames(counts: ReadonlyMap<string, number>): string[] {
  const names: string[] = [];
  for (const [kind, n] of counts) for (let i = 1; i <= n; i++) names.push(`${kind} ${i}`);
  return names;
}

/** Thing kind -> the furniture of each copy. */
function drawThings(room: RoomName, goal: Goal, size: Size, furniture: readonly string[], rng: Rng): Map<string, string[]> {
  const copies = new Map<string, string[]>();
  const put = (kind: string, forbidden?: string): boolean => {
    const home = drawHome(kind, furniture, rng, forbidden);
    if (home === undefined) return false;
    const homes = copies.get(kind) ?? [];
    homes.push(home);
    copies.set(kind, homes);
    return true;
  };
  const isLook = goal.type === "look_at_obj_in_light";
  const wanted = goal.type === "pick_two_obj_and_place" ? 2 + Number(rng.chance(0.3)) : 1 + Number(rng.chance(0.3));
  for (let i = 0; i < wanted; i++) {
    if (!put(goal.object, isLook ? undefined : goal.target)) {
      throw new SiriError(
        "WORLD_UNSOLVABLE",
        `no furniture of this ${room} holds a ${goal.object} outside the ${goal.target}; see catalog.ts`,
      );
    }
  }
  if (isLook && !put(goal.target)) {
    throw new SiriError("WORLD_UNSOLVABLE", `no furniture of this ${room} holds a ${goal.target}; see catalog.ts`);
  }
  const [low, high] = SIZE_LIMITS[size].distractors;
  const others = ROOM_KINDS[room].things.filter(
    (kind) => kind !== goal.object && kind !== goal.target && drawHome(kind, furniture, rng) !== undefined,
  );
  const target = rng.int(low, high);
  for (let drawn = 0; drawn < target; drawn++) put(rng.pick(others));
  return copies;
}

/** Half of the things are where such things are kept, the others anywhere that takes them. */
function drawHome(kind: string, furniture: readonly string[], rng: Rng, forbidden?: string): string | undefined {
  const { home } = thingKind(kind);
  const places = furniture.filter((name) => classOf(name) !== forbidden && accepts(classOf(name), kind));
  if (places.length === 0) return undefined;
  const usual = places.filter((name) => home.includes(classOf(name)));
  return rng.pick(usual.length > 0 && rng.chance(0.5) ? usual : places);
}
