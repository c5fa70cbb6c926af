/** The page of a comparison: how it was made, final success per method, paired differences, success by task type. */
import type { Published } from "./published.js";
import type { Point, RunResult } from "./results.js";
import { type Interval, interval, pairedDifference } from "./statistics.js";

/** One method over all seeds; `runs[i]` belongs to `Comparison.seeds[i]`. */
export interface MethodResult {
  readonly method: string;
  readonly runs: readonly RunResult[];
}

/** A policy that no run trained, played once on the same split. Shares with their 95% Wilson intervals. */
export interface Baseline {
  readonly name: string;
  readonly success: { readonly rate: number; readonly low: number; readonly high: number };
  readonly score: number;
}

export interface Comparison {
  readonly environment: string;
  readonly seeds: readonly number[];
  readonly methods: readonly MethodResult[];
  readonly iterations: number;
  /** Episodes played for training, per run: the same for every method. */
  readonly episodes: number;
  /** Split that was evaluated on. */
  readonly split: string;
  /** Lines of how the numbers were made: command, commit, machine, base policy. */
  readonly provenance: readonly (readonly [name: string, value: string])[];
  /** What the table calls the policy that every run starts from. */
  readonly baseName: string;
  readonly baselines: readonly Baseline[];
  /** What papers print for this environment. */
  readonly published: readonly Published[];
  /** Parameters of the policy that was trained here. */
  readonly parameters: number;
}

/** @param plot file name of the picture, beside the page */
export function comparisonPage(comparison: Comparison, plot: string): string {
  const { environment, seeds, methods, iterations, episodes, split } = comparison;
  const tasks = methods[0]!.runs[0]!.tasks;
  const parts = [
    `# ${environment}: ${methods.map(({ method }) => NAMES[method] ?? method).join(", ")}`,
    `Made by \`npm run reproduce\`; do not edit by hand. Every run starts from the same base policy and plays the same number of training
episodes (${iterations} iterations, ${episodes} episodes). Success is the share of the ${tasks} tasks of split \`${split}\` that are solved with no skill
in the prompt, each played once. Intervals are Student's 95% over ${seeds.length} ${seeds.length === 1 ? "seed" : "seeds"}.`,
    table(
      ["what", "value"],
      comparison.provenance.map(([name, value]) => [name, value]),
    ),
    "## Final success",
    finalTable(comparison),
    ...publishedPart(comparison),
    "## Paired differences",
    "Both runs of a pair share the seed, and with it the order of training tasks.",
    differenceTable(comparison),
    "## By task type",
    typeTable(comparison),
    "## Learning curves",
    `![success over iterations](${plot})`,
    "Lines are means over seeds, bands 95% intervals. Dashed: the same policies with retrieved skills in the prompt, a diagnostic.",
  ];
  return `${parts.join("\n\n")}\n`;
}

export const NAMES: Readonly<Record<string, string>> = { grpo: "GRPO", gigpo: "GiGPO", siri: "SIRI" };

const finals = ({ runs }: MethodResult): number[] => runs.map(({ plain }) => plain.at(-1)!.success);

/** A score says more than success only where the environment has one of its own. */
const hasScore = (methods: readonly MethodResult[]): boolean =>
  methods.some(({ runs }) => runs.some(({ plain }) => plain.some(({ success, score }) => score !== undefined && score !== success)));

function finalTable({ methods, seeds, baseName, baselines }: Comparison): string {
  const base = methods[0]!.runs[0]!.plain[0]!;
  const scored = hasScore(methods);
  const score = (points: readonly Point[]) =>
    scored ? [points.some((point) => point.score === undefined) ? "" : withInterval(interval(points.map((point) => point.score!)))] : [];
  const rows = methods.map((result) => {
    const values = finals(result);
    const skills = result.runs.map(({ withSkills }) => withSkills.at(-1)?.success).filter((value) => value !== undefined);
    const minutes = interval(result.runs.map(({ seconds }) => seconds / 60)).mean;
    return [
      NAMES[result.method] ?? result.method,
      withInterval(interval(values)),
      ...score(result.runs.map(({ plain }) => plain.at(-1)!)),
      values.map(percent).join(", "),
      skills.length === 0 ? "" : percent(interval(skills).mean),
      minutes.toFixed(1),
    ];
  });
  if (base.iteration === 0) rows.unshift([baseName, percent(base.success), ...score([base]), "", "", ""]);
  for (const { name, success, score: mean } of [...baselines].reverse()) {
    const share = `${percent(success.rate)} [${(100 * success.low).toFixed(1)}, ${(100 * success.high).toFixed(1)}]`;
    rows.unshift([name, share, ...(scored ? [percent(mean)] : []), "", "", ""]);
  }
  const each = `seeds ${seeds.join(", ")}`;
  return table(["method", "success", ...(scored ? ["score"] : []), each, "with skills (diagnostic)", "minutes per run"], rows);
}

/** Other people's numbers, and what they may not be taken for. */
function publishedPart({ published, parameters, environment }: Comparison): string[] {
  if (published.length === 0) return [];
  const scored = published.some(({ score }) => score !== undefined);
  const millions = (parameters / 1e6).toFixed(1);
  return [
    "## Published figures",
    `Copied from the papers, for orientation only. The policy above has ${millions} million parameters and was taught this environment by
imitation; it is not Qwen2.5 and knows nothing else. Theirs are general language models ${Math.round(1.5e9 / parameters).toLocaleString("en")} to ${Math.round(7e9 / parameters).toLocaleString("en")} times as large, trained by reinforcement
learning alone. Success on ${environment} with a small taught policy does not say what the same method does for a large general one.`,
    table(
      ["method", "model", "success", ...(scored ? ["score"] : []), "source"],
      published.map(({ method, model, success, score, source }) => [
        method,
        model,
        percent(success),
        ...(scored ? [score === undefined ? "" : percent(score)] : []),
        source,
      ]),
    ),
  ];
}

function differenceTable({ methods }: Comparison): string {
  const rows: string[][] = [];
  for (let b = 1; b < methods.length; b++) {
    for (let a = 0; a < b; a++) {
      const [better, worse] = [methods[b]!, methods[a]!];
      const difference = pairedDifference(finals(better), finals(worse));
      const wins = finals(better).filter((value, index) => value > finals(worse)[index]!).length;
      rows.push([`${NAMES[better.method]} - ${NAMES[worse.method]}`, withInterval(difference, true), `${wins} of ${difference.n}`]);
    }
  }
  return table(["difference", "percentage points", "seeds in which it is positive"], rows);
}

function typeTable({ methods }: Comparison): string {
  const types = Object.keys(methods[0]!.runs[0]!.finalByType).sort();
  const rows = types.map((type) => [
    type,
    ...methods.map(({ runs }) => withInterval(interval(runs.map(({ finalByType }) => finalByType[type] ?? Number.NaN)))),
  ]);
  return table(["type", ...methods.map(({ method }) => NAMES[method] ?? method)], rows);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function withInterval({ mean, low, high, n }: Interval, signed = false): string {
  const show = (value: number) => (signed && value > 0 ? "+" : "") + (100 * value).toFixed(1);
  const unit = signed ? "" : "%";
  if (n < 2) return show(mean) + unit;
  const [from, to] = signed ? [low, high] : [Math.max(0, low), Math.min(1, high)]; // no share is above 1
  return `${show(mean)}${unit} [${show(from)}, ${show(to)}]`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
