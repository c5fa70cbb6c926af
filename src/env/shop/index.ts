/**
 * The embedded shop: WebShop's engine on a generated catalogue, so that it can be trained on where there is no data. `train` and `unseen`
 * are parted by product: what is bought in one is never wanted in the other. In both, departments take turns, each as often as the
 * smallest one has tasks.
 */
import { z } from "zod";
import { SiriError } from "../../errors.js";
import type { EnvironmentModule, Task, TaskSet } from "../environment.js";
import { hashText } from "../household/rng.js";
import { ShopEnvironment, type ShopTaskData } from "../webshop/module.js";
import type { NounsOf } from "../webshop/nouns.js";
import { openWorld, type ShopWorld } from "../webshop/world.js";
import { generateShop } from "./generate.js";
import { stockOf } from "./stock.js";
import { DEPARTMENTS, type Department } from "./words.js";

const optionsSchema = z.strictObject({
  /** Another one gives another catalogue; 0 is the shop that results are reported on. */
  catalogue: z.number().int().min(0).default(0),
});

export type GeneratedShopOptions = z.input<typeof optionsSchema>;

export const SHOP_SPLITS = ["train", "unseen"] as const;
type Split = (typeof SHOP_SPLITS)[number];

/** Draws price limits and the order of the goals. */
const GOAL_SEED = 233;

/** A third of the products, by their number alone. */
export function heldOut(asin: string): boolean {
  return hashText(asin) % 3 === 0;
}

/** Every word of a title counts as a noun: titles hold a maker, a property and a thing. */
const everyWord: NounsOf = (title) => {
  const words = title.toLowerCase().split(" ");
  return { count: words.length, set: new Set(words) };
};

/** The shop of a seed, opened. */
export function openShop(catalogue: number): ShopWorld {
  return openWorld(stockOf(generateShop(catalogue)), { kind: "synthetic", seed: GOAL_SEED }, everyWord);
}

/** Goals of each department by their place in the shop's list, in its order. @param keeps which products' goals */
export function goalsByDepartment({ goals }: ShopWorld, keeps: (asin: string) => boolean = () => true): Map<Department, number[]> {
  const places = new Map<Department, number[]>(DEPARTMENTS.map((department) => [department, []]));
  for (let i = 0; i < goals.length; i++) {
    const { asin, category } = goals.goal(i);
    if (keeps(asin)) places.get(category as Department)!.push(i);
  }
  return places;
}

/** @throws SiriError CONFIG_ENVIRONMENT */
export default function shop(options: GeneratedShopOptions = {}): EnvironmentModule {
  const parsed = optionsSchema.safeParse(options);
  if (!parsed.success) throw new SiriError("CONFIG_ENVIRONMENT", `shop options: ${z.prettifyError(parsed.error)}`);
  let opened: ShopWorld | undefined;
  const world = () => {
    opened ??= openShop(parsed.data.catalogue);
    return opened;
  };
  return {
    name: "shop",
    splits: SHOP_SPLITS,
    evalSplits: ["unseen"],
    tasks(split) {
      if (!SHOP_SPLITS.includes(split as Split)) {
        throw new SiriError("SPLIT_UNKNOWN", `shop has no split '${split}'; it has ${SHOP_SPLITS.join(", ")}`);
      }
      return inTurn(
        split,
        goalsByDepartment(world(), (asin) => heldOut(asin) === (split === "unseen")),
      );
    },
    create: () => new ShopEnvironment("shop", world()),
  };
}

function inTurn(split: string, goals: ReadonlyMap<Department, readonly number[]>): TaskSet {
  const departments = [...goals.keys()];
  const rounds = Math.min(...[...goals.values()].map((places) => places.length));
  const length = rounds * departments.length;
  return {
    length,
    at(index): Task {
      if (!Number.isInteger(index) || index < 0 || index >= length) {
        throw new SiriError("TASK_UNKNOWN", `shop split '${split}' has ${length} tasks, from 0; there is no task ${index}`);
      }
      const type = departments[index % departments.length]!;
      const goal = goals.get(type)![Math.floor(index / departments.length)]!;
      return { id: `${split}/${String(index).padStart(6, "0")}`, split, type, data: { goal } satisfies ShopTaskData };
    },
  };
}
