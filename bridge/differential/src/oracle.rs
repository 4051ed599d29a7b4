//! What the model is told: the truth, found without the EVM. Hashes and signatures are computed; what contracts do when they
//! are called follows from what they are.

use std::collections::{HashMap, HashSet};

use alloy::primitives::{FixedBytes, keccak256};
use lota_bridge::{BlessingRef, MarketRef, eip712};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    auction::Bid,
    blessing::{self, Grant, Nomination},
    filecoin_pay_deals::Order,
    granter::{ActorAnswer, ActorRequest},
    model::{Authorization, JobId, JobResult, Permit, Reason, Signed, Terms},
    world::{Conduct, End, Env, ExternalCall, Occasion, Script, TokenTransfer},
};
use sha2::{Digest, Sha256};

use crate::{
    actors::{self, ALLOCATOR, ActorStep},
    chain::{CHAIN_ID, SETTINGS, epoch_at},
    mutant::Mutant,
    party::{Behaviour, MARKET, Parties},
    scripted, token,
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
    pub(crate) cast: &'a Parties,
    pub(crate) ids: &'a Ids,
    pub(crate) now: Time,
    pub(crate) foreign_chain: Option<u64>,
    pub(crate) script: &'a Script,
    pub(crate) conduct: &'a Conduct,
    pub(crate) mutant: Option<Mutant>,
    /// The jobs whose callback is tried again when their clients are called: those that were pending before the command, and
    /// those that it has called before.
    pub(crate) pending: HashSet<JobId>,
    /// What granters find outside of the world.
    pub(crate) actors: &'a ActorStep,
    /// What [`Behaviour::Recorder`] logs, and what granters ask, in order.
    pub(crate) recorded: Vec<(Address, Bytes)>,
}

impl Env for Oracle<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn block_number(&self) -> u64 {
        epoch_at(self.now)
    }

    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        self.ids.of(terms)
    }

    fn order_signed(&self, _: Address, deals: Address, order: &Order, signature: &Bytes) -> bool {
        let digest = lota_bridge::filecoin_pay_deals::order_digest(&REFERENCE, deals, order);
        eip712::recover(&digest, signature) == Some(order.payer)
            || self.cast.behaviour(order.payer).is_some_and(Behaviour::takes_signature)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        B256::from_slice(&Sha256::digest(spec))
    }

    fn foreign_chain(&self) -> Option<u64> {
        self.foreign_chain
    }

    fn signature_valid(&self, _: Address, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool {
        eip712::recover(&eip712::signed_digest(&REFERENCE, what), signature) == Some(client)
            || self.cast.behaviour(client).is_some_and(Behaviour::takes_signature)
    }

    fn seals(&self, auction: Address, commitment: B256, bid: &Bid) -> bool {
        lota_bridge::auction::commitment(CHAIN_ID, auction, bid) == commitment
    }

    fn notary_signed(
        &self,
        contract: Address,
        notary: Address,
        what: &blessing::Signed<'_>,
        signature: &Bytes,
    ) -> bool {
        let reference = BlessingRef { chain_id: CHAIN_ID, contract };
        eip712::recover(&lota_bridge::blessing::signed_digest(&reference, what), signature) == Some(notary)
            || self.cast.behaviour(notary).is_some_and(Behaviour::takes_signature)
    }

    /// By a static call, with more gas than any of them needs.
    fn check_grant(&self, granter: Address, _: &Nomination) -> Result<(), FixedBytes<4>> {
        let accepts = match self.cast.behaviour(granter) {
            Some(Behaviour::Scripted) => self.script.end == End::Return,
            behaviour => behaviour.is_some_and(Behaviour::takes_money),
        };
        if accepts { Ok(()) } else { Err(FixedBytes::ZERO) }
    }

    fn has_code(&self, account: Address) -> bool {
        account == ALLOCATOR || self.cast.behaviour(account).is_some()
    }

    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        if let Occasion::AddVerifiedClient { client, amount } = call.occasion {
            self.recorded.push((call.callee, actors::allocation_call(client, amount)));
            return self.actors.allocation.clone();
        }
        let Some(behaviour) = self.cast.behaviour(call.callee) else { return Script::default() };
        let promised = match call.occasion {
            Occasion::Callback { job, gas, .. } => {
                let retried = !self.pending.insert(job) && self.mutant != Some(Mutant::RetryGas);
                if retried { RETRY_GAS } else { gas }
            }
            _ => 0,
        };
        if behaviour == Behaviour::Scripted {
            let script = scripted::run(self.script, &call.occasion, promised);
            return self.mutant.map_or_else(|| script.clone(), |mutant| mutant.alter_script(script.clone()));
        }
        let (data, accepts) = match call.occasion {
            Occasion::Payout { .. } => (Bytes::new(), behaviour.takes_money()),
            // Answered above.
            Occasion::AddVerifiedClient { .. } => (Bytes::new(), false),
            Occasion::Grant { grant } => (grant_data(grant), behaviour.takes_money()),
            Occasion::Callback { job, outcome, .. } => {
                let data = callback_data(job, outcome);
                let accepts = behaviour.takes_callback(promised, data.len());
                (data, accepts)
            }
        };
        if accepts && behaviour == Behaviour::Recorder {
            self.recorded.push((call.callee, data));
        }
        Script::accepting(accepts)
    }

    fn datacap_allowance(&self, _: Address, _: Address) -> Result<U256, Bytes> {
        self.actors.datacap_allowance()
    }

    fn allocator_refusal(&self, _: Address) -> Bytes {
        self.actors.allocator_refusal()
    }

    fn ask_actor(&mut self, granter: Address, request: &ActorRequest<'_>) -> Option<ActorAnswer> {
        let data = actors::actor_call(request);
        let has_told = self.recorded.iter().any(|asked| *asked == (granter, data.clone()));
        self.recorded.push((granter, data));
        self.actors.answer(request, has_told)
    }

    fn permit_valid(&self, _: Address, owner: Address, _: Address, _: AttoFil, permit: &Permit) -> bool {
        token::takes_permit(owner, permit, self.now) && self.mutant != Some(Mutant::IgnoredPermit)
    }

    fn authorization_valid(
        &self,
        _: Address,
        from: Address,
        _: Address,
        _: AttoFil,
        authorization: &Authorization,
    ) -> bool {
        token::takes_authorization(from, authorization, self.now)
    }

    fn conduct(&mut self, _: &TokenTransfer) -> Conduct {
        self.mutant.map_or_else(|| self.conduct.clone(), |mutant| mutant.alter_conduct(self.conduct.clone()))
    }
}

/// A callback that is tried again gets up to 63/64 of all gas: more than anybody here needs, and not what
/// [`Behaviour::Gauge`] wants.
const RETRY_GAS: u32 = 40_000_000;

/// The selector of `IGranter.checkGrant`.
pub(crate) fn check_grant_selector() -> [u8; 4] {
    let hash = keccak256("checkGrant(address,bytes,uint256)");
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The call of `IGranter.grant`, written out.
fn grant_data(grant: &Grant) -> Bytes {
    let Grant { job, round, provider, recipient, amount, piece, piece_size, reasons } = grant;
    let number = |number: u64| B256::left_padding_from(&number.to_be_bytes());
    let mut words = vec![
        number(0x20),
        job.0,
        number((*round).into()),
        provider.into_word(),
        number(0x100),
        B256::from(*amount),
        *piece,
        number(*piece_size),
        *reasons,
        number(recipient.len() as u64),
    ];
    words.extend(recipient.chunks(32).map(B256::right_padding_from));
    let selector = keccak256("grant((bytes32,uint32,address,bytes,uint256,bytes32,uint64,bytes32))");
    [&selector[..4], words.concat().as_slice()].concat().into()
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
