import { describe, expect, it } from "vitest";
import { haveData, readDataLines } from "../../../../test/webshop/data.js";
import { analyze, termOf } from "./analyzer.js";
import { stem } from "./porter.js";

describe("terms", () => {
  it("have no English possessive, whichever apostrophe, and are in lower case", () => {
    expect(["Women's", "women\u2019S", "women\uff07s", "women's's"].map(termOf)).toEqual(["women", "women", "women", "women'"]);
    // Character by character: no final sigma, no combining dot.
    expect(termOf("ΣΑΣ")).toBe("σασ");
    expect(termOf("\u0130")).toBe("i");
  });

  it("are no stop words, nor such with a possessive", () => {
    expect(analyze("The cat AND it's hat; they will not be this or that into such")).toEqual(["cat", "hat"]);
    expect(analyze("you your we he she from up")).toEqual(["you", "your", "we", "he", "she", "from", "up"]);
  });

  it("keep numbers as they are", () => {
    expect(analyze("50.00 dollars, 3x-large")).toEqual(["50.00", "dollar", "3x", "larg"]);
  });
});

describe("Porter's stemmer", () => {
  // Words of the paper's own examples, by step.
  it.each([
    ["caresses ponies ties caress cats", "caress poni ti caress cat"],
    ["feed agreed plastered bled motoring sing", "feed agre plaster bled motor sing"],
    [
      "conflated troubled sized hopping tanned falling hissing fizzed failing filing",
      "conflat troubl size hop tan fall hiss fizz fail file",
    ],
    ["happy sky", "happi sky"],
    ["relational conditional rational valenci digitizer conformabli radicalli", "relat condit ration valenc digit conform radic"],
    [
      "vietnamization predication operator feudalism decisiveness hopefulness formaliti sensibiliti",
      "vietnam predic oper feudal decis hope formal sensibl",
    ],
    ["triplicate formative formalize electriciti electrical hopeful goodness", "triplic form formal electr electr hope good"],
    [
      "revival allowance inference airliner adjustable defensible replacement adoption homologou communism",
      "reviv allow infer airlin adjust defens replac adopt homolog commun",
    ],
    [
      "activate angulariti homologous effective bowdlerize probate rate cease controll roll",
      "activ angular homolog effect bowdler probat rate ceas control roll",
    ],
    // The two departures, and edges.
    ["archaeology possibly a as is eed sses yyy", "archaeolog possibl a as is eed ss yyi"],
  ])("%s", (words, stems) => {
    expect(words.split(" ").map(stem).join(" ")).toBe(stems);
  });
});

describe.skipIf(!haveData("goldens/analyzer.jsonl.gz"))("goldens", () => {
  it("analyzer", () => {
    const rows = readDataLines<{ readonly text: string; readonly tokens: readonly string[] }>("goldens/analyzer.jsonl.gz");
    expect(rows.length).toBeGreaterThan(200);
    for (const { text, tokens } of rows) expect(analyze(text)).toEqual(tokens);
  });
});
