/**
 * The planner with full knowledge, for household games and for ALFWorld: tries every way of the obvious shape (take, treat, bring; light)
 * and keeps the shortest. Since any place is one command away, no other shape is shorter. Plays its plans on a small model of its own;
 * knows no text and no engine.
 */
import { SiriError } from "../../errors.js";
import { accepts, classOf, furnitureKind, thingKind } from "./catalog.js";
import { APPLIANCE_OF, PROCESS_OF, type Process, type TaskType } from "./tasks.js";
import type { World } from "./world.js";

/** A room and a goal with nothing hidden. Furniture and things by their displayed names. */
export interface Chore {
  readonly type: TaskType;
  /** For errors. */
  readonly sentence: string;
  /** Things of the goal's kind. */
  readonly objects: readonly string[];
  /** Furniture of the goal's kind; for a look task, its lamps. */
  readonly targets: readonly string[];
  /** Thing -> the furniture that holds it. Several pieces can hold one thing; what is taken from one stays in the others. */
  readonly places: ReadonlyMap<string, readonly string[]>;
  /** Furniture that serves for the goal's treatment. */
  readonly appliances: readonly string[];
  /** Where a piece of furniture stands. Pieces at one spot are reached together. */
  spot(furniture: string): string;
  isOpenable(furniture: string): boolean;
  canTake(thing: string): boolean;
  accepts(furniture: string, thing: string): boolean;
  /** Whether the goal's treatment can be given to a thing. */
  canTreat(thing: string): boolean;
  /** Whether it is treated from the start. */
  isTreated(thing: string): boolean;
}

/** One thing on its way: taken from `source`, treated at `appliance` where it needs that. */
interface Errand {
  readonly thing: string;
  readonly source: string;
  readonly appliance: string | null;
}

/** The state that commands change. */
class Model {
  private spot = "";
  private held = "";
  private readonly open = new Set<string>();
  private readonly treated = new Set<string>();
  private lit = "";
  private readonly where = new Map<string, readonly string[]>();
  readonly commands: string[] = [];

  constructor(private readonly chore: Chore) {}

  take({ thing, source }: Errand): void {
    this.access(source);
    this.where.set(
      thing,
      this.placesOf(thing).filter((place) => place !== source),
    );
    this.held = thing;
    this.commands.push(`take ${thing} from ${source}`);
  }

  treat(process: Process, appliance: string): void {
    this.reach(appliance);
    this.treated.add(this.held);
    this.commands.push(`${process} ${this.held} with ${appliance}`);
  }

  move(furniture: string): void {
    this.access(furniture);
    this.where.set(this.held, [...this.placesOf(this.held), furniture]);
    this.commands.push(`move ${this.held} to ${furniture}`);
    this.held = "";
  }

  use(lamp: string, furniture: string): void {
    this.reach(furniture);
    this.lit = lamp;
    this.commands.push(`use ${lamp}`);
  }

  won(): boolean {
    const { type, objects, targets } = this.chore;
    if (type === "look_at_obj_in_light") {
      return objects.includes(this.held) && this.placesOf(this.lit).some((place) => this.chore.spot(place) === this.spot);
    }
    const wanted = type === "pick_two_obj_and_place" ? 2 : 1;
    return targets.some(
      (target) => objects.filter((thing) => this.isTreated(thing) && this.placesOf(thing).includes(target)).length >= wanted,
    );
  }

  private isTreated(thing: string): boolean {
    return PROCESS_OF[this.chore.type] === undefined || this.treated.has(thing) || this.chore.isTreated(thing);
  }

  private placesOf(thing: string): readonly string[] {
    return this.where.get(thing) ?? this.chore.places.get(thing) ?? [];
  }

  private reach(furniture: string): void {
    const spot = this.chore.spot(furniture);
    if (this.spot === spot) return;
    this.spot = spot;
    this.commands.push(`go to ${furniture}`);
  }

  /** Goes there and opens it where it has a door. */
  private access(furniture: string): void {
    this.reach(furniture);
    if (!this.chore.isOpenable(furniture) || this.open.has(furniture)) return;
    this.open.add(furniture);
    this.commands.push(`open ${furniture}`);
  }
}

/**
 * The commands of a shortest winning plan; the first found among equals.
 * @throws SiriError WORLD_UNSOLVABLE when there is none, or when the goal holds before the first command
 */
export function planChore(chore: Chore): readonly string[] {
  const { type, sentence, objects, targets } = chore;
  if (new Model(chore).won()) throw new SiriError("WORLD_UNSOLVABLE", `"${sentence}" is done before the first command`);
  const process = PROCESS_OF[type];
  const errands = objects.flatMap((thing): Errand[] => {
    if (!chore.canTake(thing)) return [];
    const sources = chore.places.get(thing) ?? [];
    if (process === undefined || chore.isTreated(thing)) return sources.map((source) => ({ thing, source, appliance: null }));
    if (!chore.canTreat(thing)) return [];
    return sources.flatMap((source) => chore.appliances.map((appliance) => ({ thing, source, appliance })));
  });
  let best: readonly string[] | undefined;
  const attempt = (trip: readonly Errand[], target: string) => {
    const commands = carryOut(chore, trip, target);
    if (commands !== null && (best === undefined || commands.length < best.length)) best = commands;
  };
  for (const first of errands) {
    for (const target of targets) attempt([first], target);
    if (type !== "pick_two_obj_and_place") continue;
    for (const second of errands) {
      if (second.thing !== first.thing) for (const target of targets) attempt([first, second], target);
    }
  }
  if (best !== undefined) return best;
  const why =
    errands.length > 0
      ? "nothing that can be brought fits there"
      : `of ${objects.length} such things none can be taken${process === undefined ? "" : ` and there be treated (${process})`}`;
  throw new SiriError("WORLD_UNSOLVABLE", `no plan for "${sentence}": ${why}`);
}

/** @returns null when the goal does not hold at the end */
function carryOut(chore: Chore, trip: readonly Errand[], target: string): readonly string[] | null {
  const model = new Model(chore);
  const process = PROCESS_OF[chore.type];
  for (const errand of trip) {
    if (chore.type === "look_at_obj_in_light") {
      const [place] = chore.places.get(target) ?? [];
      if (place === undefined) return null;
      model.take(errand);
      model.use(target, place);
      break;
    }
    if (!chore.accepts(target, errand.thing)) return null;
    model.take(errand);
    if (process !== undefined && errand.appliance !== null) model.treat(process, errand.appliance);
    // What another piece still holds may be where it should.
    if (model.won()) break;
    model.move(target);
  }
  return model.won() ? model.commands : null;
}

/** @throws SiriError WORLD_UNSOLVABLE: a world is solvable exactly when this returns. */
export function plan(world: World): readonly string[] {
  const { type, object, target } = world.goal;
  const process = PROCESS_OF[type];
  const things = [...world.places.keys()];
  const able = { clean: "washable", heat: "heatable", cool: "coolable" } as const;
  return planChore({
    type,
    sentence: world.sentence,
    objects: things.filter((thing) => classOf(thing) === object),
    targets: (type === "look_at_obj_in_light" ? things : world.furniture).filter((name) => classOf(name) === target),
    places: new Map([...world.places].map(([thing, furniture]) => [thing, [furniture]])),
    appliances: process === undefined ? [] : world.furniture.filter((name) => classOf(name) === APPLIANCE_OF[process]),
    spot: (furniture) => furniture,
    isOpenable: (furniture) => furnitureKind(classOf(furniture)).openable,
    canTake: (thing) => thingKind(classOf(thing)).category !== "lamp",
    accepts: (furniture, thing) => accepts(classOf(furniture), classOf(thing)),
    canTreat: (thing) => process !== undefined && thingKind(classOf(thing))[able[process]],
    isTreated: () => false,
  });
}
