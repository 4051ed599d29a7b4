// Writes add-verified-client.json: the parameters of AddVerifiedClient (f06) as libraries that are not ours encode them, addresses by
// @glif/filecoin-address 4.0.0 and CBOR by @ipld/dag-cbor 10.0.2, both of npm. Nothing that we build needs them:
//
//   cd "$(mktemp -d)" && cp .../contracts/test/vectors/add-verified-client.mjs . &&
//     npm install @ipld/dag-cbor@10.0.2 @glif/filecoin-address@4.0.0 && node add-verified-client.mjs
import { encode } from "@ipld/dag-cbor";
import glif from "@glif/filecoin-address";
import { writeFileSync } from "node:fs";

const hex = (bytes) => "0x" + Buffer.from(bytes).toString("hex");
// go-state-types/big: a byte string of the sign, 00, and the number's big-endian bytes.
function bigInt(number) {
  const digits = number.toString(16);
  return Buffer.from("00" + (digits.length % 2 ? "0" : "") + digits, "hex");
}

// Of https://spec.filecoin.io/appendix/address (test vectors) where there are any.
const clients = [
  "f01024",
  "f0127",
  "f0128",
  "f09223372036854775807",
  "f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryy",
  "f24vg6ut43yw2h2jqydgbg2xq7x6f4kub3bg6as6i",
  "f3vvmn62lofvhjd2ugzca6sof2j2ubwok6cj4xxbfzz4yuxfkgobpihhd2thlanmsh3w2ptld2gqkn2jvlss4a",
];
const evm = ["0x00000000219ab540356cbb839cbe05303d7705fa", "0xd8da6bf26964af9d7eed9e03e53415d37aa96045"];
const amounts = [1n << 20n, (1n << 32n) - 1n, 34359738368n, 1125899906842624n, (1n << 63n) - 1n, 1n << 63n, 1n << 176n, (1n << 184n) - 1n, 1n << 184n, (1n << 256n) - 1n];

const vectors = { clients: [], recipients: [], amounts: [], params: [] };
function add(recipient, address, amount) {
  vectors.clients.push(address.toString());
  vectors.recipients.push(recipient);
  vectors.amounts.push("0x" + amount.toString(16));
  vectors.params.push(hex(encode([address.bytes, bigInt(amount)])));
}
for (const text of clients) {
  const address = glif.newFromString(text);
  for (const amount of amounts) add(hex(address.bytes), address, amount);
}
for (const account of evm) {
  const address = glif.newFromString(glif.delegatedFromEthAddress(account, "f"));
  for (const amount of amounts) {
    add(account, address, amount);
    add(hex(address.bytes), address, amount);
  }
}
writeFileSync("add-verified-client.json", JSON.stringify(vectors, null, 1) + "\n");
