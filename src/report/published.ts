/**
 * Figures that papers print for an environment, to stand beside ours: theirs are of language models of billions of parameters. Copied
 * from the papers, not measured here.
 */

export interface Published {
  readonly method: string;
  readonly model: string;
  /** Share of tasks solved. */
  readonly success: number;
  /** Mean task score in [0, 1], where the environment has one. */
  readonly score?: number;
  readonly source: string;
}

const GIGPO = "arXiv 2505.10978";
const SIRI = "arXiv 2606.02355";
const SMALL = "Qwen2.5-1.5B-Instruct";
const LARGE = "Qwen2.5-7B-Instruct";

type Row = readonly [method: string, model: string, alfworld: number, score: number, success: number, source: string];

/** Percent, as printed: ALFWorld success (its evaluation split), WebShop score and success (1,000 products). */
const ROWS: readonly Row[] = [
  ["prompting", LARGE, 14.8, 26.4, 7.8, GIGPO],
  ["PPO", SMALL, 54.4, 73.8, 51.5, GIGPO],
  ["GRPO", SMALL, 72.8, 75.8, 56.8, GIGPO],
  ["GiGPO", SMALL, 86.7, 83.1, 65.0, GIGPO],
  ["PPO", LARGE, 80.4, 81.4, 68.7, GIGPO],
  ["GRPO", LARGE, 77.6, 79.3, 66.1, GIGPO],
  ["GiGPO", LARGE, 90.8, 84.4, 72.8, GIGPO],
  ["SkillRL (skills in the prompt)", LARGE, 89.9, 85.2, 72.7, SIRI],
  ["SIRI", LARGE, 93.0, 89.9, 81.3, SIRI],
];

/** Published figures by environment; an environment that has none is absent. */
export const PUBLISHED: Readonly<Record<string, readonly Published[]>> = {
  alfworld: ROWS.map(([method, model, success, , , source]) => ({ method, model, success: success / 100, source })),
  webshop: ROWS.map(([method, model, , score, success, source]) => ({
    method,
    model,
    success: success / 100,
    score: score / 100,
    source,
  })),
};
