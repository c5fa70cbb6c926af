/** `siri bench ...`: speed on this machine, and what the scripted experts reach, as text or JSON. */
import { type Command, Option } from "commander";
import { benchEngine, engineReport } from "../bench/engine.js";
import { benchExperts, EXPERTS, expertsReport } from "../bench/experts.js";
import { benchPeer, peerReport } from "../bench/peer.js";
import { benchTextworld, defaultGames, textworldReport } from "../bench/textworld.js";
import { SiriError } from "../errors.js";
import { resolveThreads } from "../native.js";
import { registerWebshop } from "./bench-webshop.js";
import { numberFrom, wholeNumber } from "./options.js";

function count(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new SiriError("SIRI_ARGUMENT", `--${name} is ${text}; it must be a positive integer`);
  return value;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

export function register(program: Command): void {
  const bench = program.command("bench").description("Measures the engine on this machine. Run it when nothing else runs.");
  bench
    .command("engine")
    .description("training, scoring and sampling on the shape of the shipped policy")
    .option("--rows <n>", "step rows per training pass", "1400")
    .option("--repetitions <n>", "measured repetitions, after one that warms up", "3")
    .option("--threads <n>", "engine threads (default: all cores)")
    .option("--json", "print the numbers as JSON")
    .action(async (options: { rows: string; repetitions: string; threads?: string; json?: boolean }) => {
      const result = await benchEngine({
        rows: count("rows", options.rows),
        repetitions: count("repetitions", options.repetitions),
        ...(options.threads ? { threads: count("threads", options.threads) } : {}),
      });
      print(options.json ? JSON.stringify(result) : engineReport(result));
    });
  bench
    .command("peer")
    .description("one training step here and in PyTorch on the CPU, in turns")
    .option("--rounds <n>", "rounds of both", "3")
    .option("--threads <n>", "threads of both (default: all cores)")
    .option("--json", "print the numbers as JSON")
    .action(async (options: { rounds: string; threads?: string; json?: boolean }) => {
      const threads = resolveThreads(options.threads ? count("threads", options.threads) : undefined);
      const result = await benchPeer({ rounds: count("rounds", options.rounds), threads });
      if (typeof result === "string") print(result);
      else print(options.json ? JSON.stringify(result) : peerReport(result));
    });
  bench
    .command("textworld")
    .description("the text-game engine on real games beside the original: load, step, memory, games at once")
    .option("--games <folder>", "folder of .tw-pddl files; default: the recorded games, else valid_seen of ALFWORLD_DATA")
    .option("--seconds <s>", "of each measurement of games at once", numberFrom(0.01), 1)
    .option("--json", "print the numbers as JSON")
    .action((options: { games?: string; seconds: number; json?: boolean }) => {
      const result = benchTextworld(options.games ?? defaultGames(), options.seconds);
      print(options.json ? JSON.stringify(result) : textworldReport(result));
    });
  registerWebshop(bench);
  bench
    .command("experts")
    .description("a scripted expert on every game of an ALFWorld split: success and steps by task type")
    .addOption(
      new Option("--expert <name>", "planner knows the whole game, seen only what it has seen")
        .choices(Object.keys(EXPERTS))
        .default("planner"),
    )
    .option("--split <name>", "split of the release", "valid_seen")
    .option("--data <folder>", "folder that holds json_2.1.1/; default: ALFWORLD_DATA")
    .option("--max-steps <n>", "steps of a game", wholeNumber(1), 50)
    .option("--tasks <n>", "only the first so many games; 0 = all", wholeNumber(0), 0)
    .option("--seed <n>", "seed of what an expert draws", wholeNumber(0), 0)
    .option("--json", "print the numbers as JSON")
    .action((options: { expert: string; split: string; data?: string; maxSteps: number; tasks: number; seed: number; json?: boolean }) => {
      const result = benchExperts(options);
      print(options.json ? JSON.stringify(result) : expertsReport(result));
    });
}
