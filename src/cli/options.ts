/** Command-line options that several commands share, and how their values are read. */
import { type Command, InvalidArgumentError } from "commander";
import { packageFile } from "./package.js";

/** The run file that is used when none is named. */
export const DEFAULT_CONFIG = "configs/household-tiny.yaml";

export function defaultConfig(): string {
  return packageFile(DEFAULT_CONFIG);
}

/** Adds `--config` and `--set`. */
export function withConfig(command: Command): Command {
  return command
    .option("-c, --config <file>", `run file (YAML); default ${DEFAULT_CONFIG} of this package`)
    .option("-s, --set <key=value>", "override one key, for example --set rollout.groups=8; may be repeated", collect, [] as string[]);
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** Reader for options that are whole numbers of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`Give a whole number of at least ${least}.`);
    }
    return value;
  };
}

/** Reader for options that are numbers of at least `least`. */
export function numberFrom(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value) || value < least)
      throw new InvalidArgumentError(`Give a number of at least ${least}.`);
    return value;
  };
}
