/** The strategies that a shopping demonstrator can follow. A demonstration episode draws one and keeps to it. */

/** `right` ends in a sale that fulfils every wish; all others are typical mistakes, which seldom do. */
export const STRATEGIES = [
  "right",
  /** Searches for the thing without what it should have, and takes the first. */
  "short_query",
  /** Buys the first candidate without reading its features. */
  "unchecked",
  /** Looks at the reviews, of which there are none, instead of the features. */
  "reviews",
  /** Buys without choosing options. */
  "no_options",
  /** Chooses one of two options. */
  "one_option",
  /** Takes another value where the wanted one is not offered. */
  "another_value",
  /** Opens the first result, whatever it costs. */
  "first_hit",
  /** Opens the dearest result. */
  "dearest",
  /** Goes from page to page and buys nothing. */
  "browse",
] as const;
export type Strategy = (typeof STRATEGIES)[number];
