/**
 * The state machine between the phases, a pure function of what a checkpoint holds:
 *
 *   warmup --(enough distinct tasks solved, or maxIterations)--> mining --(enough active skills, or maxIterations)--> internalise
 *
 * SIRI states the phases and the adaptive end of warm-up; the caps and the second trigger are ours (docs/method.md).
 */
import type { Config } from "../config/schema.js";

/** `rl` is the only phase of the baselines grpo and gigpo. */
export type Phase = "rl" | "warmup" | "mining" | "internalise";

export interface MachineState {
  readonly phase: Phase;
  /** First iteration of the phase, counted from 1. */
  readonly since: number;
  /** First iteration of `internalise`; null before it. */
  readonly k0: number | null;
}

/** What the decision rests on, after an iteration. */
export interface Facts {
  /** The iteration just done. */
  readonly iteration: number;
  readonly solved: number;
  readonly leastSolvedOfAType: number;
  readonly active: number;
}

export type MachineSettings = Pick<Config, "method" | "warmup" | "mining" | "internalise">;

export function firstState(config: MachineSettings): MachineState {
  const phase = config.method !== "siri" ? "rl" : config.warmup.enabled ? "warmup" : "mining";
  return { phase, since: 1, k0: null };
}

/** The state of the next iteration. */
export function nextState(state: MachineState, facts: Facts, config: MachineSettings): MachineState {
  const done = facts.iteration - state.since + 1;
  const next = facts.iteration + 1;
  if (state.phase === "warmup") {
    const { successes, successesPerType, maxIterations } = config.warmup;
    const enough = facts.solved >= successes && facts.leastSolvedOfAType >= successesPerType;
    return enough || done >= maxIterations ? { phase: "mining", since: next, k0: null } : state;
  }
  if (state.phase === "mining" && config.internalise.enabled) {
    const { minActive, minIterations, maxIterations } = config.mining;
    const enough = facts.active >= minActive && done >= minIterations;
    return enough || done >= maxIterations ? { phase: "internalise", since: next, k0: next } : state;
  }
  return state;
}

/** Whether skills are mined before an iteration in this state: at the phase's first iteration, then at every interval. */
export function minesBefore(state: MachineState, iteration: number, mining: Config["mining"]): boolean {
  const due = (iteration - state.since) % mining.interval === 0;
  return due && (state.phase === "mining" || (state.phase === "internalise" && mining.inPhase2));
}

/** Whether groups have a skill arm in this phase. */
export function pairsArms(phase: Phase): boolean {
  return phase === "mining" || phase === "internalise";
}
