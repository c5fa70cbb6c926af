import { describe, expect, it } from "vitest";
import { compact } from "../agent/compact.js";
import { projectAction } from "../agent/projection.js";
import { skillWordings } from "../env/household/skills.js";
import { TASK_TYPES } from "../env/household/tasks.js";
import { DEFAULT_DATA, type DataSettings, episodeExamples, examples, householdGames } from "./data.js";
import type { Mix } from "./stream.js";
import type { Example } from "./train.js";

const NONE: Mix = { plain: 0, right: 0, bad: 0, irrelevant: 0, writing: 0 };
const only = (mix: Partial<Mix>, more: Partial<DataSettings> = {}): DataSettings => ({
  ...DEFAULT_DATA,
  ...more,
  mix: { ...NONE, ...mix },
});
const text = (example: Example): string => example.prompt.map((message) => message.content).join("");
const episode = (settings: DataSettings, index: number) => episodeExamples(compact, settings, index, householdGames);

function take(settings: DataSettings, count: number): Example[] {
  const stream = examples(compact, settings);
  return Array.from({ length: count }, () => stream.next().value);
}

describe("the example stream", () => {
  it("is the same for the same seed, another for another, and never repeats a row", () => {
    const settings = { ...DEFAULT_DATA, shuffleBuffer: 64 };
    const rows = take(settings, 600);
    expect(take(settings, 600)).toEqual(rows);
    expect(take({ ...settings, seed: 1 }, 20)).not.toEqual(rows.slice(0, 20));
    expect(new Set(rows.map((row) => text(row) + row.reply)).size).toBe(600);
  });

  it("mixes episodes through the buffer", () => {
    const tasks = take({ ...DEFAULT_DATA, shuffleBuffer: 512 }, 32).map((row) => text(row).split("\n")[0]);
    expect(new Set(tasks).size).toBeGreaterThan(16);
  });

  it("replies in the format, always with an admissible action", () => {
    for (let i = 0; i < 40; i++) {
      for (const row of episode(only({ plain: 0.5, right: 0.3, bad: 0.1, irrelevant: 0.1 }), i)) {
        const { action, valid } = projectAction(row.reply);
        expect(valid).toBe(true);
        const offered = /\ncan: (.*)$/.exec(text(row))![1]!.split("; ");
        const places = offered.find((entry) => entry.startsWith("go to "))!;
        if (action.startsWith("go to ")) expect(` ${places} `).toContain(` ${action.slice(6)} `);
        else expect(offered).toContain(action);
      }
    }
  });

  it("shows failed commands of several verbs in the history, and goes on", () => {
    const failed = new Set<string>();
    for (let i = 0; i < 120; i++) {
      for (const row of episode(only({ right: 1 }), i)) {
        const match = /\nact: (\w+) [^\n]*\nstep \d+ obs: Nothing happens\./.exec(text(row));
        if (match) failed.add(match[1]!);
      }
    }
    expect([...failed]).toEqual(expect.arrayContaining(["go", "take", "open", "move"]));
  });

  it("shows no skill in plain rows, one or two in the others", () => {
    const lines = (row: Example) => text(row).match(/^skill: when .*$/gm)?.length ?? 0;
    for (let i = 0; i < 12; i++) {
      expect(episode(only({ plain: 1 }), i).every((row) => lines(row) === 0)).toBe(true);
      expect(episode(only({ right: 1 }, { beside: 0 }), i).every((row) => lines(row) === 1)).toBe(true);
      expect(episode(only({ bad: 1 }, { beside: 1 }), i).every((row) => lines(row) === 2)).toBe(true);
    }
  });

  it("follows a right skill to success and wins less by habit", () => {
    // An episode that won ends before the step limit with the goal's last action.
    const wins = (settings: DataSettings) => {
      let count = 0;
      for (let i = 0; i < 60; i++) {
        const rows = episode(settings, i);
        if (rows.length < 30 && /use desklamp|move /.test(rows.at(-1)?.reply ?? "")) count += 1;
      }
      return count;
    };
    const right = wins(only({ right: 1 }, { placeHint: 0 }));
    expect(right).toBeGreaterThanOrEqual(54);
    expect(wins(only({ plain: 1 }))).toBeLessThan(right - 15);
  });

  it("writes the right skill of the task type", () => {
    for (let i = 0; i < 30; i++) {
      for (const row of episode(only({ writing: 1 }, { placeHint: 0 }), i)) {
        const [skill] = compact.parseSkills(row.reply);
        const { conditions, procedures } = skillWordings(TASK_TYPES[i % TASK_TYPES.length]!);
        expect(conditions).toContain(skill?.condition);
        expect(procedures).toContain(skill?.strategy);
        expect(text(row)).toContain("\nskill?");
      }
    }
  });
});
