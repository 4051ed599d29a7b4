// Reads cases as JSON from standard input and writes their CIDs by npm ipfs-unixfs-importer.
//
// A case is { "file": { "size": n, "fill": "noise" | "zero" } }
//        or { "tree": [{ "path": "a/b", "size": n }, { "path": "c", "directory": true }] }
//        or { "many": { "count": n, "width": n, "prefix": "p", "size": n, "nested": n } }: files in one
//           directory, of which every nth is in a directory of its own.
// Content is the same that tests/suite/cases.rs makes.
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'

const CHUNK = 262144

// the parameters of `ipfs add --cid-version=1`
const options = {
  cidVersion: 1,
  rawLeaves: true,
  chunker: fixedSize({ chunkSize: CHUNK }),
  layout: balanced({ maxChildrenPerNode: 174 }),
  shardSplitThresholdBytes: 262144,
  shardSplitStrategy: 'links-bytes',
  shardFanoutBits: 8
}

const nowhere = { put: async (cid) => cid }

// a 32-bit xorshift, one byte a step
function noise (size) {
  const bytes = new Uint8Array(size)
  let state = 0x9e3779b9
  for (let index = 0; index < size; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[index] = state >>> 24
  }
  return bytes
}

async function * content ({ size, fill }) {
  if (fill !== 'zero') {
    yield noise(size)
    return
  }
  const zeros = new Uint8Array(CHUNK)
  for (let left = size; left > 0; left -= CHUNK) {
    yield left < CHUNK ? zeros.subarray(0, left) : zeros
  }
}

function entries ({ file, tree, many }) {
  if (file !== undefined) {
    return [{ content: content(file) }]
  }
  if (many !== undefined) {
    const { count, width, prefix, size, nested } = many
    return Array.from({ length: count }, (_, index) => ({
      path: `root/${prefix}${String(index).padStart(width, '0')}${nested > 0 && index % nested === 0 ? '/f' : ''}`,
      content: noise(size)
    }))
  }
  const below = tree.map(({ path, size, directory }) => ({
    path: `root/${path}`,
    content: directory === true ? undefined : noise(size)
  }))
  // an empty root has to be named
  return below.length === 0 ? [{ path: 'root' }] : below
}

let text = ''
for await (const piece of process.stdin) {
  text += piece
}
const results = []
for (const wanted of JSON.parse(text)) {
  let last
  for await (const entry of importer(entries(wanted), nowhere, { ...options })) {
    last = entry
  }
  results.push(last.cid.toString())
}
console.log(JSON.stringify(results))
