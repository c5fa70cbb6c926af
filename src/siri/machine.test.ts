import { describe, expect, it } from "vitest";
import { configSchema } from "../config/schema.js";
import { type Facts, firstState, type MachineState, minesBefore, nextState } from "./machine.js";

function config(change: Record<string, unknown> = {}) {
  return configSchema.parse({
    environment: { name: "x" },
    model: { path: "m" },
    iterations: 40,
    warmup: { successes: 10, successesPerType: 2, maxIterations: 5 },
    mining: { interval: 3, minActive: 2, minIterations: 2, maxIterations: 7 },
    ...change,
  });
}

/** The phase of each iteration 1 .. n. */
function phases(n: number, facts: (iteration: number, phase: string) => Partial<Facts>, settings = config()): string[] {
  let state = firstState(settings);
  const seen: string[] = [];
  for (let iteration = 1; iteration <= n; iteration++) {
    seen.push(state.phase);
    const nothing = { iteration, solved: 0, leastSolvedOfAType: 0, active: 0 };
    // A resumed run has the state from JSON.
    state = nextState(JSON.parse(JSON.stringify(state)) as MachineState, { ...nothing, ...facts(iteration, state.phase) }, settings);
  }
  return seen;
}

const run = (text: string) => [...text].map((letter) => ({ w: "warmup", m: "mining", i: "internalise", r: "rl" })[letter]);

describe("phase machine", () => {
  it("leaves warm-up when enough tasks are solved, in all and of each type", () => {
    expect(phases(5, () => ({ solved: 10, leastSolvedOfAType: 1 }))).toEqual(run("wwwww"));
    expect(phases(4, () => ({ solved: 9, leastSolvedOfAType: 2 }))).toEqual(run("wwww"));
    expect(phases(3, (iteration) => ({ solved: 5 * iteration, leastSolvedOfAType: iteration }))).toEqual(run("wwm"));
  });

  it("leaves every phase at its cap", () => {
    expect(phases(14, () => ({}))).toEqual(run("wwwwwmmmmmmmii"));
  });

  it("leaves mining when enough skills are active, not before its least length", () => {
    const facts = () => ({ solved: 10, leastSolvedOfAType: 2, active: 2 });
    expect(phases(5, facts)).toEqual(run("wmmii"));
  });

  it("remembers the first iteration of internalisation", () => {
    const state = nextState(
      { phase: "mining", since: 4, k0: null },
      { iteration: 10, solved: 0, leastSolvedOfAType: 0, active: 0 },
      config(),
    );
    expect(state).toEqual({ phase: "internalise", since: 11, k0: 11 });
  });

  it("starts with mining when warm-up is off, and stays there when internalisation is off", () => {
    expect(phases(3, () => ({}), config({ warmup: { enabled: false } }))).toEqual(run("mmm"));
    expect(phases(20, () => ({ active: 9 }), config({ warmup: { enabled: false }, internalise: { enabled: false } }))).toEqual(
      run("m".repeat(20)),
    );
  });

  it("has one phase for the baselines", () => {
    for (const method of ["grpo", "gigpo"])
      expect(phases(20, () => ({ solved: 99, active: 99 }), config({ method }))).toEqual(run("r".repeat(20)));
  });

  it("mines at the start of the phase and at every interval", () => {
    const { mining } = config();
    const due = (state: MachineState) =>
      Array.from({ length: 8 }, (_, i) => (minesBefore(state, state.since + i, mining) ? 1 : 0)).join("");
    expect(due({ phase: "mining", since: 4, k0: null })).toBe("10010010");
    expect(due({ phase: "warmup", since: 1, k0: null })).toBe("00000000");
    expect(due({ phase: "internalise", since: 9, k0: 9 })).toBe("00000000");
    expect(minesBefore({ phase: "internalise", since: 9, k0: 9 }, 12, { ...mining, inPhase2: true })).toBe(true);
  });
});
