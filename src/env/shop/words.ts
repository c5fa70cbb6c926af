/**
 * The words of the embedded shop: what it sells, what such things can have, and in which kinds of choices they come. One table a
 * department; the departments bear the names of WebShop's five categories. Knows no product.
 */

export const DEPARTMENTS = ["beauty", "electronics", "fashion", "garden", "grocery"] as const;
export type Department = (typeof DEPARTMENTS)[number];

export interface OptionGroup {
  readonly name: string;
  readonly values: readonly string[];
}

export interface DepartmentWords {
  /** Path in front of a thing's own name. */
  readonly path: readonly string[];
  /** Things, two words each; no word is in two things of a department. */
  readonly things: readonly string[];
  /** Properties, two words each, no word in two of them and none in a thing or a choice. */
  readonly properties: readonly string[];
  /** What stands on every page of the department and is never asked for. */
  readonly remarks: readonly string[];
  readonly options: readonly OptionGroup[];
}

const COLORS = ["black", "white", "red", "blue", "green", "yellow", "purple", "orange"];

export const WORDS: Readonly<Record<Department, DepartmentWords>> = {
  beauty: {
    path: ["Beauty & Personal Care", "Skin & Hair"],
    things: [
      ...["hand cream", "face mask", "lip balm", "hair serum", "body lotion", "bath foam", "nail polish", "foot scrub"],
      ...["eye gel", "shaving soap", "sun spray", "beard wax", "skin toner", "brow pencil", "cheek powder", "scalp rinse"],
    ],
    properties: [
      ...["aloe vera", "shea butter", "sea salt", "argan oil", "oat milk", "mineral clay"],
      ...["almond extract", "pure honey", "willow bark", "rice starch", "birch sap", "plum seed"],
    ],
    remarks: ["for daily use", "keep it closed", "tested by experts"],
    options: [{ name: "scent", values: ["lavender", "citrus", "cedar", "jasmine", "vanilla", "coconut", "musk", "mint"] }],
  },
  electronics: {
    path: ["Electronics", "Devices & Parts"],
    things: [
      ...["phone charger", "desk speaker", "alarm clock", "baby monitor", "game pad", "travel adapter", "web camera", "music player"],
      ...["radio receiver", "power bank", "label printer", "photo frame", "remote switch", "ear bud", "tablet stand", "weather station"],
    ],
    properties: [
      ...["fast charging", "night mode", "voice control", "noise filter", "touch panel", "metal case"],
      ...["auto shutdown", "dual antenna", "motion sensor", "long battery", "wall mount", "memory slot"],
    ],
    remarks: ["one year warranty", "manual in the box", "made for the home"],
    options: [{ name: "color", values: COLORS }],
  },
  fashion: {
    path: ["Clothing, Shoes & Jewelry", "Clothing"],
    things: [
      ...["rain jacket", "winter hat", "linen shirt", "work glove", "summer dress", "denim skirt", "running shoe", "leather belt"],
      ...["cotton scarf", "swim short", "dinner suit", "hiking sock", "yoga pant", "knit sweater", "silk tie", "canvas apron"],
    ],
    properties: [
      ...["slim fit", "soft lining", "high collar", "easy wash", "quick dry", "hidden pocket"],
      ...["double stitch", "warm fleece", "light fabric", "stretch waist", "button front", "bold stripe"],
    ],
    remarks: ["ships in two days", "see the chart of sizes", "a gift for friends"],
    options: [
      { name: "color", values: COLORS },
      { name: "size", values: ["petite", "small", "medium", "large", "giant"] },
    ],
  },
  garden: {
    path: ["Home & Kitchen", "Home & Garden"],
    things: [
      ...["patio chair", "flower pot", "side table", "floor rug", "wall shelf", "bird bath", "garden hose", "picnic bench"],
      ...["door mat", "book rack", "bed frame", "storage box", "plant ladder", "fire pit", "window blind", "kitchen stool"],
    ],
    properties: [
      ...["solid oak", "rust proof", "anti slip", "hand woven", "brushed steel", "padded seat"],
      ...["rounded edge", "quick assembly", "matte finish", "thick glass", "light weight", "heavy duty"],
    ],
    remarks: ["tools are included", "wipe it clean", "for inside and outside"],
    options: [{ name: "size", values: ["compact", "regular", "tall", "wide", "deep", "narrow"] }],
  },
  grocery: {
    path: ["Grocery & Gourmet Food", "Pantry"],
    things: [
      ...["nut butter", "oat cookie", "lentil soup", "berry jam", "rice cracker", "corn chip", "tea leaf", "tomato sauce"],
      ...["olive spread", "fruit bar", "seed mix", "cocoa powder", "barley flake", "ginger candy", "bean salsa", "wheat noodle"],
    ],
    properties: [
      ...["gluten free", "low sugar", "whole grain", "fair trade", "slow roasted", "lightly salted"],
      ...["no additives", "high fiber", "sun dried", "hand picked", "stone ground", "extra crunchy"],
    ],
    remarks: ["store in a cool place", "best before next year", "packed on the farm"],
    options: [{ name: "flavor", values: ["plain", "lemon", "cinnamon", "pepper", "garlic", "cherry", "caramel", "smoky"] }],
  },
};

/** Makers, one word each. */
export const MAKERS = [
  ...["Alder", "Brisk", "Cinder", "Dover", "Ember", "Fable", "Grove", "Harbor", "Iris", "Juno", "Kestrel", "Lark"],
  ...["Meadow", "Nimbus", "Orbit", "Prism", "Quill", "River", "Summit", "Tundra", "Union", "Vale", "Wren", "Zephyr"],
];
