/** `siri pretrain`: makes the tiny base policy again from nothing, or only measures it. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { template } from "../agent/registry.js";
import household from "../env/household/index.js";
import { SiriError } from "../errors.js";
import { Policy } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { baseConfig, DEFAULT_SIZE } from "../pretrain/base.js";
import { DEFAULT_DATA, examples } from "../pretrain/data.js";
import { baseReport, DEFAULT_REPORT, reportMarkdown } from "../pretrain/report.js";
import { DEFAULT_TRAIN, type Example, makeBaseFolder, type TrainProgress, trainBase } from "../pretrain/train.js";

interface PretrainFlags {
  readonly out: string;
  readonly rows: number;
  readonly seed: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly games: number;
  readonly temperature: number;
  readonly reportOnly?: boolean;
  readonly report: boolean;
}

const TEMPLATE = template("compact");
const REPORT_FILE = "README.md";

export function register(program: Command): void {
  program
    .command("pretrain")
    .description("make the tiny base policy by imitation on generated games, and measure it")
    .option("--out <dir>", "folder to write", "models/tiny")
    .option("--rows <n>", "training rows, each seen once", whole, DEFAULT_TRAIN.rows)
    .option("--seed <n>", "seed of games and weights", whole, DEFAULT_DATA.seed)
    .option("--hidden <n>", "width of the model, a multiple of 64", whole, DEFAULT_SIZE.hidden)
    .option("--intermediate <n>", "width of its feed-forward layers", whole, DEFAULT_SIZE.intermediate)
    .option("--games <n>", "held-out games per row of the report", whole, DEFAULT_REPORT.games)
    .option("--temperature <t>", "sampling temperature of the report", Number, DEFAULT_REPORT.temperature)
    .option("--report-only", "measure the policy in --out, train nothing")
    .option("--no-report", "train only")
    .action(pretrain);
}

async function pretrain(flags: PretrainFlags): Promise<void> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const facts = [`command: siri pretrain --rows ${flags.rows} --seed ${flags.seed} --hidden ${flags.hidden}`, commitFact(), machineFact()];
  if (!flags.reportOnly) facts.push(await train(flags, say));
  if (!flags.report && !flags.reportOnly) return;
  if (!existsSync(join(flags.out, "model.safetensors"))) {
    throw new SiriError("PRETRAIN_NO_MODEL", `No model.safetensors in ${flags.out}. Run \`siri pretrain --out ${flags.out}\` first.`);
  }
  const policy = await Policy.load(flags.out);
  try {
    const tokenizer = await Tokenizer.load(flags.out);
    const environment = household({ train: 20_000, unseen: flags.games });
    const options = { ...DEFAULT_REPORT, games: flags.games, writerGames: flags.games, temperature: flags.temperature, onProgress: say };
    const report = await baseReport(policy, tokenizer, TEMPLATE, environment, options);
    const parameters = `${policy.stats().parameters.toLocaleString("en")} parameters`;
    const text = reportMarkdown(report, [parameters, ...facts, `time of this report: ${report.seconds.toFixed(0)} s`]);
    if (!flags.reportOnly) await writeFile(join(flags.out, REPORT_FILE), text);
    say(text);
  } finally {
    await policy.close();
  }
}

/** Trains and saves. @returns one line on time and loss */
async function train(flags: PretrainFlags, say: (text: string) => void): Promise<string> {
  const size = { ...DEFAULT_SIZE, hidden: flags.hidden, intermediate: flags.intermediate };
  const settings = { ...DEFAULT_TRAIN, rows: flags.rows };
  const data = { ...DEFAULT_DATA, seed: flags.seed };
  // The tokenizer's texts come from a stream of their own.
  const sample = take(examples(TEMPLATE, { ...data, seed: flags.seed + 1, shuffleBuffer: 1 }), settings.tokenizerExamples);
  const tokenizer = await makeBaseFolder(flags.out, size, sample);
  const policy = await Policy.create(baseConfig(size), { seed: flags.seed });
  let last: TrainProgress | undefined;
  try {
    await trainBase(policy, tokenizer, examples(TEMPLATE, data), settings, flags.out, (line) => {
      last = line;
      say(
        `${line.rows} rows  nll ${line.nll.toFixed(4)}  prompt ${line.promptNll?.toFixed(3) ?? "-"}  lr ${line.lr.toExponential(1)}  ` +
          `${line.rowsPerSecond.toFixed(0)} rows/s  ${line.tokensPerSecond.toFixed(0)} tokens/s  ${line.seconds.toFixed(0)} s`,
      );
    });
  } finally {
    await policy.close();
  }
  return `training: ${last!.rows.toLocaleString("en")} rows in ${last!.seconds.toFixed(0)} s, last loss ${last!.nll.toFixed(3)} nats per response token`;
}

function* take(source: Iterator<Example>, count: number): Generator<Example> {
  for (let i = 0; i < count; i++) yield source.next().value;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("a whole number from 0 is expected");
  return value;
}

function commitFact(): string {
  try {
    return `commit: ${execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()}`;
  } catch {
    return "commit: unknown (no git repository)";
  }
}

function machineFact(): string {
  const processors = cpus();
  return `machine: ${processors.length} x ${processors[0]?.model.trim() ?? "unknown processor"}, Node ${process.version}`;
}
