/**
 * WebShop as a text environment: sessions by name, actions as text, observations in one of four modes, and as many earlier observations
 * and actions in front of them as one wants. Behaves as the original does, reward of a purchase included. Knows no training.
 */
import { SiriError } from "../../errors.js";
import { parseAction } from "./actions.js";
import type { GoalList } from "./goals.js";
import { htmlOf } from "./html.js";
import { type ObservationMode, plainText, richText, SEPARATOR } from "./observation.js";
import type { PythonRandom } from "./python/random.js";
import { Session } from "./session.js";
import type { Reward } from "./types.js";
import type { ShopWorld } from "./world.js";

/** What a text shop needs of its shop. */
export type TextShopWorld = Pick<ShopWorld, "catalogue" | "find" | "reward"> & { readonly goals: Pick<GoalList, "goal" | "draw"> };

export interface TextShopOptions {
  readonly mode: ObservationMode;
  /** Item pages lead to a page of attributes too. Default false. */
  readonly showAttributes?: boolean;
  /** Earlier observations in front of the present one. Default 0. */
  readonly previousObservations?: number;
  /** Earlier actions among them. Default 0. */
  readonly previousActions?: number;
  /** As verl-agent's copy: a purchase begins another, random session as soon as its page has been read. Default false. */
  readonly resetAfterPurchase?: boolean;
  /** Where random sessions, goals and products come from. */
  readonly random: () => PythonRandom;
}

export interface Available {
  readonly hasSearchBar: boolean;
  readonly clickables: readonly string[];
}

export interface ShopStep {
  readonly observation: string;
  readonly reward: number;
  readonly done: boolean;
  /** Of a purchase. */
  readonly purchase?: Reward;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

export class TextShop {
  readonly #world: TextShopWorld;
  readonly #options: TextShopOptions;
  /** Goals of the sessions that were asked for by a name of their own. */
  readonly #goals = new Map<string, number>();
  readonly #observations: string[] = [];
  readonly #actions: string[] = [];
  #session: Session | undefined;

  constructor(world: TextShopWorld, options: TextShopOptions) {
    this.#world = world;
    this.#options = options;
  }

  /**
   * Begins a session. A number is the goal and the name of the session; a name gets a random goal and keeps it, so names cost memory;
   * without either, name and goal are random. @returns the first observation
   * @throws SiriError WEBSHOP_GOAL_UNKNOWN
   */
  reset(session?: number | string): string {
    this.#session = this.#begin(session);
    this.#observations.length = 0;
    this.#actions.length = 0;
    const observation = this.#observe();
    this.#remember(this.#observations, observation, this.#options.previousObservations);
    return observation;
  }

  /** An action that cannot be done changes nothing. @throws SiriError NOT_RESET */
  step(action: string): ShopStep {
    const session = this.session;
    const parsed = parseAction(action);
    let purchase: Reward | undefined;
    if (parsed?.name === "search") session.search(parsed.argument);
    else if (parsed?.name === "click" && parsed.argument !== "search") purchase = session.click(parsed.argument);
    const present = this.#observe();
    this.#remember(this.#actions, action, this.#options.previousActions);
    const observation = this.#withHistory(present);
    this.#remember(this.#observations, present, this.#options.previousObservations);
    if (!purchase) return { observation, reward: 0, done: false };
    if (this.#options.resetAfterPurchase) this.reset();
    return { observation, reward: purchase.score, done: true, purchase };
  }

  /** @throws SiriError NOT_RESET */
  get session(): Session {
    if (!this.#session) throw new SiriError("NOT_RESET", "webshop: no session has begun; call reset() first");
    return this.#session;
  }

  get available(): Available {
    const { page, clickables } = this.session;
    return { hasSearchBar: page.kind === "search", clickables: [...clickables.keys()] };
  }

  #begin(asked: number | string | undefined): Session {
    const { goals } = this.#world;
    const name = asked === undefined ? this.#options.random().choices(LETTERS, 10).join("") : String(asked);
    const index = this.#goals.get(name) ?? (typeof asked === "number" ? asked : goals.draw(this.#options.random()));
    const goal = goals.goal(index);
    if (typeof asked === "string") this.#goals.set(name, index);
    const counter = {
      catalogue: this.#world.catalogue,
      showAttributes: this.#options.showAttributes ?? false,
      find: (keywords: readonly string[]) => this.#world.find(keywords, this.#options.random),
      reward: this.#world.reward,
    };
    return new Session(counter, name, goal);
  }

  #observe(): string {
    const { session } = this;
    switch (this.#options.mode) {
      case "text":
        return plainText(session.nodes);
      case "text_rich":
        return richText(session.nodes, session.url, session.opened);
      case "html":
        return htmlOf(session, this.#options.showAttributes ?? false);
      case "url":
        return session.url;
    }
  }

  #remember(list: string[], entry: string, limit = 0): void {
    list.push(entry);
    if (list.length > limit) list.shift();
  }

  /** Newest last; an action stands in front of the observation that it led to. */
  #withHistory(present: string): string {
    const { previousObservations = 0, previousActions = 0 } = this.#options;
    const parts = [present];
    for (let i = 1; i <= Math.max(previousObservations, previousActions); i++) {
      const action = this.#actions[this.#actions.length - i];
      const observation = this.#observations[this.#observations.length - i];
      if (action !== undefined && i <= previousActions) parts.push(action);
      if (observation !== undefined && i <= previousObservations) parts.push(observation);
    }
    return parts.reverse().join(SEPARATOR);
  }
}
