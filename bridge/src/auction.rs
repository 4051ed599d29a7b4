//! Sealed bids: which auction, and what a bid is sealed with.

use alloy::{
    primitives::{U256 as Word, keccak256},
    sol_types::SolValue,
};
use lota_market::{Address, AttoFil, B256, auction::Bid, model::JobId};
use serde::{Deserialize, Serialize};

use crate::PrivateKeySigner;

/// An auction beside a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AuctionRef {
    /// Its contract; without a chain, a name of 20 bytes.
    pub contract: Address,
    /// The shortest time to reveal bids in, in seconds.
    pub min_reveal_period: u32,
}

/// A bid, and what is said of it until it is revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedBid {
    pub price: AttoFil,
    pub nonce: B256,
    /// To both of them.
    pub commitment: B256,
}

/// What a bid is sealed with: keccak256(abi.encode(chain id, auction, job, bidder, price, nonce)).
#[must_use]
pub fn commitment(chain_id: u64, auction: Address, bid: &Bid) -> B256 {
    let Bid { job, bidder, price, nonce } = *bid;
    keccak256((Word::from(chain_id), auction, job.0, bidder, Word::from(price.0), nonce).abi_encode())
}

/// A party's nonce for a job: derived from its key, so that there is nothing to lose. Nobody without the key can guess it.
#[must_use]
pub fn nonce(signer: &PrivateKeySigner, chain_id: u64, auction: Address, job: JobId) -> B256 {
    // Two rounds: what the first one hides is used for nothing else.
    let secret = keccak256([b"Lota sealed bid".as_slice(), signer.to_bytes().as_slice()].concat());
    keccak256((secret, Word::from(chain_id), auction, job.0).abi_encode())
}

/// A party's bid for a job, as it is sealed and later revealed.
#[must_use]
pub fn seal(signer: &PrivateKeySigner, chain_id: u64, auction: Address, job: JobId, price: AttoFil) -> SealedBid {
    let nonce = nonce(signer, chain_id, auction, job);
    let bid = Bid { job, bidder: signer.address(), price, nonce };
    SealedBid { price, nonce, commitment: commitment(chain_id, auction, &bid) }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{address, b256};

    use super::*;

    /// As computed by `cast keccak $(cast abi-encode "f(uint256,address,bytes32,address,uint256,bytes32)" ...)`.
    #[test]
    fn a_commitment_is_that_of_the_specification() {
        let bid = Bid {
            job: JobId(B256::repeat_byte(0x22)),
            bidder: Address::repeat_byte(0x33),
            price: AttoFil(1_500_000_000_000_000_000),
            nonce: B256::repeat_byte(0x44),
        };
        let found = commitment(314, address!("1111111111111111111111111111111111111111"), &bid);
        assert_eq!(found, b256!("0bc111fec8e9c2c91f668c4f35eef0c5453e5af59984207f1d7fa7ef74e8bae0"));
    }

    #[test]
    fn nonces_differ_by_key_chain_auction_and_job() {
        let key = |byte| PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).expect("a valid key");
        let (here, there) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let job = |byte| JobId(B256::repeat_byte(byte));
        let of = |byte, chain, at, number| nonce(&key(byte), chain, at, job(number));
        let all = [of(1, 1, here, 1), of(2, 1, here, 1), of(1, 2, here, 1), of(1, 1, there, 1), of(1, 1, here, 2)];
        for (n, nonce) in all.iter().enumerate() {
            assert!(!all[..n].contains(nonce), "{n}");
        }
        assert_eq!(all[0], of(1, 1, here, 1));
        let sealed = seal(&key(1), 1, here, job(1), AttoFil(7));
        let bid = Bid { job: job(1), bidder: key(1).address(), price: AttoFil(7), nonce: all[0] };
        assert_eq!((sealed.nonce, sealed.commitment), (all[0], commitment(1, here, &bid)));
    }
}
