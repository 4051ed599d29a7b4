// Drives the page as a notary does, in headless Chromium, with a wallet that signs with a real key (ethers, another implementation of
// EIP-191 and EIP-712 than the page's). Arguments: origin, hostile origin, folder for screenshots or "". Writes one JSON object.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";
import { inject } from "./wallet.mjs";

const [origin, hostile, shots, chromium] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const result = { axe: [], looks: 0, requests: [], dialogs: [], problems: [], load: [] };
const check = (is, what) => { if (!is) result.problems.push(what); };

const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: true,
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
});

async function open({ key, chain = 31337, decline = false, script = true, announced } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  page.on("dialog", async (dialog) => { result.dialogs.push(dialog.message()); await dialog.dismiss(); });
  page.on("pageerror", (error) => result.problems.push(`script: ${error.message ?? error}`));
  page.on("console", (message) => { if (message.type() === "error" && /Content Security Policy/.test(message.text())) result.problems.push(message.text()); });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith(hostile) && !url.startsWith("about:") && !url.startsWith("data:")) result.requests.push(url);
  });
  const wallet = key ? await inject(page, { key, chain, decline, announced }) : { calls: [], decline, chain };
  await page.setJavaScriptEnabled(script);
  return { page, wallet, context };
}

async function axed(page, name, widths = [1280, 390]) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    for (const width of widths) {
      await page.setViewport({ width, height: 900 });
      // Through the debugger: the page's policy lets no script in, which is as it should be.
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      result.looks += 1;
      for (const violation of found.violations) {
        result.axe.push(`${name} ${scheme} ${width}: ${violation.id}: ${violation.help}: ${violation.nodes[0].html.slice(0, 200)}`);
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${name} is ${wide} pixels wider than ${width}`);
      if (shots && !name.startsWith("hostile-")) await page.screenshot({ path: `${shots}/${name}-${scheme}-${width}.png`, fullPage: true });
    }
  }
  await page.emulateMediaFeatures([]);
  await page.setViewport({ width: 1280, height: 900 });
}

const text = (page, selector = "body") => page.$eval(selector, (node) => node.innerText);
const go = (page, path, base = origin) => page.goto(base + path, { waitUntil: "load" });
const follow = async (page, act) => { await Promise.all([page.waitForNavigation({ waitUntil: "load" }), act()]); };
const click = (page, selector) => follow(page, () => page.click(selector));
// Not waitForFunction, which the page's policy keeps from evaluating text.
async function until(page, what, ...rest) {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await page.evaluate(what, ...rest).catch(() => false)) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`waited in vain for ${what} at ${page.url()}: ${await text(page)}`);
}
const keys = ["01", "02"].map((byte) => "0x" + byte.repeat(32));

// Signing in is one press of a key for who has a wallet.
async function sign_in(page) {
  await go(page, "/sign-in?next=/");
  await page.waitForSelector(".wallet:not([hidden]) button");
  await page.focus("[data-sign]");
  await page.keyboard.press("Enter");
  await until(page, () => location.pathname === "/" && document.querySelector(".who form"));
}

// ---- without script and without a session, all is read
const plain = await open({ script: false });
await go(plain.page, "/?view=all");
const jobs = await plain.page.$$eval("#jobs th a", (links) => links.map((link) => new URL(link.href).pathname));
check(jobs.length >= 5, "the queue is read without script");
const voting = await plain.page.$$eval("#jobs tr", (rows) => rows.filter((row) => /notaries vote/.test(row.innerText) && /32 GiB/.test(row.innerText)).map((row) => new URL(row.querySelector("a").href).pathname)[0]);
await go(plain.page, voting);
check(/Checks/.test(await text(plain.page)) && /verified/.test(await text(plain.page)), "a job is read without script");
await go(plain.page, "/sign-in");
check(await plain.page.$eval("#account", (input) => input.checkVisibility()), "signing by hand is open without script");
await plain.context.close();

// ---- weights and times of a first visit
for (const [name, path] of [["queue", "/"], ["job", voting]]) {
  const visits = [];
  for (let visit = 0; visit < 5; visit += 1) {
    const { page, context } = await open();
    const client = await page.createCDPSession();
    await client.send("Network.enable");
    let bytes = 0;
    client.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
    await go(page, path);
    const [html, load] = await page.evaluate(() => {
      const [timing] = performance.getEntriesByType("navigation");
      return [timing.encodedBodySize, timing.loadEventEnd];
    });
    visits.push({ name, bytes, html, load: Math.round(load) });
    await context.close();
  }
  // The one in the middle.
  result.load.push(visits.sort((one, other) => one.load - other.load)[2]);
}

// ---- who declines is told so, and may try again
const one = await open({ key: keys[0], chain: 1, decline: true });
await go(one.page, "/sign-in?next=/");
await one.page.waitForSelector(".wallet:not([hidden]) button");
await axed(one.page, "sign-in");
await click(one.page, "[data-sign]");
await until(one.page, () => document.querySelector("[data-wrong]")?.textContent.includes("declined"));
await axed(one.page, "message");
one.wallet.decline = false;
await click(one.page, "[data-sign]");
check(await one.page.$(".who form") !== null, "signed in");
check((await one.page.cookies()).some((cookie) => cookie.httpOnly && cookie.sameSite === "Strict"), "the session's cookie");
check(await one.page.evaluate(() => document.cookie) === "", "no cookie is seen by scripts");

// ---- by keyboard alone: the skip link is first, and each thing that is reached is seen to be
await go(one.page, "/");
await one.page.keyboard.press("Tab");
check(await one.page.evaluate(() => document.activeElement.className) === "skip", "the skip link is first");
await one.page.keyboard.press("Enter");
check(await one.page.evaluate(() => document.activeElement.id) === "main", "it leads to the content");
await one.page.keyboard.press("Tab");
check(await one.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle) === "solid", "the focus is seen");

// ---- all pages
for (const [name, path] of [["queue", "/"], ["queue-all", "/?view=all"], ["queue-none", "/?q=0x00"], ["history", "/history"], ["allowance", "/allowance"], ["audit", "/audit"], ["about", "/about"], ["sessions", "/sessions"], ["job", voting], ["decide", voting + "/decide"], ["output", voting + "/output"], ["csv", voting + "/output?path=counts.csv"], ["text", voting + "/output?path=log.txt"], ["image", voting + "/output?path=plot.png"], ["photo", voting + "/output?path=photo.png"], ["directory", voting + "/output?path=parts"], ["binary", voting + "/output?path=index.bin"], ["nothing", "/nothing"]]) {
  await go(one.page, path);
  if (name === "image" || name === "photo") check(await one.page.$eval("figure img", (image) => image.complete && image.naturalWidth === 240), "the image is shown");
  await axed(one.page, name);
}

// ---- pictures for the documentation
const picture = async (page, name, scheme) => {
  if (!shots) return;
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width: 1080, height: 760 });
  await page.screenshot({ path: `${shots}/notary-dashboard-${name}.png` });
  await page.emulateMediaFeatures([]);
  await page.setViewport({ width: 1280, height: 900 });
};
await go(one.page, "/");
await picture(one.page, "queue", "light");
await go(one.page, jobs[0]);
await picture(one.page, "job", "dark");

// ---- another notary watches the queue and the job while this one votes
const two = await open({ key: keys[1] });
await sign_in(two.page);
await two.page.bringToFront();
await go(two.page, "/?view=all");
await until(two.page, () => /follows/.test(document.querySelector("#connection").textContent));
const row = `#job-${voting.split("/")[2]}`;
await two.page.focus(`${row} a`);
await two.page.evaluate((row) => { window.before = document.querySelector(row); window.place = window.before.getBoundingClientRect().top; }, row);

await go(one.page, voting);
await click(one.page, "a[href$='/decide']");
await one.page.click("input[value=approve]");
await one.page.type("#text", "Claims checked.\nThe re-run agrees; <b>fine</b>.");
await click(one.page, "form.card button[type=submit]");
await axed(one.page, "sign");
await picture(one.page, "sign", "light");
const shown = await text(one.page, "#digest");
one.wallet.decline = true;
await one.page.click("[data-sign]");
await until(one.page, () => document.querySelector("#cast [data-wrong]").textContent.includes("declined"));
one.wallet.decline = false;
await click(one.page, "[data-sign]");
check(one.wallet.calls.includes("wallet_switchEthereumChain"), "the wallet was brought to the chain");
check(one.wallet.signed?.primaryType === "Approval", "an approval was signed");
check(/^0x[0-9a-f]{64}$/.test(shown), "the digest was shown");
check(/Your vote: approve/.test(await text(one.page, "#summary")), "the vote is told");
check((await text(one.page, "#votes")).includes("<b>fine</b>"), "the reason is text");
await axed(one.page, "voted");

await until(two.page, (row) => /2 for, 0 of 2 to revoke/.test(document.querySelector(row)?.innerText ?? ""), row);
check(await two.page.evaluate((row) => document.activeElement === document.querySelector(row).querySelector("a"), row), "the focus stays where it was");
check(await two.page.evaluate((row) => window.before === document.querySelector(row), row), "the row is the same");
check(Math.abs(await two.page.evaluate((row) => document.querySelector(row).getBoundingClientRect().top - window.place, row)) < 2, "the row did not move");
check(/changed/.test(await text(two.page, "#said")), "the change is announced");
check(await two.page.$eval("#said", (node) => node.getAttribute("role")) === "status", "politely");

// ---- a signature by another wallet than the session's is not sent
await go(two.page, "/?view=all");
const other = await two.page.$$eval("#jobs tr", (rows) => rows.filter((row) => /notaries vote/.test(row.innerText) && /0 of 2/.test(row.innerText)).map((row) => new URL(row.querySelector("a").href).pathname)[0]);
await go(two.page, other + "/decide");
await two.page.click("input[value=reject]");
await two.page.type("#text", "no");
await click(two.page, "form.card button[type=submit]");
await two.page.$eval("#cast", (form) => { form.dataset.account = "0x" + "11".repeat(20); });
await two.page.click("[data-sign]");
await until(two.page, () => document.querySelector("#cast [data-wrong]").textContent.includes("choose"));

// ---- of several wallets that announce themselves one is chosen by its name, and used from then on
const many = await open({ key: keys[1], announced: ["<b>Alpha</b>", "Beta"] });
await go(many.page, "/sign-in?next=/");
await many.page.waitForSelector(".wallet:not([hidden]) button");
const names = await many.page.$$eval("select option", (options) => options.map((option) => option.textContent));
check(JSON.stringify(names) === JSON.stringify(["<b>Alpha</b>", "Beta"]), `the wallets are named: ${names}`);
await axed(many.page, "wallets");
await many.page.click("[data-sign]");
await until(many.page, () => document.querySelector("[data-wrong]").textContent.includes("locked"));
await many.page.evaluate(() => {
  const choice = document.querySelector("select");
  choice.selectedIndex = 1;
  choice.dispatchEvent(new Event("change"));
});
await many.page.click("[data-sign]");
await until(many.page, () => location.pathname === "/" && document.querySelector(".who form"));
check(/To decide/.test(await text(many.page, "#views")), "signed in with the one that was chosen");

// ---- what was written stays when the session is over
await go(many.page, other + "/decide");
await many.page.click("input[value=reject]");
await many.page.type("#text", "Two lines\nof reasons.");
const cookies = await many.page.cookies();
await many.page.deleteCookie(...cookies);
await click(many.page, "form.card button[type=submit]");
check(/What you wrote is kept/.test(await text(many.page)), "it is told");
await axed(many.page, "signed-out", [1280]);
await many.page.click("[data-sign]");
await until(many.page, () => document.querySelector("#text")?.value === "Two lines\nof reasons.");
check(await many.page.$eval("input[value=reject]", (input) => input.checked), "what was chosen, too");
await axed(many.page, "resumed", [1280]);
await many.context.close();

// ---- signing out
await click(two.page, ".who form button");
check(new URL(two.page.url()).pathname === "/sign-in", "signed out");

// ---- what strangers wrote runs nowhere
const watcher = await open();
await go(watcher.page, "/?view=all", hostile);
await axed(watcher.page, "hostile-queue");
const attacked = await watcher.page.$$eval("#jobs th a", (links) => links.map((link) => new URL(link.href).pathname));
await go(watcher.page, attacked[0], hostile);
await axed(watcher.page, "hostile-job", [1280]);
await go(watcher.page, attacked[0] + "/output", hostile);
const files = await watcher.page.$$eval(".files a", (links) => links.map((link) => link.href));
check(files.length >= 9, "the hostile output has files");
for (const [at, file] of files.entries()) {
  await watcher.page.goto(file, { waitUntil: "load" });
  if (at < 3) await axed(watcher.page, `hostile-file-${at}`);
}
check(await watcher.page.evaluate(() => document.scripts.length) === 1, "no script but ours");

await browser.close();
console.log(JSON.stringify(result));
