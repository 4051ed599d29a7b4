// Compares the branch trees (test/**/*.tree) with the tests beside them: every branch that says what "it should" do is a
// test, and every test is a branch. A branch "when x" that should revert (and nothing else) is test_RevertWhen_X, another
// test_WhenX; "given" alike. Fuzz tests need no branch.
"use strict";
const fs = require("fs");
const path = require("path");

const root = path.join(__dirname, "..", "test");
let failures = 0;
let branches = 0;
const complain = (text) => {
  console.error("trees: " + text);
  ++failures;
};

const pascal = (text) =>
  text
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean)
    .map((word) => word[0].toUpperCase() + word.slice(1))
    .join("");

function testsOfTree(text) {
  const names = [];
  const open = []; // the branches above the current line
  for (const line of text.split("\n").slice(1)) {
    const found = line.match(/^([│├└─\s]*)(.*\S)\s*$/u);
    if (!found) continue;
    const depth = found[1].length;
    while (open.length && open[open.length - 1].depth >= depth) open.pop();
    const title = found[2];
    if (title.startsWith("it ")) {
      const branch = open[open.length - 1];
      if (!branch) throw new Error(`"${title}" stands below no branch`);
      if (!branch.its.length) names.push(branch);
      branch.its.push(title);
    } else {
      open.push({ title, depth, its: [] });
    }
  }
  return names.map(({ title, its }) => {
    const [kind, ...rest] = title.split(" ");
    const reverts = its.length === 1 && /^it should revert/.test(its[0]);
    const prefix = reverts ? "test_Revert" + pascal(kind) + "_" : "test_" + pascal(kind);
    return prefix + pascal(rest.join(" "));
  });
}

for (const file of fs.readdirSync(root, { recursive: true }).sort()) {
  const full = path.join(root, file);
  if (file.endsWith(".t.sol") && file.startsWith("unit") && !fs.existsSync(full.replace(/\.t\.sol$/, ".tree"))) {
    complain(`${file} has no tree`);
  }
  if (!file.endsWith(".tree")) continue;
  const source = full.replace(/\.tree$/, ".t.sol");
  if (!fs.existsSync(source)) {
    complain(`${file} has no test`);
    continue;
  }
  const text = fs.readFileSync(full, "utf8");
  const code = fs.readFileSync(source, "utf8");
  const contract = text.split("\n")[0].trim();
  if (!code.includes(`contract ${contract} `)) complain(`${file} names ${contract}, which is not in the test`);
  const wanted = testsOfTree(text);
  const present = [...code.matchAll(/function (test_\w+)\(/g)].map((found) => found[1]);
  for (const name of wanted) if (!present.includes(name)) complain(`${file}: ${name} is missing in the test`);
  for (const name of present) if (!wanted.includes(name)) complain(`${file}: ${name} is missing in the tree`);
  branches += wanted.length;
}
console.error(`trees: ${branches} branches, ${failures} differences`);
process.exit(failures ? 1 : 0);
