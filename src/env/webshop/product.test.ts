import { describe, expect, it } from "vitest";
import { haveData, readData, readDataLines } from "../../../test/webshop/data.js";
import { Admission, attributesOf, combinationsOf, humanInstructionsOf, instructionOf, parseProduct, RecordError } from "./product.js";

const record = (changes: Readonly<Record<string, unknown>> = {}) => ({
  asin: "B000000001",
  name: "Oak Chair",
  full_description: "A chair.",
  small_description: ["Strong ", "Brown"],
  pricing: "$1,200.00",
  images: ["a.jpg", "b.jpg"],
  product_category: "Home › Chairs",
  category: "garden",
  query: " Dining CHAIRS ",
  customization_options: "",
  ...changes,
});

const failure = (run: () => unknown): RecordError => {
  try {
    run();
  } catch (error) {
    if (error instanceof RecordError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("a product from its record", () => {
  it("keeps the text and cleans the query", () => {
    const product = parseProduct(record(), ["solid wood"]);
    expect(product).toMatchObject({
      asin: "B000000001",
      title: "Oak Chair",
      description: "A chair.",
      bulletPoints: ["Strong ", "Brown"],
      attributes: ["solid wood"],
      category: "garden",
      query: "dining chairs",
      productCategory: "Home › Chairs",
      mainImage: "a.jpg",
    });
    expect(parseProduct(record({ small_description: "One" })).bulletPoints).toEqual(["One"]);
  });

  it.each([
    ["$1,200.00", [1200], "$1200.0"],
    ["$877.80", [877.8], "$877.8"],
    ["$5.00 - $3.50", [5, 3.5], "$5.0 to $3.5"],
    ["from $1 to $2 or $3", [1, 2], "$1.0 to $2.0"],
    ["", [100], "$100.0"],
    [undefined, [100], "$100.0"],
    [null, [100], "$100.0"],
  ])("reads the price %j", (pricing, numbers, tag) => {
    const product = parseProduct(record({ pricing }));
    expect(product.pricing).toEqual(numbers);
    expect(product.priceTag).toBe(tag);
  });

  it("reads options: lower case, slashes spaced, order and repeated values kept, a later group of the same name in place", () => {
    const { options, optionImages } = parseProduct(
      record({
        customization_options: {
          Size: [{ value: " 3/4 XL\u00a0", image: "1" }, { value: "s" }, { value: "S", image: null }],
          Material: null,
          Color: [{ value: "a / B", image: "2" }],
          SIZE: [{ value: "m" }],
        },
      }),
    );
    expect([...options]).toEqual([
      ["size", ["m"]],
      ["color", ["a  |  b"]],
    ]);
    expect([...optionImages]).toEqual([
      ["3 | 4 xl", "1"],
      ["s", null],
      ["a  |  b", "2"],
      ["m", null],
    ]);
    const ordered = new Map([
      ["b", [{ value: "x" }, { value: "x" }]],
      ["7", [{ value: "y" }]],
    ]);
    expect([...parseProduct(record({ customization_options: ordered })).options]).toEqual([
      ["b", ["x", "x"]],
      ["7", ["y"]],
    ]);
  });

  it.each([
    ["name", 5],
    ["full_description", null],
    ["pricing", "call us"],
    ["pricing", "$"],
    ["pricing", "$1.2.3"],
    ["pricing", 12],
    ["images", []],
    ["small_description", [null]],
    ["customization_options", { size: [{}] }],
    ["query", undefined],
  ])("names a broken field: %s = %j", (field, value) => {
    const error = failure(() => parseProduct(record({ [field]: value })));
    expect(error.code).toBe("WEBSHOP_RECORD");
    expect(error.asin).toBe("B000000001");
    expect(error.field.startsWith(field)).toBe(true);
    expect(error.message).toContain("B000000001");
  });

  it("names a record that is no object or has no ASIN", () => {
    expect(failure(() => parseProduct(null)).message).toContain("must be an object");
    expect(failure(() => parseProduct(record({ asin: 7 }))).field).toBe("asin");
  });
});

describe("which records count", () => {
  it("drops nan, long and repeated ASINs, and stops after the first records", () => {
    const admission = new Admission(6);
    const asins = ["A", "nan", "12345678901", "A", "1234567890", "B", "C"];
    expect(asins.map((asin) => admission.admit(asin))).toEqual([true, false, false, false, true, true, false]);
    expect(admission.full).toBe(true);
  });

  it("counts a record that could not be read", () => {
    const admission = new Admission(2);
    admission.refuse();
    expect([admission.admit("A"), admission.admit("B")]).toEqual([true, false]);
  });
});

describe("instruction files", () => {
  it("reads attributes, and gives the dummy where the file says nothing", () => {
    expect(attributesOf(undefined, "A")).toEqual(["DUMMY_ATTR"]);
    expect(attributesOf({ attributes: [] }, "A")).toEqual([]);
    expect(attributesOf({ attributes: ["x"] }, "A")).toEqual(["x"]);
    expect(failure(() => attributesOf({ attributes: "x" }, "A")).field).toBe("attributes");
  });

  it("reads synthetic instructions", () => {
    expect(instructionOf(undefined, "A")).toBeUndefined();
    expect(instructionOf({ attributes: [] }, "A")).toBeUndefined();
    expect(instructionOf({ instruction: "t", instruction_attributes: ["x"] }, "A")).toEqual({ text: "t", attributes: ["x"] });
    expect(failure(() => instructionOf({ instruction: "t", instruction_attributes: [] }, "A")).field).toBe("instruction_attributes");
  });

  it("reads human instructions and leaves out those without attributes", () => {
    const rows = [
      { instruction: "a", instruction_attributes: [], instruction_options: [] },
      { instruction: "b", instruction_attributes: ["x"], instruction_options: ["red"] },
    ];
    expect(humanInstructionsOf(rows, "A")).toEqual([{ text: "b", attributes: ["x"], options: ["red"] }]);
    expect(humanInstructionsOf(undefined, "A")).toEqual([]);
    expect(failure(() => humanInstructionsOf([3], "A")).message).toContain("must be an object");
  });

  it("counts combinations", () => {
    const of = (groups: Readonly<Record<string, readonly string[]>>) => combinationsOf({ options: new Map(Object.entries(groups)) });
    expect([of({}), of({ a: ["1", "2"], b: ["3", "4", "5"] }), of({ a: ["1"], b: [] })]).toEqual([1, 6, 0]);
  });
});

interface Stored {
  readonly Title: string;
  readonly Description: string;
  readonly BulletPoints: readonly string[];
  readonly pricing: readonly number[];
  readonly Price: string;
  readonly options: Readonly<Record<string, readonly string[]>>;
  readonly option_to_image: Readonly<Record<string, string | null>>;
  readonly Attributes: readonly string[];
  readonly MainImage: string;
  readonly asin: string;
  readonly category: string;
  readonly query: string;
  readonly product_category: string;
}

describe.skipIf(!haveData("items_shuffle_1000.json.gz", "items_ins_v2_1000.json.gz", "index_documents_1k.jsonl.gz"))(
  "products as the original loader stores them",
  () => {
    it("all 1,000 are equal", () => {
      const rows = readData<Readonly<Record<string, unknown>>>("items_ins_v2_1000.json.gz");
      const records = readData<readonly { readonly asin: string }[]>("items_shuffle_1000.json.gz");
      const stored = readDataLines<{ readonly product: Stored }>("index_documents_1k.jsonl.gz");
      expect(records.length).toBe(1000);
      const admission = new Admission();
      const products = records
        .filter(({ asin }) => admission.admit(asin))
        .map((item) => parseProduct(item, attributesOf(rows[item.asin], item.asin)));
      const expected = stored.map(({ product }) => ({
        asin: product.asin,
        title: product.Title,
        description: product.Description,
        bulletPoints: product.BulletPoints,
        pricing: product.pricing,
        priceTag: product.Price,
        options: Object.entries(product.options),
        optionImages: new Map(Object.entries(product.option_to_image)),
        attributes: product.Attributes,
        category: product.category,
        query: product.query,
        productCategory: product.product_category,
        mainImage: product.MainImage,
      }));
      // Two maps are equal whatever their order; lists of entries are not.
      expect(products.map((product) => ({ ...product, options: [...product.options] }))).toEqual(expected);
    });
  },
);
