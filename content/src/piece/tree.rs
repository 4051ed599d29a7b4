//! The binary tree over padded content. A node is the sha2-256 of its two children, without its two highest bits.

use sha2::block_api::compress256;

/// A leaf, or what stands above two nodes.
pub(super) type Node = [u8; 32];

/// Heights that a tree can have: the sizes of all fit 64 bits.
pub(super) const MAX_HEIGHT: u8 = 58;

/// Nodes that are hashed at once. One does not depend on the other, so a processor works on the next before the last is ready.
const BATCH: usize = 16;
/// What sha2-256 starts with (FIPS 180-4, 5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// The second block of a message of 64 bytes: a one, zeros, and its 512 bits.
const END: [[u8; 64]; 1] = {
    let mut block = [0; 64];
    block[0] = 0x80;
    block[62] = 2;
    [block]
};

/// Replaces a level by the one above: pairs of nodes by their parents, which stand in the first half of `level` then.
fn hash_level(level: &mut [u8]) {
    let pairs = level.len() / 64;
    let mut done = 0;
    while done < pairs {
        let count = BATCH.min(pairs - done);
        let mut states = [START; BATCH];
        let states = &mut states[..count];
        let (blocks, _) = level[64 * done..].as_chunks::<64>();
        for (state, block) in states.iter_mut().zip(blocks) {
            compress256(state, core::slice::from_ref(block));
        }
        for state in &mut *states {
            compress256(state, &END);
        }
        let (parents, _) = level[32 * done..].as_chunks_mut::<32>();
        for (state, parent) in states.iter().zip(parents) {
            for (word, bytes) in state.iter().zip(parent.as_chunks_mut::<4>().0) {
                *bytes = word.to_be_bytes();
            }
            parent[31] &= 0x3f;
        }
        done += count;
    }
}

/// The node above `level`, whose length is 32 bytes times a power of two; `level` serves as room to work in.
pub(super) fn root_of(level: &mut [u8]) -> Node {
    let mut length = level.len();
    while length > 32 {
        hash_level(&mut level[..length]);
        length /= 2;
    }
    level.first_chunk().copied().unwrap_or_default()
}

/// The parent of two nodes.
pub(super) fn parent(left: &Node, right: &Node) -> Node {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left);
    pair[32..].copy_from_slice(right);
    root_of(&mut pair)
}
