/**
 * Plays a household or ALFWorld game with the scripted expert and writes down what it wanted, what was executed and why. Slips replace some executed
 * commands, so that failures and the way out of them are seen.
 *
 * The imitation target of a step is always `action`, the command the demonstrator wanted in that state, also where a slip put
 * another one in its place; slips are never targets. Histories must show `executed`, which is what led to the next observation.
 */
import { SiriError } from "../../errors.js";
import { classOf } from "./catalog.js";
import { Expert } from "./expert.js";
import type { Memory } from "./memory.js";
import type { Rng } from "./rng.js";
import type { RoomSense } from "./sense.js";
import type { Strategy } from "./strategies.js";

/** What a demonstration needs of a started game; an engine's `Play` fits. */
export interface Playable {
  readonly observation: string;
  readonly admissible: readonly string[];
  readonly won: boolean;
  step(command: string): string;
}

export interface DemonstrateOptions {
  readonly rng: Rng;
  /** Default `right`. */
  readonly strategy?: Strategy;
  /** Probability that a move leads anywhere; the wanted action is then that move. Default 0. */
  readonly sloppiness?: number;
  /** Probability that something else is executed than what was wanted. Default 0. */
  readonly noise?: number;
  /** Default 30. */
  readonly maxSteps?: number;
  /** Furniture kind to search first. */
  readonly placeHint?: string;
  /** What is known of such rooms beforehand. Default: the household's. */
  readonly sense?: RoomSense;
  /** Steps kept after the mistake of a wrong strategy. Default 4. */
  readonly stepsAfterMistake?: number;
  /** Steps kept of an episode that only wanders. Default 8. */
  readonly wanderSteps?: number;
}

export interface DemonstratedStep {
  readonly observation: string;
  readonly admissible: readonly string[];
  /** What the demonstrator wanted: the imitation target. Always admissible. */
  readonly action: string;
  /** What was executed: `action`, or a slip. */
  readonly executed: string;
  /** Whether a slip took the place of `action`. */
  readonly slip: boolean;
  /** The sub-goal in two to four words. */
  readonly think: string;
}

export interface Demonstration {
  readonly steps: readonly DemonstratedStep[];
  readonly success: boolean;
  /** The observation after the last step. */
  readonly finalObservation: string;
}

/** Slips that are admissible but not wanted; the others cannot be executed. */
const ADMISSIBLE_SLIPS = 0.6;

/** @throws SiriError (unreadable_task, bad_option) */
export function demonstrate(game: Playable | { start(): Playable }, options: DemonstrateOptions): Demonstration {
  const { rng, noise = 0, sloppiness = 0, maxSteps = 30, stepsAfterMistake = 4, wanderSteps = 8 } = options;
  for (const [name, value] of Object.entries({ noise, sloppiness })) {
    if (!(value >= 0 && value <= 1)) throw new SiriError("CONFIG_ENVIRONMENT", `demonstrate: ${name} is ${value}; it must be from 0 to 1`);
  }
  const play = "start" in game ? game.start() : game;
  const { strategy = "right", placeHint, sense } = options;
  const expert = new Expert(play.observation, {
    rng,
    strategy,
    sloppiness,
    ...(placeHint === undefined ? {} : { placeHint }),
    ...(sense === undefined ? {} : { sense }),
  });
  const steps: DemonstratedStep[] = [];
  let observation = play.observation;
  let admissible = play.admissible;
  expert.read(null, observation, admissible);
  let left = strategy === "wander" ? wanderSteps : Number.POSITIVE_INFINITY;
  while (!play.won && steps.length < maxSteps && left > 0) {
    const wasMistaken = expert.mistaken;
    const { action, think } = expert.decide();
    const slip = rng.chance(noise);
    const executed = slip ? drawSlip(expert.memory, rng) : action;
    steps.push({ observation, admissible, action, executed, slip, think });
    observation = play.step(executed);
    admissible = play.admissible;
    expert.read(executed, observation, admissible);
    left = expert.mistaken && !wasMistaken ? stepsAfterMistake : left - 1;
  }
  return { steps, success: play.won, finalObservation: observation };
}

function drawSlip(memory: Memory, rng: Rng): string {
  return rng.chance(ADMISSIBLE_SLIPS) ? rng.pick(memory.admissible) : impossible(memory, rng);
}

/** A plausible command that cannot be executed here: wrong place, wrong number, wrong hands, wrong furniture. */
function impossible(memory: Memory, rng: Rng): string {
  const places = [...memory.places.keys()];
  const somewhere = rng.pick(places);
  const here = memory.here === "" ? somewhere : memory.here;
  const things = [...memory.places.values()].flatMap((place) => place.contents ?? []);
  const thing = memory.held !== "" ? memory.held : rng.pick(things.length > 0 ? things : [somewhere]);
  const candidates: readonly (() => string)[] = [
    () => `go to ${here}`,
    () => `go to ${oneTooMany(classOf(somewhere), places)}`,
    () => `take ${rng.pick(things.length > 0 ? things : [thing])} from ${here}`,
    () => `take ${thing} from ${somewhere}`,
    () => `take ${oneTooMany(classOf(thing), things)} from ${here}`,
    () => `move ${thing} to ${somewhere}`,
    () => `move ${thing} to ${here}`,
    () => `open ${here}`,
    () => `open ${somewhere}`,
  ];
  for (let tries = 0; tries < 8; tries++) {
    const command = rng.pick(candidates)();
    if (!memory.can(command)) return command;
  }
  return `go to ${oneTooMany(classOf(somewhere), places)}`;
}

/** `drawer 4` where there are three. */
function oneTooMany(kind: string, names: readonly string[]): string {
  return `${kind} ${names.filter((name) => classOf(name) === kind).length + 1}`;
}
