//! What a chain is: the world that its blocks made, and what is remembered of them. Pure: the same entries give the same state and
//! hashes. The blocks themselves are in the [ledger](super::Ledger).

use std::{cell::RefCell, collections::HashMap, vec};

use lota_market::{
    Address, AttoFil, B256, Bytes, Time,
    agent::EffectKey,
    auction::{Bid, SealedBidAuction},
    model::{JobId, Market, Signed, Terms},
    movements::{Accounts, Pocket},
    world::{CallError, ContractEvent, Env, ExternalCall, Log, Savepoint, Script, TooMuchMoney, World},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Answer, Block, ChainError, CommandId, Contracts, Genesis, Origin};
use crate::{
    eip712::{self, SignedCommand},
    encoding::Directed,
    transport::{AuctionRef, Cursor, Head, Landed, MarketRef, SubmitError},
};

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

/// The newest block, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tip {
    pub number: u64,
    pub hash: B256,
    pub time: Time,
    /// How many events it has.
    pub events: u32,
}

impl Tip {
    /// The position after its last event.
    pub(super) const fn end(&self) -> Cursor {
        Cursor { block: self.number, block_hash: self.hash, index: self.events }
    }

    /// The newest block, with the time that the next one would have.
    pub(super) fn head(&self, now: Time) -> Head {
        Head { block: self.number, hash: self.hash, time: self.time.max(now) }
    }
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub genesis: Genesis,
    world: World,
    accounts: Accounts,
    tip: Tip,
    fork: u64,
    /// In which block a command landed.
    landed: HashMap<CommandId, u32>,
    /// The commands of the newest blocks: of those that are in no snapshot yet.
    unsaved: Vec<CommandId>,
}

/// What a snapshot holds of a state; its blocks are in the index.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// The version of the program: another one may come to something else.
    program: String,
    genesis: Genesis,
    world: World,
    accounts: Accounts,
    tip: Tip,
    fork: u64,
}

/// Where a state can go back to; close it with [`State::keep`] or [`State::roll_back`].
#[derive(Debug)]
#[must_use = "what changes is noted until it is closed"]
pub(super) struct Mark {
    savepoint: Savepoint,
    tip: Tip,
    unsaved: usize,
}

/// What identifies a command among all.
pub(super) fn command_id(sender: Address, key: &EffectKey) -> CommandId {
    let digest = Sha256::new().chain_update(sender).chain_update(key.as_str()).finalize();
    let mut id = CommandId::default();
    id.copy_from_slice(&digest[..16]);
    id
}

/// Of a block without a command.
const NO_COMMAND: CommandId = [0; 16];

impl State {
    /// Block 0.
    pub(super) fn new(genesis: Genesis) -> Result<Self, ChainError> {
        let tip = Tip { number: 0, hash: hash_of(&genesis), time: genesis.time, events: 0 };
        let (mut world, mut accounts) =
            (World::with_market(genesis.market.contract, genesis.market.settings), Accounts::default());
        for (account, amount) in &genesis.funds {
            world.mint(*account, *amount)?;
            accounts.minted(*account, *amount, &mut Vec::new());
        }
        if let Some(AuctionRef { contract, min_reveal_period }) = genesis.auction {
            world.deploy_auction(contract, genesis.market.contract, min_reveal_period)?;
        }
        Ok(Self { genesis, world, accounts, tip, fork: 0, landed: HashMap::new(), unsaved: Vec::new() })
    }

    /// What a snapshot keeps of it.
    pub(super) fn save(&self) -> Result<Vec<u8>, String> {
        let saved = Saved {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            genesis: self.genesis.clone(),
            world: self.world.clone(),
            accounts: self.accounts.clone(),
            tip: self.tip,
            fork: self.fork,
        };
        serde_ipld_dagcbor::to_vec(&saved).map_err(|error| error.to_string())
    }

    /// The state that was saved, with the commands of its blocks from the first on.
    pub(super) fn saved(bytes: &[u8], commands: impl ExactSizeIterator<Item = CommandId>) -> Result<Self, String> {
        let Saved { program, genesis, world, accounts, tip, fork } =
            serde_ipld_dagcbor::from_slice(bytes).map_err(|error| error.to_string())?;
        if program != env!("CARGO_PKG_VERSION") {
            return Err(format!("version {program} wrote it"));
        }
        if commands.len() as u64 != tip.number {
            return Err(format!("it has {} blocks, but the newest is block {}", commands.len(), tip.number));
        }
        let mut landed = HashMap::with_capacity(commands.len());
        landed.extend(commands.zip(1..).filter(|(id, _)| *id != NO_COMMAND));
        Ok(Self { genesis, world, accounts, tip, fork, landed, unsaved: Vec::new() })
    }

    /// The commands of the blocks that are in no snapshot, oldest first.
    pub(super) fn unsaved(&self) -> &[CommandId] {
        &self.unsaved
    }

    /// They are in a snapshot now.
    pub(super) fn was_saved(&mut self) {
        self.unsaved.clear();
    }

    pub(super) fn market(&self) -> &Market {
        #[expect(clippy::expect_used, reason = "`new` deploys it, and contracts stay")]
        self.world.market(self.genesis.market.contract).expect("the market is there from the beginning")
    }

    pub(super) fn auction(&self) -> Option<&SealedBidAuction> {
        self.world.auction(self.genesis.auction?.contract)
    }

    pub(super) const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Whether what the events say of everybody's money is what the contracts hold; what differs, if something does.
    pub(super) fn audit(&self) -> Result<(), String> {
        let (market, auction) = (self.market(), self.auction());
        let same = |what: &str, told: AttoFil, held: AttoFil| {
            if told == held { Ok(()) } else { Err(format!("{what}: the events say {told}, and {held} is held")) }
        };
        let contracts = [Some(self.genesis.market.contract), self.genesis.auction.map(|auction| auction.contract)];
        let sum = |pocket| self.accounts.all().map(|(_, holdings)| holdings.of(pocket)).sum::<AttoFil>();
        for (account, holdings) in self.accounts.all() {
            if !contracts.contains(&Some(account)) {
                same(&format!("wallet of {account}"), holdings.wallet, self.world.wallet(account))?;
            }
            same(&format!("balance of {account}"), holdings.market, market.balance(account))?;
            let in_auction = auction.map(|auction| auction.balance(account)).unwrap_or_default();
            same(&format!("{account} in the auction"), holdings.auction, in_auction)?;
        }
        same("all balances", sum(Pocket::Market), market.balances().map(|(_, balance)| balance).sum())?;
        same("all escrow", sum(Pocket::Escrow), market.escrowed())?;
        same("all collateral", sum(Pocket::Collateral), market.collateral())?;
        let (mut burned, mut bids) = (market.burned(), AttoFil::ZERO);
        if let Some(auction) = auction {
            same("all in the auction", sum(Pocket::Auction), auction.balances().map(|(_, balance)| balance).sum())?;
            // Until it is known whether a bid will be revealed, the contract counts its deposit as burned.
            burned = [burned, auction.burned()].into_iter().sum();
            bids = auction.staked();
        }
        let told = [sum(Pocket::Burned), sum(Pocket::Bids)].into_iter().sum();
        same("what is burned or in bids", told, [burned, bids].into_iter().sum())
    }

    pub(super) const fn tip(&self) -> &Tip {
        &self.tip
    }

    pub(super) fn wallet(&self, account: Address) -> AttoFil {
        self.world.wallet(account)
    }

    /// In which block a party's command landed under this key.
    pub(super) fn landed(&self, party: Address, key: &EffectKey) -> Option<u64> {
        self.landed.get(&command_id(party, key)).map(|number| u64::from(*number))
    }

    /// From here on everything can be undone.
    pub(super) fn mark(&mut self) -> Mark {
        self.accounts.open_savepoint();
        Mark { savepoint: self.world.savepoint(), tip: self.tip, unsaved: self.unsaved.len() }
    }

    /// What happened since then stays.
    pub(super) fn keep(&mut self, mark: Mark) {
        self.world.keep(mark.savepoint);
        self.accounts.keep();
    }

    /// It has never happened.
    pub(super) fn roll_back(&mut self, mark: Mark) {
        self.world.roll_back(mark.savepoint);
        self.accounts.roll_back();
        self.tip = mark.tip;
        for id in self.unsaved.drain(mark.unsaved..) {
            self.landed.remove(&id);
        }
    }

    fn seal(&mut self, time: Time, transaction: B256, origin: Origin, logs: Vec<Log>) -> Block {
        let number = self.tip.number + 1;
        let mut movements = Vec::new();
        if let Origin::Fund { account, amount } = &origin {
            self.accounts.minted(*account, *amount, &mut movements);
        }
        for log in &logs {
            self.accounts.take(log, &mut movements);
        }
        let events: Vec<ContractEvent> = logs.into_iter().map(|Log { event, .. }| event).collect();
        let (answers, id): (&[Answer], _) = match &origin {
            Origin::Command { answers, signed } => (answers, command_id(signed.sender, &signed.key)),
            Origin::Fund { .. } | Origin::Wait => (&[], NO_COMMAND),
        };
        let hash = hash_of(&(number, self.fork, self.tip.hash, time, transaction, answers, &events));
        if id != NO_COMMAND {
            // The chain takes no more blocks than that.
            self.landed.insert(id, u32::try_from(number).unwrap_or(u32::MAX));
        }
        self.unsaved.push(id);
        // A command's size bounds its events.
        self.tip = Tip { number, hash, time, events: events.len() as u32 };
        Block { fork: self.fork, hash, time, transaction, origin, events, movements }
    }

    /// Executes a command whose signature was checked, as a block of its own. On an error nothing has changed.
    pub(super) fn execute(
        &mut self,
        now: Time,
        signed: SignedCommand,
        command: &Directed,
        answers: Answers<'_>,
    ) -> Result<Block, SubmitError> {
        let time = self.tip.time.max(now);
        let chain = self.genesis.market;
        let mut env = ChainEnv::new(chain, time, answers);
        let mut log = Vec::new();
        let (sender, value) = (signed.sender, signed.value);
        let outcome = match command {
            Directed::Market(command) => {
                self.world.execute_on_market(sender, chain.contract, value, command, &mut env, &mut log)
            }
            Directed::Auction { contract, command } => {
                self.world.execute_on_auction(sender, *contract, value, command, &mut env, &mut log)
            }
        };
        outcome.map_err(|error| refusal(error, self.tip.number))?;
        let transaction = signed.digest(&chain);
        let (_, answers) = env.answers.into_inner();
        Ok(self.seal(time, transaction, Origin::Command { signed, answers }, log))
    }

    /// Gives an account native money from nowhere, as a block without events.
    pub(super) fn fund(&mut self, now: Time, account: Address, amount: AttoFil) -> Result<Block, TooMuchMoney> {
        let time = self.tip.time.max(now);
        self.world.mint(account, amount)?;
        let transaction = hash_of(&(self.tip.number + 1, account, amount));
        Ok(self.seal(time, transaction, Origin::Fund { account, amount }, Vec::new()))
    }

    /// Lets time pass up to `now`, as a block without events.
    pub(super) fn wait(&mut self, now: Time) -> Block {
        let time = self.tip.time.max(now);
        let transaction = hash_of(&(self.tip.number + 1, time));
        self.seal(time, transaction, Origin::Wait, Vec::new())
    }

    /// The next block is on another fork.
    pub(super) fn fork_after(&mut self, fork: u64) {
        // What a log says of forks is not believed to be small.
        self.fork = fork.saturating_add(1);
    }

    pub(super) const fn fork(&self) -> u64 {
        self.fork
    }

    /// Makes a block of the log again, which is returned as it came out. Its hash must be the same.
    pub(super) fn again(&mut self, block: Block) -> Result<Block, String> {
        self.fork = block.fork;
        let made = match block.origin {
            Origin::Fund { account, amount } => {
                self.fund(block.time, account, amount).map_err(|error| error.to_string())?
            }
            Origin::Wait => self.wait(block.time),
            Origin::Command { signed, answers } => {
                let command = crate::encoding::decode_directed(&signed.command, signed.value)
                    .map_err(|error| error.to_string())?;
                self.execute(block.time, signed, &command, Answers::Recorded(answers.into_iter()))
                    .map_err(|error| error.to_string())?
            }
        };
        if made.hash != block.hash {
            return Err(format!(
                "the log says {}, but {} comes out; it was written by a version with another protocol",
                block.hash, made.hash
            ));
        }
        Ok(made)
    }
}

/// What a block's command came to.
pub(super) fn landing(number: u64, block: &Block) -> Landed {
    Landed {
        transaction: block.transaction,
        // A command's size bounds its events.
        cursor: Cursor { block: number, block_hash: block.hash, index: block.events.len() as u32 },
        time: block.time,
        events: block.events.iter().filter_map(ContractEvent::of_market).cloned().collect(),
        auction_events: block.events.iter().filter_map(ContractEvent::of_auction).cloned().collect(),
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
        | CallError::RejectedByBlessing(_)
        | CallError::RejectedByFilecoinPay(_)
        | CallError::RejectedByGranter(_)
        | CallError::RejectedByFilecoinPayDeals(_)
        | CallError::NoSuchFunction(_) => SubmitError::Failed(error.to_string()),
    }
}
