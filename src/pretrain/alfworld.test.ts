/** The imitation stream of real games. Needs the data; without it only its absence is tested. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { projectAction } from "../agent/projection.js";
import { readTask, TASK_TYPES } from "../env/household/tasks.js";
import { alfworldSource } from "./alfworld.js";
import type { Example } from "./train.js";

const data = process.env.ALFWORLD_DATA;
if (data === undefined) console.warn("skipped: ALFWORLD_DATA does not name the folder of the ALFWorld games");
afterEach(() => vi.unstubAllEnvs());

it("says what is missing and how to name it", async () => {
  vi.stubEnv("ALFWORLD_DATA", "");
  await expect(alfworldSource.examples({ seed: 0 })).rejects.toMatchObject({
    code: "ENVIRONMENT_DATA",
    message: expect.stringContaining("ALFWORLD_DATA"),
  });
});

describe.skipIf(data === undefined)("examples of the train split", () => {
  const rows = async (count: number, seed = 0): Promise<Example[]> => {
    const stream = await alfworldSource.examples({ seed, shuffleBuffer: 1 });
    return Array.from({ length: count }, () => stream.next().value);
  };
  const text = (row: Example) => row.prompt.map((message) => message.content).join("");

  it("come from all task types, always want something admissible, and show failures", async () => {
    const types = new Set<string>();
    let failures = 0;
    for (const row of await rows(1500)) {
      types.add(readTask(/^task: (.*)$/m.exec(text(row))![1]!).type);
      const can = /\ncan: (.*)$/.exec(text(row))?.[1];
      if (can === undefined) continue; // a row that writes a skill
      const { action, valid } = projectAction(row.reply);
      expect(valid).toBe(true);
      const offered = can.split("; ");
      if (action.startsWith("go to ")) expect(` ${offered.find((entry) => entry.startsWith("go to "))} `).toContain(` ${action.slice(6)} `);
      else expect(offered).toContain(action);
      expect(offered).not.toContain("help");
      if (/obs: Nothing happens\./.test(text(row))) failures += 1;
    }
    expect(types).toEqual(new Set(TASK_TYPES));
    expect(failures).toBeGreaterThan(20);
  });

  it("are the same for the same seed and others for another", async () => {
    const first = await rows(40);
    expect(await rows(40)).toEqual(first);
    expect(await rows(40, 1)).not.toEqual(first);
  });
});
