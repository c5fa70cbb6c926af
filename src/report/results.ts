/** What a finished run says about itself: its metrics.jsonl as curves and final numbers. Knows no other run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SiriError } from "../errors.js";

export interface Point {
  readonly iteration: number;
  readonly success: number;
  /** Mean of the task's own score, where it was recorded. */
  readonly score?: number;
}

export interface RunResult {
  /** Success on the evaluation split without skills in the prompt, at every iteration at which it was measured. */
  readonly plain: readonly Point[];
  /** The same with retrieved skills; empty for methods without a bank. */
  readonly withSkills: readonly Point[];
  /** Task success of the training rollouts per iteration. */
  readonly rollout: readonly Point[];
  /** Of the last evaluation. */
  readonly finalByType: Readonly<Record<string, number>>;
  /** Tasks of an evaluation. */
  readonly tasks: number;
  /** Wall-clock seconds of all iterations. */
  readonly seconds: number;
}

type Line = Readonly<Record<string, unknown>>;

/** @throws SiriError REPORT_NO_EVALUATION when the run never evaluated */
export function readRun(dir: string): RunResult {
  const lines = readLines(join(dir, "metrics.jsonl"));
  const curve = (name: string): Point[] =>
    lines.flatMap((line) => {
      const [success, score] = [line[name], line[name.replace(/success$/, "score")]];
      return typeof success === "number"
        ? [{ iteration: Number(line.iteration), success, ...(typeof score === "number" ? { score } : {}) }]
        : [];
    });
  const plain = curve("eval/plain/success");
  const last = lines.findLast((line) => "eval/plain/success" in line);
  if (last === undefined) {
    throw new SiriError("REPORT_NO_EVALUATION", `${dir} holds no evaluation: have evaluation.at contain end in its configuration.`);
  }
  const prefix = "eval/plain/success/";
  const byType = Object.entries(last).filter(([name]) => name.startsWith(prefix));
  return {
    plain,
    withSkills: curve("eval/with_skills/success"),
    rollout: curve("rollout/success"),
    finalByType: Object.fromEntries(byType.map(([name, rate]) => [name.slice(prefix.length), Number(rate)])),
    tasks: Number(last["eval/plain/tasks"]),
    seconds: readLines(join(dir, "timings.jsonl")).reduce((sum, line) => sum + total(line.seconds), 0),
  };
}

/** `seconds` of a timing line holds one number per part of the iteration. */
function total(seconds: unknown): number {
  return Object.values(seconds as Record<string, number>).reduce((sum, part) => sum + part, 0);
}

function readLines(path: string): Line[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}
