/** The colours that WebShop's reward knows: an option value that holds one of them counts as that colour. */

/** In the order in which they are looked for, which is that of the alphabet: "dark red" is dark, "charcoal" is not coal. */
const COLOURS = (
  "alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel camo caramel " +
  "champagne charcoal cheetah chestnut chocolate christmas coffee cognac copper coral cranberry cream crystal dark denim eggplant " +
  "elephant espresso fuchsia gold granite grape graphite grass gray green grey heather indigo ivory ivy khaki lavender lemon leopard " +
  "light lilac lime magenta maroon mauve merlot midnight mint mocha multicolor mushroom mustard natural navy nude olive orange peach " +
  "pewter pink plum purple rainbow red rose royal rust sand sapphire seashell silver skull slate steel stone stonewash sunflower tan " +
  "taupe teal tiger turquoise violet walnut wheat white wine yellow"
).split(" ");

const KNOWN: ReadonlySet<string> = new Set(COLOURS);

/** The first colour that stands anywhere in a value ("tan" in "titanium", "red" in "bordered"), or the value itself. */
export function normalizeColour(value: string): string {
  return COLOURS.find((colour) => value.includes(colour)) ?? value;
}

/** The first colour that equals the name or the value of a choice, if one does. */
export function colourOfChoice(name: string, value: string): string | undefined {
  if (!KNOWN.has(name)) return KNOWN.has(value) ? value : undefined;
  return COLOURS.find((colour) => colour === name || colour === value);
}
