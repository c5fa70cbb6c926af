/** `siri profile`: where the time of a run's iterations goes, and how much of it is JavaScript's. */
import type { Command } from "commander";
import { profileReport, profileRun } from "../bench/profile.js";
import { loadConfig } from "../config/load.js";
import { dataOverride, defaultConfig, wholeNumber, withConfig } from "./options.js";

interface Options {
  readonly config?: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly iterations: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  withConfig(program.command("profile"))
    .description("time by part of a run's first iterations, the main thread's share of it, and what shared prefixes save; keeps nothing")
    .option("-n, --iterations <n>", "iterations to play", wholeNumber(1), 3)
    .option("--json", "print the numbers as JSON")
    .action(async (options: Options) => {
      const config = loadConfig({ file: options.config ?? defaultConfig(), set: [...options.set, ...dataOverride(options.data)] });
      const profile = await profileRun(config, options.iterations);
      console.log(options.json ? JSON.stringify(profile) : profileReport(profile));
    });
}
