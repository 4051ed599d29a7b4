// Makes abi/*.json and test/artifacts/*.json of forge's artifacts, or compares them (--check). Called by scripts/abi.
"use strict";
const fs = require("fs");
const path = require("path");

const contracts = path.join(__dirname, "..");
const check = process.argv.includes("--check");

function describe(name) {
  const file = path.join(contracts, `cache/abi/${name}.sol/${name}.json`);
  const artifact = JSON.parse(fs.readFileSync(file, "utf8"));
  const { compiler, settings } = artifact.metadata;
  const description = {
    abi: artifact.abi,
    bytecode: artifact.bytecode.object,
    deployedBytecode: artifact.deployedBytecode.object,
    // Where the constructor writes into the deployed bytecode: [{start, length}] in bytes.
    immutableReferences: Object.values(artifact.deployedBytecode.immutableReferences ?? {}).flat(),
    solc: compiler.version,
    settings: {
      evmVersion: settings.evmVersion,
      optimizer: settings.optimizer,
      viaIR: settings.viaIR,
      metadata: settings.metadata,
    },
  };
  return JSON.stringify(description, null, 1) + "\n";
}

const storage = ["CurioMarket", "PossessionRecord", "TestPdpVerifier", "TestWarmStorage"];
const granters = ["FilecoinPayGranter", "BonusGranter", "VerifregGranter", "MetaAllocatorGranter", "RequestOnlyGranter"];
const published = ["LotaMarket", "AskComputer", "TestDollar", "SealedBidAuction", "Blessing", "FilecoinPayDeals", ...granters, ...storage];
// What is deployed by tests, those in Rust among them, and by `lota` on development chains only, and so is not in the package.
const tested = ["FilecoinPayStandIn"];
const all = [...published.map((name) => ["abi", name]), ...tested.map((name) => ["test/artifacts", name])];
for (const [folder, name] of all) {
  const target = path.join(contracts, folder, name + ".json");
  const text = describe(name);
  const shown = `contracts/${folder}/${name}.json`;
  if (!check) {
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
    console.error(`abi: wrote ${shown}`);
  } else if (fs.existsSync(target) && fs.readFileSync(target, "utf8") === text) {
    console.error(`abi: ${shown} is what the sources compile to`);
  } else {
    console.error(`abi: ${shown} is not what the sources compile to; run contracts/scripts/abi and commit it`);
    process.exitCode = 1;
  }
}
