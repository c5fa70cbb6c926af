/** `siri bench skill-cost`: prompt length and latency of the plain prompt against prompts with skills. */
import type { Command } from "commander";
import { benchSkillCost, skillCostReport } from "../bench/skill-cost.js";
import { resolveThreads } from "../native.js";
import { wholeNumber } from "./options.js";
import { packageFile } from "./package.js";

export function registerSkillCost(bench: Command): void {
  bench
    .command("skill-cost")
    .description("prompt length and time of a reply: the plain prompt against 1, 3 and 6 skills in it, on household games")
    .option("--policy <folder>", "policy to ask", packageFile("models/tiny"))
    .option("--template <name>", "prompt template", "compact")
    .option("--games <n>", "games", wholeNumber(1), 6)
    .option("--max-steps <n>", "steps of a game", wholeNumber(1), 10)
    .option("--threads <n>", "threads (default: all cores)", wholeNumber(1))
    .option("--json", "print the numbers as JSON")
    .action(async (o: { policy: string; template: string; games: number; maxSteps: number; threads?: number; json?: boolean }) => {
      const { policy, template, games, maxSteps: steps } = o;
      const options = { policy, template, games, steps, threads: resolveThreads(o.threads), skills: [1, 3, 6], replyTokens: 16 };
      const rows = await benchSkillCost(options);
      console.log(o.json ? JSON.stringify(rows) : skillCostReport(rows));
    });
}
