import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { configSchema } from "../config/schema.js";
import { SkillBank, type SkillEvent } from "./skill-bank.js";
import { readSkillsFile } from "./skills-file.js";

const folder = mkdtempSync(join(tmpdir(), "siri-skills-"));

function file(text: string): string {
  const path = join(folder, "skills.jsonl");
  writeFileSync(path, text);
  return path;
}

test("the bank read back has the texts, statuses and utilities of the one that wrote the events", () => {
  const { bank: settings } = configSchema.parse({
    environment: { name: "x" },
    model: { path: "x" },
    bank: { capacity: 3, protectIterations: 0 },
  });
  const bank = new SkillBank(settings, 0.05);
  const events: SkillEvent[] = [];
  for (const name of ["alpha", "beta", "gamma", "delta"]) {
    const text = { title: name, condition: `when ${name}`, strategy: `do ${name} first and then look around` };
    events.push(bank.add(text, { taskType: "t", sourceTask: "train/1" }, 1, 1));
  }
  events.push(
    bank.add(
      { title: "twin", condition: "when alpha", strategy: "do alpha first and then look around" },
      { taskType: "t", sourceTask: "a" },
      2,
      1,
    ),
  );
  const [a, b, c] = bank.skills.map(({ id }) => id);
  for (let i = 0; i < 6; i++) {
    events.push(...bank.evaluate([a!], 0.5, i), ...bank.evaluate([b!], -0.5, i), ...bank.evaluate([c!], i === 0 ? 0.25 : 0, i));
  }
  const live = bank.live().length;
  events.push(...bank.evict(30));
  const path = file(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  const essence = (state: { skills: readonly object[] }) => state.skills.map((skill) => ({ ...skill, mean: 0, m2: 0, recent: [] }));
  expect(essence(readSkillsFile(path))).toEqual(essence(bank.state()));
  expect(bank.get(a!)!.status).toBe("active");
  expect(bank.get(b!)!.status).toBe("retired");
  expect(live).toBe(3);
});

test("what is no skills file is refused with the line", () => {
  expect(() => readSkillsFile(join(folder, "absent"))).toThrow(/Cannot read the skills file/);
  expect(() => readSkillsFile(file(""))).toThrow(/holds no skill/);
  expect(() => readSkillsFile(file('\n{"event":"compared"}\n{"event":"prom'))).toThrow(/skills\.jsonl:3 is not a line/);
  expect(() => readSkillsFile(file('{"event":"promoted","id":"s1"}\n'))).toThrow(/:1 .*skill s1 was never mined/);
  expect(() => readSkillsFile(file('{"event":"mined","id":"s1","skill":{}}\n'))).toThrow(/a skill lacks a part/);
  expect(() => readSkillsFile(file('{"iteration":1}\n'))).toThrow(/unknown event undefined/);
});
