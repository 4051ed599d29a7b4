// See scripts/deploy.
"use strict";
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const [given, ...options] = process.argv.slice(2);
const settings = given.replace(/^0,/, "0x" + "0".repeat(40) + ",");
const TYPE = "(address,uint64,uint32,uint32,uint32,uint32)";
const artifact = JSON.parse(fs.readFileSync(path.join(__dirname, "../abi/LotaMarket.json"), "utf8"));
function cast(...args) {
  try {
    return execFileSync("cast", args, { encoding: "utf8", stdio: ["inherit", "pipe", "inherit"] }).trim();
  } catch {
    // Not the error's own message: it repeats the arguments, and a key may be among them.
    throw new Error(`cast ${args[0]} failed (its message is above)`);
  }
}
const at = options.indexOf("--rpc-url");
const rpc = at < 0 ? [] : options.slice(at, at + 2);

// Immutables are zero in the artifact and set on the chain: both are compared without them.
function masked(code) {
  const bytes = Buffer.from(code.slice(2), "hex");
  for (const { start, length } of artifact.immutableReferences) bytes.fill(0, start, start + length);
  return bytes;
}

try {
  const encoded = cast("abi-encode", `f(${TYPE})`, `(${settings})`);
  const receipt = JSON.parse(cast("send", "--json", ...options, "--create", artifact.bytecode + encoded.slice(2)));
  if (receipt.status !== "0x1") throw new Error(`transaction ${receipt.transactionHash} failed`);
  const address = receipt.contractAddress;
  if (!masked(cast("code", address, ...rpc)).equals(masked(artifact.deployedBytecode))) {
    throw new Error(`the code at ${address} is not that of contracts/abi/LotaMarket.json`);
  }
  const found = cast("call", address, `settings()(${TYPE})`, ...rpc).replace(/\s*\[[^\]]*\]/g, "");
  if (found.replace(/[() ]/g, "").toLowerCase() !== settings.toLowerCase()) throw new Error(`${address} has the settings ${found}, not ${settings}`);
  const chainId = Number(cast("chain-id", ...rpc));
  console.log(
    JSON.stringify({ address, transaction: receipt.transactionHash, chainId, gasUsed: Number(receipt.gasUsed) }),
  );
} catch (error) {
  console.error("deploy: " + error.message);
  process.exit(1);
}
