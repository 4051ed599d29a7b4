//! Names of parties and jobs. They need not withstand anybody: nobody here looks for collisions, and those that chance makes in 128
//! bits never happen.

use std::hash::{Hash, Hasher};

use lota_market::{
    Address, B256, Bytes,
    auction::Bid,
    model::{JobId, Terms},
};

/// The address of a party, which contains its number.
pub(crate) fn address(number: u32) -> Address {
    let mut bytes = [0x11; 20];
    let spread = spread(number.into());
    bytes[..8].copy_from_slice(&spread.to_be_bytes());
    // No masked id of Filecoin begins so.
    bytes[0] = 0x10;
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    Address::from(bytes)
}

/// The number of the party at an address, if there are so many.
pub(crate) fn number(account: Address) -> Option<u32> {
    let bytes: [u8; 4] = account[16..].try_into().ok()?;
    let number = u32::from_be_bytes(bytes);
    (address(number) == account).then_some(number)
}

/// SplitMix64: spreads neighbouring numbers over the whole range, as hashes do.
const fn spread(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The id of terms: their digest.
pub(crate) fn job_id(terms: &Terms) -> JobId {
    JobId(mixed(terms))
}

/// The digest of a spec.
pub(crate) fn spec_digest(spec: &Bytes) -> B256 {
    mixed(spec)
}

/// What a bid is sealed with, as one who cannot be guessed draws it.
pub(crate) fn nonce(job: JobId, bidder: Address) -> B256 {
    mixed(&(job, bidder))
}

/// The commitment to a bid.
pub(crate) fn commitment(bid: &Bid) -> B256 {
    mixed(bid)
}

/// The output of a task, as everybody has it who runs it.
pub(crate) fn output(task: u64) -> B256 {
    mixed(&("output", task))
}

/// An output that is not that.
pub(crate) fn wrong_output(task: u64, author: u32) -> B256 {
    mixed(&("wrong", task, author))
}

fn mixed(value: &impl Hash) -> B256 {
    let mut mix = Mix { low: 0x243f_6a88_85a3_08d3, high: 0x1319_8a2e_0370_7344 };
    value.hash(&mut mix);
    let Mix { low, high } = mix;
    let mut bytes = [0; 32];
    for (word, chunk) in
        [spread(low), spread(high), spread(low ^ high), low.wrapping_add(high)].iter().zip(bytes.chunks_mut(8))
    {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    B256::from(bytes)
}

/// Two lanes of folded multiplications.
struct Mix {
    low: u64,
    high: u64,
}

impl Mix {
    fn word(&mut self, word: u64) {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product as u64) ^ (product >> 64) as u64
        };
        self.low = fold(self.low ^ word, 0x9e37_79b9_7f4a_7c15).wrapping_add(self.high.rotate_left(23));
        self.high = fold(self.high.rotate_left(31) ^ word, 0xd6e8_feb8_6659_fd93).wrapping_add(self.low);
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.low ^ self.high
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.word(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.word(word as u64);
    }
}

/// Ids are spread already: the first of their bytes will do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// What a map by ids is built with.
pub(crate) type ById = std::hash::BuildHasherDefault<IdHasher>;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn addresses_contain_their_numbers_and_strangers_have_none() {
        for party in [0, 1, 77, 1_000_000, u32::MAX] {
            assert_eq!(number(address(party)), Some(party));
        }
        assert_eq!(number(Address::repeat_byte(0x4d)), None);
        assert_eq!(number(Address::ZERO), None);
    }

    #[test]
    fn neighbours_have_other_names() {
        let all: BTreeSet<B256> =
            (0..10_000).flat_map(|task| [output(task), wrong_output(task, 1), wrong_output(task, 2)]).collect();
        assert_eq!(all.len(), 30_000);
        let first: BTreeSet<u64> =
            (0..10_000).map(|task| u64::from_be_bytes(*output(task).first_chunk().expect("8"))).collect();
        assert_eq!(first.len(), 10_000, "maps look at the first bytes");
    }
}
