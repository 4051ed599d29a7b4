// Writes the table of gas in docs/contracts.md from snapshots/*.json; with --check, compares. Called by scripts/snapshot.
"use strict";
const fs = require("fs");
const path = require("path");

const contracts = path.join(__dirname, "..");
const file = path.join(contracts, "..", "docs", "contracts.md");
const load = (name) => JSON.parse(fs.readFileSync(path.join(contracts, "snapshots", name + ".json"), "utf8"));
const number = (text) => Number(text).toLocaleString("en-US");
const table = (title, rows) =>
  [`| ${title} | gas |`, "| --- | ---: |", ...Object.entries(rows).map(([name, gas]) => `| ${name} | ${number(gas)} |`)].join("\n");

const [begin, end] = ["<!-- gas: written by contracts/scripts/snapshot -->", "<!-- /gas -->"];
const text = fs.readFileSync(file, "utf8");
const [from, to] = [text.indexOf(begin), text.indexOf(end)];
if (from < 0 || to < from) {
  console.error(`gas-table: ${file} has no place for the table (${begin} ... ${end})`);
  process.exit(1);
}
const wanted =
  text.slice(0, from + begin.length) +
  `\n${table("deals", load("deals"))}\n\n${table("functions", load("functions"))}\n\n${table("auctions", load("auctions"))}\n\n${table("blessings", load("blessings"))}\n\n${table("granters, and deals paid from Filecoin Pay", load("granters"))}\n\n${table("storage on Filecoin", load("storage"))}\n` +
  text.slice(to);
if (!process.argv.includes("--check")) fs.writeFileSync(file, wanted);
else if (wanted !== text) {
  console.error("gas-table: the table in docs/contracts.md is not that of the snapshots; run contracts/scripts/snapshot");
  process.exit(1);
}
