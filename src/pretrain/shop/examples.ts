/**
 * The imitation stream of shops: tasks played by the scripted customer, through the same prompt code that rollouts use. The rule is that of the household stream (`../data.ts`): a plain episode is done right only with the habit's probability
 * for its department, otherwise a typical mistake is demonstrated; episodes with a right or a bad skill follow it; some successes become
 * one skill-writing example instead. Knows no token.
 */
import type { AgentTemplate, SkillText } from "../../agent/agent.js";
import { skillLine } from "../../agent/skills.js";
import { Rng } from "../../env/household/rng.js";
import type { Department } from "../../env/shop/words.js";
import { drawKind, type Mix, shuffled } from "../stream.js";
import type { Example } from "../train.js";
import { type Curriculum, drawMistake, drawStrategy, type Habits } from "./curriculum.js";
import { type Demonstration, demonstrate, type ShopPlay } from "./demonstrate.js";
import { type DisguiseOptions, disguise } from "./disguise.js";
import { irrelevantSkill, skillFor } from "./skills.js";
import type { Strategy } from "./strategies.js";

export interface ShopDataSettings {
  readonly seed: number;
  readonly curriculum: Curriculum;
  /** Departments of the episodes, over and over. */
  readonly departments: readonly Department[];
  readonly mix: Mix;
  readonly habits: Habits;
  /** Probability that a habit episode opens any product instead of the best candidate. */
  readonly sloppiness: number;
  /** Probability that another action is executed than the one wanted (never a target), where the strategy is right, and elsewhere. */
  readonly noise: { readonly right: number; readonly other: number };
  /** Probability that an irrelevant skill stands beside the one that is followed. */
  readonly beside: number;
  readonly historyLength: number;
  readonly maxSteps: number;
  /** Examples are drawn from a buffer of this many, so that a batch does not come from one episode. */
  readonly shuffleBuffer: number;
  /** For catalogues that are too small to learn from as they are. How many words of an episode are renamed is drawn for each. */
  readonly disguise?: DisguiseOptions;
  /** First episode that wears it: what a page is and what to do on it is learnt sooner under real names, copying only under others. */
  readonly disguiseFrom: number;
}

/** The task of an episode of the stream, started. */
export type ShopSource = (episode: number, department: Department, rng: Rng) => ShopPlay;

/** An endless stream, the same for the same settings and source. */
export function shopExamples(template: AgentTemplate, settings: ShopDataSettings, source: ShopSource): Generator<Example, never> {
  return shuffled((episode) => episodeExamples(template, settings, episode, source), settings);
}

/** The examples of one episode, in order. */
export function episodeExamples(
  template: AgentTemplate,
  settings: ShopDataSettings,
  episode: number,
  source: ShopSource,
): readonly Example[] {
  const { curriculum } = settings;
  const rng = new Rng(settings.seed, `shop episode ${episode}`);
  const department = settings.departments[episode % settings.departments.length]!;
  const kind = drawKind(settings.mix, rng);
  const play = source(episode, department, rng);
  const strategy: Strategy =
    kind === "right" || kind === "writing"
      ? "right"
      : kind === "bad"
        ? drawMistake(curriculum, department, rng)
        : drawStrategy(curriculum, department, rng, settings.habits);
  const skills = kind === "writing" ? [] : shownSkills(kind, department, strategy, settings, rng);
  const byHabit = kind === "plain" || kind === "irrelevant";
  const demonstration = demonstrate(play, {
    rng,
    strategy,
    ...curriculum[department].expert,
    sloppiness: byHabit ? settings.sloppiness : 0,
    noise: strategy === "right" ? settings.noise.right : settings.noise.other,
    maxSteps: settings.maxSteps,
  });
  const examples =
    kind !== "writing"
      ? stepExamples(template, demonstration, skills, settings.historyLength)
      : demonstration.success
        ? [writingExample(template, curriculum, department, demonstration, rng)]
        : [];
  return settings.disguise && episode >= settings.disguiseFrom ? disguised(examples, settings.disguise, rng) : examples;
}

function disguised(examples: readonly Example[], options: DisguiseOptions, rng: Rng): readonly Example[] {
  const rename = disguise(options, rng.next(), rng);
  return examples.map(({ prompt, reply }) => ({
    prompt: prompt.map(({ role, content }) => ({ role, content: rename(content) })),
    reply: rename(reply),
  }));
}

function shownSkills(
  kind: keyof Mix,
  department: Department,
  strategy: Strategy,
  { curriculum, beside }: ShopDataSettings,
  rng: Rng,
): readonly SkillText[] {
  if (kind === "plain") return [];
  const other = irrelevantSkill(curriculum, department, rng);
  if (kind === "irrelevant") return rng.chance(beside) ? [other, irrelevantSkill(curriculum, department, rng)] : [other];
  const followed = skillFor(curriculum, department, rng, strategy);
  return rng.chance(beside) ? rng.shuffle([followed, other]) : [followed];
}

function stepExamples(
  template: AgentTemplate,
  { steps }: Demonstration,
  skills: readonly SkillText[],
  historyLength: number,
): readonly Example[] {
  const memory = template.begin(steps[0]!.observation, { historyLength });
  return steps.map(({ action, think, executed }, i) => {
    const example = { prompt: memory.prompt(skills), reply: `<think>${think}</think><action>${action}</action>` };
    if (i + 1 < steps.length) memory.record(executed, true, steps[i + 1]!.observation);
    return example;
  });
}

/** The writer sees a success and states the right procedure in the words of the skill texts. */
function writingExample(
  template: AgentTemplate,
  curriculum: Curriculum,
  department: Department,
  { steps }: Demonstration,
  rng: Rng,
): Example {
  const prompt = template.skillPrompt({
    task: steps[0]!.observation.task,
    taskType: department,
    success: true,
    steps: steps.map(({ observation, executed }) => ({ observation, action: executed, valid: true })),
  });
  return { prompt, reply: skillLine(skillFor(curriculum, department, rng)) };
}
