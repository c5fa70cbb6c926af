/**
 * Replays recordings of the original shop: every observation, reward, list of what can be done and address; and pages that others recorded
 * from the original with its own search engine. The data is not part of the repository: see test/webshop/data.ts.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { dataFolder, haveData, readDataLines } from "../../../test/webshop/data.js";
import { THOUSAND_FILES } from "../../../test/webshop/source.js";
import type { GoalKind } from "./goals.js";
import { openWebshop } from "./index.js";
import { type ObservationMode, pageWithoutTask, plainText } from "./observation.js";
import { nodesOf } from "./page.js";
import { TextShop } from "./text-shop.js";
import { openWorld, type ShopWorld } from "./world.js";

interface Step {
  readonly action: string;
  readonly obs: string;
  readonly reward: number;
  readonly done: boolean;
  readonly available: { readonly has_search_bar: boolean; readonly clickables: readonly string[] };
  readonly url: string;
  readonly reward_info?: Readonly<Record<string, number | boolean>>;
  readonly options?: Readonly<Record<string, string>>;
  readonly asin?: string;
}

interface Recording {
  readonly kind: string;
  readonly observation_mode: ObservationMode;
  readonly show_attrs: boolean;
  readonly goals: GoalKind;
  readonly goal_index: number;
  readonly num_prev_obs: number;
  readonly num_prev_actions: number;
  readonly instruction: string;
  readonly reset_obs: string;
  readonly reset_available: Step["available"];
  readonly steps: readonly Step[];
}

interface RealSearch {
  readonly query: string;
  readonly real_formatted_obs: string;
}

interface RealItem {
  readonly asin: string;
  readonly real_formatted_obs: string;
}

const NOUNS = "title_nouns_wink.json.gz";
const EPISODES = "goldens/episodes.jsonl.gz";
const SEARCHES = "goldens/real_pyserini_search_pages.jsonl.gz";
const ITEMS = "goldens/real_item_pages.jsonl.gz";

describe.skipIf(!haveData(...THOUSAND_FILES, NOUNS, EPISODES, SEARCHES, ITEMS))("recordings of the original", () => {
  const worlds = new Map<GoalKind, ShopWorld>();
  beforeAll(async () => {
    const { stock, nouns } = await openWebshop({ data: dataFolder, products: "1000", nouns: `${dataFolder}/${NOUNS}` });
    for (const kind of ["synthetic", "human"] as const) worlds.set(kind, openWorld(stock, { kind, seed: 233 }, nouns));
  });
  const worldOf = (kind: GoalKind): ShopWorld => worlds.get(kind)!;
  const shopFor = (world: ShopWorld, row: Pick<Recording, "observation_mode" | "show_attrs" | "num_prev_obs" | "num_prev_actions">) =>
    new TextShop(world, {
      mode: row.observation_mode,
      showAttributes: row.show_attrs,
      previousObservations: row.num_prev_obs,
      previousActions: row.num_prev_actions,
      random: () => world.goals.random,
    });
  const available = ({ available: { hasSearchBar, clickables } }: TextShop) => ({ has_search_bar: hasSearchBar, clickables });

  it("episodes: 0 differences", () => {
    const recordings = readDataLines<Recording>(EPISODES);
    let steps = 0;
    let purchases = 0;
    for (const row of recordings) {
      const shop = shopFor(worldOf(row.goals), row);
      const where = `${row.kind}, ${row.observation_mode}, ${row.goals} goal ${row.goal_index}`;
      expect({ obs: shop.reset(row.goal_index), available: available(shop) }, where).toEqual({
        obs: row.reset_obs,
        available: row.reset_available,
      });
      for (const { action, reward_info, options, asin, ...want } of row.steps) {
        const { observation: obs, reward, done, purchase } = shop.step(action);
        expect({ obs, reward, done, available: available(shop), url: shop.session.url }, `${where}: ${action}`).toEqual(want);
        expect(purchase?.info, `${where}: ${action}`).toEqual(reward_info);
        steps++;
        if (asin === undefined) continue;
        const { page } = shop.session;
        expect(page.kind === "done" && [page.product.asin, Object.fromEntries(page.choices)]).toEqual([asin, options]);
        purchases++;
      }
    }
    expect([recordings.length, steps, purchases]).toEqual([118, 1188, 70]);
  });

  it("pages of results, with the search engine of the original", () => {
    const shop = shopFor(worldOf("synthetic"), { observation_mode: "text", show_attrs: false, num_prev_obs: 0, num_prev_actions: 0 });
    const rows = readDataLines<RealSearch>(SEARCHES);
    for (const { query, real_formatted_obs: want } of rows) {
      shop.reset(0);
      expect(pageWithoutTask(shop.step(query).observation, shop.session.goal.instructionText), query).toBe(want);
    }
    expect(rows).toHaveLength(146);
  });

  it("item pages", () => {
    const { catalogue } = worldOf("synthetic");
    const rows = readDataLines<RealItem>(ITEMS);
    for (const { asin, real_formatted_obs: want } of rows) {
      const product = catalogue.product(catalogue.find(asin)!);
      expect(pageWithoutTask(plainText(nodesOf({ kind: "item", product }, "task", false)), "task"), asin).toBe(want);
    }
    expect(rows).toHaveLength(36);
  });
});
