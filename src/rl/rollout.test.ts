import { describe, expect, it } from "vitest";
import { ACTION_AT, corridor, FakePolicy, fakeParts } from "../../test/support/fakes.js";
import { defineEnvironment } from "../env/environment.js";
import { evaluate, wilson } from "./evaluate.js";
import { type RolloutSettings, rollout } from "./rollout.js";
import { seedFor } from "./seeds.js";
import type { EpisodePlan } from "./trajectory.js";

const settings: RolloutSettings = {
  maxSteps: 6,
  historyLength: 2,
  maxPromptTokens: 2000,
  maxResponseTokens: 80,
  temperature: 1,
  concurrency: 0,
  environmentTimeout: 5,
  retries: 1,
  seed: (plan, step) => seedFor("rollout", 0, plan.iteration, plan.group, plan.member, step),
  keepPlainPrompts: true,
  includeTags: false,
};

const skill = { id: "s0001", title: "t", condition: "the corridor is long", strategy: "walk right" };

function plans(groups: number, size: number, module = corridor()): EpisodePlan[] {
  const tasks = module.tasks("train") as { at(index: number): EpisodePlan["task"] };
  return Array.from({ length: groups * size }, (_, i) => ({
    iteration: 3,
    group: Math.floor(i / size),
    member: i % size,
    task: tasks.at(Math.floor(i / size)),
    skills: i % 2 === 1 ? [skill] : [],
  }));
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe("rollout", () => {
  it("gives the same trajectories whatever arrives first and however many run at once", async () => {
    const expected = await rollout(fakeParts(), plans(5, 4), settings);
    const policy = new FakePolicy();
    policy.before = () => wait(Math.random() * 4);
    const shuffled = await rollout(fakeParts(policy, corridor({ delay: () => wait(Math.random() * 2) })), plans(5, 4), settings);
    const serial = await rollout(fakeParts(), plans(5, 4), { ...settings, concurrency: 1 });
    expect(shuffled).toEqual(expected);
    expect(serial).toEqual(expected);
    expect(expected.map(({ plan }) => [plan.group, plan.member])).toEqual(plans(5, 4).map(({ group, member }) => [group, member]));
  });

  it("records what a training row needs", async () => {
    const trajectories = await rollout(fakeParts(), plans(4, 4), settings);
    for (const { plan, steps, success, reward, truncated } of trajectories) {
      expect(steps.length).toBeLessThanOrEqual(6);
      expect(reward).toBe(success ? 10 : 0);
      expect(truncated).toBe(!success);
      for (const step of steps) {
        expect(step.response).toHaveLength(step.logprobs.length);
        expect(step.logprobs[ACTION_AT]).toBeLessThan(0);
        const shown = String.fromCharCode(...step.prompt).includes("\nskill: when the corridor is long: walk right");
        expect(shown).toBe(plan.skills.length > 0);
        expect(step.admissible).toBe(step.action !== "dance");
        expect(step.wellFormed).toBe(true);
        if (plan.skills.length === 0) {
          expect([step.plainPrompt, step.actionMask]).toEqual([null, null]);
          continue;
        }
        expect(String.fromCharCode(...step.plainPrompt!)).toBe(
          String.fromCharCode(...step.prompt).replace("skill: when the corridor is long: walk right\n", ""),
        );
        const learnt = [...step.response].filter((_, i) => step.actionMask![i] === 1);
        expect(String.fromCharCode(...learnt)).toBe(step.action);
      }
    }
    expect(trajectories.some(({ success }) => success)).toBe(true);
    expect(trajectories.some(({ success }) => !success)).toBe(true);
  });

  it("lets the others go on while one environment is slow", async () => {
    let finished = 0;
    let finishedBeforeSlow = -1;
    const base = corridor();
    const module = defineEnvironment({
      ...base,
      create: async () => {
        const environment = await base.create();
        let slow = false;
        return {
          reset: (task) => {
            slow = task.id === "train/0";
            return environment.reset(task);
          },
          step: async (action) => {
            if (slow) {
              await wait(150);
              if (finishedBeforeSlow < 0) finishedBeforeSlow = finished;
            }
            return environment.step(action);
          },
        };
      },
    });
    await rollout(fakeParts(new FakePolicy(), module), plans(8, 2), {
      ...settings,
      onProgress: (done) => {
        finished = done;
      },
    });
    expect(finishedBeforeSlow).toBe(14);
  });

  it("plays a failed episode again in a fresh environment and gets the same trajectory", async () => {
    const expected = await rollout(fakeParts(), plans(2, 2), settings);
    let failures = 0;
    const module = corridor({
      onReset: (task) => {
        if (task.id === "train/1" && failures++ < 1) throw new Error("socket closed");
      },
    });
    expect(await rollout(fakeParts(new FakePolicy(), module), plans(2, 2), settings)).toEqual(expected);
    expect(failures).toBeGreaterThan(1);
  });

  it("stops with the cause when an environment fails every time", async () => {
    const module = corridor({
      onReset: (task) => {
        if (task.id === "train/1") throw new Error("socket closed");
      },
    });
    await expect(rollout(fakeParts(new FakePolicy(), module), plans(2, 2), settings)).rejects.toMatchObject({
      code: "ROLLOUT_FAILED",
      message: expect.stringContaining("socket closed"),
    });
  });

  it("stops waiting for an environment that hangs", async () => {
    const module = corridor({ delay: () => wait(10_000) });
    await expect(
      rollout(fakeParts(new FakePolicy(), module), plans(1, 1), { ...settings, environmentTimeout: 0.02, retries: 0 }),
    ).rejects.toMatchObject({ code: "ROLLOUT_FAILED", message: expect.stringMatching(/train\/0 took longer than 0.02 s/) });
  });

  it("does not repeat what a policy got wrong", async () => {
    const policy = new FakePolicy();
    let calls = 0;
    policy.before = async () => {
      calls++;
      throw new Error("engine is closed");
    };
    await expect(rollout(fakeParts(policy), plans(1, 1), settings)).rejects.toThrow("engine is closed");
    expect(calls).toBe(1);
  });

  it("refuses a group whose members begin differently", async () => {
    let resets = 0;
    const base = corridor();
    const module = defineEnvironment({
      ...base,
      create: async () => {
        const environment = await base.create();
        return {
          ...environment,
          reset: async (task) => ({ ...(await environment.reset(task)), text: `You stand in room ${resets++}.` }),
        };
      },
    });
    await expect(rollout(fakeParts(new FakePolicy(), module), plans(1, 3), settings)).rejects.toMatchObject({
      code: "GROUP_DIFFERS",
      message: expect.stringMatching(/Members 0 and 1 of group 0 \(task train\/0\) begin with another text/),
    });
  });

  it("drops the history of a prompt that is too long, then says what does not fit", async () => {
    const whole = await rollout(fakeParts(), plans(1, 4), { ...settings, historyLength: 6 });
    const longest = Math.max(...whole.flatMap(({ steps }) => steps.map(({ prompt }) => prompt.length)));
    const first = Math.max(...whole.map(({ steps }) => steps[0]!.prompt.length));
    const cut = await rollout(fakeParts(), plans(1, 4), { ...settings, historyLength: 6, maxPromptTokens: first + 20 });
    expect(longest).toBeGreaterThan(first + 20);
    expect(cut.reduce((sum, { shortened }) => sum + shortened, 0)).toBeGreaterThan(0);
    for (const { steps } of cut) for (const { prompt } of steps) expect(prompt.length).toBeLessThanOrEqual(first + 20);
    await expect(rollout(fakeParts(), plans(1, 4), { ...settings, maxPromptTokens: 20 })).rejects.toMatchObject({
      code: "PROMPT_TOO_LONG",
      message: expect.stringMatching(/task train\/0 at step 0 has \d+ tokens, \d+ without history; the limit is 20/),
    });
  });

  it("stops when it is told to", async () => {
    const stop = new AbortController();
    const policy = new FakePolicy();
    policy.before = async () => {
      if (policy.samples >= 5) stop.abort(new Error("enough"));
    };
    await expect(rollout(fakeParts(policy), plans(8, 4), { ...settings, signal: stop.signal })).rejects.toThrow("enough");
  });
});

describe("evaluate", () => {
  const options = { split: "held-out", mode: "plain", tasks: 0, temperature: 1, rollout: settings } as const;
  const tasks = corridor({ tasks: 30 }).tasks("held-out") as { length: number; at(index: number): EpisodePlan["task"] };

  it("plays each task of a split once, and again in the same way", async () => {
    const result = await evaluate(fakeParts(), tasks, options);
    expect(result.games.map(({ id }) => id)).toEqual(Array.from({ length: 30 }, (_, i) => `held-out/${i}`));
    expect(result.success.rate).toBe(result.games.filter(({ success }) => success).length / 30);
    expect(result.byType.near!.n + result.byType.far!.n).toBe(30);
    expect(await evaluate(fakeParts(), tasks, options)).toEqual(result);
    expect((await evaluate(fakeParts(), tasks, { ...options, tasks: 7 })).games).toEqual(result.games.slice(0, 7));
  });

  it("shows the skills it is given", async () => {
    const plain = await evaluate(fakeParts(), tasks, options);
    const skilled = await evaluate(fakeParts(), tasks, {
      ...options,
      mode: "with_skills",
      skillsFor: (task) => (task.type === "far" ? [skill] : []),
    });
    expect(skilled.shown).toBeCloseTo(20 / 30, 12);
    expect(skilled.byType.near).toEqual(plain.byType.near);
    expect(skilled.byType.far!.rate).toBeGreaterThan(plain.byType.far!.rate);
  });

  it("refuses an empty split", async () => {
    await expect(evaluate(fakeParts(), { length: 0, at: () => tasks.at(0) }, options)).rejects.toMatchObject({ code: "EVALUATION_EMPTY" });
  });
});

describe("wilson", () => {
  it("is the published interval", () => {
    // 10 of 20: centre 0.5, half-width 1.96 / (1 + 1.96^2/20) * sqrt(0.25/20 + 1.96^2/1600) = 0.2007
    expect(wilson(10, 20).low).toBeCloseTo(0.2993, 4);
    expect(wilson(10, 20).high).toBeCloseTo(0.7007, 4);
    expect(wilson(0, 10)).toMatchObject({ rate: 0, low: 0 });
    expect(wilson(0, 10).high).toBeCloseTo(0.2775, 4);
    for (let n = 1; n <= 300; n++) expect([wilson(0, n).low, wilson(n, n).high]).toEqual([0, 1]);
    expect(wilson(0, 0)).toEqual({ n: 0, rate: 0, low: 0, high: 1 });
  });
});
