// See scripts/gas-on-anvil. Uses cast for everything that is encoded, signed or sent.
"use strict";
const { execFileSync, spawn } = require("child_process");
const fs = require("fs");
const path = require("path");

const contracts = path.join(__dirname, "..");
const artifact = JSON.parse(fs.readFileSync(path.join(contracts, "abi/LotaMarket.json"), "utf8"));
const snapshots = JSON.parse(fs.readFileSync(path.join(contracts, "snapshots/functions.json"), "utf8"));
const check = process.argv.includes("--check");

const TERMS =
  "(address,uint256,bytes32,uint16,uint256,uint256,uint64,uint64,uint64,uint32,uint32,uint32,uint256,address,address,uint32,bool)";
const RESULT = "(bytes32,uint32,uint64,bytes)";
const RECEIPT = `(address,uint256,${RESULT})`;
const ZERO = "0x0000000000000000000000000000000000000000";
// Keys that anybody knows: the first two of Anvil's test mnemonic.
const CLIENT = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PROVIDER = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

async function main() {
  // States are kept in memory: on the disk they would stay when it is killed.
  const more = ["--chain-id", "31415926", "--prune-history=1000"];
  const anvil = spawn("anvil", ["--port", "0", "--hardfork", "prague", ...more], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const url = await new Promise((resolve, reject) => {
      let text = "";
      anvil.stdout.on("data", (data) => {
        text += data;
        const found = text.match(/Listening on (\S+)/);
        if (found) resolve("http://" + found[1]);
      });
      anvil.on("exit", () => reject(new Error("anvil ended before it listened:\n" + text)));
      anvil.on("error", reject);
    });
    measure(url);
  } finally {
    anvil.kill();
  }
}

function measure(url) {
  const cast = (...args) => execFileSync("cast", args, { encoding: "utf8" }).trim();
  const send = (key, ...args) =>
    JSON.parse(cast("send", "--json", "--rpc-url", url, "--private-key", key, "--gas-limit", "10000000", ...args));
  const address = (key) => cast("wallet", "address", "--private-key", key);
  const [client, provider] = [address(CLIENT), address(PROVIDER)];
  let failures = 0;
  const print = (name, value) => {
    console.log(JSON.stringify({ name, value, unit: "gas" }));
    const known = Number(snapshots[name]);
    if (check && known && Math.abs(value - known) > known / 100) {
      console.error(`gas-on-anvil: ${name}: the receipt says ${value}, snapshots/functions.json ${known}`);
      ++failures;
    }
  };
  let total = 0;
  const note = (name, receipt) => {
    if (receipt.status !== "0x1") throw new Error(`${name} failed in transaction ${receipt.transactionHash}`);
    const used = Number(receipt.gasUsed);
    total += used;
    print(name, used);
  };

  const settings = cast("abi-encode", "f((address,uint64,uint32,uint32,uint32,uint32))", `(${ZERO},1000000000,60,5000000,20000,200000)`);
  const deployed = send(CLIENT, "--create", artifact.bytecode + settings.slice(2));
  const market = deployed.contractAddress;
  print("deployment", Number(deployed.gasUsed));

  const now = Number(cast("block", "latest", "--field", "timestamp", "--rpc-url", url).split(" ")[0]);
  const terms = (salt, arbiter) =>
    `(${client},${salt},${cast("keccak", "spec")},113,10000000000000000,50000000000000000,${now - 60},600,${now + 3600},` +
    `7200,${arbiter ? "10800,14400" : "0,0"},20000000000000000,${ZERO},${arbiter ?? ZERO},0,false)`;
  const result = `(${cast("keccak", "output")},0,123456789,0x)`;
  const eventPrice = (receipt) => {
    const topic = cast("keccak", "JobLocked(bytes32,address,address,uint256)");
    return BigInt(receipt.logs.find((log) => log.topics[0] === topic).data).toString();
  };

  // Both have balances, and the client has spent salt 0.
  send(CLIENT, market, "deposit(address)", client, "--value", "10ether");
  send(PROVIDER, market, "deposit(address)", provider, "--value", "10ether");
  send(CLIENT, market, "revoke(uint192,uint64)", "0", "1");
  send(PROVIDER, market, "revoke(uint192,uint64)", "0", "1");

  total = 0;
  note("open", send(CLIENT, market, `open(${TERMS},bytes)`, terms(1), "0x"));
  note("lock", send(PROVIDER, market, `lock(${TERMS})`, terms(1)));
  note("submitResult", send(PROVIDER, market, `submitResult(${TERMS},${RESULT})`, terms(1), result));
  print("open + lock + submitResult", total);

  total = 0;
  const jobId = cast("call", market, `jobIdOf(${TERMS})(bytes32)`, terms(2), "--rpc-url", url);
  const signature = cast("wallet", "sign", "--no-hash", jobId, "--private-key", CLIENT);
  const yParity = BigInt("0x" + signature.slice(130)) - 27n;
  const s = BigInt("0x" + signature.slice(66, 130)) | (yParity << 255n);
  const short = signature.slice(0, 66) + s.toString(16).padStart(64, "0");
  note("openSignedAndLock", send(PROVIDER, market, `openSignedAndLock(${TERMS},bytes,bytes)`, terms(2), "0x", short));
  note("submitResult", send(PROVIDER, market, `submitResult(${TERMS},${RESULT})`, terms(2), result));
  print("openSignedAndLock + submitResult", total);

  total = 0;
  const reviewed = terms(3, "0x90F79bf6EB2c4f870365E785982E1f101E93b906");
  note("open, with an arbiter", send(CLIENT, market, `open(${TERMS},bytes)`, reviewed, "0x"));
  const locked = send(PROVIDER, market, `lock(${TERMS})`, reviewed);
  note("lock, with an arbiter", locked);
  note("submitResult, with an arbiter", send(PROVIDER, market, `submitResult(${TERMS},${RESULT})`, reviewed, result));
  const receipt = `(${provider},${eventPrice(locked)},${result})`;
  note("accept, with an arbiter", send(CLIENT, market, `accept(${TERMS},${RECEIPT})`, reviewed, receipt));
  print("open + lock + submitResult + accept, with an arbiter", total);

  note("cancel", (send(CLIENT, market, `open(${TERMS},bytes)`, terms(4), "0x"), send(CLIENT, market, `cancel(${TERMS})`, terms(4))));
  if (failures) process.exitCode = 1;
}

main().catch((error) => {
  console.error("gas-on-anvil: " + error.message);
  process.exit(1);
});
