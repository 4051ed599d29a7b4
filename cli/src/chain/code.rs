//! The checked-in bytecode, and whether a chain holds the same.

use std::sync::LazyLock;

use lota_market::Bytes;
use serde::Deserialize;

/// What `contracts/scripts/abi` wrote, and its `--check` proves to be what the sources compile to.
const ARTIFACT: &str = include_str!("../../../contracts/abi/LotaMarket.json");

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
static MARKET: LazyLock<Artifact> =
    LazyLock::new(|| serde_json::from_str(ARTIFACT).expect("the checked-in artifact is JSON"));

/// Whether this is the code of the market, whatever its settings.
pub(crate) fn is_market(code: &[u8]) -> bool {
    code.len() == MARKET.deployed_bytecode.len() && masked(code) == masked(&MARKET.deployed_bytecode)
}

/// The code without its immutables.
fn masked(code: &[u8]) -> Vec<u8> {
    let mut code = code.to_vec();
    for hole in &MARKET.immutable_references {
        if let Some(bytes) = code.get_mut(hole.start..hole.start.saturating_add(hole.length)) {
            bytes.fill(0);
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_may_differ_and_nothing_else() {
        let mut code = MARKET.deployed_bytecode.to_vec();
        assert!(code.len() > 10_000 && is_market(&code));
        for hole in &MARKET.immutable_references {
            assert_eq!(hole.length, 32, "an immutable is a word");
            code[hole.start + 31] = 60;
        }
        assert!(is_market(&code));
        let holes = &MARKET.immutable_references;
        let outside = (0..code.len()).find(|at| !holes.iter().any(|h| (h.start..h.start + h.length).contains(at)));
        code[outside.expect("code")] ^= 1;
        assert!(!is_market(&code));
        assert!(!is_market(&MARKET.deployed_bytecode[1..]));
        assert!(!is_market(&[]));
    }
}
