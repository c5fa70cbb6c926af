import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Observation } from "../env/environment.js";
import { quotedPage, verlWebshop } from "./verl-webshop.js";

interface Available {
  readonly has_search_bar: boolean;
  readonly clickables: readonly string[];
}

/** One recorded episode: its pages, the prompts built from them, and replies with what was read out of them. */
interface Row {
  readonly history_length: number;
  readonly task: string;
  readonly reset_obs: string;
  readonly reset_available: Available;
  readonly steps: readonly { readonly action_stored: string; readonly obs: string; readonly available: Available }[];
  readonly prompts: readonly string[];
  readonly projection: readonly (readonly [reply: string, action: string, valid: number])[];
}

const data = process.env.WEBSHOP_DATA ?? fileURLToPath(new URL("../../../shared/webshop", import.meta.url));
const file = `${data}/goldens/verl_prompts.jsonl.gz`;

function see(text: string, task: string, { has_search_bar, clickables }: Available): Observation {
  const actions = [...(has_search_bar ? ["search[<your query>]"] : []), ...clickables.map((name) => `click[${name}]`)];
  return { text, task, actions, anchor: text };
}

const PAGE: Available = { has_search_bar: false, clickables: ["back to search"] };
const shown = (episode: ReturnType<typeof verlWebshop.begin>) => episode.prompt()[0]!.content;

describe.skipIf(!existsSync(file))(`recorded prompts (skipped without ${file})`, () => {
  const rows = existsSync(file)
    ? gunzipSync(readFileSync(file))
        .toString()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Row)
    : [];

  it("builds every prompt, character by character", () => {
    let count = 0;
    for (const row of rows) {
      const episode = verlWebshop.begin(see(row.reset_obs, row.task, row.reset_available), { historyLength: row.history_length });
      expect(shown(episode)).toBe(row.prompts[0]);
      row.steps.forEach(({ action_stored, obs, available }, i) => {
        episode.record(action_stored, true, see(obs, row.task, available));
        expect(shown(episode)).toBe(row.prompts[i + 1]);
        count += 1;
      });
    }
    expect(count).toBeGreaterThan(100);
  });

  it("reads every reply", () => {
    for (const [reply, action, valid] of rows.flatMap((row) => row.projection)) {
      expect(verlWebshop.parse(reply)).toMatchObject({ action, valid: valid === 1 });
    }
  });
});

describe("verl-webshop", () => {
  it("leaves the history out of a prompt above 13,000 characters, counted as Python counts", () => {
    const begin = () => verlWebshop.begin(see("WebShop [SEP] Instruction: [SEP] t [SEP] Search", "t", PAGE), { historyLength: 2 });
    const length = (page: string) => {
      const episode = begin();
      episode.record("search[x]", true, see(`Instruction: [SEP] t [SEP] ${page}`, "t", PAGE));
      return [...shown(episode)].length;
    };
    const room = 13_000 - length("");
    for (const letter of ["a", "\u{1f600}"]) {
      expect(length(letter.repeat(room))).toBe(13_000);
      const episode = begin();
      episode.record("search[x]", true, see(`Instruction: [SEP] t [SEP] ${letter.repeat(room + 1)}`, "t", PAGE));
      expect(shown(episode)).not.toContain("Prior to this step");
      expect(shown(episode)).toContain(letter.repeat(room + 1));
    }
  });

  it("shows skills after the task, and a page without the instruction as it is", () => {
    const episode = verlWebshop.begin(see("Instruction: [SEP] t [SEP] Search", "t", PAGE), { historyLength: 2 });
    const [message] = episode.prompt([{ title: "Compare", condition: "A price is named.", strategy: "Compare prices." }]);
    expect(message!.content).toMatch(
      /Your task is to: t\.\nExperience.*\n1\. Compare.*Compare prices\.\nYour current observation is: 'Search'\./,
    );
    expect(quotedPage("Thank you [SEP] done", "t")).toBe("Thank you [SEP] done");
  });
});
