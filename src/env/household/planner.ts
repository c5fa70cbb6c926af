/**
 * The planner with full knowledge: builds the shortest plan of the obvious shape for a world and checks every step of it
 * against the rules on a small model of its own. A world is solvable exactly when `plan` returns. Knows no text.
 */
import { SiriError } from "../../errors.js";
import { accepts, classOf, furnitureKind, thingKind } from "./catalog.js";
import { APPLIANCE_OF, PROCESS_OF, type Process } from "./tasks.js";
import type { World } from "./world.js";

/** The state that commands change. Applies what the PDDL domain allows, and nothing else. */
class Model {
  private place = "";
  private held = "";
  private readonly open = new Set<string>();
  private readonly done = new Set<string>();
  private readonly lit = new Set<string>();
  private readonly where: Map<string, string>;
  readonly commands: string[] = [];

  constructor(private readonly world: World) {
    this.where = new Map(world.places);
  }

  reach(furniture: string): void {
    this.demand(this.world.furniture.includes(furniture), `${furniture} stands here`);
    if (this.place !== furniture) this.commands.push(`go to ${furniture}`);
    this.place = furniture;
  }

  /** Goes there and opens it where it has a door. */
  access(furniture: string): void {
    this.reach(furniture);
    if (!furnitureKind(classOf(furniture)).openable || this.open.has(furniture)) return;
    this.open.add(furniture);
    this.commands.push(`open ${furniture}`);
  }

  take(thing: string): void {
    const furniture = this.where.get(thing);
    this.demand(furniture !== undefined && this.held === "" && thingKind(classOf(thing)).category !== "lamp", `${thing} can be taken`);
    this.access(furniture!);
    this.where.delete(thing);
    this.held = thing;
    this.commands.push(`take ${thing} from ${furniture}`);
  }

  process(process: Process, furniture: string): void {
    const kind = thingKind(classOf(this.held));
    const able = { clean: kind.washable, heat: kind.heatable, cool: kind.coolable }[process];
    this.demand(able && furnitureKind(classOf(furniture)).appliance === process, `${this.held} can be treated: ${process}`);
    this.reach(furniture);
    this.done.add(`${process} ${this.held}`);
    if (process === "heat") this.done.delete(`cool ${this.held}`);
    if (process === "cool") this.done.delete(`heat ${this.held}`);
    this.commands.push(`${process} ${this.held} with ${furniture}`);
  }

  move(furniture: string): void {
    this.demand(this.held !== "" && accepts(classOf(furniture), classOf(this.held)), `${furniture} takes ${this.held}`);
    this.access(furniture);
    this.where.set(this.held, furniture);
    this.commands.push(`move ${this.held} to ${furniture}`);
    this.held = "";
  }

  use(lamp: string): void {
    const furniture = this.where.get(lamp);
    this.demand(furniture !== undefined, `${lamp} stands somewhere`);
    this.reach(furniture!);
    this.lit.add(lamp);
    this.commands.push(`use ${lamp}`);
  }

  won(): boolean {
    const { type, object, target } = this.world.goal;
    if (type === "look_at_obj_in_light") {
      return classOf(this.held) === object && [...this.lit].some((lamp) => classOf(lamp) === target && this.where.get(lamp) === this.place);
    }
    const process = PROCESS_OF[type];
    const counts = new Map<string, number>();
    for (const [thing, furniture] of this.where) {
      if (classOf(thing) !== object || classOf(furniture) !== target) continue;
      if (process !== undefined && !this.done.has(`${process} ${thing}`)) continue;
      counts.set(furniture, (counts.get(furniture) ?? 0) + 1);
    }
    const wanted = type === "pick_two_obj_and_place" ? 2 : 1;
    return [...counts.values()].some((count) => count >= wanted);
  }

  private demand(holds: boolean, what: string): void {
    if (!holds) throw new SiriError("WORLD_UNSOLVABLE", `no plan for "${this.world.sentence}": it does not hold that ${what}`);
  }
}

/**
 * The commands of a winning plan, 3 to 12 of them, the shortest of its shape; the first found among equals.
 * @throws SiriError (unsolvable_world) when there is none, or when the goal holds before the first command.
 */
export function plan(world: World): readonly string[] {
  const { type, object, target } = world.goal;
  const objects = [...world.places.keys()].filter((thing) => classOf(thing) === object);
  const targets =
    type === "look_at_obj_in_light"
      ? [...world.places.keys()].filter((thing) => classOf(thing) === target)
      : world.furniture.filter((name) => classOf(name) === target);
  if (new Model(world).won()) throw new SiriError("WORLD_UNSOLVABLE", `"${world.sentence}" is done before the first command`);
  let best: readonly string[] | undefined;
  let failure: unknown;
  objects.forEach((first, i) => {
    for (const second of type === "pick_two_obj_and_place" ? objects.slice(i + 1) : [first]) {
      for (const goal of targets) {
        try {
          const commands = carryOut(world, first, second, goal);
          if (best === undefined || commands.length < best.length) best = commands;
        } catch (error) {
          failure = error;
        }
      }
    }
  });
  if (best === undefined) {
    throw new SiriError("WORLD_UNSOLVABLE", `no plan for "${world.sentence}" in this ${world.room}`, { cause: failure });
  }
  return best;
}

function carryOut(world: World, first: string, second: string, goal: string): readonly string[] {
  const model = new Model(world);
  const process = PROCESS_OF[world.goal.type];
  model.take(first);
  if (world.goal.type === "look_at_obj_in_light") {
    model.use(goal);
  } else {
    if (process !== undefined) {
      const appliance = world.furniture.find((name) => classOf(name) === APPLIANCE_OF[process]);
      if (appliance === undefined) throw new SiriError("WORLD_UNSOLVABLE", `this ${world.room} has no ${APPLIANCE_OF[process]}`);
      model.process(process, appliance);
    }
    model.move(goal);
    if (second !== first) {
      model.take(second);
      model.move(goal);
    }
  }
  if (!model.won()) throw new SiriError("WORLD_UNSOLVABLE", `the plan for "${world.sentence}" does not reach its goal`);
  return model.commands;
}
