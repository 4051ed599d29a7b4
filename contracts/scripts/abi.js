// Makes abi/LotaMarket.json of forge's artifact, or compares the two (--check). Called by scripts/abi.
"use strict";
const fs = require("fs");
const path = require("path");

const contracts = path.join(__dirname, "..");
const target = path.join(contracts, "abi", "LotaMarket.json");
const artifact = JSON.parse(fs.readFileSync(path.join(contracts, "cache/abi/LotaMarket.sol/LotaMarket.json"), "utf8"));
const { compiler, settings } = artifact.metadata;

const text =
  JSON.stringify(
    {
      abi: artifact.abi,
      bytecode: artifact.bytecode.object,
      deployedBytecode: artifact.deployedBytecode.object,
      // Where the constructor writes into the deployed bytecode: [{start, length}] in bytes.
      immutableReferences: Object.values(artifact.deployedBytecode.immutableReferences).flat(),
      solc: compiler.version,
      settings: {
        evmVersion: settings.evmVersion,
        optimizer: settings.optimizer,
        viaIR: settings.viaIR,
        metadata: settings.metadata,
      },
    },
    null,
    1,
  ) + "\n";

if (process.argv.includes("--check")) {
  const found = fs.existsSync(target) ? fs.readFileSync(target, "utf8") : "";
  if (found !== text) {
    console.error("abi: contracts/abi/LotaMarket.json is not what the sources compile to; run contracts/scripts/abi");
    process.exit(1);
  }
  console.error("abi: contracts/abi/LotaMarket.json is what the sources compile to");
} else {
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, text);
  console.error(`abi: wrote ${path.relative(process.cwd(), target)}, ${(artifact.deployedBytecode.object.length - 2) / 2} bytes deployed`);
}
