import { expect, test } from "vitest";
import { parseGame } from "../textworld/index.js";
import { type Demonstration, type DemonstrateOptions, demonstrate } from "./demonstrate.js";
import { Expert } from "./expert.js";
import { generateGame } from "./generate.js";
import { Rng } from "./rng.js";
import { irrelevantSkill, skillFor, skillWordings } from "./skills.js";
import { DEFAULT_HABITS, drawStrategy, MISTAKES, type Strategy } from "./strategies.js";
import { APPLIANCE_OF, PROCESS_OF, TASK_TYPES, type TaskType } from "./tasks.js";

function show(
  seed: number,
  type: TaskType,
  options: Omit<DemonstrateOptions, "rng"> = {},
  pool: "held-in" | "held-out" = "held-in",
): Demonstration {
  return demonstrate(parseGame(generateGame(seed, { type, pool }).file), { ...options, rng: new Rng(seed, "demonstration") });
}

test("the expert wins every small game within 30 steps, wanting only admissible commands", () => {
  for (const type of TASK_TYPES) {
    for (let seed = 0; seed < 100; seed++) {
      const { steps, success } = show(seed, type, {}, seed % 2 === 0 ? "held-in" : "held-out");
      expect(success, `${type} ${seed}`).toBe(true);
      for (const { admissible, action, executed, slip, think } of steps) {
        expect(admissible).toContain(action);
        expect([executed, slip]).toEqual([action, false]);
        expect(think).toMatch(/^[a-z]+( [a-z]+){1,3}$/);
      }
    }
  }
});

test("the expert wins larger games as well", () => {
  for (const size of ["medium", "large"] as const) {
    for (let seed = 0; seed < 36; seed++) {
      const game = parseGame(generateGame(seed, { size }).file);
      expect(demonstrate(game, { rng: new Rng(seed), maxSteps: 60 }).success, `${size} ${seed}`).toBe(true);
    }
  }
});

test("the expert takes only what it has read of", () => {
  for (let seed = 0; seed < 30; seed++) {
    let read = "";
    for (const { observation, action } of show(seed, TASK_TYPES[seed % 6]!).steps) {
      read += `${observation}\n`;
      const thing = /^take (\S+ \d+) from/.exec(action)?.[1];
      if (thing) expect(read).toMatch(new RegExp(`a ${thing}\\b`));
    }
  }
});

test("the order of search is not the order of names", () => {
  const firsts = Array.from(
    { length: 40 },
    (_, seed) => demonstrate(parseGame(generateGame(6).file), { rng: new Rng(seed) }).steps[0]!.action,
  );
  expect(new Set(firsts).size).toBeGreaterThan(5);
});

test("a place hint is followed first, and shortens the search when it is true", () => {
  let hinted = 0;
  let plain = 0;
  for (let seed = 0; seed < 60; seed++) {
    const type = TASK_TYPES[seed % 6]!;
    const { objectPlaces } = generateGame(seed, { type }).meta;
    const placeHint = objectPlaces[0]!;
    const { steps } = show(seed, type, { placeHint });
    expect(steps[0]!.action).toMatch(new RegExp(`^go to ${placeHint} \\d+$`));
    hinted += steps.length;
    plain += show(seed, type).steps.length;
  }
  expect(hinted).toBeLessThan(plain * 0.85);
  expect(show(3, TASK_TYPES[3]!, { placeHint: "nowhere" }).success).toBe(true);
});

test("every wrong strategy loses, and only a few steps are kept after its mistake", () => {
  for (const type of TASK_TYPES) {
    for (const strategy of MISTAKES[type]) {
      for (let seed = 0; seed < 25; seed++) {
        const { steps, success } = show(seed, type, { strategy });
        expect(success, `${strategy} in ${type}, seed ${seed}`).toBe(false);
        expect(steps.length).toBeLessThanOrEqual(strategy === "wander" ? 8 : 30);
        const aimless = steps.findIndex((step) => step.think === "look around");
        if (aimless >= 0 && strategy !== "wander") expect(steps.length - aimless).toBeLessThanOrEqual(4);
        for (const { admissible, action } of steps) expect(admissible).toContain(action);
      }
    }
  }
});

test("a wrong strategy does what it says", () => {
  const did = (type: TaskType, strategy: Strategy, pattern: RegExp): number =>
    Array.from({ length: 12 }, (_, seed) => show(seed, type, { strategy }).steps).filter((steps) =>
      steps.some((s) => pattern.test(s.action)),
    ).length;
  expect(did("look_at_obj_in_light", "by_hand", /^examine (?!desk)/)).toBe(12);
  expect(did("look_at_obj_in_light", "lamp_only", /^use desklamp/)).toBe(12);
  expect(did("look_at_obj_in_light", "lamp_only", /^take/)).toBe(0);
  expect(did("pick_clean_then_place_in_recep", "unprocessed", /^(clean|heat|cool)/)).toBe(0);
  expect(did("pick_heat_then_place_in_recep", "cool_instead", /^cool .* with fridge/)).toBe(12);
  expect(did("pick_heat_then_place_in_recep", "cool_instead", /^heat/)).toBe(0);
  expect(did("pick_two_obj_and_place", "wander", /^(take|move)/)).toBe(0);
});

test("habits: how often a type is done right without a skill", () => {
  const rng = new Rng(5);
  for (const type of TASK_TYPES) {
    const n = 4000;
    const drawn = Array.from({ length: n }, () => drawStrategy(type, rng));
    const share = drawn.filter((strategy) => strategy === "right").length / n;
    expect(Math.abs(share - DEFAULT_HABITS[type])).toBeLessThan(0.03);
    expect(new Set(drawn)).toEqual(new Set(["right", ...MISTAKES[type]]));
    expect(drawStrategy(type, rng, { ...DEFAULT_HABITS, [type]: 1 })).toBe("right");
  }
});

test("slips: their rate, their kinds, and that they never become targets", () => {
  let steps = 0;
  let slips = 0;
  let possible = 0;
  const failed = new Map<string, number>();
  for (let seed = 0; seed < 240; seed++) {
    const demonstration = show(seed, TASK_TYPES[seed % 6]!, { noise: 0.2, sloppiness: 0.25 });
    demonstration.steps.forEach(({ admissible, action, executed, slip }, i) => {
      steps++;
      expect(admissible).toContain(action);
      if (!slip) expect(executed).toBe(action);
      else {
        slips++;
        const next = demonstration.steps[i + 1]?.observation ?? demonstration.finalObservation;
        if (admissible.includes(executed)) possible++;
        else {
          expect(next).toBe("Nothing happens.");
          const verb = executed.split(" ")[0]!;
          failed.set(verb, (failed.get(verb) ?? 0) + 1);
        }
      }
    });
  }
  expect(Math.abs(slips / steps - 0.2)).toBeLessThan(0.03);
  expect(Math.abs(possible / slips - 0.6)).toBeLessThan(0.06);
  expect([...failed.keys()].sort()).toEqual(["go", "move", "open", "take"]);
  for (const count of failed.values()) expect(count).toBeGreaterThan((slips - possible) * 0.08);
});

test("slips and sloppiness cost steps, not the goal", () => {
  const runs = Array.from({ length: 120 }, (_, seed) => show(seed, TASK_TYPES[seed % 6]!, { noise: 0.08, sloppiness: 0.25, maxSteps: 50 }));
  expect(runs.filter((run) => run.success).length).toBeGreaterThanOrEqual(118);
});

test("a demonstration is a function of game, options and seed", () => {
  const options = { noise: 0.1, sloppiness: 0.3 };
  expect(show(11, TASK_TYPES[2]!, options)).toEqual(show(11, TASK_TYPES[2]!, options));
  expect(show(11, TASK_TYPES[5]!, { maxSteps: 3 }).steps).toHaveLength(3);
  expect(() => show(0, TASK_TYPES[0]!, { noise: 2 })).toThrow(/noise is 2/);
  expect(() => new Expert("make tea", { rng: new Rng(0) })).toThrow(/make tea/);
});

test("skills: one line each, several wordings, the named strategy, the hint", () => {
  for (const type of TASK_TYPES) {
    for (const strategy of ["right", ...MISTAKES[type]] as const) {
      const wordings = skillWordings(type, strategy);
      const seen = new Set<string>();
      for (let seed = 0; seed < 60; seed++) {
        const placeHint = seed % 3 === 0 ? "drawer" : undefined;
        const skill = skillFor(type, { rng: new Rng(seed), strategy, ...(placeHint ? { placeHint } : {}) });
        const line = `when ${skill.condition}: ${skill.strategy}`;
        expect(line).toMatch(/^when [a-z ]+: [a-z, ]+(; (try|search) drawer first)?$/);
        expect(line.includes("drawer")).toBe(placeHint !== undefined);
        expect(line.length).toBeLessThan(140);
        expect(skill.title).toMatch(/^[a-z ]+$/);
        expect(wordings.conditions).toContain(skill.condition);
        expect(wordings.procedures).toContain(skill.strategy.split(";")[0]);
        seen.add(`${skill.condition}|${skill.strategy.split(";")[0]}`);
      }
      expect(seen.size).toBeGreaterThanOrEqual(4);
    }
    const process = PROCESS_OF[type];
    if (process) for (const text of skillWordings(type).procedures) expect(text).toContain(APPLIANCE_OF[process]);
    const rng = new Rng(1);
    for (let i = 0; i < 20; i++) expect(skillWordings(type).conditions).not.toContain(irrelevantSkill(type, rng).condition);
  }
  expect(() => skillFor("pick_and_place_simple", { rng: new Rng(0), strategy: "by_hand" })).toThrow(/elsewhere, wander/);
});

test("no two types or strategies share a condition or a procedure by accident", () => {
  const conditions = TASK_TYPES.flatMap((type) => skillWordings(type).conditions);
  expect(new Set(conditions).size).toBe(conditions.length);
  for (const type of TASK_TYPES) {
    const right = new Set(skillWordings(type).procedures);
    for (const strategy of MISTAKES[type]) for (const text of skillWordings(type, strategy).procedures) expect(right.has(text)).toBe(false);
  }
});
