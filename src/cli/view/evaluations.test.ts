import { expect, it } from "vitest";
import { evaluationTable } from "./evaluations.js";

const summary = { finished: true, iteration: 9, dir: "runs/x", split: "unseen", temperature: 1 };

it("shows base, warm-up and end, plain and with skills", () => {
  const at = (iteration: number, after: "start" | "warmup" | "end" | null, mode: "plain" | "with_skills", success: number) => ({
    iteration,
    after,
    mode,
    success,
    low: success - 0.1,
    high: success + 0.1,
    tasks: 240,
  });
  const table = evaluationTable({
    ...summary,
    evaluations: [
      at(0, "start", "plain", 0.3),
      at(3, "warmup", "plain", 0.4),
      at(3, "warmup", "with_skills", 0.5),
      at(6, null, "plain", 0.45),
      at(9, "end", "plain", 0.6),
      at(9, "end", "with_skills", 0.65),
      at(0, "start", "with_skills", 0.55),
    ],
  });
  expect(table).toEqual([
    "Success on 240 tasks of unseen, each played once, temperature 1, 95% interval:",
    "                       plain              with skills",
    "  base                 30% [20%, 40%]     55% [45%, 65%]",
    "  after warm-up (3)    40% [30%, 50%]     50% [40%, 60%]",
    "  iteration 6          45% [35%, 55%]     -",
    "  end (9)              60% [50%, 70%]     65% [55%, 75%]",
    "The base has no skills of its own: it played with those of the end.",
  ]);
});

it("is empty for a run that evaluated nothing", () => {
  expect(evaluationTable({ ...summary, evaluations: [] })).toEqual([]);
});
