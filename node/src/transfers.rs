//! Deposits and withdrawals. One that landed is watched until its block is final: if a reorganisation undoes it, and the message is
//! dropped on the way, it is submitted again under its key.

use std::{sync::Arc, time::Duration};

use lota_bridge::{SubmitError, Transport, TransportError};
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
}

/// Why money was not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error("{MAX_WATCHED} deposits and withdrawals are not final yet; wait until some of them are")]
    TooMany,
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
}

impl Transfers {
    /// Takes up those that an earlier process left.
    pub(crate) async fn of(
        node: &str,
        transport: Arc<dyn Transport>,
        store: Store,
        health: Arc<Health>,
    ) -> Result<Self, StoreError> {
        let watched = Mutex::new(store.meta(TRANSFERS).await?.unwrap_or_default());
        Ok(Self { node: node.to_owned(), transport, store, health, watched })
    }

    /// Moves money, and returns when that is in a block. What is refused is not tried again.
    pub(crate) async fn make(&self, direction: Direction, amount: AttoFil) -> Result<(), TransferError> {
        let name = match direction {
            Direction::Deposit => "deposit",
            Direction::Withdraw { .. } => "withdraw",
        };
        // Each request is another transfer.
        let key = EffectKey::named(&format!("{name}/{}", hex::encode(rand::random::<[u8; 16]>())));
        let block = match self.health.head() {
            Some(head) => head.block,
            None => self.transport.head().await?.block,
        };
        let transfer = Transfer { key, direction, amount, block };
        {
            let mut watched = self.watched.lock().await;
            if watched.len() >= MAX_WATCHED {
                return Err(TransferError::TooMany);
            }
            watched.push(transfer.clone());
            self.store.set_meta(TRANSFERS, &*watched).await?;
        }
        match self.submit(&transfer).await {
            Ok(block) => Ok(self.change(&transfer.key, Some(block)).await?),
            Err(error) => {
                self.change(&transfer.key, None).await?;
                Err(error.into())
            }
        }
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
                    transfer.block = block;
                }
            }
            None => watched.retain(|transfer| transfer.key != *key),
        }
        self.store.set_meta(TRANSFERS, &*watched).await
    }

    /// Sees to it that all of them are in blocks, or, unless `is_undone`, those whose blocks should be final by now. Says whether that
    /// is to be tried again.
    async fn look_after(&self, is_undone: bool) -> Result<bool, StoreError> {
        let watched = self.watched.lock().await.clone();
        let mut again = false;
        for transfer in watched {
            let is_old = |block| block <= self.health.finalized();
            if !is_undone && !is_old(transfer.block) {
                continue;
            }
            match self.submit(&transfer).await {
                Ok(block) => self.change(&transfer.key, Some(block).filter(|block| !is_old(*block))).await?,
                // An older state may refuse what a newer one does not, until what it rests on is final.
                Err(error) if !is_old(transfer.block) || matches!(error, SubmitError::Transport(_)) => {
                    observe::transfer_waits(&self.node, &self.transport.asset(), &transfer.key, &error);
                    again = true;
                }
                Err(error) => {
                    observe::transfer_lost(&self.node, &self.transport.asset(), &transfer.key, &error);
                    self.change(&transfer.key, None).await?;
                }
            }
        }
        Ok(again)
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
        memory::{EpochChain, EpochOptions, Genesis, Weather},
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
            let transfers = Transfers::of("test", transport, store.clone(), Arc::clone(&health)).await.expect("read");
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
            self.pass_during(self.transfers.make(direction, AttoFil(amount))).await
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
        let next = Transfers::of("test", Arc::clone(transport), store.clone(), Arc::clone(health)).await.expect("read");
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
        };
        *world.transfers.watched.lock().await = (0..MAX_WATCHED).map(transfer).collect();
        assert!(matches!(world.make(Direction::Deposit, 1).await, Err(TransferError::TooMany)));
        assert_eq!(world.chain.messages().len(), 0);
    }
}
