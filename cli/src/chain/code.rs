//! The checked-in bytecode, and whether a chain holds the same.

use std::sync::LazyLock;

use lota_market::Bytes;
use serde::Deserialize;

/// What `contracts/scripts/abi` wrote, and its `--check` proves to be what the sources compile to.
const MARKET_ARTIFACT: &str = include_str!("../../../contracts/abi/LotaMarket.json");
const AUCTION_ARTIFACT: &str = include_str!("../../../contracts/abi/SealedBidAuction.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    deployed_bytecode: Bytes,
    immutable_references: Vec<Hole>,
}

/// Where an immutable is in the deployed code: zero in the artifact, a setting on the chain.
#[derive(Deserialize)]
struct Hole {
    start: usize,
    length: usize,
}

#[expect(clippy::expect_used, reason = "compiled in; a test reads it")]
fn read(artifact: &str) -> Artifact {
    serde_json::from_str(artifact).expect("the checked-in artifact is JSON")
}

const BLESSING_ARTIFACT: &str = include_str!("../../../contracts/abi/Blessing.json");
const PAY_DEALS_ARTIFACT: &str = include_str!("../../../contracts/abi/FilecoinPayDeals.json");

/// The granters of ours, by name.
const GRANTER_ARTIFACTS: [(&str, &str); 5] = [
    ("RequestOnlyGranter", include_str!("../../../contracts/abi/RequestOnlyGranter.json")),
    ("VerifregGranter", include_str!("../../../contracts/abi/VerifregGranter.json")),
    ("MetaAllocatorGranter", include_str!("../../../contracts/abi/MetaAllocatorGranter.json")),
    ("BonusGranter", include_str!("../../../contracts/abi/BonusGranter.json")),
    ("FilecoinPayGranter", include_str!("../../../contracts/abi/FilecoinPayGranter.json")),
];

static MARKET: LazyLock<Artifact> = LazyLock::new(|| read(MARKET_ARTIFACT));
static AUCTION: LazyLock<Artifact> = LazyLock::new(|| read(AUCTION_ARTIFACT));
static BLESSING: LazyLock<Artifact> = LazyLock::new(|| read(BLESSING_ARTIFACT));
static PAY_DEALS: LazyLock<Artifact> = LazyLock::new(|| read(PAY_DEALS_ARTIFACT));
static GRANTERS: LazyLock<[(&str, Artifact); 5]> =
    LazyLock::new(|| GRANTER_ARTIFACTS.map(|(name, artifact)| (name, read(artifact))));

/// Whether this is the code of the market, whatever its settings.
pub(crate) fn is_market(code: &[u8]) -> bool {
    MARKET.is_like(code)
}

/// Whether this is the code of the auction, whatever its settings.
pub(crate) fn is_auction(code: &[u8]) -> bool {
    AUCTION.is_like(code)
}

/// Whether this is the code of the blessing, whatever its settings.
pub(crate) fn is_blessing(code: &[u8]) -> bool {
    BLESSING.is_like(code)
}

/// Whether this is the code of the deals that are paid over Filecoin Pay, whatever its settings.
pub(crate) fn is_pay_deals(code: &[u8]) -> bool {
    PAY_DEALS.is_like(code)
}

/// The name of the granter of ours whose code this is, whatever its settings.
pub(crate) fn granter(code: &[u8]) -> Option<&'static str> {
    GRANTERS.iter().find_map(|(name, artifact)| artifact.is_like(code).then_some(*name))
}

impl Artifact {
    fn is_like(&self, code: &[u8]) -> bool {
        code.len() == self.deployed_bytecode.len() && self.masked(code) == self.masked(&self.deployed_bytecode)
    }

    /// The code without its immutables.
    fn masked(&self, code: &[u8]) -> Vec<u8> {
        let mut code = code.to_vec();
        for hole in &self.immutable_references {
            if let Some(bytes) = code.get_mut(hole.start..hole.start.saturating_add(hole.length)) {
                bytes.fill(0);
            }
        }
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_may_differ_and_nothing_else() {
        for (artifact, is_it, least) in [
            (&*MARKET, is_market as fn(&[u8]) -> bool, 10_000),
            (&*AUCTION, is_auction, 5_000),
            (&*BLESSING, is_blessing, 10_000),
            (&*PAY_DEALS, is_pay_deals, 5_000),
        ] {
            let mut code = artifact.deployed_bytecode.to_vec();
            assert!(code.len() > least && is_it(&code));
            assert!(!(is_market(&code) && is_auction(&code)), "one is not the other");
            for hole in &artifact.immutable_references {
                assert_eq!(hole.length, 32, "an immutable is a word");
                code[hole.start + 31] = 60;
            }
            assert!(is_it(&code));
            let holes = &artifact.immutable_references;
            let outside = (0..code.len()).find(|at| !holes.iter().any(|h| (h.start..h.start + h.length).contains(at)));
            code[outside.expect("code")] ^= 1;
            assert!(!is_it(&code));
            assert!(!is_it(&artifact.deployed_bytecode[1..]));
            assert!(!is_it(&[]));
        }
        for (name, artifact) in &*GRANTERS {
            assert_eq!(granter(&artifact.deployed_bytecode), Some(*name));
        }
        assert_eq!(granter(&BLESSING.deployed_bytecode), None);
    }
}
