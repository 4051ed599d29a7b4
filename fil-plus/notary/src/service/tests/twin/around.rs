//! What the contracts see of the world: time, signatures, and a granter that takes or refuses.

use alloy::primitives::FixedBytes;
use lota_bridge::{BlessingRef, MarketRef, blessing::signed_digest, eip712};
use lota_market::{
    Address, B256, Bytes, Time,
    blessing::Signed as NotarySigned,
    model::{self, JobId, Terms},
    world::{Env, ExternalCall, Occasion, Script},
};
use sha2::{Digest as _, Sha256};

use super::{CHAIN, GRANTER, market_ref};

/// What is around the contracts.
pub(super) struct Around {
    pub(super) now: Time,
    pub(super) granter_fails: bool,
    pub(super) failure: [u8; 4],
}

impl Env for Around {
    fn now(&self) -> Time {
        self.now
    }

    fn job_id(&self, market: Address, terms: &Terms) -> JobId {
        eip712::job_id(&MarketRef { contract: market, ..market_ref() }, terms)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        B256::from_slice(&Sha256::digest(spec))
    }

    fn signature_valid(&self, _: Address, _: Address, _: &model::Signed<'_>, _: &Bytes) -> bool {
        false
    }

    fn has_code(&self, account: Address) -> bool {
        account == GRANTER
    }

    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        let grants = matches!(call.occasion, Occasion::Grant { .. });
        Script::accepting(!(grants && self.granter_fails))
    }

    fn notary_signed(&self, blessing: Address, notary: Address, what: &NotarySigned<'_>, signature: &Bytes) -> bool {
        let blessing = BlessingRef { chain_id: CHAIN, contract: blessing };
        eip712::recover(&signed_digest(&blessing, what), signature) == Some(notary)
    }

    fn grant_failure(&self, _: Address) -> FixedBytes<4> {
        self.failure.into()
    }
}
