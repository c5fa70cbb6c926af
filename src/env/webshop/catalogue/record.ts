/** How a product lies in the index: a JSON list of its fields in a fixed order, in UTF-8. */
import type { Instruction, Product } from "../types.js";

type Row = readonly [
  asin: string,
  title: string,
  description: string,
  bulletPoints: readonly string[],
  pricing: readonly number[],
  priceTag: string,
  options: readonly (readonly [string, readonly string[]])[],
  optionImages: readonly (readonly [string, string | null])[],
  attributes: readonly string[],
  category: string,
  query: string,
  productCategory: string,
  mainImage: string,
];

export function encodeProduct(product: Product): Buffer {
  const row: Row = [
    product.asin,
    product.title,
    product.description,
    product.bulletPoints,
    product.pricing,
    product.priceTag,
    [...product.options],
    [...product.optionImages],
    product.attributes,
    product.category,
    product.query,
    product.productCategory,
    product.mainImage,
  ];
  return Buffer.from(JSON.stringify(row));
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
}

export function decodeProduct(bytes: Uint8Array): Product {
  const [asin, title, description, bulletPoints, pricing, priceTag, options, optionImages, ...rest] = parse(bytes) as Row;
  const [attributes, category, query, productCategory, mainImage] = rest;
  return {
    asin,
    title,
    description,
    bulletPoints,
    pricing,
    priceTag,
    options: new Map(options),
    optionImages: new Map(optionImages),
    attributes,
    category,
    query,
    productCategory,
    mainImage,
  };
}

export function encodeInstruction({ text, attributes }: Instruction): Buffer {
  return Buffer.from(JSON.stringify([text, attributes]));
}

export function decodeInstruction(bytes: Uint8Array): Instruction {
  const [text, attributes] = parse(bytes) as readonly [string, readonly string[]];
  return { text, attributes };
}
