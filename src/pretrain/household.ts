/** The source `household`: generated games, from nothing, into the folder that is shipped. */
import { compact } from "../agent/compact.js";
import household from "../env/household/index.js";
import { DEFAULT_SIZE } from "./base.js";
import { DEFAULT_DATA, examples } from "./data.js";
import { baseReport, DEFAULT_REPORT, reportMarkdown } from "./report.js";
import type { Source } from "./source.js";
import { DEFAULT_TRAIN } from "./train.js";

export const householdSource: Source = {
  about: "generated household games -> models/tiny",
  defaults: {
    out: "models/tiny",
    size: DEFAULT_SIZE,
    train: DEFAULT_TRAIN,
    games: DEFAULT_REPORT.games,
    temperature: DEFAULT_REPORT.temperature,
  },
  template: compact,
  examples: (options) => examples(compact, { ...DEFAULT_DATA, ...options }),
  async measure(policy, tokenizer, options) {
    const environment = household({ train: 20_000, unseen: options.games });
    const settings = { ...DEFAULT_REPORT, ...options, writerGames: options.games };
    const report = await baseReport(policy, tokenizer, compact, environment, settings);
    return (facts) => reportMarkdown(report, facts);
  },
};
