/** `siri play --env webshop`: one goal of a shop, on the terminal or as JSON lines. Play goes on after a purchase, as it does in the original. */

import { openWebshop, productsNamed } from "../env/webshop/index.js";
import type { ObservationMode } from "../env/webshop/observation.js";
import { type Available, type ShopStep, TextShop } from "../env/webshop/text-shop.js";
import { openWorld } from "../env/webshop/world.js";
import type { Talk } from "./play.js";

/** Options of the command that only a shop has; absent ones are not keys. */
export interface ShopFlags {
  readonly data?: string;
  readonly products?: string;
  readonly nouns?: string;
  readonly goals?: "human" | "synthetic";
  readonly goal?: number;
  readonly seed?: number;
  readonly mode?: ObservationMode;
  readonly showAttrs?: boolean;
  readonly prevObs?: number;
  readonly prevActions?: number;
}

/** As recorded episodes have it. */
const DEFAULT_SEED = 233;

/**
 * Opens the shop that the flags name.
 * @param note gets what the player should know
 * @param open where the data come from
 * @throws SiriError CONFIG_ENVIRONMENT, WEBSHOP_GOAL_UNKNOWN, and what opening data throws
 */
export async function openShopTalk(flags: ShopFlags, json: boolean, note: (text: string) => void, open = openWebshop): Promise<Talk> {
  const { data, goals: kind = "synthetic", goal, seed = DEFAULT_SEED, mode = "text", showAttrs, prevObs, prevActions } = flags;
  const { stock, nouns, notes = [] } = await open({ data, products: productsNamed(flags.products), nouns: flags.nouns });
  notes.forEach(note);
  const world = openWorld(stock, { kind, seed }, nouns);
  if (goal !== undefined) world.goals.goal(goal);
  const shop = new TextShop(world, {
    mode,
    showAttributes: showAttrs ?? false,
    previousObservations: prevObs ?? 0,
    previousActions: prevActions ?? 0,
    random: () => world.goals.random,
  });
  // The original begins a random session when it is made, which moves its generator on.
  shop.reset();
  return json ? new ShopJsonTalk(shop, goal) : new ShopTextTalk(shop, goal);
}

/**
 * One JSON object for the first observation and for every line of input: `{obs, reward, done, available, url}`, and for a purchase what
 * was bought and how its reward came about.
 */
export class ShopJsonTalk implements Talk {
  readonly over = false;

  /** @param goal absent: drawn by weight */
  constructor(
    private readonly shop: TextShop,
    private readonly goal?: number,
  ) {}

  begin(): string {
    return this.line({ observation: this.shop.reset(this.goal), reward: 0, done: false });
  }

  answer(line: string): string {
    return this.line(this.shop.step(line));
  }

  private line({ observation: obs, reward, done, purchase }: ShopStep): string {
    const { session, available } = this.shop;
    const line = { obs, reward, done, available: asJson(available), url: session.url };
    const { page } = session;
    if (!purchase || page.kind !== "done") return `${JSON.stringify(line)}\n`;
    const bought = { asin: page.product.asin, options: Object.fromEntries(page.choices) };
    return `${JSON.stringify({ ...line, reward_info: purchase.info, ...bought })}\n`;
  }
}

function asJson({ hasSearchBar, clickables }: Available) {
  return { has_search_bar: hasSearchBar, clickables };
}

/** Numbers the things that can be clicked; takes numbers, actions and `quit`. */
export class ShopTextTalk implements Talk {
  over = false;

  constructor(
    private readonly shop: TextShop,
    private readonly goal?: number,
  ) {}

  begin(): string {
    return `${this.shop.reset(this.goal)}\n${this.menu()}`;
  }

  answer(line: string): string {
    const typed = line.trim();
    if (typed === "quit") {
      this.over = true;
      return "";
    }
    const chosen = /^\d+$/.test(typed) ? this.shop.available.clickables[Number(typed) - 1] : undefined;
    const action = chosen === undefined ? line : `click[${chosen}]`;
    const { observation, purchase } = this.shop.step(action);
    const news = purchase ? `\nBought, with a score of ${purchase.score}. Search again, or quit.\n` : "";
    return `${chosen === undefined ? "" : `${action}\n`}\n${observation}\n${news}${this.menu()}`;
  }

  private menu(): string {
    const { clickables } = this.shop.available;
    const width = String(clickables.length).length;
    const lines = clickables.map((thing, i) => `  ${String(i + 1).padStart(width)}  ${thing}\n`);
    return `\n${lines.join("")}\nA number, click[...], search[...], or quit: `;
  }
}
