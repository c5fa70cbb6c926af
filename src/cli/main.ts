/**
 * The `siri` command line. Each command is one file that registers itself; only the one that was asked for is loaded. Errors leave as
 * one clear message: exit code 2 for what the user can put right on the command line or in the run file, 1 for everything else.
 */
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, CommanderError } from "commander";
import { SiriError } from "../errors.js";
import { packageVersion } from "./package.js";

interface CommandFile {
  register(program: Command): void;
}

const COMMANDS: Readonly<Record<string, () => Promise<CommandFile>>> = {
  train: () => import("./train.js"),
  eval: () => import("./eval.js"),
  export: () => import("./export.js"),
  play: () => import("./play.js"),
  pretrain: () => import("./pretrain.js"),
  reproduce: () => import("./reproduce.js"),
  bench: () => import("./bench.js"),
  profile: () => import("./profile.js"),
  build: () => import("./build.js"),
  doctor: () => import("./doctor.js"),
  docs: () => import("./docs.js"),
};

/** Runs one command line (without node and script) and sets the process's exit code. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    const program = new Command("siri")
      .description("Trains language-model agents with SIRI: warm-up, self-skill mining, internalisation.")
      .version(packageVersion())
      .exitOverride()
      .showHelpAfterError("(add --help for what there is)");
    const asked = COMMANDS[args[0] ?? ""];
    const files = asked === undefined ? Object.values(COMMANDS) : [asked];
    for (const load of files) (await load()).register(program);
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Prints an error the way a user wants it and returns the exit code. Commander has printed its own already. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (process.env.SIRI_DEBUG) console.error(error);
  else if (error instanceof Error && error.name === "AbortError") console.error("Stopped.");
  else {
    const message = error instanceof Error ? error.message : String(error);
    const hint = error instanceof SiriError ? "" : "\n(This is not an error siri-rl expected. SIRI_DEBUG=1 shows where it comes from.)";
    console.error(`error: ${message}${hint}`);
  }
  return error instanceof SiriError && error.code.startsWith("CONFIG_") ? 2 : 1;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
