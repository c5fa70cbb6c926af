/** The evaluations of a run as a small table, the last thing a training shows. Knows no trainer but its summary. */
import type { Headline, TrainSummary } from "../../siri/trainer.js";
import { percent } from "./format.js";

const MOMENTS: Readonly<Record<string, string>> = { start: "base", warmup: "after warm-up", end: "end" };

/** One line of text each; empty for a run that evaluated nothing. */
export function evaluationTable({ evaluations, split, temperature }: TrainSummary): string[] {
  if (evaluations.length === 0) return [];
  const iterations = [...new Set(evaluations.map(({ iteration }) => iteration))].sort((a, b) => a - b);
  const rows = iterations.map((iteration) => {
    const here = evaluations.filter((headline) => headline.iteration === iteration);
    const moment = MOMENTS[here.find(({ after }) => after !== null)?.after ?? ""];
    const name = moment === "base" ? moment : moment ? `${moment} (${iteration})` : `iteration ${iteration}`;
    return [name, cell(here.find(({ mode }) => mode === "plain")), cell(here.find(({ mode }) => mode === "with_skills"))] as const;
  });
  return [
    `Success on ${evaluations[0]!.tasks} tasks of ${split}, each played once, temperature ${temperature}, 95% interval:`,
    line("", "plain", "with skills"),
    ...rows.map(([name, plain, skilled]) => line(name, plain, skilled)),
    ...(rows[0]![2] === "-" ? [] : ["The base has no skills of its own: it played with those of the end."]),
  ];
}

function cell(headline: Headline | undefined): string {
  return headline ? `${percent(headline.success)} [${percent(headline.low)}, ${percent(headline.high)}]` : "-";
}

function line(name: string, plain: string, skilled: string): string {
  return `  ${name.padEnd(20)} ${plain.padEnd(18)} ${skilled}`.trimEnd();
}
