//! Random bytes that everybody can repeat: sha2-256 in counter mode over the seed.

use sha2::{Digest, Sha256};

/// Block `n` of the stream is sha2-256 over this, the seed, and `n` as 8 little-endian bytes.
const DOMAIN: &[u8] = b"lota/random/v1";

/// The stream of random bytes of one run.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    /// Bytes of `block` that are used up.
    used: usize,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    /// Fills `out` with the next bytes of the stream; how it is cut into calls makes no difference.
    pub(crate) fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used == self.block.len() {
                let mut hash = Sha256::new();
                hash.update(DOMAIN);
                hash.update(self.seed);
                hash.update(self.counter.to_le_bytes());
                self.block = hash.finalize().into();
                self.counter = self.counter.wrapping_add(1);
                self.used = 0;
            }
            let n = out.len().min(self.block.len() - self.used);
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&self.block[self.used..self.used + n]);
            self.used += n;
            out = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_does_not_depend_on_how_it_is_cut() {
        let mut whole = [0; 100];
        Random::new([7; 32]).fill(&mut whole);
        let mut parts = Random::new([7; 32]);
        let mut cut = Vec::new();
        for n in [1, 31, 32, 33, 3] {
            let mut part = vec![0; n];
            parts.fill(&mut part);
            cut.extend(part);
        }
        assert_eq!(cut, whole);
    }

    #[test]
    fn the_first_block_is_the_documented_hash() {
        let mut bytes = [0; 32];
        Random::new([1; 32]).fill(&mut bytes);
        let mut text = b"lota/random/v1".to_vec();
        text.extend([1; 32]);
        text.extend([0; 8]);
        assert_eq!(bytes[..], Sha256::digest(&text)[..]);
    }

    #[test]
    fn seeds_differ() {
        let (mut a, mut b) = ([0; 16], [0; 16]);
        Random::new([1; 32]).fill(&mut a);
        Random::new([2; 32]).fill(&mut b);
        assert_ne!(a, b);
    }
}
