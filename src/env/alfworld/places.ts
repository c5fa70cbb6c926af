/**
 * Where things are in ALFWorld's rooms: for each kind of thing, how many in a thousand pieces of furniture of a kind hold one, among the
 * rooms that have the thing. Counted over the initial states of the `train` split alone by `countPlaces`; a test counts again.
 */
import { classOf } from "../household/catalog.js";
import type { RoomSense } from "../household/sense.js";

/** Furniture that has to be opened costs two commands to search. */
const CLOSED: ReadonlySet<string> = new Set(["cabinet", "drawer", "fridge", "microwave", "safe"]);
/** What was never seen to hold a thing is searched last, not never. */
const LEAST = 0.5;

/** Thing -> `furniture per-mille` pairs, most first. */
const COUNTED: Readonly<Record<string, string>> = {
  alarmclock: "diningtable 747 desk 555 countertop 524 dresser 458 sidetable 357 shelf 111",
  apple: "fridge 410 diningtable 339 sidetable 311 microwave 243 garbagecan 235 countertop 201 sinkbasin 170",
  bathtub: "bathtubbasin 1000",
  book: "bed 592 coffeetable 505 desk 398 diningtable 329 countertop 326 sofa 240 dresser 227 armchair 135 tvstand 77 sidetable 76 cabinet 32 drawer 28 shelf 13",
  bowl: "desk 780 coffeetable 431 fridge 332 diningtable 329 dresser 323 tvstand 286 countertop 164 shelf 93 sidetable 73 sinkbasin 61 microwave 54 cabinet 51",
  box: "diningtable 588 desk 557 coffeetable 308 sofa 251 dresser 101 ottoman 97 tvstand 92 sidetable 61 cabinet 55 shelf 47 armchair 31",
  bread: "diningtable 502 countertop 328 fridge 171 sidetable 92 garbagecan 8 microwave 3 coffeemachine 1",
  butterknife: "diningtable 508 countertop 393 sidetable 274 sinkbasin 100 drawer 26",
  candle:
    "sidetable 632 countertop 462 toilet 454 coffeetable 391 cart 352 tvstand 333 diningtable 303 dresser 271 shelf 227 cabinet 126 drawer 88",
  cd: "diningtable 639 dresser 413 desk 396 sidetable 267 garbagecan 154 armchair 109 drawer 89 cabinet 81 safe 69 shelf 45",
  cellphone:
    "bed 415 desk 398 diningtable 397 coffeetable 361 ottoman 353 dresser 352 tvstand 300 countertop 270 sofa 252 safe 228 sidetable 187 armchair 174 drawer 54 shelf 52 cabinet 4",
  cloth: "bathtubbasin 638 dresser 346 cart 333 countertop 272 cabinet 198 shelf 148 drawer 105 toilet 62 sinkbasin 61 sidetable 50",
  creditcard:
    "desk 386 dresser 363 diningtable 337 tvstand 318 sofa 308 countertop 281 coffeetable 273 sidetable 221 armchair 193 ottoman 190 shelf 96 drawer 88",
  cup: "fridge 348 diningtable 330 sidetable 283 sinkbasin 174 countertop 167 microwave 136 shelf 57 cabinet 33",
  curtains: "sidetable 500",
  desklamp: "sidetable 424 desk 398 dresser 357 coffeetable 164 shelf 35",
  dishsponge:
    "bathtubbasin 403 cart 302 diningtable 295 countertop 212 toilet 152 sinkbasin 145 sidetable 131 garbagecan 104 shelf 100 drawer 72 cabinet 35",
  egg: "fridge 402 diningtable 273 sidetable 265 garbagecan 227 sinkbasin 224 microwave 211 countertop 192",
  floorlamp: "sinkbasin 1000",
  fork: "diningtable 471 countertop 318 sidetable 251 sinkbasin 158 drawer 69",
  glassbottle: "diningtable 371 countertop 182 sinkbasin 171 fridge 153 garbagecan 138 shelf 83 cabinet 39",
  handtowel: "handtowelholder 794 countertop 46",
  houseplant: "desk 541 diningtable 377 countertop 283 coffeetable 256 dresser 247 sidetable 238 tvstand 170 shelf 48 cabinet 4",
  kettle: "diningtable 230 stoveburner 175 countertop 158 cabinet 32 sinkbasin 28 shelf 9",
  keychain:
    "desk 396 safe 382 dresser 356 coffeetable 311 diningtable 303 tvstand 294 sidetable 235 ottoman 204 sofa 163 armchair 124 drawer 81 shelf 76 countertop 59 cabinet 17",
  knife: "diningtable 476 countertop 336 sidetable 136 sinkbasin 84 drawer 60 coffeemachine 2 garbagecan 2",
  ladle: "diningtable 508 countertop 299 sinkbasin 44 drawer 43 cabinet 36",
  laptop:
    "bed 701 countertop 476 diningtable 404 desk 363 coffeetable 315 sofa 306 tvstand 172 dresser 170 ottoman 138 armchair 53 sidetable 35",
  lettuce: "diningtable 503 fridge 347 countertop 272 sidetable 243 sinkbasin 89 garbagecan 18",
  mirror: "countertop 1000 dresser 214",
  mug: "desk 631 coffeemachine 390 dresser 371 diningtable 291 fridge 263 sidetable 262 countertop 254 microwave 153 sinkbasin 127 shelf 73 cabinet 26",
  newspaper:
    "diningtable 439 dresser 400 coffeetable 281 sofa 279 ottoman 250 sidetable 137 armchair 116 tvstand 116 shelf 110 drawer 8 garbagecan 3",
  pan: "countertop 246 stoveburner 225 diningtable 99 fridge 66 cabinet 9 toaster 2 sinkbasin 1",
  papertowelroll: "diningtable 413 toilet 313 cart 263 sidetable 228 countertop 218 garbagecan 148 shelf 108",
  pen: "desk 582 diningtable 574 coffeetable 500 dresser 467 countertop 293 sidetable 281 tvstand 235 shelf 104 drawer 65 garbagecan 48",
  pencil:
    "diningtable 493 desk 490 coffeetable 423 dresser 366 sidetable 337 countertop 255 tvstand 157 shelf 109 garbagecan 105 drawer 65",
  peppershaker: "sidetable 364 diningtable 358 countertop 244 shelf 98 cabinet 49 drawer 49",
  pillow: "bed 918 sofa 695 armchair 136 ottoman 17",
  plate:
    "diningtable 371 coffeetable 273 countertop 211 tvstand 176 fridge 147 dresser 103 sidetable 88 shelf 62 cabinet 51 sinkbasin 41 microwave 10",
  pot: "stoveburner 331 countertop 109 diningtable 96 fridge 73 shelf 12 sinkbasin 8 cabinet 5 toaster 1",
  potato: "fridge 411 diningtable 352 countertop 217 sidetable 213 sinkbasin 198 microwave 187 garbagecan 117",
  remotecontrol:
    "countertop 524 desk 521 coffeetable 385 dresser 350 tvstand 338 diningtable 320 sofa 263 ottoman 190 sidetable 155 armchair 109 drawer 42 shelf 27",
  saltshaker: "diningtable 377 sidetable 359 countertop 241 shelf 90 cabinet 45 drawer 44",
  showerglass: "countertop 1000 shelf 1000",
  sink: "countertop 341 sinkbasin 340",
  soapbar: "sidetable 474 countertop 339 bathtubbasin 313 cart 280 toilet 277 sinkbasin 189 shelf 154 garbagecan 126 cabinet 122 drawer 80",
  soapbottle: "diningtable 444 dresser 420 toilet 380 countertop 271 sidetable 253 cart 240 garbagecan 182 shelf 152 cabinet 50 drawer 7",
  spatula: "diningtable 484 countertop 318 sinkbasin 155 sidetable 99 drawer 66",
  spoon: "diningtable 435 sidetable 298 countertop 281 sinkbasin 200 drawer 88 coffeemachine 1",
  spraybottle: "sidetable 625 cart 537 toilet 432 countertop 396 dresser 340 diningtable 328 shelf 205 garbagecan 199 cabinet 77",
  statue: "coffeetable 449 desk 438 diningtable 437 dresser 374 tvstand 374 countertop 284 sidetable 234 shelf 187",
  teddybear: "bed 783",
  television: "dresser 888 tvstand 830 coffeetable 88 sidetable 17",
  tissuebox:
    "coffeetable 569 desk 542 countertop 539 diningtable 387 cart 367 tvstand 286 shelf 219 sidetable 205 dresser 172 cabinet 103 drawer 63 toilet 49 garbagecan 12",
  toiletpaper:
    "toilet 423 sidetable 375 countertop 369 dresser 358 cart 340 toiletpaperhanger 233 shelf 193 garbagecan 185 cabinet 114 drawer 80 bathtubbasin 4",
  tomato: "fridge 513 diningtable 407 sidetable 261 countertop 232 garbagecan 179 sinkbasin 124",
  towel: "towelholder 871 countertop 29",
  vase: "dresser 616 coffeetable 453 desk 400 diningtable 381 tvstand 312 countertop 271 sidetable 246 shelf 223 cabinet 60",
  watch: "tvstand 455 desk 444 diningtable 420 dresser 385 coffeetable 371 sidetable 218 drawer 91 shelf 51",
  wateringcan: "coffeetable 545 shelf 208 sidetable 136",
  window: "countertop 500 dresser 462 shelf 58",
  winebottle: "diningtable 485 countertop 318 garbagecan 164 shelf 56 cabinet 35 fridge 27 sidetable 18",
};

type Chances = ReadonlyMap<string, ReadonlyMap<string, number>>;

const CHANCES: Chances = new Map(
  Object.entries(COUNTED).map(([thing, pairs]) => {
    const words = pairs.split(" ");
    return [thing, new Map(words.flatMap((word, i) => (i % 2 === 0 ? [[word, Number(words[i + 1])] as const] : [])))];
  }),
);

/** What a player may know of ALFWorld's rooms. */
export const ALFWORLD_SENSE: RoomSense = {
  accepts: (furniture, thing) => CHANCES.get(thing)?.has(furniture) ?? false,
  chance: (furniture, thing) => (CHANCES.get(thing)?.get(furniture) ?? LEAST) / (CLOSED.has(furniture) ? 2 : 1),
  preposition: () => "in",
};

/** One room as `countPlaces` needs it: names such as `drawer 2`, and what each piece of furniture holds. */
export type Room = ReadonlyMap<string, readonly string[]>;

/** The table's rows, counted over rooms: thing -> furniture -> per mille, rounded; what rounds to none is left out. */
export function countPlaces(rooms: Iterable<Room>): Chances {
  const pieces = new Map<string, Map<string, number>>();
  const holding = new Map<string, Map<string, number>>();
  const add = (counts: Map<string, Map<string, number>>, thing: string, furniture: string) => {
    const row = counts.get(thing) ?? new Map<string, number>();
    counts.set(thing, row.set(furniture, (row.get(furniture) ?? 0) + 1));
  };
  for (const room of rooms) {
    const kinds = new Set([...room.values()].flat().map(classOf));
    for (const [piece, things] of room) {
      const held = new Set(things.map(classOf));
      for (const kind of kinds) add(pieces, kind, classOf(piece));
      for (const kind of held) add(holding, kind, classOf(piece));
    }
  }
  return new Map(
    [...holding]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([thing, row]) => {
        const shares = [...row]
          .map(([furniture, count]) => [furniture, Math.round((1000 * count) / pieces.get(thing)!.get(furniture)!)] as const)
          .filter(([, share]) => share > 0);
        return [thing, new Map(shares.sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)))];
      }),
  );
}

/** The table that is in use, for the test that counts again. */
export const COUNTED_CHANCES: Chances = CHANCES;
