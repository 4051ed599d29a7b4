//! Deposits and withdrawals. One that landed is watched until its block is final: if a reorganisation undoes it, and the message is
//! dropped on the way, it is submitted again under its key.
//!
//! Whoever names a request may repeat it: its key on the chain follows from the name, and one key moves money once, whoever asks and
//! whatever crashes in between.
//!
//! What was asked for is written down before it is sent. Of what an earlier process left unsent nobody was told that it moves, so it
//! is forgotten: who asked repeats it, and both would move.

use std::{
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use lota_bridge::{SubmitError, Transport, TransportError};
use lota_content::sha2_256;
use lota_market::{Address, AttoFil, agent::EffectKey, model::Command};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    activity::Activity,
    health::Health,
    observe,
    store::{Store, StoreError},
};

/// The most that are watched until they are final; more are refused.
const MAX_WATCHED: usize = 1_024;
/// Where they are kept.
const TRANSFERS: &str = "transfers";
/// The longest pause before what the market did not take is tried again, as a power of two of seconds.
const MAX_PAUSE: u32 = 5;
/// So many are submitted at once: each may wait for a block.
const AT_ONCE: usize = 16;

/// Which way money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// Into the party's balance in the market.
    Deposit,
    /// Out of it, to this account.
    Withdraw { to: Address },
}

/// Money that moves, and whose block is not final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Transfer {
    key: EffectKey,
    direction: Direction,
    amount: AttoFil,
    /// Number of its block; before it has one, of the newest block when it was asked for.
    block: u64,
    /// Whether it has been in a block.
    #[serde(default)]
    landed: bool,
}

/// Why money was not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error("{MAX_WATCHED} deposits and withdrawals are not final yet; wait until some of them are")]
    TooMany,
    /// It is signed, and lands as soon as it can.
    #[error("{0}; it was begun, and goes on by itself: do not ask for it again, unless with the same idempotency key")]
    UnderWay(SubmitError),
    #[error("the node is ending; what was begun goes on when it is started again")]
    Ending,
    /// Its task panicked.
    #[error("it broke off: {0}")]
    Broke(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TransportError> for TransferError {
    fn from(error: TransportError) -> Self {
        Self::Submit(error.into())
    }
}

/// The party's deposits and withdrawals.
pub(crate) struct Transfers {
    /// The node's name, for its log.
    node: String,
    transport: Arc<dyn Transport>,
    store: Store,
    health: Arc<Health>,
    /// As they are in the store.
    watched: Mutex<Vec<Transfer>>,
    /// Those that are being made, which nobody else is to send.
    making: SyncMutex<Vec<EffectKey>>,
    stop: CancellationToken,
}

/// A transfer that is being made.
struct Making<'a> {
    transfers: &'a Transfers,
    key: EffectKey,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut making = self.transfers.making.lock().unwrap_or_else(PoisonError::into_inner);
        // The same one may be asked for twice at a time.
        if let Some(at) = making.iter().position(|key| *key == self.key) {
            making.swap_remove(at);
        }
    }
}

impl Transfers {
    /// Takes up those that an earlier process left.
    pub(crate) async fn of(
        node: &str,
        transport: Arc<dyn Transport>,
        store: Store,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let watched = Mutex::new(store.meta(TRANSFERS).await?.unwrap_or_default());
        Ok(Self { node: node.to_owned(), transport, store, health, watched, making: SyncMutex::default(), stop })
    }

    /// Moves money, and returns when that is in a block. What is refused is not tried again. It goes on when nobody waits for it any
    /// more, as when a client hangs up: a token's deposit is two transactions. With the same name it moves once.
    pub(crate) async fn make(
        self: &Arc<Self>,
        direction: Direction,
        amount: AttoFil,
        name: Option<String>,
    ) -> Result<(), TransferError> {
        let this = Arc::clone(self);
        let work = tokio::spawn(async move {
            tokio::select! {
                result = this.make_to_end(direction, amount, name) => result,
                () = this.stop.cancelled() => Err(TransferError::Ending),
            }
        });
        work.await?
    }

    fn is_being_made(&self, key: &EffectKey) -> bool {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn begin(&self, key: EffectKey) -> Making<'_> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        Making { transfers: self, key }
    }

    async fn make_to_end(
        &self,
        direction: Direction,
        amount: AttoFil,
        name: Option<String>,
    ) -> Result<(), TransferError> {
        let kind = match direction {
            Direction::Deposit => "deposit",
            Direction::Withdraw { .. } => "withdraw",
        };
        let key = match name {
            // Whichever way: a name is for one transfer.
            Some(name) => EffectKey::named(&format!("transfer/{}", hex::encode(sha2_256(name.as_bytes())))),
            // Each request is another transfer.
            None => EffectKey::named(&format!("{kind}/{}", hex::encode(rand::random::<[u8; 16]>()))),
        };
        let block = match self.health.head() {
            Some(head) => head.block,
            None => self.transport.head().await?.block,
        };
        let _making = self.begin(key.clone());
        let transfer = Transfer { key, direction, amount, block, landed: false };
        let is_new = {
            let mut watched = self.watched.lock().await;
            match watched.iter().find(|known| known.key == transfer.key) {
                Some(known) if (known.direction, known.amount) != (direction, amount) => {
                    let (party, key) = (self.transport.party(), transfer.key);
                    return Err(SubmitError::KeyReused { party, key }.into());
                }
                Some(_) => false,
                None if watched.len() >= MAX_WATCHED => return Err(TransferError::TooMany),
                None => {
                    watched.push(transfer.clone());
                    self.store.set_meta(TRANSFERS, &*watched).await?;
                    true
                }
            }
        };
        match self.submit(&transfer).await {
            Ok(block) => Ok(self.change(&transfer.key, Some(block)).await?),
            Err(error) if self.goes_on(&transfer.key, &error).await => Err(TransferError::UnderWay(error)),
            // What was asked for before is looked after as before.
            Err(error) if !is_new => Err(error.into()),
            Err(error) => {
                self.change(&transfer.key, None).await?;
                Err(error.into())
            }
        }
    }

    /// Whether what failed with this lands all the same, as soon as it can: it was signed already.
    async fn goes_on(&self, key: &EffectKey, error: &SubmitError) -> bool {
        matches!(error, SubmitError::Unaffordable { .. } | SubmitError::Transport(_)) && self.may_have_begun(key).await
    }

    /// Whether it may be on its way; what cannot be read may be.
    async fn may_have_begun(&self, key: &EffectKey) -> bool {
        self.transport.was_begun(key).await.unwrap_or(true)
    }

    /// Gets it to the market unless it is there, and says in which block it is.
    async fn submit(&self, transfer: &Transfer) -> Result<u64, SubmitError> {
        let Transfer { key, direction, amount, .. } = transfer;
        let landed = match direction {
            Direction::Deposit => self.transport.deposit(key, *amount).await?,
            Direction::Withdraw { to } => {
                let command = Command::Withdraw { to: *to, amount: *amount };
                self.transport.submit(key, &command, AttoFil::ZERO).await?
            }
        };
        Ok(landed.cursor.block)
    }

    /// It is in this block now; `None`: it is watched no more.
    async fn change(&self, key: &EffectKey, block: Option<u64>) -> Result<(), StoreError> {
        let mut watched = self.watched.lock().await;
        match block {
            Some(block) => {
                for transfer in watched.iter_mut().filter(|transfer| transfer.key == *key) {
                    (transfer.block, transfer.landed) = (block, true);
                }
            }
            None => watched.retain(|transfer| transfer.key != *key),
        }
        self.store.set_meta(TRANSFERS, &*watched).await
    }

    /// Sees to it that all of them are in blocks, or, unless `is_undone`, those whose blocks should be final by now. Says whether that
    /// is to be tried again.
    async fn look_after(&self, is_undone: bool) -> Result<bool, StoreError> {
        let mut watched = self.watched.lock().await.clone();
        watched.retain(|transfer| is_undone || transfer.block <= self.health.finalized());
        // What is final is let go of before others are waited for.
        watched.sort_by_key(|transfer| (!transfer.landed, transfer.block));
        stream::iter(watched)
            .map(|transfer| self.look_at(transfer.key))
            .buffer_unordered(AT_ONCE)
            .try_fold(false, |again, this| std::future::ready(Ok(again || this)))
            .await
    }

    /// Sees to it that one is in a block. Says whether that is to be tried again.
    async fn look_at(&self, key: EffectKey) -> Result<bool, StoreError> {
        let found = {
            // Who makes one has it removed before it ends.
            let watched = self.watched.lock().await;
            watched.iter().find(|transfer| transfer.key == key && !self.is_being_made(&key)).cloned()
        };
        let Some(transfer) = found else { return Ok(false) };
        if !transfer.landed && !self.may_have_begun(&key).await {
            observe::transfer_forgotten(&self.node, &key);
            self.change(&key, None).await?;
            return Ok(false);
        }
        let is_old = |block| block <= self.health.finalized();
        match self.submit(&transfer).await {
            Ok(block) => self.change(&key, Some(block).filter(|block| !is_old(*block))).await?,
            Err(error) => {
                // An older state may refuse what a newer one does not, until what it rests on is final.
                let waits = !is_old(transfer.block) || matches!(error, SubmitError::Transport(_));
                if waits || self.goes_on(&key, &error).await {
                    observe::transfer_waits(&self.node, &self.transport.asset(), &key, &error);
                    return Ok(true);
                }
                observe::transfer_lost(&self.node, &self.transport.asset(), &key, &error);
                self.change(&key, None).await?;
            }
        }
        Ok(false)
    }

    /// Looks after them until the node is stopped.
    pub(crate) async fn run(self: Arc<Self>, mut activity: watch::Receiver<Activity>, stop: CancellationToken) {
        // What happened before the start is not known.
        let mut rewinds = None;
        let mut failures = 0u32;
        loop {
            let now = activity.borrow_and_update().rewinds;
            let is_undone = failures > 0 || rewinds != Some(now);
            let result = tokio::select! {
                result = self.look_after(is_undone) => result,
                () = stop.cancelled() => return,
            };
            rewinds = Some(now);
            failures = match result {
                Ok(false) => 0,
                Ok(true) => failures.saturating_add(1),
                Err(error) => {
                    observe::transfers_failed(&self.node, &error);
                    failures.saturating_add(1)
                }
            };
            let pause = async {
                match failures {
                    0 => std::future::pending().await,
                    failures => tokio::time::sleep(Duration::from_secs(1 << failures.min(MAX_PAUSE))).await,
                }
            };
            // What failed is not tried again with each block.
            let changed = async {
                match failures {
                    0 => activity.changed().await,
                    _ => activity.wait_for(|activity| activity.rewinds != now).await.map(drop),
                }
            };
            tokio::select! {
                () = pause => {}
                result = changed => if result.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lota_bridge::{
        MarketRef, PrivateKeySigner,
        memory::{Chain, EpochChain, EpochOptions, Genesis, Options, Weather},
    };
    use lota_market::{Time, model::Settings};
    use tempfile::TempDir;

    use super::*;

    const FINALITY: u64 = 10;

    struct World {
        chain: EpochChain,
        transfers: Arc<Transfers>,
        health: Arc<Health>,
        store: Store,
        me: Address,
        _folder: TempDir,
    }

    impl World {
        async fn begin() -> Self {
            let key = PrivateKeySigner::from_bytes(&[7; 32].into()).expect("a key");
            let me = key.address();
            let market = MarketRef { chain_id: 1, contract: Address::repeat_byte(1), settings: Settings::COIN };
            let genesis =
                Genesis { market, auction: None, time: Time(1_800_000_000), funds: vec![(me, AttoFil(1_000))] };
            let weather = Weather { drop: 1, ..Weather::CALM };
            let options = EpochOptions { finality: FINALITY, weather, ..EpochOptions::default() };
            let chain = EpochChain::new(&genesis, options).expect("little money");
            let transport: Arc<dyn Transport> = Arc::new(chain.connect(key));
            let folder = TempDir::new().expect("a folder");
            let store = Store::open(&folder.path().join("node.sqlite")).await.expect("it opens");
            let health = Arc::new(Health::new("test"));
            let stop = CancellationToken::new();
            let transfers =
                Transfers::of("test", transport, store.clone(), Arc::clone(&health), stop).await.expect("read");
            Self { chain, transfers: Arc::new(transfers), health, store, me, _folder: folder }
        }

        /// Epochs pass while somebody waits.
        async fn pass_during<T>(&self, work: impl Future<Output = T>) -> T {
            let mut work = std::pin::pin!(work);
            loop {
                if let std::task::Poll::Ready(done) = futures::poll!(&mut work) {
                    return done;
                }
                self.chain.pass();
                // The store's writes take some of that, and with an epoch for each of them the reorganisation would be too deep.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }

        async fn make(&self, direction: Direction, amount: u128) -> Result<(), TransferError> {
            self.pass_during(self.transfers.make(direction, AttoFil(amount), None)).await
        }

        async fn look_after(&self, is_undone: bool) -> bool {
            self.pass_during(self.transfers.look_after(is_undone)).await.expect("the store works")
        }

        async fn kept(&self) -> Vec<Transfer> {
            self.store.meta(TRANSFERS).await.expect("read").unwrap_or_default()
        }

        /// Free in the market.
        fn balance(&self) -> u128 {
            self.chain.balance(self.me).0
        }

        fn becomes_final(&self) {
            (0..=FINALITY + 2).for_each(|_| self.chain.pass());
            self.health.set_finalized(self.chain.head().block - FINALITY);
        }
    }

    #[tokio::test]
    async fn what_a_reorganisation_undoes_and_drops_is_done_again_once() {
        let world = World::begin().await;
        let before = world.chain.epoch();
        world.make(Direction::Deposit, 500).await.expect("it lands");
        world.make(Direction::Withdraw { to: world.me }, 100).await.expect("it lands");
        assert_eq!(world.balance(), 400);
        world.chain.fork_above(before);
        world.chain.pass();
        assert_eq!(world.balance(), 0, "the messages were dropped");
        assert!(!world.look_after(true).await);
        assert_eq!(world.balance(), 400);
        // Nothing happens again where nothing is missing.
        assert!(!world.look_after(true).await);
        (0..3).for_each(|_| world.chain.pass());
        assert_eq!((world.balance(), world.chain.messages().len()), (400, 2));
    }

    #[tokio::test]
    async fn they_are_watched_until_their_block_is_final_also_by_the_next_process() {
        let world = World::begin().await;
        let before = world.chain.epoch();
        world.make(Direction::Deposit, 500).await.expect("it lands");
        assert_eq!(world.kept().await.len(), 1);
        world.chain.fork_above(before);
        world.chain.pass();
        let Transfers { transport, store, health, .. } = &*world.transfers;
        let (transport, stop) = (Arc::clone(transport), CancellationToken::new());
        let next = Transfers::of("test", transport, store.clone(), Arc::clone(health), stop).await.expect("read");
        world.pass_during(next.look_after(true)).await.expect("the store works");
        assert_eq!(world.balance(), 500);
        assert_eq!(world.kept().await.len(), 1);
        world.becomes_final();
        world.pass_during(next.look_after(false)).await.expect("the store works");
        assert_eq!(world.kept().await, []);
        assert_eq!(world.balance(), 500);
    }

    #[tokio::test]
    async fn what_was_refused_is_not_tried_again_and_what_stays_refused_is_given_up() {
        let world = World::begin().await;
        let refused = world.make(Direction::Withdraw { to: world.me }, 1).await;
        assert!(matches!(refused, Err(TransferError::Submit(SubmitError::Rejected { .. }))), "{refused:?}");
        assert_eq!(world.kept().await, []);
        // What was deposited is withdrawn twice as much as is there after a reorganisation.
        world.make(Direction::Deposit, 500).await.expect("it lands");
        let before = world.chain.epoch();
        world.make(Direction::Withdraw { to: world.me }, 500).await.expect("it lands");
        world.chain.fork_above(before);
        world.chain.pass();
        let command = Command::Withdraw { to: world.me, amount: AttoFil(300) };
        let (transport, other) = (&world.transfers.transport, EffectKey::named("other"));
        world.pass_during(transport.submit(&other, &command, AttoFil::ZERO)).await.expect("it lands");
        assert!(world.look_after(true).await, "it may be taken later");
        assert_eq!(world.kept().await.len(), 2);
        world.becomes_final();
        assert!(!world.look_after(false).await);
        assert_eq!(world.kept().await, []);
        assert_eq!(world.balance(), 200);
    }

    #[tokio::test]
    async fn no_more_are_watched_than_there_is_room_for() {
        let world = World::begin().await;
        let transfer = |number: usize| Transfer {
            key: EffectKey::named(&number.to_string()),
            direction: Direction::Deposit,
            amount: AttoFil(1),
            block: 1,
            landed: false,
        };
        *world.transfers.watched.lock().await = (0..MAX_WATCHED).map(transfer).collect();
        assert!(matches!(world.make(Direction::Deposit, 1).await, Err(TransferError::TooMany)));
        assert_eq!(world.chain.messages().len(), 0);
    }

    fn deposit(key: &str, landed: bool) -> Transfer {
        Transfer { key: EffectKey::named(key), direction: Direction::Deposit, amount: AttoFil(500), block: 0, landed }
    }

    #[tokio::test]
    async fn what_goes_on_when_nobody_waits_for_it_moves_once() {
        let world = World::begin().await;
        {
            let mut work = std::pin::pin!(world.transfers.make(Direction::Deposit, AttoFil(500), None));
            assert!(futures::poll!(&mut work).is_pending());
        }
        world
            .pass_during(async {
                while world.balance() == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        assert_eq!((world.balance(), world.kept().await.len()), (500, 1));
    }

    #[tokio::test]
    async fn what_is_asked_for_again_by_its_name_moves_once_also_after_a_crash() {
        let world = World::begin().await;
        let named = |name: &str| Some(name.to_owned());
        let make = |amount, name: &str| world.transfers.make(Direction::Deposit, AttoFil(amount), named(name));
        let (first, second) = world.pass_during(async { tokio::join!(make(300, "rent"), make(300, "rent")) }).await;
        first.and(second).expect("it lands");
        assert_eq!((world.balance(), world.kept().await.len()), (300, 1), "asked for twice at a time");
        world.pass_during(make(300, "rent")).await.expect("it has landed");
        assert_eq!(world.balance(), 300);
        let other = world.pass_during(make(200, "rent")).await;
        assert!(matches!(other, Err(TransferError::Submit(SubmitError::KeyReused { .. }))), "{other:?}");
        world.becomes_final();
        assert!(!world.look_after(false).await);
        assert_eq!(world.kept().await, [], "it is watched no more");
        world.pass_during(make(300, "rent")).await.expect("it has landed");
        let to = world.me;
        let work = world.transfers.make(Direction::Withdraw { to }, AttoFil(300), named("rent"));
        let other = world.pass_during(work).await;
        assert!(matches!(other, Err(TransferError::Submit(SubmitError::KeyReused { .. }))), "{other:?}");
        assert_eq!(world.balance(), 300);

        // The process ends when its message is out, and before anybody is told.
        let stop = &world.transfers.stop;
        let work = tokio::spawn({
            let transfers = Arc::clone(&world.transfers);
            async move { transfers.make(Direction::Deposit, AttoFil(500), Some("salary".to_owned())).await }
        });
        while world.chain.messages().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
        work.await.expect("no panic").expect_err("nobody is told");
        let Transfers { transport, store, health, .. } = &*world.transfers;
        let (transport, stop) = (Arc::clone(transport), CancellationToken::new());
        let next = Transfers::of("test", transport, store.clone(), Arc::clone(health), stop).await.expect("read");
        let (next, salary) = (Arc::new(next), named("salary"));
        world.pass_during(next.make(Direction::Deposit, AttoFil(500), salary)).await.expect("it lands");
        world.pass_during(next.look_after(true)).await.expect("the store works");
        assert_eq!((world.balance(), world.chain.messages().len()), (800, 2), "the money moved once");
    }

    #[tokio::test]
    async fn what_an_earlier_process_never_sent_is_forgotten() {
        let world = World::begin().await;
        let market = MarketRef { chain_id: 1, contract: Address::repeat_byte(1), settings: Settings::COIN };
        let genesis = Genesis { market, auction: None, time: Time(9), funds: vec![(world.me, AttoFil(1_000))] };
        // This one knows what was never begun.
        let chain = Chain::in_memory(genesis, Options::default()).expect("little money");
        let transport: Arc<dyn Transport> =
            Arc::new(chain.connect(PrivateKeySigner::from_bytes(&[7; 32].into()).expect("a key")));
        world.store.set_meta(TRANSFERS, &vec![deposit("unsent", false), deposit("undone", true)]).await.expect("kept");
        let (health, stop) = (Arc::clone(&world.health), CancellationToken::new());
        let next = Transfers::of("test", transport, world.store.clone(), health, stop).await.expect("read");
        assert!(!next.look_after(true).await.expect("the store works"));
        assert_eq!(chain.balance(world.me), AttoFil(500), "the one that had landed");
        assert_eq!(
            world.kept().await.iter().map(|kept| kept.key.clone()).collect::<Vec<_>>(),
            [EffectKey::named("undone")]
        );
    }

    #[tokio::test]
    async fn what_is_being_made_or_was_removed_is_sent_by_nobody_else() {
        let world = World::begin().await;
        let transfer = deposit("made", true);
        *world.transfers.watched.lock().await = vec![transfer.clone()];
        let making = world.transfers.begin(transfer.key.clone());
        assert!(!world.look_after(true).await);
        assert_eq!(world.chain.messages().len(), 0);
        drop(making);
        *world.transfers.watched.lock().await = Vec::new();
        let removed = world.pass_during(world.transfers.look_at(transfer.key.clone())).await;
        assert!(!removed.expect("the store works"));
        assert_eq!(world.chain.messages().len(), 0);
        *world.transfers.watched.lock().await = vec![transfer];
        assert!(!world.look_after(true).await);
        assert_eq!(world.balance(), 500);
    }

    #[tokio::test]
    async fn what_was_begun_and_lacks_money_stays_watched() {
        let world = World::begin().await;
        // This transport does not know what it never began: it says that it may have.
        let poor = world.make(Direction::Deposit, 5_000).await;
        assert!(matches!(poor, Err(TransferError::UnderWay(SubmitError::Unaffordable { .. }))), "{poor:?}");
        assert!(poor.is_err_and(|error| error.to_string().contains("do not ask for it again")));
        assert_eq!(world.kept().await.len(), 1);
        world.becomes_final();
        assert!(world.look_after(false).await, "it is tried again");
        assert_eq!(world.kept().await.len(), 1);
    }

    #[tokio::test]
    async fn several_are_submitted_at_once() {
        let world = World::begin().await;
        let transfers = (0..8).map(|number| Transfer { amount: AttoFil(1), ..deposit(&number.to_string(), true) });
        *world.transfers.watched.lock().await = transfers.collect();
        let before = world.chain.epoch();
        let mut work = std::pin::pin!(world.transfers.look_after(true));
        for _ in 0..100 {
            assert!(futures::poll!(&mut work).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!((world.chain.messages().len(), world.chain.epoch()), (8, before), "none waits for another");
    }
}
