// Notaries bless a job on the page of a service at work: each signs in with a wallet, looks at the output and votes. Arguments: the page's
// origin, the job, Chromium, a folder for screenshots or "", and the notaries' keys. Writes one JSON object.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";
import { inject } from "./wallet.mjs";

const [origin, job, chromium, shots, ...keys] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const result = { axe: [], problems: [], outputs: [], votes: 0, granted_after_ms: null };
const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: true,
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
});

const text = (page, selector = "body") => page.$eval(selector, (node) => node.innerText);
const click = (page, selector) => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(selector)]);
async function until(page, what, ...rest) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await page.evaluate(what, ...rest).catch(() => false)) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`waited in vain for ${what} at ${page.url()}: ${await text(page)}`);
}
async function axed(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const violation of found.violations) result.axe.push(`${name}: ${violation.id}: ${violation.nodes[0].html.slice(0, 200)}`);
  if (shots) await page.screenshot({ path: `${shots}/real-${name}.png`, fullPage: true });
}

let last = 0;
let page;
for (const [at, key] of keys.entries()) {
  const context = await browser.createBrowserContext();
  page = await context.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  page.on("pageerror", (error) => result.problems.push(`script: ${error.message ?? error}`));
  await inject(page, { key });
  await page.goto(`${origin}/sign-in?next=/`, { waitUntil: "load" });
  await page.waitForSelector(".wallet:not([hidden]) button");
  await page.click("[data-sign]");
  await until(page, () => location.pathname === "/" && document.querySelector(".who form"));
  await page.goto(`${origin}/jobs/${job}`, { waitUntil: "load" });
  if (at === 0) {
    await axed(page, "job");
    await page.goto(`${origin}/jobs/${job}/output`, { waitUntil: "load" });
    result.outputs = await page.$$eval(".files a", (links) => links.map((link) => link.innerText));
    await axed(page, "output");
  }
  await page.goto(`${origin}/jobs/${job}/decide`, { waitUntil: "load" });
  if (await page.$("input[value=approve]") === null) throw new Error(`nothing to decide: ${await text(page)}`);
  await page.click("input[value=approve]");
  await page.type("#text", "Looked at, and well.");
  await click(page, "form.card button[type=submit]");
  await axed(page, `sign-${at}`);
  last = Date.now();
  await click(page, "[data-sign]");
  if (/Your vote: approve/.test(await text(page))) result.votes += 1;
  else result.problems.push(await text(page));
}
// The page follows what happens: nobody loads it again.
await until(page, () => /granted/i.test(document.querySelector("#summary")?.innerText ?? ""));
result.granted_after_ms = Date.now() - last;
await axed(page, "granted");
await browser.close();
console.log(JSON.stringify(result));
