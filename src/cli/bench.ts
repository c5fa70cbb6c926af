/**
 * `siri bench [names...]`: speed on this machine, as a table, markdown or JSON, kept in the history; `siri bench check`: has anything become
 * slower; and the games engine and the scripted experts on their own.
 */
import { Argument, type Command, Option } from "commander";
import { benchCheck, type CheckOptions, checkLine, recordBaseline } from "../bench/check.js";
import { benchDecode } from "../bench/decode.js";
import { benchEngine } from "../bench/engine.js";
import { benchEnvironments } from "../bench/environments.js";
import { benchExperts, EXPERTS, expertsReport } from "../bench/experts.js";
import { benchGemm } from "../bench/gemm.js";
import { benchHead } from "../bench/head.js";
import { appendHistory } from "../bench/history.js";
import { benchIterations } from "../bench/iteration.js";
import { benchKernels } from "../bench/kernels.js";
import { markdownTable, type Measurement, textTable } from "../bench/report.js";
import { benchTextworld, defaultGames, textworldReport } from "../bench/textworld.js";
import { missingPeer, Torch } from "../bench/torch.js";
import { benchTrain } from "../bench/train.js";
import { resolveDevice, resolveThreads } from "../native.js";
import { registerSkillCost } from "./bench-skill-cost.js";
import { registerWebshop } from "./bench-webshop.js";
import { numberFrom, wholeNumber } from "./options.js";

interface Options {
  readonly device?: string;
  readonly threads?: number;
  readonly rounds: number;
  readonly processorTime?: boolean;
  readonly json?: boolean;
  readonly markdown?: boolean;
  readonly history?: string | boolean;
}

interface Settings {
  /** Of the policies that are measured; kernels, gemm and head are the CPU's. */
  readonly device: string;
  readonly threads: number;
  readonly rounds: number;
  readonly processorTime: boolean;
}

/** With a peer: skipped, with the reason, where there is none. */
const PEERED: Readonly<Record<string, (torch: Torch, s: Settings) => Promise<Measurement[]>>> = {
  gemm: benchGemm,
  head: benchHead,
  decode: benchDecode,
  train: benchTrain,
};
const ALONE: Readonly<Record<string, (s: Settings) => Promise<Measurement[]>>> = {
  kernels: ({ threads, processorTime }) => benchKernels({ threads, seconds: 0.3, processorTime }),
  engine: ({ device, threads, rounds }) => benchEngine({ device, threads, rows: 1400, repetitions: rounds }),
  environments: ({ rounds }) => benchEnvironments({ episodes: 40, repetitions: rounds }),
  iteration: ({ device, threads, rounds }) => benchIterations({ device, threads, repetitions: Math.min(rounds, 3) }),
};

const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function measure(names: readonly string[], settings: Settings): Promise<Measurement[]> {
  const found: Measurement[] = [];
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const missing = names.some((name) => name in PEERED) ? await missingPeer() : null;
  for (const name of names) {
    say(`${name} ...`);
    const alone = ALONE[name];
    if (alone) found.push(...(await alone(settings)));
    else if (missing) say(`${name} skipped: ${missing}`);
    else {
      const torch = await Torch.start(settings.threads);
      try {
        found.push(...(await PEERED[name]!(torch, settings)));
      } finally {
        await torch.close();
      }
    }
  }
  return found;
}

export function register(program: Command): void {
  const bench = program
    .command("bench", { isDefault: false })
    .description("measures the engine on this machine; run it when nothing else runs")
    .addArgument(new Argument("[names...]", "which; all without a name").choices([...Object.keys(ALONE), ...Object.keys(PEERED)]))
    .option("--device <name>", "device of engine, iteration, decode and train: cpu, cuda, cuda:N or auto (default: SIRI_DEVICE, else cpu)")
    .option("--threads <n>", "threads of both sides (default: all cores)", wholeNumber(1))
    .option("--rounds <n>", "repetitions, in turns with the peer", wholeNumber(1), 7)
    .option("--processor-time", "kernels, gemm and head: count processor time; with --threads 1 for a machine that is shared")
    .option("--json", "print every repetition")
    .option("--markdown", "print the table as markdown")
    .option("--history <file>", "append to it (default: bench/history.jsonl)")
    .option("--no-history", "append to none")
    .action(async (names: readonly string[], options: Options) => {
      const threads = resolveThreads(options.threads);
      const chosen = names.length > 0 ? names : [...Object.keys(ALONE), ...Object.keys(PEERED)];
      const device = resolveDevice(options.device);
      const found = await measure(chosen, { device, threads, rounds: options.rounds, processorTime: options.processorTime ?? false });
      print(options.json ? JSON.stringify(found) : options.markdown ? markdownTable(found) : textTable(found));
      if (options.history !== false && found.length > 0)
        await appendHistory(found, threads, typeof options.history === "string" ? options.history : undefined);
    });
  bench
    .command("check")
    .description("fails when anything is slower than bench/baseline.json says, by more than its noise; fit for a busy machine")
    .option("--only <text>", "items whose name holds it", "")
    .option("--baseline <file>", "default: bench/baseline.json")
    .option("--passes <n>", "so many times in a row", wholeNumber(1), 1)
    .option("--record", "record this processor's baseline instead")
    .action(async (options: CheckOptions & { record?: boolean }) => {
      if (options.record) {
        const path = await recordBaseline(options, (pass) => print(`pass ${pass}`));
        print(`recorded in ${path}`);
        return;
      }
      const counts = { ok: 0, slower: 0, new: 0, absent: 0 };
      let current = 1;
      await benchCheck(options, (found, pass) => {
        if (pass > current) print(`pass ${pass}`);
        current = pass;
        counts[found.outcome]++;
        print(checkLine(found));
      });
      print(
        `${counts.ok} held, ${counts.slower} slower, ${counts.new} without a baseline (npm run bench:check -- --record), ${counts.absent} not measured`,
      );
      if (counts.slower > 0) process.exitCode = 1;
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
  registerSkillCost(bench);
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
