/** Command-line options that several commands share, and how their values are read. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { packageFile } from "./package.js";

/** The run file that is used when none is named. */
export const DEFAULT_CONFIG = "configs/household-tiny.yaml";

export function defaultConfig(): string {
  return packageFile(DEFAULT_CONFIG);
}

/** The package's run file for a registered environment, where it has one. */
export function environmentConfig(name: string): string | undefined {
  const file = /^[\w-]+$/.test(name) ? packageFile(`configs/${name}-tiny.yaml`) : undefined;
  return file !== undefined && existsSync(file) ? file : undefined;
}

/** The override that `--data` stands for. */
export function dataOverride(data: string | undefined): string[] {
  return data === undefined ? [] : [`environment.options.data=${JSON.stringify(resolve(data))}`];
}

/** The override that `--device` stands for. */
export function deviceOverride(device: string | undefined): string[] {
  return device === undefined ? [] : [`model.device=${JSON.stringify(device)}`];
}

/** Adds `--config`, `--set`, `--data` and `--device`. */
export function withConfig(command: Command): Command {
  return command
    .option("--data <folder>", "the environment's data folder; the same as --set environment.options.data=<folder>")
    .option("--device <name>", "cpu, cuda, cuda:N or auto; the same as --set model.device=<name>")
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

/** Reader for options that are whole numbers of either sign. */
export function integer(text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError("Give a whole number.");
  return value;
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
