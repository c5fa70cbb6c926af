import { describe, expect, it } from "vitest";
import type { Observation } from "../env/environment.js";
import type { EpisodeSummary, SkillText } from "./agent.js";
import { compact, foldActions } from "./compact.js";
import { Reading } from "./reading.js";
import { template, templateNames } from "./registry.js";
import { parseSkillJson, parseSkillLine, skillLine } from "./skills.js";
import { verl, verlAlfworld } from "./verl.js";

const TASK = "put a clean mug in cabinet.";
const skill: SkillText = {
  title: "clean first",
  condition: "something must be cleaned",
  strategy: "take it, clean it with sinkbasin, put it",
};

function see(text: string, actions?: readonly string[]): Observation {
  return { text, task: TASK, anchor: text, ...(actions ? { actions } : {}) };
}

const FIRST = see(
  `-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room. Looking quickly around you, you see a cabinet 2, a cabinet 1, and a sinkbasin 1.\n\nYour task is to: ${TASK}`,
  ["go to cabinet 1", "go to cabinet 2", "go to sinkbasin 1", "help", "inventory", "look"],
);

function content(messages: readonly { readonly content: string }[]): string {
  expect(messages).toHaveLength(1);
  return messages[0]!.content;
}

describe("compact", () => {
  it("shows task, observation and the folded list at the first step", () => {
    expect(content(compact.begin(FIRST, { historyLength: 2 }).prompt())).toBe(
      "task: put a clean mug in cabinet\n" +
        "step 1 obs: You are in the middle of a room. Looking quickly around you, you see a cabinet 2, a cabinet 1, and a sinkbasin 1.\n" +
        "can: go to cabinet 1 cabinet 2 sinkbasin 1; inventory; look",
    );
  });

  it("remembers places, task-named things, what is held, and the last steps cut short", () => {
    const episode = compact.begin(FIRST, { historyLength: 2 });
    episode.record("go to cabinet 1", true, see("You arrive at cabinet 1. The cabinet 1 is closed.", ["open cabinet 1"]));
    episode.record(
      "open cabinet 1",
      true,
      see("You open the cabinet 1. The cabinet 1 is open. In it, you see a mug 2, a mug 1, and a plate 1.", ["take mug 2 from cabinet 1"]),
    );
    episode.record("take mug 2 from cabinet 1", true, see("You pick up the mug 2 from the cabinet 1.", ["go to sinkbasin 1"]));
    expect(content(episode.prompt([skill]))).toBe(
      "task: put a clean mug in cabinet\n" +
        "skill: when something must be cleaned: take it, clean it with sinkbasin, put it\n" +
        "been: cabinet 1 ( mug 1 )\n" +
        "have: mug 2\n" +
        "obs: You arrive at cabinet 1. The cabinet 1 is closed.\n" +
        "act: open cabinet 1\n" +
        "obs: You open the cabinet 1. The cabinet 1 is open. In it, you see a mug 2, a\n" +
        "act: take mug 2 from cabinet 1\n" +
        "step 4 obs: You pick up the mug 2 from the cabinet 1.\n" +
        "can: go to sinkbasin 1",
    );
  });

  it("keeps no history with history length 0", () => {
    const episode = compact.begin(FIRST, { historyLength: 0 });
    episode.record("look", true, see("You see nothing.", ["look"]));
    expect(content(episode.prompt())).toBe("task: put a clean mug in cabinet\nstep 2 obs: You see nothing.\ncan: look");
  });

  it("leaves out what a world does not have", () => {
    const page = (text: string): Observation => ({ text, task: "buy red shoes under $40", anchor: text });
    const episode = compact.begin(page("WebShop [SEP] Search"), { historyLength: 2 });
    episode.record("search[red shoes]", true, page("Page 1 [SEP] B000 [SEP] $10 to $20. Go to a shop 1, you see nothing"));
    expect(content(episode.prompt())).toBe(
      "task: buy red shoes under $40\nobs: WebShop [SEP] Search\nact: search[red shoes]\n" +
        "step 2 obs: Page 1 [SEP] B000 [SEP] $10 to $20. Go to a shop 1, you see nothing",
    );
  });

  it("folds only the go-to entries and keeps every other in its place", () => {
    expect(foldActions(["close fridge 1", "go to a 1", "go to a 2", "help", "inventory"])).toBe("close fridge 1; go to a 1 a 2; inventory");
    expect(foldActions([])).toBe("");
  });
});

describe("Reading", () => {
  it("follows states, both wordings of put, and re-reads contents", () => {
    const reading = new Reading("put a hot tomato in fridge");
    reading.read("go to countertop 1", "You arrive at loc 4. On the countertop 1, you see a tomato 1, a tomato 12, and a knife 1.");
    expect(reading.been()).toBe("countertop 1 ( tomato 1 tomato 12 )");
    reading.read("take tomato 12 from countertop 1", "You pick up the tomato 12 from the countertop 1.");
    reading.read("cool tomato 12 with fridge 1", "You cool the tomato 12 using the fridge 1.");
    expect(reading.have()).toBe("tomato 12 cool");
    reading.read("clean tomato 12 with sinkbasin 1", "You clean the tomato 12 using the sinkbasin 1.");
    reading.read("heat tomato 12 with microwave 1", "You heat the tomato 12 using the microwave 1.");
    expect(reading.have()).toBe("tomato 12 clean heat");
    reading.read("put tomato 12 in/on table 1", "You put the tomato 12 in/on the table 1.");
    expect(reading.have()).toBe("");
    expect(reading.been()).toBe("countertop 1 ( tomato 1 ) table 1 ( tomato 12 )");
    reading.read("examine countertop 1", "On the countertop 1, you see nothing.");
    expect(reading.been()).toBe("countertop 1 table 1 ( tomato 12 )");
  });

  it("does not count a journey that did not happen", () => {
    const reading = new Reading("put a mug in cabinet");
    reading.read("go to cabinet 9", "Nothing happens.");
    expect(reading.been()).toBe("");
  });
});

describe("verl", () => {
  it("at the first step is role, observation, quoted actions without help, and reply format", () => {
    const text = content(verlAlfworld.begin(FIRST, { historyLength: 2 }).prompt());
    const [role, observation, ...rest] = text.split(/\n\n(?=Your current|The admissible|Reason)/);
    expect(role).toMatch(/^You are an agent that .* ALFWorld, .*\.$/);
    expect(observation).toBe(`Your current observation is:\n${FIRST.text}`);
    expect(rest).toEqual([
      "The admissible actions in this situation are:\n['go to cabinet 1',\n 'go to cabinet 2',\n 'go to sinkbasin 1',\n 'inventory',\n 'look']",
      expect.stringMatching(/<think> <\/think>.*<action> <\/action>/),
    ]);
    // The task stands in the observation, and nowhere else.
    expect(text.split(TASK)).toHaveLength(2);
  });

  it("says the task at the first step where the observation does not", () => {
    const text = content(verl.begin(see("You stand in a field.", ["look"]), { historyLength: 2 }).prompt());
    expect(text).toContain(`Your task is: ${TASK}\n\nYour current observation`);
    expect(text).not.toContain("ALFWorld");
  });

  it("shows skills after the role at the first step", () => {
    expect(content(verl.begin(FIRST, { historyLength: 2 }).prompt([skill]))).toMatch(
      /^You are.*\n\nExperience from earlier episodes[\s\S]*What to do: take it[^\n]*\n\nYour current observation/,
    );
  });

  it("shows skills between task and progress, and the last pairs with their step numbers", () => {
    const episode = verlAlfworld.begin(FIRST, { historyLength: 2 });
    for (const i of [1, 2, 3]) episode.record(`act ${i}`, true, see(`text ${i}`, ["look"]));
    const text = content(episode.prompt([skill]));
    const at = [
      "ALFWorld",
      `Your task is: ${TASK}`,
      "Experience from earlier",
      skill.strategy,
      "You have taken 3 steps",
      "Observation 2: text 1\nAction 2: act 2",
      "Observation 3: text 2\nAction 3: act 3",
      "at step 4",
      "text 3",
      "'look'",
    ];
    const positions = at.map((part) => text.indexOf(part));
    expect(positions.every((position) => position >= 0)).toBe(true);
    expect([...positions].sort((a, b) => a - b)).toEqual(positions);
    expect(text).not.toContain("Action 1:");
  });

  it("leaves out the list when actions cannot be listed", () => {
    const text = content(verl.begin(see("a page"), { historyLength: 2 }).prompt());
    expect(text).not.toContain("admissible");
    expect(text).toContain("exactly one action");
  });
});

describe("skill writing", () => {
  const episode: EpisodeSummary = {
    task: TASK,
    taskType: "pick_clean_then_place_in_recep",
    success: true,
    steps: [
      { observation: FIRST, action: "go to cabinet 9", valid: true },
      { observation: see("Nothing happens."), action: "take mug 1 from cabinet 1", valid: true },
      { observation: see("You pick up the mug 1 from the cabinet 1."), action: "oops", valid: false },
      { observation: see("Nothing happens."), action: "move mug 1 to cabinet 1", valid: true },
    ],
  };

  it("compact: shows the commands that did something", () => {
    expect(content(compact.skillPrompt(episode))).toBe(
      "task: put a clean mug in cabinet\ndid: take mug 1 from cabinet 1; move mug 1 to cabinet 1\nwon in 4 steps\nskill?",
    );
  });

  it("compact: reads back its own line", () => {
    expect(compact.parseSkills(`${skillLine(skill)}`)).toEqual([{ ...skill, title: skill.condition }]);
  });

  it.each([["when: do it"], ["when x:"], ["when x"], [""], ["take it"], ["if x: y"], [`when x: ${"y".repeat(700)}`]])(
    "compact: drops %j",
    (reply) => {
      expect(parseSkillLine(reply)).toEqual([]);
    },
  );

  it("verl: shows the transcript and asks for JSON", () => {
    const text = content(verl.skillPrompt(episode));
    expect(text).toContain("Action 4: move mug 1 to cabinet 1");
    expect(text).toContain('"when_to_apply"');
  });

  it("verl: reads a list, also fenced and after a think block, and drops bad items", () => {
    const good = { title: "Clean first", when_to_apply: "a clean thing is wanted", principle: "Wash it\nbefore placing." };
    const list = JSON.stringify([good, { title: "x" }, 3, null, { ...good, principle: " " }]);
    const expected = [{ title: "Clean first", condition: "a clean thing is wanted", strategy: "Wash it before placing." }];
    expect(parseSkillJson(list)).toEqual(expected);
    expect(parseSkillJson(`<think>[1]</think>\n\`\`\`json\n${list}\n\`\`\``)).toEqual(expected);
    expect(parseSkillJson(`My skills [2 of them]:\n${list}\n[end of list]`)).toEqual(expected);
  });

  it.each([["no list"], ["[{"], ["]["], ["[1, 2"], ["{}"]])("verl: reads nothing from %j", (reply) => {
    expect(parseSkillJson(reply)).toEqual([]);
  });
});

describe("template", () => {
  it("finds each by its name and names the choices otherwise", () => {
    for (const name of templateNames) expect(template(name).name).toBe(name);
    expect(() => template("x")).toThrow(/compact, compact-shop, verl, verl-alfworld, verl-webshop/);
  });
});

describe("history", () => {
  it("cuts at a blank, or hard where there is none", () => {
    const episode = compact.begin(see("x".repeat(100), ["look"]), { historyLength: 2 });
    episode.record("look", true, see(`${"word ".repeat(14)}end and more`));
    episode.record("look", true, see("now"));
    const text = content(episode.prompt());
    expect(text).toContain(`obs: ${"x".repeat(72)}\nact`);
    expect(text).toContain(`obs: ${"word ".repeat(13)}word\nact`);
  });
});
