/**
 * What a household is made of: furniture, things, rooms, and what goes where. Pure data and look-ups; no randomness, no PDDL.
 */
import { SiriError } from "../../errors.js";

/** What a piece of furniture takes is said in these categories of things. */
export type Category =
  | "food"
  | "cup"
  | "plate"
  | "pan"
  | "cutlery"
  | "seasoning"
  | "bottle"
  | "wash"
  | "towel"
  | "roll"
  | "soft"
  | "paper"
  | "writing"
  | "small"
  | "device"
  | "decor"
  | "tall"
  | "lamp";

export interface FurnitureKind {
  readonly name: string;
  /** The word of its contents in a task sentence: `on` the shelf, `in` the drawer. */
  readonly preposition: "in" | "on";
  /** Closed at the start; nothing inside is seen or reached before it is opened. */
  readonly openable: boolean;
  readonly takes: readonly Category[];
  /** What it does to a held thing. */
  readonly appliance?: "clean" | "heat" | "cool";
}

export interface ThingKind {
  readonly name: string;
  readonly category: Category;
  readonly washable: boolean;
  readonly heatable: boolean;
  readonly coolable: boolean;
  /** Furniture it is usually kept in or on; half of the things of this kind are found there. */
  readonly home: readonly string[];
}

export type RoomName = "kitchen" | "bedroom" | "bathroom" | "livingroom";

export const ROOMS: readonly RoomName[] = ["kitchen", "bedroom", "bathroom", "livingroom"];

/** Least and greatest number of one furniture kind, per size. */
export interface Stock {
  readonly kind: string;
  readonly small: readonly [number, number];
  readonly large: readonly [number, number];
}

export interface RoomKind {
  readonly name: RoomName;
  readonly stock: readonly Stock[];
  /** Thing kinds that occur here. */
  readonly things: readonly string[];
}

type Fittings = Partial<Pick<FurnitureKind, "openable" | "appliance">>;

function furniture(name: string, preposition: "in" | "on", takes: string, fittings: Fittings = {}): FurnitureKind {
  return { name, preposition, openable: false, takes: takes.split(" ") as Category[], ...fittings };
}

const FURNITURE_LIST: readonly FurnitureKind[] = [
  furniture("armchair", "on", "soft paper device small"),
  furniture("bathtubbasin", "in", "wash towel"),
  furniture("bed", "on", "soft paper device decor"),
  furniture("cabinet", "in", "cup plate pan seasoning bottle wash decor roll", { openable: true }),
  furniture("coffeemachine", "in", "cup"),
  furniture("coffeetable", "on", "cup plate paper writing small device decor"),
  furniture("countertop", "on", "food cup plate pan cutlery seasoning bottle wash towel roll decor"),
  furniture("desk", "on", "cup paper writing small device decor lamp"),
  furniture("diningtable", "on", "food cup plate pan cutlery seasoning bottle paper decor"),
  furniture("drawer", "in", "cutlery seasoning writing small wash paper", { openable: true }),
  furniture("dresser", "on", "paper writing small device decor lamp"),
  furniture("fridge", "in", "food cup plate pan bottle", { openable: true, appliance: "cool" }),
  furniture("garbagecan", "in", "food paper roll wash"),
  furniture("laundryhamper", "in", "towel soft", { openable: true }),
  furniture("microwave", "in", "food cup plate", { openable: true, appliance: "heat" }),
  furniture("rug", "on", "tall soft"),
  furniture("safe", "in", "small", { openable: true }),
  furniture("shelf", "on", "cup plate seasoning bottle wash roll paper small decor"),
  furniture("sidetable", "on", "cup paper writing small device decor roll lamp"),
  furniture("sinkbasin", "in", "food cup plate pan cutlery wash", { appliance: "clean" }),
  furniture("sofa", "on", "soft paper device small"),
  furniture("stoveburner", "on", "pan"),
  furniture("toilet", "on", "roll wash decor"),
  furniture("towelholder", "on", "towel"),
  furniture("tvstand", "on", "small device paper decor"),
];

function things(category: Category, uses: string, entries: Readonly<Record<string, string>>): ThingKind[] {
  return Object.entries(entries).map(([name, home]) => ({
    name,
    category,
    washable: uses.includes("clean"),
    heatable: uses.includes("heat"),
    coolable: uses.includes("cool"),
    home: home.split(" "),
  }));
}

const THING_LIST: readonly ThingKind[] = [
  ...things("food", "clean heat cool", {
    apple: "countertop diningtable",
    bread: "countertop",
    egg: "fridge",
    lettuce: "fridge",
    potato: "countertop sinkbasin",
    tomato: "fridge diningtable",
  }),
  ...things("cup", "clean heat cool", { cup: "cabinet shelf", glass: "shelf diningtable", mug: "coffeemachine cabinet desk" }),
  ...things("plate", "clean heat cool", { bowl: "cabinet shelf", plate: "cabinet diningtable" }),
  ...things("pan", "clean cool", { kettle: "stoveburner", pan: "stoveburner", pot: "stoveburner cabinet" }),
  ...things("cutlery", "clean", {
    fork: "drawer",
    knife: "drawer countertop",
    ladle: "drawer countertop",
    spatula: "drawer countertop",
    spoon: "drawer diningtable",
  }),
  ...things("seasoning", "", { peppershaker: "cabinet diningtable", saltshaker: "cabinet shelf" }),
  ...things("bottle", "cool", { juicebottle: "fridge", vinegarbottle: "cabinet", winebottle: "shelf cabinet" }),
  ...things("wash", "clean", { cloth: "cabinet countertop", dishsponge: "sinkbasin", soapbar: "sinkbasin bathtubbasin" }),
  ...things("wash", "", { soapbottle: "countertop toilet", spraybottle: "cabinet toilet" }),
  ...things("towel", "", { bathtowel: "towelholder", handtowel: "towelholder countertop" }),
  ...things("roll", "", { paperroll: "countertop cabinet", tissuebox: "toilet sidetable" }),
  ...things("soft", "", { blanket: "bed sofa", pillow: "bed sofa", teddybear: "bed" }),
  ...things("paper", "", { book: "shelf desk", magazine: "coffeetable sidetable", newspaper: "sofa coffeetable" }),
  ...things("writing", "", { pen: "desk drawer", pencil: "desk drawer" }),
  ...things("small", "", {
    cd: "shelf drawer",
    creditcard: "dresser drawer",
    keychain: "sidetable drawer",
    remotecontrol: "tvstand sofa",
    watch: "dresser safe",
  }),
  ...things("device", "", { alarmclock: "sidetable", cellphone: "bed sidetable", laptop: "desk bed" }),
  ...things("decor", "", { candle: "countertop shelf", statue: "tvstand shelf", vase: "shelf sidetable" }),
  ...things("tall", "", { basketball: "rug", box: "rug", umbrella: "rug" }),
  ...things("lamp", "", { desklamp: "desk sidetable dresser" }),
];

/** Things that light up. They are fixed in their place. */
export const LAMPS: readonly string[] = ["desklamp"];

const stock = (kind: string, small: [number, number], large: [number, number]): Stock => ({ kind, small, large });

export const ROOM_KINDS: Readonly<Record<RoomName, RoomKind>> = {
  kitchen: {
    name: "kitchen",
    stock: [
      stock("cabinet", [1, 3], [5, 8]),
      stock("coffeemachine", [0, 1], [1, 1]),
      stock("countertop", [1, 2], [2, 3]),
      stock("diningtable", [0, 1], [1, 1]),
      stock("drawer", [1, 3], [4, 7]),
      stock("fridge", [1, 1], [1, 1]),
      stock("garbagecan", [1, 1], [1, 1]),
      stock("microwave", [1, 1], [1, 1]),
      stock("shelf", [0, 2], [1, 3]),
      stock("sinkbasin", [1, 1], [1, 1]),
      stock("stoveburner", [1, 2], [3, 4]),
    ],
    things: (
      "apple bread egg lettuce potato tomato cup glass mug bowl plate kettle pan pot fork knife ladle spatula spoon " +
      "peppershaker saltshaker juicebottle vinegarbottle winebottle cloth dishsponge soapbottle spraybottle paperroll vase book"
    ).split(" "),
  },
  bedroom: {
    name: "bedroom",
    stock: [
      stock("armchair", [0, 1], [1, 2]),
      stock("bed", [1, 1], [1, 2]),
      stock("cabinet", [0, 1], [1, 3]),
      stock("desk", [1, 1], [1, 2]),
      stock("drawer", [2, 4], [6, 8]),
      stock("dresser", [0, 1], [1, 1]),
      stock("garbagecan", [1, 1], [1, 1]),
      stock("laundryhamper", [0, 1], [1, 1]),
      stock("rug", [0, 1], [1, 1]),
      stock("safe", [0, 1], [1, 1]),
      stock("shelf", [1, 3], [3, 5]),
      stock("sidetable", [1, 2], [2, 3]),
    ],
    things: (
      "mug cup bowl tissuebox blanket pillow teddybear book magazine newspaper pen pencil cd creditcard keychain remotecontrol watch " +
      "alarmclock cellphone laptop candle statue vase basketball box umbrella handtowel desklamp"
    ).split(" "),
  },
  bathroom: {
    name: "bathroom",
    stock: [
      stock("bathtubbasin", [0, 1], [1, 1]),
      stock("cabinet", [2, 4], [5, 6]),
      stock("countertop", [1, 1], [1, 2]),
      stock("drawer", [0, 2], [3, 5]),
      stock("garbagecan", [1, 1], [1, 1]),
      stock("laundryhamper", [0, 1], [1, 1]),
      stock("shelf", [0, 2], [3, 4]),
      stock("sidetable", [0, 1], [1, 1]),
      stock("sinkbasin", [1, 2], [2, 2]),
      stock("toilet", [1, 1], [1, 1]),
      stock("towelholder", [1, 2], [2, 3]),
    ],
    things:
      "cloth dishsponge soapbar soapbottle spraybottle bathtowel handtowel paperroll tissuebox candle vase cup magazine newspaper pen".split(
        " ",
      ),
  },
  livingroom: {
    name: "livingroom",
    stock: [
      stock("armchair", [1, 2], [2, 3]),
      stock("cabinet", [0, 2], [3, 4]),
      stock("coffeetable", [1, 1], [1, 2]),
      stock("desk", [0, 1], [0, 1]),
      stock("diningtable", [0, 1], [1, 1]),
      stock("drawer", [1, 3], [4, 6]),
      stock("dresser", [0, 1], [1, 1]),
      stock("garbagecan", [1, 1], [1, 1]),
      stock("rug", [0, 1], [1, 1]),
      stock("safe", [0, 1], [0, 1]),
      stock("shelf", [1, 3], [3, 4]),
      stock("sidetable", [1, 2], [2, 3]),
      stock("sofa", [1, 1], [1, 1]),
      stock("tvstand", [1, 1], [1, 1]),
    ],
    things: (
      "cup glass plate bowl tissuebox blanket pillow book magazine newspaper pen pencil cd creditcard keychain remotecontrol watch " +
      "cellphone laptop candle statue vase basketball box umbrella desklamp"
    ).split(" "),
  },
};

export const FURNITURE: ReadonlyMap<string, FurnitureKind> = new Map(FURNITURE_LIST.map((kind) => [kind.name, kind]));
export const THINGS: ReadonlyMap<string, ThingKind> = new Map(THING_LIST.map((kind) => [kind.name, kind]));

/** @throws SiriError (unknown_furniture) */
export function furnitureKind(name: string): FurnitureKind {
  const kind = FURNITURE.get(name);
  if (kind === undefined) throw new SiriError("WORLD_UNKNOWN_THING", `no furniture is called ${JSON.stringify(name)}; see catalog.ts`);
  return kind;
}

/** @throws SiriError (unknown_thing) */
export function thingKind(name: string): ThingKind {
  const kind = THINGS.get(name);
  if (kind === undefined) throw new SiriError("WORLD_UNKNOWN_THING", `no thing is called ${JSON.stringify(name)}; see catalog.ts`);
  return kind;
}

/** Whether things of this kind can be put in or on furniture of that kind. */
export function accepts(furnitureName: string, thingName: string): boolean {
  return furnitureKind(furnitureName).takes.includes(thingKind(thingName).category);
}

/** `mug` of `mug 2`; names always end in a blank and a number. */
export function classOf(name: string): string {
  const blank = name.lastIndexOf(" ");
  return blank < 0 ? name : name.slice(0, blank);
}
