/** A generated shop as products that can be searched, through the reader of WebShop's own files. */
import { memoryStock } from "../webshop/catalogue/memory.js";
import type { ShopStock } from "../webshop/catalogue/stock.js";
import { attributesOf, instructionOf, parseProduct } from "../webshop/product.js";
import type { ShopRecords } from "./generate.js";

export function stockOf({ items, instructions }: ShopRecords): ShopStock {
  return memoryStock(
    items.map((item) => {
      const entry = instructions[item.asin];
      return { product: parseProduct(item, attributesOf(entry, item.asin)), instruction: instructionOf(entry, item.asin) };
    }),
  );
}
