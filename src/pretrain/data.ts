/**
 * The imitation stream of text games: household or ALFWorld games played by the scripted expert, one example a step, through the same
 * prompt code that rollouts use. The rule, honest and in one paragraph: a demonstration episode draws a strategy. Plain episodes draw
 * the right procedure only with the habit's probability for the task type and search sloppily; otherwise a typical mistake is
 * demonstrated. Episodes with a skill print it in the prompt and follow it (right or bad); an irrelevant skill changes nothing.
 * Some successes become one skill-writing example instead. Every episode has its own seed, so none comes twice. Knows no token.
 */
import type { AgentTemplate, EpisodeSummary, SkillText } from "../agent/agent.js";
import { skillLine } from "../agent/skills.js";
import type { Observation } from "../env/environment.js";
import { classOf } from "../env/household/catalog.js";
import { type Demonstration, type DemonstrateOptions, demonstrate, type Playable } from "../env/household/demonstrate.js";
import { generateGame } from "../env/household/generate.js";
import { Rng } from "../env/household/rng.js";
import type { RoomSense } from "../env/household/sense.js";
import { irrelevantSkill, skillFor } from "../env/household/skills.js";
import { drawMistake, drawStrategy, type Habits, type Strategy } from "../env/household/strategies.js";
import { TASK_TYPES, type TaskType } from "../env/household/tasks.js";
import { parseGame } from "../env/textworld/index.js";
import { drawKind, type Mix, shuffled } from "./stream.js";
import type { Example } from "./train.js";

export interface DataSettings {
  readonly seed: number;
  readonly mix: Mix;
  /** Probability that a type is done right without a right skill. */
  readonly habits: Habits;
  /** Probability that a move of a habit episode leads anywhere. */
  readonly sloppiness: number;
  /** Probability that another command is executed than the one wanted (never a target), where the strategy is right, and elsewhere. */
  readonly noise: { readonly right: number; readonly other: number };
  /** Probability that a right skill, shown or written, also says where to search first. */
  readonly placeHint: number;
  /** Probability that an irrelevant skill stands beside the one that is followed. */
  readonly beside: number;
  readonly historyLength: number;
  /** Bound on the steps of an episode. */
  readonly maxSteps: number;
  /** Examples are drawn from a buffer of this many, so that a batch does not come from one episode. */
  readonly shuffleBuffer: number;
}

export const DEFAULT_DATA: DataSettings = {
  seed: 0,
  mix: { plain: 0.36, right: 0.33, bad: 0.08, irrelevant: 0.09, writing: 0.14 },
  habits: {
    pick_and_place_simple: 0.45,
    look_at_obj_in_light: 0.15,
    pick_clean_then_place_in_recep: 0.15,
    pick_heat_then_place_in_recep: 0.15,
    pick_cool_then_place_in_recep: 0.15,
    pick_two_obj_and_place: 0.2,
  },
  sloppiness: 0.25,
  noise: { right: 0.08, other: 0.03 },
  placeHint: 0.15,
  beside: 0.2,
  historyLength: 2,
  maxSteps: 30,
  shuffleBuffer: 4096,
};

/** Beyond every seed that a split of the household environment uses. */
const FIRST_SEED = 1e10;
/** Episodes that different stream seeds stay apart by. */
const SEEDS_PER_STREAM = 1e9;

/** A started game, where its goal's things are for a place hint, and what a player knows of such rooms beforehand. */
export interface SourceGame {
  readonly play: Playable;
  readonly objectPlaces: readonly string[];
  readonly sense?: RoomSense;
}
export type GameSource = (seed: number, type: TaskType) => SourceGame;

/** Games of training pairs, small, played by the text-world engine. */
export const householdGames: GameSource = (seed, type) => {
  const { file, meta } = generateGame(seed, { type, pool: "held-in", size: "small" });
  return { play: parseGame(file, `pretrain/${seed}`).start(), objectPlaces: meta.objectPlaces };
};

/** An endless stream, the same for the same settings. */
export function examples(template: AgentTemplate, settings: DataSettings, games: GameSource = householdGames): Generator<Example, never> {
  return shuffled((episode) => episodeExamples(template, settings, episode, games), settings);
}

/** The examples of one episode, in order. */
export function episodeExamples(template: AgentTemplate, settings: DataSettings, episode: number, games: GameSource): readonly Example[] {
  const rng = new Rng(settings.seed * SEEDS_PER_STREAM + episode, "pretrain episode");
  const type = TASK_TYPES[episode % TASK_TYPES.length]!;
  const kind = drawKind(settings.mix, rng);
  const game = games(FIRST_SEED + settings.seed * SEEDS_PER_STREAM + episode, type);
  const { objectPlaces } = game;
  const hint = rng.chance(settings.placeHint) && objectPlaces.length > 0 ? rng.pick(objectPlaces) : undefined;

  if (kind === "writing") {
    const demonstration = perform(game, settings, { rng, strategy: "right", sloppiness: rng.chance(0.5) ? settings.sloppiness : 0 });
    return demonstration.success ? [writingExample(template, type, demonstration, rng.chance(settings.placeHint), rng)] : [];
  }
  const strategy: Strategy =
    kind === "right" ? "right" : kind === "bad" ? drawMistake(type, rng) : drawStrategy(type, rng, settings.habits);
  const skills = shownSkills(kind, type, strategy, hint, settings.beside, rng);
  const sloppiness = kind === "plain" || kind === "irrelevant" ? settings.sloppiness : 0;
  const placeHint = kind === "right" && hint !== undefined ? { placeHint: hint } : {};
  const demonstration = perform(game, settings, { rng, strategy, sloppiness, ...placeHint });
  return stepExamples(template, demonstration, skills, settings.historyLength);
}

function perform(
  { play, sense }: SourceGame,
  { noise, maxSteps }: DataSettings,
  options: Pick<DemonstrateOptions, "rng" | "sloppiness" | "placeHint"> & { readonly strategy: Strategy },
): Demonstration {
  const slips = options.strategy === "right" ? noise.right : noise.other;
  return demonstrate(play, { ...options, noise: slips, maxSteps, ...(sense === undefined ? {} : { sense }) });
}

function shownSkills(
  kind: keyof Mix,
  type: TaskType,
  strategy: Strategy,
  hint: string | undefined,
  beside: number,
  rng: Rng,
): readonly SkillText[] {
  if (kind === "plain") return [];
  const other = irrelevantSkill(type, rng);
  if (kind === "irrelevant") return rng.chance(beside) ? [other, irrelevantSkill(type, rng)] : [other];
  const followed = skillFor(type, { rng, strategy, ...(kind === "right" && hint !== undefined ? { placeHint: hint } : {}) });
  if (!rng.chance(beside)) return [followed];
  return rng.shuffle([followed, other]);
}

function stepExamples(
  template: AgentTemplate,
  { steps }: Demonstration,
  skills: readonly SkillText[],
  historyLength: number,
): readonly Example[] {
  const observe = (index: number): Observation => {
    const { observation, admissible } = steps[index]!;
    return { text: observation, task, actions: admissible, anchor: observation };
  };
  const task = taskSentence(steps[0]!.observation);
  const memory = template.begin(observe(0), { historyLength });
  return steps.map(({ action, think, executed }, i) => {
    const example = { prompt: memory.prompt(skills), reply: `<think>${think}</think><action>${action}</action>` };
    if (i + 1 < steps.length) memory.record(executed, true, observe(i + 1));
    return example;
  });
}

/** The writer sees a success and states the right procedure in the words of the template family. */
function writingExample(template: AgentTemplate, type: TaskType, { steps }: Demonstration, withHint: boolean, rng: Rng): Example {
  const task = taskSentence(steps[0]!.observation);
  const summary: EpisodeSummary = {
    task,
    taskType: type,
    success: true,
    steps: steps.map(({ observation, executed }) => ({
      observation: { text: observation, task, anchor: observation },
      action: executed,
      valid: true,
    })),
  };
  const found = steps
    .map(({ executed }) => /^take (\S+) \d+ from (.*)$/.exec(executed))
    .filter((match) => match && task.includes(match[1]!));
  const place = found[0]?.[2];
  const placeHint = withHint && place !== undefined ? { placeHint: classOf(place) } : {};
  return { prompt: template.skillPrompt(summary), reply: skillLine(skillFor(type, { rng, ...placeHint })) };
}

function taskSentence(observation: string): string {
  return /Your task is to: ([^\n]*)/.exec(observation)?.[1] ?? observation;
}
