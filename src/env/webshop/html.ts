/**
 * Pages as HTML source, for mode `html`. The markup is what WebShop's pages have (MIT licence, (c) 2023 Princeton Natural Language
 * Processing) as far as recorded pages show it; elsewhere it is our own, in the same structure. No other mode reads it.
 */
import { type Choices, nodesOf, type Page, type Place, type SubPage, subPageTexts } from "./page.js";
import { dictRepr, jsonForHtml } from "./python/text.js";
import type { Goal, Product } from "./types.js";

/** What the source of a page is made of; a `Session` is one. */
export interface HtmlSource extends Place {
  readonly goal: Pick<Goal, "instructionText">;
  readonly page: Page;
}

export function htmlOf(source: HtmlSource, showAttributes: boolean): string {
  const { page } = source;
  switch (page.kind) {
    case "search":
      return searchPage(source);
    case "results":
      return shopPage(source, resultsBody(source, page));
    case "item":
      return shopPage(source, itemBody(source, page.product, showAttributes), itemScript(source.choices, page.product));
    case "sub":
      return shopPage(source, subPageBody(source, page.product, page.name));
    case "done":
      return donePage(page);
  }
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" };

function escaped(text: string): string {
  return text.replace(/[&<>'"]/g, (character) => ENTITIES[character]!);
}

/** A text inside a query string. */
function quoted(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd")).replace(/%(?:20|24|2C|3B)/g, (code) =>
    code === "%20" ? "+" : decodeURIComponent(code),
  );
}

/** `name=value` pairs of an address, escaped. A list gives its name once for each entry. */
function pairs(parameters: Readonly<Record<string, string | number | readonly string[]>>): string {
  const all = Object.entries(parameters).flatMap(([name, value]) =>
    (typeof value === "object" ? value : [String(value)]).map((entry) => `${name}=${quoted(entry)}`),
  );
  return escaped(all.join("&"));
}

/** Address of a form or a link inside the shop, escaped. */
function address(parameters: Parameters<typeof pairs>[0]): string {
  return `/?${pairs(parameters)}`;
}

/** Source from the opening of a form to its button, `indent` blanks deep. */
function form(indent: number, action: string, button: string): string {
  const margin = " ".repeat(indent);
  return `${margin}<form method="post" action="${action}">\n${margin}  ${button}\n${margin}</form>`;
}

function searchPage({ id, goal }: HtmlSource): string {
  return `<!DOCTYPE html>
<html>
  <head>
    <link rel="stylesheet" href="/static/style.css">
    <link rel="stylesheet" href="https://cdnjs.cloudflare.com/ajax/libs/font-awesome/4.7.0/css/font-awesome.min.css">
    <link rel="stylesheet" href="https://maxcdn.bootstrapcdn.com/bootstrap/3.4.1/css/bootstrap.min.css">
    <link rel="icon" href="data:,">
  </head>
  <body>
    <!-- Code reference: https://bootsnipp.com/snippets/m13mN -->
    <div class="container" style="margin-top: 8%;">
      <div class="col-md-6 col-md-offset-3">     
        <div class="row">
          <div id="logo" class="text-center">
            <h2>WebShop</h2>
          </div>
          <div id="instruction-text" class="text-center">
            <h4>Instruction: <br>${escaped(goal.instructionText)}</h4>
          </div>
          <form role="form" id="form-buscar" method="post" action="${address({ session_id: id })}">
            <div class="form-group">
              <div class="input-group">
                <input id="search_input" class="form-control" type="text" name="search_query" placeholder="Search..." required/>
                <span class="input-group-btn">
                  <button class="btn btn-success" type="submit"><i class="glyphicon glyphicon-search" aria-hidden="true"></i>Search</button>
                </span>
              </div>
            </div>
          </form>
        </div>            
      </div>
    </div>
  </body>
</html>`;
}

/** The frame of all pages between search and purchase. */
function shopPage({ id, goal }: HtmlSource, body: string, script = ""): string {
  return `<!DOCTYPE html>
<html>
  <head>
    <link rel="stylesheet" href="/static/style.css">
    <link rel="stylesheet" href="https://maxcdn.bootstrapcdn.com/bootstrap/3.4.1/css/bootstrap.min.css">
    <link rel="stylesheet" href="https://cdnjs.cloudflare.com/ajax/libs/font-awesome/4.0.3/css/font-awesome.css\t">
    <script src="https://ajax.googleapis.com/ajax/libs/jquery/3.5.1/jquery.min.js"></script>
    <script src="https://stackpath.bootstrapcdn.com/bootstrap/4.3.1/js/bootstrap.bundle.min.js"></script>
    <link rel="icon" href="data:,">
  </head>
  <body>
    <div class="container py-5">
      <div class="row top-buffer">
        <div class="col-sm-6">
          <div id="instruction-text" class="text-center">
            <h4>Instruction:<br>${escaped(goal.instructionText)}</h4>
          </div>
        </div>
      </div>
      <div class="row top-buffer">
${form(8, address({ session_id: id }), '<button type="submit" class="btn btn-success">Back to Search</button>')}
      </div>
${body}
    </div>
  </body>
${script}</html>`;
}

function previousRow(action: string): string {
  return `      <div class="row top-buffer">
${form(8, action, '<button type="submit" class="btn btn-primary">&lt; Prev</button>')}
      </div>`;
}

function resultsBody({ id, keywords }: HtmlSource, { number, total, items }: Page & { kind: "results" }): string {
  const turn = (page: number, button: string) =>
    `${form(14, address({ session_id: id, keywords, page }), `<button type="submit" class="btn btn-primary">${button}</button>`)}\n`;
  return `      <div class="row top-buffer">
        <div class="col-sm-8">
          <div class="display-4">
            <h3>Page ${number} (Total results: ${total})</h3>
          </div>
          
            <div class="col-sm-2">
${number > 1 ? turn(number - 1, "&lt; Prev") : ""}            </div>
            <div class="col-sm-2">
${turn(number + 1, "Next &gt;")}            </div>
          
        </div>
      </div>

      <div class="row top-buffer">
        ${items.map((product) => resultCard(product, address({ session_id: id, asin: product.asin, keywords, page: number, options: "{}" }))).join("")}
      </div>`;
}

function resultCard(product: Product, link: string): string {
  const hidden = (name: string, value: string) => `                    <div class="d-flex align-items-center justify-content-between mt-1">
                      <h5 class="font-weight-bold my-2 product-${name}">${escaped(value)}</h5>
                    </div>
`;
  return `
        <div class="col-lg-12 mx-auto list-group-item">
          <div class="col-lg-4">
            <img src="${escaped(product.mainImage)}" class="result-img">
          </div>
          <div class="col-lg-8">
            <ul class="list-group shadow">
                <div class="media align-items-lg-center flex-column flex-lg-row p-3">
                  <div class="media-body order-2 order-lg-1 searched-product">
                    
                    <h4 class="mt-0 font-weight-bold mb-2 product-asin"><a class="product-link" href="${link}">${escaped(product.asin)}</a></h5>
                    <h4 class="mt-0 font-weight-bold mb-2 product-title">${escaped(product.title)}</h5>
                    <div class="d-flex align-items-center justify-content-between mt-1">
                      <h5 class="font-weight-bold my-2 product-price">${escaped(product.priceTag)}</h6>
                    </div>
<!--
${hidden("category", product.category)}${hidden("query", product.query)}${hidden("product_category", product.productCategory)}-->
                  </div>
                </div>
            </ul>
          </div>
        </div>
        `;
}

function itemBody({ id, keywords, resultsPage: page, choices }: HtmlSource, product: Product, showAttributes: boolean): string {
  const { asin } = product;
  const here = address({ session_id: id, asin, keywords, page });
  const options = dictRepr(choices);
  const choose = (group: string, value: string) => dictRepr(new Map(choices).set(group, value));
  const radio = (group: string, value: string, i: number) => `                
                  
                  
                  
                  <input type="radio" id="radio_${escaped(group)}${i}" name="${escaped(group)}" value="${escaped(value)}" data-url="${here}&amp;${pairs({ options: choose(group, value) })}">
                  <label for="radio_${escaped(group)}${i}">${escaped(value)}</label>
`;
  const group = ([name, values]: readonly [string, readonly string[]]) => `          
            <div class="row top-buffer">
              <h4>${escaped(name)}</h4>
              <div class="radio-toolbar">
${values.map((value, i) => radio(name, value, i)).join("")}                
              </div>
            </div>
`;
  const subPage = (name: SubPage, label: string) => `            <div class="col-sm-3" name="${label}">
${form(14, `${here}&amp;${pairs({ sub_page: name, options })}`, `<button class="btn btn-primary" type="submit">${name}</button>`)}
            </div>
`;
  return `${previousRow(address({ session_id: id, keywords, page }))}
      <div class="row top-buffer">
        <div class="col-md-4 mb-4 mb-md-0">
          <div class="row top-buffer">
            <img id="product-image" src="${escaped(product.mainImage)}" class="item-page-img">
          </div>
${[...product.options].map(group).join("")}          
        </div>
        <div class="col-md-6">
          <h2>${escaped(product.title)}</h2>
          <h4>Price: ${escaped(product.priceTag)}</h4>
          <h4>Rating: N.A.</h4>
          <div class="row top-buffer">
${subPage("Description", "description")}${subPage("Features", "bulletpoints")}${subPage("Reviews", "reviews")}            
${showAttributes ? subPage("Attributes", "attributes") : ""}          </div>
        </div>
        <div class="col-sm-2">
          <div class="row top-buffer">
${form(12, address({ session_id: id, asin, options }), '<button type="submit" class="btn btn-lg purchase">Buy Now</button>')}
          </div>
        </div>
      </div>`;
}

/** Marks the chosen options and shows their pictures. */
function itemScript(choices: Choices, { optionImages }: Product): string {
  return `  <script>
    $(document).ready(function() {
      $('input:radio').each(function() {
        //console.log($(this).val());
        let options = JSON.parse(\`${jsonForHtml(choices)}\`);
        let optionValues = $.map(options, function(value, key) { return value });
        //console.log(optionValues);
        if (optionValues.includes($(this).val())) {
          $(this).prop('checked', true);

          let option_to_image = JSON.parse(\`${jsonForHtml(optionImages)}\`);
//          console.log($(this).val());
//          console.log(options);
//          console.log(option_to_image);
          let image_url = option_to_image[$(this).val()];

          //console.log(image_url);
          if (image_url) {
            $("#product-image").attr("src", image_url);
          }
        }
        
        // reload with updated options
        this.addEventListener("click", function() {
          window.location.href = this.dataset.url;
        });

      });
    });
  </script>
`;
}

const SUB_PAGE_LABELS: Readonly<Record<SubPage, string>> = {
  Description: "description",
  Features: "bulletpoints",
  Reviews: "reviews",
  Attributes: "attributes",
};

function subPageBody({ id, keywords, resultsPage: page, choices }: HtmlSource, product: Product, name: SubPage): string {
  const back = address({ session_id: id, asin: product.asin, keywords, page, options: dictRepr(choices) });
  const paragraphs = subPageTexts(product, name).map((text) => `                <p class="product-info">${escaped(text)}</p>\n`);
  return `${previousRow(back)}
      <div class="row top-buffer">
        <div class="col-md-12">
          <div class="row top-buffer">
            <div class="col-sm-6" name="${SUB_PAGE_LABELS[name]}">
              <div class="card card-body">
${paragraphs.join("")}              </div>
            </div>
          </div>
        </div>
      </div>`;
}

/** The last page, one paragraph for each of its parts. */
function donePage(page: Page): string {
  const parts = nodesOf(page, "", false).map(({ text }) => `      <p>${escaped(text)}</p>\n`);
  return `<!DOCTYPE html>
<html>
  <head>
    <link rel="stylesheet" href="/static/style.css">
    <link rel="icon" href="data:,">
  </head>
  <body>
    <div class="container">
${parts.join("")}    </div>
  </body>
</html>`;
}
