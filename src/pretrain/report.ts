/**
 * The base table: how often the base policy wins held-out games plain, with a right skill, with a skill it wrote itself, with an
 * irrelevant and with a bad one. The same games and random numbers in every row. Knows no training.
 */
import type { AgentTemplate, SkillText } from "../agent/agent.js";
import type { EnvironmentModule, Task } from "../env/environment.js";
import { Rng } from "../env/household/rng.js";
import type { Tokenizer } from "../policy/tokenizer.js";
import type { PolicyHandle } from "../policy/types.js";
import { EnvironmentPool } from "../rl/environments.js";
import { type EvaluationResult, evaluate, type Rate, wilson } from "../rl/evaluate.js";
import { type RolloutParts, type RolloutSettings, rollout } from "../rl/rollout.js";
import { seedFor } from "../rl/seeds.js";
import type { ShownSkill } from "../rl/trajectory.js";
import { householdLessons, type Lessons } from "./lessons.js";

export const ARMS = ["plain", "right", "own", "irrelevant", "bad"] as const;
export type Arm = (typeof ARMS)[number];

export interface ReportOptions {
  readonly lessons: Lessons;
  /** Held-out games per row of the table; types take turns. */
  readonly games: number;
  /** Training games played plain to write skills from. */
  readonly writerGames: number;
  /** Takes them at equal distances over the training split, for splits that are sorted by type. Default: its first ones. */
  readonly spreadWriterGames?: boolean;
  readonly temperature: number;
  readonly writerTemperature: number;
  /** The split that is held out. */
  readonly split: string;
  readonly maxSteps: number;
  readonly historyLength: number;
  readonly onProgress?: (text: string) => void;
}

export const DEFAULT_REPORT: ReportOptions = {
  lessons: householdLessons,
  games: 240,
  writerGames: 240,
  temperature: 1,
  writerTemperature: 0.7,
  split: "unseen",
  maxSteps: 30,
  historyLength: 2,
};

export interface WrittenSkills {
  /** Replies that parse as a skill. */
  readonly parsed: Rate;
  /** Parsed skills that state, word for word, a right condition and a right procedure for the task they were written from. */
  readonly right: Rate;
  readonly byType: Readonly<Record<string, readonly SkillText[]>>;
}

export interface BaseReport {
  readonly options: ReportOptions;
  readonly arms: Readonly<Record<Arm, EvaluationResult>>;
  readonly written: WrittenSkills;
  readonly seconds: number;
}

export async function baseReport(
  policy: PolicyHandle,
  tokenizer: Tokenizer,
  template: AgentTemplate,
  environment: EnvironmentModule,
  options: ReportOptions,
): Promise<BaseReport> {
  const begin = performance.now();
  const parts: RolloutParts = {
    policy,
    template,
    environments: new EnvironmentPool(environment),
    tokenizer,
  };
  const settings = {
    maxSteps: options.maxSteps,
    historyLength: options.historyLength,
    maxPromptTokens: policy.maxPositions,
    maxResponseTokens: template.maxResponseTokens,
    concurrency: 0,
    environmentTimeout: 0,
    retries: 0,
  };
  const written = await writeSkills(parts, environment, settings, options);
  const games = await environment.tasks(options.split);
  const arms = {} as Record<Arm, EvaluationResult>;
  for (const arm of ARMS) {
    arms[arm] = await evaluate(parts, games, {
      split: options.split,
      mode: arm === "plain" ? "plain" : "with_skills",
      tasks: options.games,
      temperature: options.temperature,
      rollout: settings,
      ...(arm === "plain" ? {} : { skillsFor: (task: Task) => skillsOf(arm, task, written, options.lessons) }),
    });
    options.onProgress?.(`${arm}: ${percent(arms[arm].success)}, inadmissible ${(100 * arms[arm].inadmissible).toFixed(1)}% of steps`);
  }
  parts.environments.close();
  return { options, arms, written, seconds: (performance.now() - begin) / 1000 };
}

function skillsOf(arm: Exclude<Arm, "plain">, { id, type }: Task, written: WrittenSkills, lessons: Lessons): readonly ShownSkill[] {
  const rng = new Rng(0, `report ${arm} ${id}`);
  const named = (skill: SkillText): readonly ShownSkill[] => [{ id: arm, ...skill }];
  if (arm !== "own") return named(lessons[arm](type, rng));
  const own = written.byType[type] ?? [];
  return own.length > 0 ? named(rng.pick(own)) : [];
}

/** Plays training games plain and lets the policy summarise each success into a skill. */
async function writeSkills(
  parts: RolloutParts,
  environment: EnvironmentModule,
  settings: Pick<
    RolloutSettings,
    "maxSteps" | "historyLength" | "maxPromptTokens" | "maxResponseTokens" | "concurrency" | "environmentTimeout" | "retries"
  >,
  options: ReportOptions,
): Promise<WrittenSkills> {
  const tasks = await environment.tasks("train");
  const distance = options.spreadWriterGames ? tasks.length / options.writerGames : 1;
  const plans = Array.from({ length: options.writerGames }, (_, group) => ({
    iteration: 0,
    group,
    member: 0,
    task: tasks.at(Math.floor(group * distance)),
    skills: [],
  }));
  const trajectories = await rollout(parts, plans, {
    ...settings,
    temperature: options.temperature,
    seed: (plan, step) => seedFor("rollout", 0, plan.group, step),
    keepPlainPrompts: false,
    includeTags: false,
  });
  const byType: Record<string, SkillText[]> = {};
  let [asked, parsed, right] = [0, 0, 0];
  await Promise.all(
    trajectories
      .filter((trajectory) => trajectory.success)
      .map(async ({ plan, steps }) => {
        const prompt = parts.template.skillPrompt({
          task: steps[0]!.observation.task,
          taskType: plan.task.type,
          success: true,
          steps: steps.map(({ observation, action, wellFormed }) => ({ observation, action, valid: wellFormed })),
        });
        const reply = await parts.policy.sample(parts.tokenizer.chat(prompt), {
          maxTokens: Math.max(96, parts.template.maxResponseTokens),
          temperature: options.writerTemperature,
          seed: seedFor("mining", 0, plan.group),
          stop: parts.tokenizer.eosTokens,
        });
        asked += 1;
        const [skill] = parts.template.parseSkills(parts.tokenizer.decode(reply.tokens, { skipSpecial: true }));
        if (!skill) return;
        parsed += 1;
        const { type } = plan.task;
        if (options.lessons.isRight(type, skill)) right += 1;
        byType[type] = [...(byType[type] ?? []), skill];
      }),
  );
  for (const skills of Object.values(byType)) skills.sort((a, b) => (a.strategy + a.condition < b.strategy + b.condition ? -1 : 1));
  options.onProgress?.(`skills written from ${asked} successes: ${parsed} parse, ${right} are right word for word`);
  return { parsed: wilson(parsed, asked), right: wilson(right, parsed), byType };
}

/** `32% [27, 38]`. */
export function percent({ rate, low, high }: Rate): string {
  return `${(100 * rate).toFixed(0)}% [${(100 * low).toFixed(0)}, ${(100 * high).toFixed(0)}]`;
}

/** What a report is about. */
export interface Heading {
  readonly title: string;
  readonly intro: string;
}

const SHIPPED: Heading = {
  title: "The tiny base policy",
  intro:
    "What the shipped base can do before any reinforcement learning, on held-out games (pairs of object and target that training never shows).",
};

/** The report as Markdown. `facts` are lines such as command, commit, machine, training time. */
export function reportMarkdown(report: BaseReport, facts: readonly string[], { title, intro }: Heading = SHIPPED): string {
  const { options, arms, written } = report;
  const names: Readonly<Record<Arm, string>> = {
    plain: "plain",
    right: "a right skill",
    own: "a skill it wrote itself",
    irrelevant: "a skill for another task",
    bad: "a skill that recommends a mistake",
  };
  const { types } = options.lessons;
  // Of a score there is nothing to say where it is success in other words.
  const scored = ARMS.some((arm) => arms[arm].score !== arms[arm].success.rate);
  const header = ["prompt", "all", ...Object.values(types), ...(scored ? ["score"] : []), "inadmissible", "malformed", "steps"];
  const row = (arm: Arm): string[] => {
    const { success, score, byType, inadmissible, malformed, meanSteps } = arms[arm];
    const rates = Object.keys(types).map((type) => (byType[type] ? byType[type].rate.toFixed(2) : "-"));
    const share = (value: number) => `${(100 * value).toFixed(1)}%`;
    return [
      names[arm],
      percent(success),
      ...rates,
      ...(scored ? [score.toFixed(2)] : []),
      share(inadmissible),
      share(malformed),
      meanSteps.toFixed(1),
    ];
  };
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const counts = Object.keys(types).map((type) => arms.plain.byType[type]?.n ?? 0);
  const perType = counts.every((n) => n === counts[0]) ? `${counts[0]} per task type` : `${counts.join(", ")} per task type`;
  return [
    `# ${title}`,
    "",
    intro,
    "",
    line(header),
    line(header.map(() => "---")),
    ...ARMS.map((arm) => line(row(arm))),
    "",
    `Success with 95% Wilson intervals, ${arms.plain.success.n} games a row, ${perType} (columns: success by type), temperature ${options.temperature}, ` +
      `${options.maxSteps} steps, history ${options.historyLength}, one run. Inadmissible and malformed are shares of steps.`,
    "",
    `Skill writing (temperature ${options.writerTemperature}, from ${written.parsed.n} plain successes on training games): ` +
      `${percent(written.parsed)} of the replies parse, ${percent(written.right)} of those are right word for word.`,
    "",
    ...facts.map((fact) => `- ${fact}`),
    "",
  ].join("\n");
}
