import type { Product } from "../types.js";

/** What the search index knows of a product: title, description, the first bullet point and the options, in lower case. */
export function indexedText(product: Pick<Product, "title" | "description" | "bulletPoints" | "options">): string {
  const options = Array.from(product.options, ([name, values]) => `${name}: ${values.join(", ")}`).join(", and ");
  return [product.title, product.description, product.bulletPoints[0] ?? "", options].join(" ").toLowerCase();
}
