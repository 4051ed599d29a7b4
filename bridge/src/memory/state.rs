//! What a chain holds: blocks, and the world that they made. Pure: the same entries give the same state and hashes.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    vec,
};

use lota_market::{
    Address, AttoFil, B256, Bytes, Time,
    agent::EffectKey,
    auction::{Bid, SealedBidAuction},
    model::{JobId, Market, Signed, Terms},
    world::{CallError, ContractEvent, Env, ExternalCall, Log, Script, TooMuchMoney, World},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Answer, ChainError, Contracts, Genesis};
use crate::{
    eip712::{self, SignedCommand},
    encoding::Directed,
    transport::{AuctionRef, Cursor, Head, Landed, MarketRef, SubmitError, Update},
};

/// Dropped blocks that are remembered, so that a reader who stands on one is led back to the fork.
pub(super) const MAX_ORPHANS: usize = 4_096;

/// What a block is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Genesis,
    Command { signed: SignedCommand, answers: Vec<Answer> },
    Fund { account: Address, amount: AttoFil },
}

#[derive(Clone, Debug)]
pub(super) struct Block {
    /// How many reorganisations came before it: the same command on another fork is another block.
    fork: u64,
    pub hash: B256,
    pub time: Time,
    pub transaction: B256,
    pub origin: Origin,
    pub events: Vec<ContractEvent>,
}

/// How contracts answer: asked now, or as they once did.
pub(super) enum Answers<'a> {
    Ask(&'a dyn Contracts),
    Recorded(vec::IntoIter<Answer>),
}

/// What the world asks a chain for.
pub(super) struct ChainEnv<'a> {
    chain: MarketRef,
    now: Time,
    /// With what was answered so far.
    answers: RefCell<(Answers<'a>, Vec<Answer>)>,
}

impl<'a> ChainEnv<'a> {
    pub(super) const fn new(chain: MarketRef, now: Time, answers: Answers<'a>) -> Self {
        Self { chain, now, answers: RefCell::new((answers, Vec::new())) }
    }

    /// What the contracts say, or once said.
    fn answer(&self, ask: impl FnOnce(&dyn Contracts) -> Answer) -> Answer {
        let (answers, given) = &mut *self.answers.borrow_mut();
        let answer = match answers {
            Answers::Ask(contracts) => ask(*contracts),
            // A log that lacks answers gives another hash, which the replay reports.
            Answers::Recorded(answers) => answers.next().unwrap_or_else(|| false.into()),
        };
        given.push(answer.clone());
        answer
    }

    const fn market(&self, contract: Address) -> MarketRef {
        MarketRef { contract, ..self.chain }
    }
}

impl Env for ChainEnv<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn job_id(&self, market: Address, terms: &Terms) -> JobId {
        eip712::job_id(&self.market(market), terms)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        sha256(spec)
    }

    fn signature_valid(&self, market: Address, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool {
        eip712::recover(&eip712::signed_digest(&self.market(market), what), signature) == Some(client)
    }

    fn has_code(&self, account: Address) -> bool {
        self.answer(|contracts| contracts.has_code(account).into()) == true.into()
    }

    fn seals(&self, auction: Address, commitment: B256, bid: &Bid) -> bool {
        crate::auction::commitment(self.chain.chain_id, auction, bid) == commitment
    }

    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        self.answer(|contracts| Answer(contracts.script(call))).0
    }
}

fn sha256(bytes: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(bytes))
}

/// Hash of a value's canonical encoding.
pub(super) fn hash_of(value: &impl Serialize) -> B256 {
    // Every type that is hashed here can be encoded; an encoding that failed would hash like no bytes.
    sha256(&serde_ipld_dagcbor::to_vec(value).unwrap_or_default())
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub genesis: Genesis,
    world: World,
    blocks: Vec<Block>,
    landed: HashMap<(Address, EffectKey), u64>,
    orphans: VecDeque<(B256, B256)>,
    fork: u64,
}

impl State {
    /// Block 0.
    pub(super) fn new(genesis: Genesis) -> Result<Self, ChainError> {
        let begin = Block {
            fork: 0,
            hash: hash_of(&genesis),
            time: genesis.time,
            transaction: B256::ZERO,
            origin: Origin::Genesis,
            events: Vec::new(),
        };
        let mut world = World::with_market(genesis.market.contract, genesis.market.settings);
        for (account, amount) in &genesis.funds {
            world.mint(*account, *amount)?;
        }
        if let Some(AuctionRef { contract, min_reveal_period }) = genesis.auction {
            world.deploy_auction(contract, genesis.market.contract, min_reveal_period)?;
        }
        Ok(Self { genesis, world, blocks: vec![begin], landed: HashMap::new(), orphans: VecDeque::new(), fork: 0 })
    }

    pub(super) fn market(&self) -> &Market {
        #[expect(clippy::expect_used, reason = "`new` deploys it, and contracts stay")]
        self.world.market(self.genesis.market.contract).expect("the market is there from the beginning")
    }

    pub(super) fn auction(&self) -> Option<&SealedBidAuction> {
        self.world.auction(self.genesis.auction?.contract)
    }

    /// Number of the newest block.
    pub(super) fn height(&self) -> u64 {
        self.blocks.len().saturating_sub(1) as u64
    }

    /// All blocks of this fork, from block 0.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    fn tip(&self) -> &Block {
        #[expect(clippy::expect_used, reason = "block 0 is made by `new` and never dropped")]
        self.blocks.last().expect("there is a block 0")
    }

    /// The newest block, with the time that the next one would have.
    pub(super) fn head(&self, now: Time) -> Head {
        let tip = self.tip();
        Head { block: self.height(), hash: tip.hash, time: tip.time.max(now) }
    }

    pub(super) fn wallet(&self, account: Address) -> AttoFil {
        self.world.wallet(account)
    }

    fn landing(&self, number: u64, block: &Block) -> Landed {
        Landed {
            transaction: block.transaction,
            cursor: end_of(number, block),
            time: block.time,
            events: block.events.iter().filter_map(ContractEvent::of_market).cloned().collect(),
            auction_events: block.events.iter().filter_map(ContractEvent::of_auction).cloned().collect(),
        }
    }

    pub(super) fn has_landed(&self, party: Address, key: &EffectKey) -> bool {
        self.landed.contains_key(&(party, key.clone()))
    }

    /// What a command came to that landed before under the same key.
    pub(super) fn find(&self, signed: &SignedCommand) -> Result<Option<Landed>, SubmitError> {
        let Some(number) = self.landed.get(&(signed.sender, signed.key.clone())).copied() else { return Ok(None) };
        match self.block(number) {
            Some(block @ Block { origin: Origin::Command { signed: before, .. }, .. })
                if before.command == signed.command && before.value == signed.value =>
            {
                Ok(Some(self.landing(number, block)))
            }
            _ => Err(SubmitError::KeyReused { party: signed.sender, key: signed.key.clone() }),
        }
    }

    fn seal(&mut self, time: Time, transaction: B256, origin: Origin, events: Vec<ContractEvent>) -> Landed {
        let number = self.height() + 1;
        let answers: &[Answer] = match &origin {
            Origin::Command { answers, .. } => answers,
            Origin::Genesis | Origin::Fund { .. } => &[],
        };
        let hash = hash_of(&(number, self.fork, self.tip().hash, time, transaction, answers, &events));
        let block = Block { fork: self.fork, hash, time, transaction, origin, events };
        let landed = self.landing(number, &block);
        self.blocks.push(block);
        landed
    }

    /// Executes a command whose signature was checked, as a block of its own. On an error nothing has changed.
    pub(super) fn execute(
        &mut self,
        now: Time,
        signed: SignedCommand,
        command: &Directed,
        answers: Answers<'_>,
    ) -> Result<Landed, SubmitError> {
        let time = self.tip().time.max(now);
        let chain = self.genesis.market;
        let mut env = ChainEnv::new(chain, time, answers);
        let (mut log, height) = (Vec::new(), self.height());
        let (sender, value) = (signed.sender, signed.value);
        let outcome = match command {
            Directed::Market(command) => {
                self.world.execute_on_market(sender, chain.contract, value, command, &mut env, &mut log)
            }
            Directed::Auction { contract, command } => {
                self.world.execute_on_auction(sender, *contract, value, command, &mut env, &mut log)
            }
        };
        outcome.map_err(|error| refusal(error, height))?;
        let events = log.into_iter().map(|Log { event, .. }| event).collect();
        self.landed.insert((signed.sender, signed.key.clone()), self.height() + 1);
        let transaction = signed.digest(&chain);
        let (_, answers) = env.answers.into_inner();
        Ok(self.seal(time, transaction, Origin::Command { signed, answers }, events))
    }

    /// Gives an account native money from nowhere, as a block without events.
    pub(super) fn fund(&mut self, now: Time, account: Address, amount: AttoFil) -> Result<Landed, TooMuchMoney> {
        let time = self.tip().time.max(now);
        self.world.mint(account, amount)?;
        let transaction = hash_of(&(self.height() + 1, account, amount));
        Ok(self.seal(time, transaction, Origin::Fund { account, amount }, Vec::new()))
    }

    /// What the newest block is made of.
    pub(super) fn newest(&self) -> &Block {
        self.tip()
    }

    /// Drops the blocks above `to`: the state is what it was, found by executing everything up to there again.
    pub(super) fn rewind(&mut self, to: u64) -> Result<(), String> {
        let keep = usize::try_from(to).unwrap_or(usize::MAX).saturating_add(1);
        let mut before = Self::new(self.genesis.clone()).map_err(|error| error.to_string())?;
        for block in self.blocks.iter().take(keep).skip(1) {
            before.again(block)?;
        }
        before.fork = self.fork + 1;
        before.orphans = std::mem::take(&mut self.orphans);
        let parents = self.blocks.iter().skip(keep.saturating_sub(1));
        let dropped = self.blocks.iter().skip(keep);
        for (parent, child) in parents.zip(dropped) {
            if before.orphans.len() == MAX_ORPHANS {
                before.orphans.pop_front();
            }
            before.orphans.push_back((child.hash, parent.hash));
        }
        *self = before;
        Ok(())
    }

    fn again(&mut self, block: &Block) -> Result<(), String> {
        self.fork = block.fork;
        let landed = match block.origin.clone() {
            Origin::Genesis => return Err("there is a second beginning".into()),
            Origin::Fund { account, amount } => {
                self.fund(block.time, account, amount).map_err(|error| error.to_string())?
            }
            Origin::Command { signed, answers } => self.replay(block.time, signed, answers)?,
        };
        if landed.cursor.block_hash == block.hash {
            Ok(())
        } else {
            Err(format!("its hash is {}, but {} was computed", block.hash, landed.cursor.block_hash))
        }
    }

    /// Executes a command from the log.
    pub(super) fn replay(&mut self, time: Time, signed: SignedCommand, answers: Vec<Answer>) -> Result<Landed, String> {
        let command =
            crate::encoding::decode_directed(&signed.command, signed.value).map_err(|error| error.to_string())?;
        self.execute(time, signed, &command, Answers::Recorded(answers.into_iter())).map_err(|error| error.to_string())
    }

    /// The highest block of this fork that a position descends from.
    fn ancestor(&self, from: &Cursor) -> Option<Cursor> {
        let on_this_fork = |number: u64, hash: B256| {
            self.block(number).filter(|block| block.hash == hash).map(|block| end_of(number, block))
        };
        let (mut number, mut hash) = (from.block, from.block_hash);
        for _ in 0..=MAX_ORPHANS {
            if let Some(ancestor) = on_this_fork(number, hash) {
                return Some(ancestor);
            }
            hash = self.orphans.iter().rev().find(|(child, _)| *child == hash)?.1;
            number = number.checked_sub(1)?;
        }
        None
    }

    /// What comes after `from`: a rewind when it is on no block of this fork, else up to `limit` events, else the head, with
    /// `depth` blocks above what is final.
    pub(super) fn read(&self, from: Option<&Cursor>, limit: usize, now: Time, depth: u64) -> Vec<Update> {
        let (mut number, mut skip) = (0, 0);
        if let Some(from) = from {
            let known = self
                .block(from.block)
                .filter(|block| block.hash == from.block_hash && from.index as usize <= block.events.len());
            if known.is_none() {
                return vec![Update::Rewind { to: self.ancestor(from) }];
            }
            (number, skip) = (from.block, from.index as usize);
        }
        let mut updates = Vec::new();
        while let Some(block) = self.block(number) {
            for (index, event) in block.events.iter().enumerate().skip(skip) {
                if updates.len() == limit {
                    return updates;
                }
                let cursor = Cursor { index: index as u32 + 1, ..end_of(number, block) };
                let (time, transaction) = (block.time, block.transaction);
                updates.push(match event.clone() {
                    ContractEvent::Market(event) => Update::Event { cursor, time, transaction, event },
                    ContractEvent::Auction(event) => Update::Auction { cursor, time, transaction, event },
                });
            }
            (number, skip) = (number + 1, 0);
        }
        if updates.is_empty() {
            let cursor = end_of(self.height(), self.tip());
            updates.push(Update::Head {
                cursor,
                latest: self.head(now),
                finalized: self.height().saturating_sub(depth),
            });
        }
        updates
    }
}

/// Why a command is not taken in the state of this block.
pub(super) fn refusal(error: CallError, block: u64) -> SubmitError {
    match error {
        CallError::Rejected(rejection) => SubmitError::Rejected { rejection, block: Some(block) },
        CallError::Unaffordable { account, wallet, needed } => SubmitError::Unaffordable { account, wallet, needed },
        CallError::RejectedByAuction(rejection) => SubmitError::RejectedByAuction { rejection, block: Some(block) },
        CallError::NoContract(_)
        | CallError::SenderIsContract(_)
        | CallError::NotPayable { .. }
        | CallError::NoSuchFunction(_) => SubmitError::Failed(error.to_string()),
    }
}

/// The position after a block's last event.
fn end_of(number: u64, block: &Block) -> Cursor {
    // A command's size bounds its events.
    Cursor { block: number, block_hash: block.hash, index: block.events.len() as u32 }
}
