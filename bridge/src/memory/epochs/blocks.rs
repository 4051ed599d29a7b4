//! The blocks of a chain that passes in epochs, and the messages that wait. Pure: time and chance come in.

use std::{collections::HashMap, sync::Arc};

use lota_market::{
    Address, B256, Bytes, Time,
    agent::EffectKey,
    model::{Command, Event, Market},
    world::{Log, TooMuchMoney, World},
};

use super::{EpochOptions, Sent, Weather, chance::Chance};
use crate::{
    eip712::SignedCommand,
    encoding,
    memory::{
        Contracts, Genesis,
        state::{Answers, ChainEnv, hash_of, refusal},
    },
    transport::{Cursor, Head, Landed, MarketRef, Outstanding, SubmitError, Update},
};

/// The most messages that wait for a block.
const MAX_POOL: usize = 1 << 16;

/// What a message came to in its block.
type Executed = Result<Vec<Event>, SubmitError>;

/// A message.
struct Message {
    signed: SignedCommand,
    command: Command,
    transaction: B256,
    /// The epoch in which it was sent: the next one may include it.
    sent: u64,
    /// It waits for a block.
    in_pool: bool,
    /// The epoch of the block that it is in.
    included: Option<u64>,
}

/// A block, and what came of it.
pub(super) struct Block {
    /// Its epoch is its number.
    number: u64,
    hash: B256,
    time: Time,
    messages: Vec<(usize, Executed)>,
    events: Vec<(B256, Event)>,
    /// The world after it.
    pub(super) world: World,
}

impl Block {
    /// The position after its last event.
    fn end(&self) -> Cursor {
        // The sizes of commands bound their events.
        Cursor { block: self.number, block_hash: self.hash, index: self.events.len() as u32 }
    }

    pub(super) fn as_head(&self) -> Head {
        Head { block: self.number, hash: self.hash, time: self.time }
    }

    pub(super) fn market(&self, contract: Address) -> &Market {
        #[expect(clippy::expect_used, reason = "the world begins with it, and contracts stay")]
        self.world.market(contract).expect("the market is there from the beginning")
    }
}

/// What became of a command so far.
pub(super) enum Submitted {
    /// It is on its way.
    Sent,
    /// It is in a block that was executed.
    Landed(Box<Landed>),
}

/// Blocks and messages.
pub(super) struct Blocks {
    market: MarketRef,
    epoch_length: u64,
    finality: u64,
    /// How many seconds later than it should be the next block is.
    pub(super) ahead: u64,
    pub(super) weather: Weather,
    chance: Chance,
    contracts: Arc<dyn Contracts>,
    /// Which epoch it is.
    pub(super) epoch: u64,
    /// How many reorganisations there were.
    forks: u64,
    /// At least two: one that was executed, and one above it.
    blocks: Vec<Block>,
    messages: Vec<Message>,
    /// The newest message of each key.
    keys: HashMap<(Address, EffectKey), usize>,
    waiting: Vec<(Address, EffectKey)>,
    /// Where the parent of each block ends, also of those that were undone.
    parents: HashMap<B256, Cursor>,
    pub(super) undone: u64,
}

impl Blocks {
    pub(super) fn new(genesis: &Genesis, options: EpochOptions) -> Result<Self, TooMuchMoney> {
        let EpochOptions { epoch: epoch_length, finality, weather, seed, contracts } = options;
        let mut world = World::with_market(genesis.market.contract, genesis.market.settings);
        for (account, amount) in &genesis.funds {
            world.mint(*account, *amount)?;
        }
        let block = |number: u64, parent: B256, world: World| Block {
            number,
            hash: hash_of(&(number, parent, genesis)),
            time: genesis.time.after(number.saturating_mul(epoch_length)),
            messages: Vec::new(),
            events: Vec::new(),
            world,
        };
        let first = block(0, B256::ZERO, world.clone());
        let second = block(1, first.hash, world);
        let parents = HashMap::from([(second.hash, first.end())]);
        Ok(Self {
            market: genesis.market,
            epoch_length,
            finality,
            ahead: 0,
            weather,
            chance: Chance(seed),
            contracts,
            epoch: 1,
            forks: 0,
            blocks: vec![first, second],
            messages: Vec::new(),
            keys: HashMap::new(),
            waiting: Vec::new(),
            parents,
            undone: 0,
        })
    }

    /// The blocks that were executed.
    fn executed(&self) -> &[Block] {
        &self.blocks[..self.blocks.len().saturating_sub(1)]
    }

    /// The newest block that was executed.
    pub(super) fn head(&self) -> &Block {
        #[expect(clippy::expect_used, reason = "there are two at the beginning, and reorganisations keep them")]
        self.executed().last().expect("a block was executed")
    }

    fn tip(&self) -> &Block {
        #[expect(clippy::expect_used, reason = "there are two at the beginning, and reorganisations keep them")]
        self.blocks.last().expect("there is a block")
    }

    /// Number of the newest block that will not be undone.
    fn finalized(&self) -> u64 {
        let deep = self.head().number.saturating_sub(self.finality);
        self.blocks.iter().rev().map(|block| block.number).find(|number| *number <= deep).unwrap_or_default()
    }

    // Time ------------------------------------------------------------------------------------------------------------

    /// An epoch passes.
    pub(super) fn pass(&mut self) {
        self.epoch += 1;
        let (epoch, Weather { null, reorganise, depth, .. }) = (self.epoch, self.weather);
        if reorganise > 0 && epoch.is_multiple_of(reorganise) && depth > 0 {
            let executed = 1 + self.chance.number(&("depth", epoch)) % depth;
            let keep = self.blocks.len().saturating_sub(usize::try_from(executed).unwrap_or(usize::MAX) + 1);
            let above = self.blocks.get(keep.saturating_sub(1)).map_or(0, |block| block.number);
            self.fork_above(above);
        }
        if !self.chance.is_one_in(null, &("null", self.forks, epoch)) {
            self.extend(epoch);
        }
    }

    /// The blocks above an epoch are undone; others take their place, up to the epoch before this one.
    pub(super) fn fork_above(&mut self, epoch: u64) {
        let lowest = epoch.max(self.finalized()).max(1);
        let keep = self.blocks.iter().take_while(|block| block.number <= lowest).count();
        let before = self.head().number;
        let undone = self.blocks.split_off(keep);
        if undone.is_empty() {
            return;
        }
        self.forks += 1;
        self.undone += undone.iter().filter(|block| block.number <= before).count() as u64;
        let first = self.tip().number + 1;
        for index in undone.iter().flat_map(|block| block.messages.iter().map(|(index, _)| *index)) {
            let message = &self.messages[index];
            let SignedCommand { sender, key, .. } = &message.signed;
            let is_awaited = self.waiting.iter().any(|(party, awaited)| party == sender && awaited == key);
            // While somebody waits for it, whoever sent it sends it again.
            let is_dropped =
                !is_awaited && self.chance.is_one_in(self.weather.drop, &("drop", self.forks, message.transaction));
            let message = &mut self.messages[index];
            (message.in_pool, message.included) = (!is_dropped, None);
        }
        for epoch in first..self.epoch {
            if !self.chance.is_one_in(self.weather.null, &("null", self.forks, epoch)) {
                self.extend(epoch);
            }
        }
    }

    /// A block with the messages that were sent before its epoch.
    fn extend(&mut self, epoch: u64) {
        let ready = |message: &Message| message.in_pool && message.sent < epoch;
        let mut turns = HashMap::<Address, u64>::new();
        let mut ready: Vec<(u64, u64, usize)> = (0..self.messages.len())
            .filter(|index| ready(&self.messages[*index]))
            .map(|index| {
                // Any order of the senders, but a sender's own messages in their order.
                let sender = self.messages[index].signed.sender;
                let turn = turns.entry(sender).or_default();
                *turn += 1;
                (*turn, self.chance.number(&("order", self.forks, epoch, sender)), index)
            })
            .collect();
        ready.sort_unstable();
        let ahead = std::mem::take(&mut self.ahead);
        let parent = self.tip();
        let passed = epoch.saturating_sub(parent.number).saturating_mul(self.epoch_length);
        let time = parent.time.after(passed.saturating_add(ahead));
        let (mut world, parent) = (parent.world.clone(), parent.end());
        let (mut messages, mut events) = (Vec::new(), Vec::new());
        for (_, _, index) in ready {
            let message = &mut self.messages[index];
            (message.in_pool, message.included) = (false, Some(epoch));
            let message = &self.messages[index];
            let executed = self.execute(&mut world, (epoch, time), &message.signed, &message.command);
            events.extend(executed.iter().flatten().map(|event| (message.transaction, event.clone())));
            messages.push((index, executed));
        }
        let transactions: Vec<B256> = messages.iter().map(|(index, _)| self.messages[*index].transaction).collect();
        let hash = hash_of(&(epoch, self.forks, parent, time, transactions));
        self.parents.insert(hash, parent);
        self.blocks.push(Block { number: epoch, hash, time, messages, events, world });
    }

    /// Executes a command in the state of a block, of which these are number and time.
    fn execute(
        &self,
        world: &mut World,
        (block, now): (u64, Time),
        signed: &SignedCommand,
        command: &Command,
    ) -> Executed {
        let mut env = ChainEnv::new(self.market, now, Answers::Ask(&*self.contracts));
        let mut log = Vec::new();
        world
            .execute_on_market(signed.sender, self.market.contract, signed.value, command, &mut env, &mut log)
            .map_err(|error| refusal(error, block))?;
        // There is nothing but the market on this chain.
        Ok(log.iter().filter_map(|Log { event, .. }| event.of_market()).cloned().collect())
    }

    // Messages --------------------------------------------------------------------------------------------------------

    /// Sends a command unless that was done, and says what became of it. `is_first`: whoever asks has not asked before, so that a
    /// refusal in a block is old and the command is tried again.
    pub(super) fn submit(
        &mut self,
        signed: &SignedCommand,
        command: &Command,
        is_first: bool,
    ) -> Result<Submitted, SubmitError> {
        let name = (signed.sender, signed.key.clone());
        if let Some(index) = self.keys.get(&name).copied() {
            let message = &mut self.messages[index];
            if (&message.signed.command, message.signed.value) != (&signed.command, signed.value) {
                return Err(SubmitError::KeyReused { party: signed.sender, key: signed.key.clone() });
            }
            if message.included.is_none() {
                // It was dropped, if it does not wait: then it is sent again.
                if !message.in_pool {
                    (message.in_pool, message.sent) = (true, self.epoch);
                }
                return Ok(Submitted::Sent);
            }
            match self.result(index) {
                None => return Ok(Submitted::Sent),
                Some(Ok(landed)) => return Ok(Submitted::Landed(Box::new(landed))),
                Some(Err(refused)) if !is_first => return Err(refused),
                Some(Err(_)) => {}
            }
        }
        self.try_out(signed, command)?;
        if self.messages.iter().filter(|message| message.in_pool).count() >= MAX_POOL {
            let problem = format!("{MAX_POOL} messages wait for a block; try again later");
            return Err(crate::TransportError::Unavailable(problem).into());
        }
        self.keys.insert(name, self.messages.len());
        self.messages.push(Message {
            signed: signed.clone(),
            command: command.clone(),
            transaction: signed.digest(&self.market),
            sent: self.epoch,
            in_pool: true,
            included: None,
        });
        Ok(Submitted::Sent)
    }

    /// Executes a command in the newest state that a node knows, without a trace.
    fn try_out(&self, signed: &SignedCommand, command: &Command) -> Result<(), SubmitError> {
        // Refused whatever the state.
        encoding::decode(&signed.command, signed.value)?;
        let is_behind = self.chance.is_one_in(self.weather.behind, &("behind", self.epoch, &signed.key));
        let newest = self.executed().len().saturating_sub(1 + usize::from(is_behind));
        let block = self.blocks.get(newest).unwrap_or_else(|| self.head());
        self.execute(&mut block.world.clone(), (block.number, block.time), signed, command).map(|_| ())
    }

    /// What a message came to, if it is in a block that was executed.
    fn result(&self, index: usize) -> Option<Result<Landed, SubmitError>> {
        let epoch = self.messages.get(index)?.included?;
        let at = self.executed().binary_search_by_key(&epoch, |block| block.number).ok()?;
        let block = self.executed().get(at)?;
        let mut before = 0;
        for (other, executed) in &block.messages {
            match executed {
                Ok(events) => {
                    before += events.len();
                    if *other == index {
                        let cursor = Cursor { index: before as u32, ..block.end() };
                        let transaction = self.messages[index].transaction;
                        return Some(Ok(Landed {
                            transaction,
                            cursor,
                            time: block.time,
                            events: events.clone(),
                            auction_events: Vec::new(),
                        }));
                    }
                }
                Err(refused) if *other == index => return Some(Err(refused.clone())),
                Err(_) => {}
            }
        }
        None
    }

    pub(super) fn wait(&mut self, party: Address, key: &EffectKey) {
        self.waiting.push((party, key.clone()));
    }

    pub(super) fn wait_no_more(&mut self, party: Address, key: &EffectKey) {
        if let Some(at) = self.waiting.iter().position(|(who, awaited)| *who == party && awaited == key) {
            self.waiting.swap_remove(at);
        }
    }

    /// The keys for which a party waits, and of which nothing can be said yet.
    pub(super) fn awaited(&self, party: Address) -> Vec<EffectKey> {
        let is_unknown = |name: &(Address, EffectKey)| {
            self.keys.get(name).is_some_and(|index| {
                let message = &self.messages[*index];
                (message.in_pool || message.included.is_some()) && self.result(*index).is_none()
            })
        };
        let waiting = self.waiting.iter().filter(|name| name.0 == party && is_unknown(name));
        waiting.map(|(_, key)| key.clone()).collect()
    }

    // What is told ----------------------------------------------------------------------------------------------------

    /// What comes after `from`: a rewind when it is on no block of this fork, else up to `limit` events, else the head.
    pub(super) fn read(&self, from: Option<&Cursor>, limit: usize) -> Vec<Update> {
        let executed = self.executed();
        let (mut at, mut skip) = (0, 0);
        if let Some(from) = from {
            let Some(known) = self.on_this_fork(from) else {
                return vec![Update::Rewind { to: self.ancestor(from) }];
            };
            (at, skip) = (known, from.index as usize);
        }
        let mut updates = Vec::new();
        for block in &executed[at..] {
            for (index, (transaction, event)) in block.events.iter().enumerate().skip(skip) {
                if updates.len() == limit {
                    return updates;
                }
                let cursor = Cursor { index: index as u32 + 1, ..block.end() };
                let (time, transaction, event) = (block.time, *transaction, event.clone());
                updates.push(Update::Event { cursor, time, transaction, event });
            }
            skip = 0;
        }
        if updates.is_empty() {
            let head = self.head();
            updates.push(Update::Head { cursor: head.end(), latest: head.as_head(), finalized: self.finalized() });
        }
        updates
    }

    /// The place of the block that a position is in, among those that were executed.
    fn on_this_fork(&self, position: &Cursor) -> Option<usize> {
        let at = self.executed().binary_search_by_key(&position.block, |block| block.number).ok()?;
        let block = &self.executed()[at];
        (block.hash == position.block_hash && position.index as usize <= block.events.len()).then_some(at)
    }

    /// The highest block of this fork that a position descends from.
    fn ancestor(&self, from: &Cursor) -> Option<Cursor> {
        let mut position = *from;
        loop {
            position = *self.parents.get(&position.block_hash)?;
            if self.on_this_fork(&position).is_some() {
                return Some(position);
            }
        }
    }

    /// A party's messages that wait for a block, or are in one above `seen` or one that may be undone.
    pub(super) fn outstanding(&self, party: Address, seen: u64) -> Outstanding {
        let seen = seen.min(self.finalized());
        let is_open = |message: &&Message| message.in_pool || message.included.is_some_and(|epoch| epoch > seen);
        let of_party = self.messages.iter().filter(|message| message.signed.sender == party);
        let keys = of_party.filter(is_open).map(|message| message.signed.key.clone()).collect();
        let below = self.blocks.iter().rev().find(|block| block.number <= seen);
        Outstanding { keys, final_time: below.map(|block| block.time).unwrap_or_default() }
    }

    pub(super) fn events(&self) -> Vec<(u64, Event)> {
        let events = |block: &Block| -> Vec<(u64, Event)> {
            block.events.iter().map(|(_, event)| (block.number, event.clone())).collect()
        };
        self.blocks.iter().flat_map(events).collect()
    }

    pub(super) fn messages(&self) -> Vec<Sent> {
        let refused = |index: usize, epoch: u64| {
            let mut executed = self.blocks.iter().filter(|block| block.number == epoch).flat_map(|b| &b.messages);
            executed.any(|(other, executed)| *other == index && executed.is_err())
        };
        let sent = |(index, message): (usize, &Message)| Sent {
            sender: message.signed.sender,
            key: message.signed.key.clone(),
            command: Bytes::clone(&message.signed.command),
            value: message.signed.value,
            epoch: message.included,
            refused: message.included.is_some_and(|epoch| refused(index, epoch)),
        };
        self.messages.iter().enumerate().map(sent).collect()
    }
}
