//! What the model is told: the truth, found without the EVM. Hashes and signatures are computed; what contracts do when they
//! are called follows from what they are.

use std::collections::HashMap;

use alloy::primitives::keccak256;
use lota_bridge::{MarketRef, eip712};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time,
    model::{Env, JobId, JobResult, Reason, Signed, Terms},
};
use sha2::{Digest, Sha256};

use crate::{
    chain::{CHAIN_ID, SETTINGS},
    party::{Behaviour, Cast, MARKET},
};

/// The market as parties refer to it.
pub(crate) const REFERENCE: MarketRef = MarketRef { chain_id: CHAIN_ID, contract: MARKET, settings: SETTINGS };

/// The most ids that are kept: hashing them is a third of the work.
const MAX_IDS: usize = 10_000;

/// Ids of terms that were hashed before.
#[derive(Default)]
pub(crate) struct Ids(std::cell::RefCell<HashMap<Terms, JobId>>);

impl Ids {
    pub(crate) fn of(&self, terms: &Terms) -> JobId {
        if let Some(id) = self.0.borrow().get(terms) {
            return *id;
        }
        let id = eip712::job_id(&REFERENCE, terms);
        let mut ids = self.0.borrow_mut();
        if ids.len() >= MAX_IDS {
            ids.clear();
        }
        ids.insert(terms.clone(), id);
        id
    }
}

/// The environment of one command.
pub(crate) struct Oracle<'a> {
    pub(crate) cast: &'a Cast,
    pub(crate) ids: &'a Ids,
    pub(crate) now: Time,
    pub(crate) value: AttoFil,
    pub(crate) foreign_chain: Option<u64>,
    /// What [`Behaviour::Recorder`] logs, in order.
    pub(crate) recorded: Vec<(Address, Bytes)>,
    /// What is paid out, to whom.
    pub(crate) paid: Vec<(Address, AttoFil)>,
}

impl Env for Oracle<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn value(&self) -> AttoFil {
        self.value
    }

    fn job_id(&self, terms: &Terms) -> JobId {
        self.ids.of(terms)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        B256::from_slice(&Sha256::digest(spec))
    }

    fn foreign_chain(&self) -> Option<u64> {
        self.foreign_chain
    }

    fn signature_valid(&self, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool {
        eip712::recover(&eip712::signed_digest(&REFERENCE, what), signature) == Some(client)
            || self.cast.behaviour(client).is_some_and(Behaviour::takes_signature)
    }

    fn payout_accepted(&mut self, to: Address, amount: AttoFil) -> bool {
        let behaviour = self.cast.behaviour(to);
        let accepted = behaviour.is_none_or(Behaviour::takes_money);
        if accepted {
            self.paid.push((to, amount));
            if behaviour == Some(Behaviour::Recorder) {
                self.recorded.push((to, Bytes::new()));
            }
        }
        accepted
    }

    fn callback_succeeds(
        &mut self,
        client: Address,
        job: JobId,
        gas: u32,
        outcome: Result<&JobResult, Reason>,
    ) -> bool {
        let Some(behaviour) = self.cast.behaviour(client) else { return true };
        let data = callback_data(job, outcome);
        let succeeds = behaviour.takes_callback(gas, data.len());
        if succeeds && behaviour == Behaviour::Recorder {
            self.recorded.push((client, data));
        }
        succeeds
    }
}

/// The call of `ILotaClient`, written out (Solidity ABI specification).
fn callback_data(job: JobId, outcome: Result<&JobResult, Reason>) -> Bytes {
    let number = |number: u64| B256::left_padding_from(&number.to_be_bytes());
    let mut data = Vec::new();
    let mut word = |word: B256| data.extend(word);
    word(job.0);
    let selector = match outcome {
        Ok(JobResult { output, exit_code, fuel_used, inline_data }) => {
            word(number(0x40));
            word(*output);
            word(number((*exit_code).into()));
            word(number(*fuel_used));
            word(number(0x80));
            word(number(inline_data.len() as u64));
            inline_data.chunks(32).for_each(|chunk| word(B256::right_padding_from(chunk)));
            keccak256("onJobResult(bytes32,(bytes32,uint32,uint64,bytes))")
        }
        Err(reason) => {
            word(number(u8::from(reason).into()));
            keccak256("onJobFailed(bytes32,uint8)")
        }
    };
    [&selector[..4], &data].concat().into()
}
