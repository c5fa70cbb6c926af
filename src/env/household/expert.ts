/**
 * The scripted player of household games and of ALFWorld. With the strategy `right` it reaches the goal from what it has seen alone: it
 * opens what is closed, goes to places it has not been to in random order (those of the hinted kind first), and remembers every
 * thing it saw. With another strategy it makes that mistake, and says so through `mistaken`. Knows no engine and no hidden state; what
 * it may know of such rooms in general is handed to it.
 */
import { classOf } from "./catalog.js";
import { Memory, type Place } from "./memory.js";
import type { Rng } from "./rng.js";
import { HOUSEHOLD_SENSE, type RoomSense } from "./sense.js";
import { type Strategy, WRONG_PROCESS } from "./strategies.js";
import { APPLIANCE_OF, type Goal, PROCESS_OF, type Process, readTask } from "./tasks.js";

export interface Decision {
  readonly action: string;
  /** The sub-goal that the action serves, in two to four words: `find mug`, `clean mug`, `put mug in cabinet`. */
  readonly think: string;
}

export interface ExpertOptions {
  readonly rng: Rng;
  /** Default `right`. */
  readonly strategy?: Strategy;
  /** Probability that a move leads anywhere instead of to where it should. Default 0. */
  readonly sloppiness?: number;
  /** Furniture kind to search first; without effect in a room that has none. */
  readonly placeHint?: string;
  /** What is known of such rooms beforehand. Default: the household's. */
  readonly sense?: RoomSense;
  /** Searches the likeliest place first instead of drawing one by its chance. Default false. */
  readonly likeliest?: boolean;
}

const TASK_LINE = /Your task is to: ([^\n]*)\./;
const AIMLESS = "look around";
const IDLE = /^(?:open|close|examine|look|inventory)\b/;

/** The task sentence inside a first observation, or the text itself when it is a bare sentence. */
export function taskOf(text: string): string {
  return TASK_LINE.exec(text)?.[1] ?? text.trim().replace(/\.$/, "");
}

export class Expert {
  readonly goal: Goal;
  readonly memory = new Memory();
  /** True once the strategy's mistake has been made; from then on it acts aimlessly. */
  mistaken = false;
  private readonly rng: Rng;
  private readonly strategy: Strategy;
  private readonly sloppiness: number;
  private readonly placeHint: string | undefined;
  private readonly sense: RoomSense;
  private readonly likeliest: boolean;
  private readonly process: Process | undefined;
  /** Furniture that was chosen once among equals: kind -> name. */
  private readonly chosen = new Map<string, string>();
  /** Goal objects that were put into a target as they should be. */
  private readonly delivered = new Set<string>();
  /** Places that did not take what was held. */
  private readonly refused = new Set<string>();
  private visitedWrongAppliance = false;

  /** @param task the task sentence, or a first observation that contains it @throws SiriError (unreadable_task) */
  constructor(task: string, options: ExpertOptions) {
    this.goal = readTask(taskOf(task));
    this.rng = options.rng;
    this.strategy = options.strategy ?? "right";
    this.sloppiness = options.sloppiness ?? 0;
    this.placeHint = options.placeHint;
    this.sense = options.sense ?? HOUSEHOLD_SENSE;
    this.likeliest = options.likeliest ?? false;
    this.process = this.strategy === "unprocessed" ? undefined : (WRONG_PROCESS[this.strategy] ?? PROCESS_OF[this.goal.type]);
  }

  /** Takes what was executed (null at the start) and what it led to. */
  read(executed: string | null, text: string, admissible: readonly string[]): void {
    const { held } = this.memory;
    this.memory.read(executed, text, admissible);
    if (executed === null || text === "Nothing happens.") return;
    this.noticeMistake(executed, held);
  }

  /** What to do now. The action is always one of the admissible ones. */
  decide(): Decision {
    if (this.mistaken || this.strategy === "wander") return this.wander();
    const { held } = this.memory;
    if (this.goal.type === "look_at_obj_in_light") return this.look();
    if (held === "") return this.fetch();
    if (classOf(held) !== this.goal.object) return this.putAway();
    if (this.strategy === "elsewhere") return this.leaveElsewhere();
    return this.treat(held) ?? this.deliver(held);
  }

  private noticeMistake(executed: string, held: string): void {
    const [verb, ...rest] = executed.split(" ");
    const isObject = held !== "" && classOf(held) === this.goal.object;
    const delivered = (verb === "move" || verb === "put") && isObject;
    const atTarget = delivered && rest[3] === this.goal.target;
    if (atTarget && (this.process === undefined || this.memory.treated.has(`${this.process} ${held}`))) this.delivered.add(held);
    switch (this.strategy) {
      case "elsewhere":
        this.mistaken ||= delivered && !atTarget;
        break;
      case "by_hand":
        this.mistaken ||= isObject && executed === `examine ${held}`;
        break;
      case "lamp_only":
        this.mistaken ||= verb === "use";
        break;
      case "unprocessed":
      case "clean_instead":
      case "heat_instead":
      case "cool_instead":
      case "stop_after_first":
        this.mistaken ||= atTarget;
        break;
    }
  }

  private look(): Decision {
    const { held } = this.memory;
    const { object, target } = this.goal;
    if (held === "" && this.strategy !== "lamp_only") return this.fetch();
    if (held !== "" && classOf(held) !== object) return this.putAway();
    if (this.strategy === "by_hand") return { action: `examine ${held}`, think: `examine ${object}` };
    const [lamp, place] = this.known(target)[0] ?? [];
    if (lamp === undefined || place === undefined) return this.search(target);
    const think = `light ${target}`;
    return this.memory.atHand(place.name) ? { action: `use ${lamp}`, think } : this.go(place.name, think);
  }

  /** Takes a goal object that was seen, or searches for one. */
  private fetch(): Decision {
    const { object } = this.goal;
    const candidates = this.known(object).filter(([thing, place]) => !this.isDelivered(thing, place));
    const here = candidates.find(([, place]) => this.memory.atHand(place.name));
    const best = here ?? candidates[0];
    if (best === undefined) return this.search(object);
    const [thing, place] = best;
    const think = `take ${object}`;
    const way = this.reach(place, think);
    if (way !== undefined) return way;
    const action = `take ${thing} from ${place.name}`;
    if (this.memory.can(action)) return { action, think };
    // It is not there any more, as when it stood in two places at once and was taken from the other.
    place.contents = place.contents?.filter((name) => name !== thing);
    return this.fetch();
  }

  /** Cleans, heats or cools what is held; undefined when nothing is left to treat. */
  private treat(held: string): Decision | undefined {
    const { process } = this;
    if (process === undefined || this.memory.treated.has(`${process} ${held}`) || this.visitedWrongAppliance) return undefined;
    const appliance = this.choose(APPLIANCE_OF[process]);
    // Only a wrong treatment can lack its appliance, or be one that the thing does not take.
    if (appliance === undefined) return undefined;
    const think = `${process} ${this.goal.object}`;
    if (!this.memory.atHand(appliance)) return this.go(appliance, think);
    const action = `${process} ${held} with ${appliance}`;
    if (this.memory.can(action)) return { action, think };
    this.visitedWrongAppliance = true;
    return undefined;
  }

  private deliver(held: string): Decision {
    const { object, target } = this.goal;
    const think = `put ${object} ${this.sense.preposition(target)} ${target}`;
    const name = this.choose(target);
    if (name === undefined) return this.anywhere(think);
    const way = this.reach(this.memory.place(name), think) ?? this.put(held, name, think);
    if (way !== undefined) return way;
    this.chosen.delete(target);
    return this.deliver(held);
  }

  /** Puts a thing down at hand; undefined, and remembered, when the place does not take it. Releases of the games differ in wording. */
  private put(held: string, place: string, think: string): Decision | undefined {
    const action = [`move ${held} to ${place}`, `put ${held} in/on ${place}`].find((command) => this.memory.can(command));
    if (action !== undefined) return { action, think };
    this.refused.add(place);
    return undefined;
  }

  /** Puts the object down at the first place that takes it, other than a target and the place it came from. */
  private leaveElsewhere(): Decision {
    return this.putDown(`put ${this.goal.object} away`, (place) => classOf(place) !== this.goal.target && place !== this.memory.takenFrom);
  }

  /** Frees the hands of a thing that nobody asked for. */
  private putAway(): Decision {
    return this.putDown(`put ${classOf(this.memory.held)} away`, () => true);
  }

  private putDown(think: string, allowed: (place: string) => boolean): Decision {
    const { held, here, places } = this.memory;
    const fits = [...places.keys()].filter(
      (place) => allowed(place) && !this.refused.has(place) && this.sense.accepts(classOf(place), classOf(held)),
    );
    if (fits.length === 0) return this.anywhere(think);
    const place = this.memory.place(fits.includes(here) ? here : this.rng.pick(fits));
    return this.reach(place, think) ?? this.put(held, place.name, think) ?? this.putDown(think, allowed);
  }

  private search(kind: string): Decision {
    const think = `find ${kind}`;
    const { here, places } = this.memory;
    const unseen = [...places.values()].filter((place) => place.contents === undefined);
    const open = unseen.find((place) => place.name === here && place.closed);
    if (open !== undefined) return { action: `open ${here}`, think };
    const fresh = unseen.filter((place) => !place.visited);
    const hinted = fresh.filter((place) => classOf(place.name) === this.placeHint);
    const next = [hinted, fresh, unseen].find((list) => list.length > 0);
    if (next === undefined) return this.anywhere(think);
    const { name } = this.draw(next, kind);
    if (!this.memory.atHand(name)) return this.go(name, think);
    return { action: this.memory.can(`open ${name}`) ? `open ${name}` : `examine ${name}`, think };
  }

  /** One of the places, by the chance that a thing of this kind is there. */
  private draw(places: readonly Place[], kind: string): Place {
    const { chance } = this.sense;
    if (chance === undefined) return this.rng.pick(places);
    // A thing that is to be put somewhere as it is cannot be there already.
    const barred = this.goal.type === "pick_and_place_simple" ? this.goal.target : "";
    const weights = places.map(({ name }) => (classOf(name) === barred ? 0 : chance(classOf(name), kind)));
    if (this.likeliest) {
      const best = Math.max(...weights);
      return this.rng.pick(places.filter((_, i) => weights[i] === best));
    }
    let point = this.rng.next() * weights.reduce((sum, weight) => sum + weight, 0);
    const drawn = weights.findIndex((weight) => {
      point -= weight;
      return point < 0;
    });
    return places[drawn] ?? this.rng.pick(places);
  }

  /** The next command on the way to an open place, undefined when it stands there. */
  private reach(place: Place, think: string): Decision | undefined {
    if (!this.memory.atHand(place.name)) return this.go(place.name, think);
    return place.closed ? { action: `open ${place.name}`, think } : undefined;
  }

  private go(place: string, think: string): Decision {
    return this.rng.chance(this.sloppiness) ? this.anywhere(think) : { action: `go to ${place}`, think };
  }

  private anywhere(think: string): Decision {
    return { action: this.rng.pick(this.memory.admissible.filter((action) => action.startsWith("go to "))), think };
  }

  /** Walks about and looks at things; never takes, moves, treats or uses any. */
  private wander(): Decision {
    const idle = this.memory.admissible.filter((action) => IDLE.test(action));
    return idle.length > 0 && this.rng.chance(0.3) ? { action: this.rng.pick(idle), think: AIMLESS } : this.anywhere(AIMLESS);
  }

  /** All things of a kind whose place is known, with that place. */
  private known(kind: string): [string, Place][] {
    const out: [string, Place][] = [];
    for (const place of this.memory.places.values()) {
      for (const thing of place.contents ?? []) if (classOf(thing) === kind) out.push([thing, place]);
    }
    return out;
  }

  private isDelivered(thing: string, place: Place): boolean {
    if (this.delivered.has(thing)) return true;
    if (classOf(place.name) !== this.goal.target) return false;
    if (this.goal.type === "pick_two_obj_and_place") return this.chosen.get(this.goal.target) === place.name;
    return this.process === undefined || this.memory.treated.has(`${this.process} ${thing}`);
  }

  /** One piece of furniture of a kind, the same one at every call; the one at hand if there is a choice. */
  private choose(kind: string): string | undefined {
    const known = this.chosen.get(kind);
    if (known !== undefined) return known;
    const { here, places } = this.memory;
    const names = [...places.keys()].filter((name) => classOf(name) === kind && !this.refused.has(name));
    if (names.length === 0) return undefined;
    const name = names.includes(here) ? here : (names.find((name) => this.memory.atHand(name)) ?? this.rng.pick(names));
    this.chosen.set(kind, name);
    return name;
  }
}
