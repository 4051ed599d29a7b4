//! Money that moves while blocks are undone and processes end.

use lota_bridge::{
    MarketRef, PrivateKeySigner,
    memory::{Chain, EpochChain, EpochOptions, Genesis, Options, Weather},
};
use lota_market::{Time, model::Settings};
use tempfile::TempDir;

use super::*;

const FINALITY: u64 = 10;

/// The inbox of a loop that has ended.
fn nobody() -> Inbox {
    Inbox::new(tokio::sync::mpsc::channel(1).0)
}

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
        let genesis = Genesis { market, auction: None, time: Time(1_800_000_000), funds: vec![(me, AttoFil(1_000))] };
        let weather = Weather { drop: 1, ..Weather::CALM };
        let options = EpochOptions { finality: FINALITY, weather, ..EpochOptions::default() };
        let chain = EpochChain::new(&genesis, options).expect("little money");
        let transport: Arc<dyn Transport> = Arc::new(chain.connect(key));
        let folder = TempDir::new().expect("a folder");
        let store = Store::open(&folder.path().join("node.sqlite")).await.expect("it opens");
        let health = Arc::new(Health::new("test"));
        let stop = CancellationToken::new();
        let transfers =
            Transfers::of("test", transport, store.clone(), Arc::clone(&health), nobody(), stop).await.expect("read");
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

    async fn watch(&self, transfers: Vec<Transfer>) {
        self.store.set_meta(TRANSFERS, &transfers).await.expect("kept");
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
    let next = Transfers::of("test", transport, store.clone(), Arc::clone(health), nobody(), stop).await.expect("read");
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
        ..deposit("", false)
    };
    world.watch((0..MAX_WATCHED).map(transfer).collect()).await;
    assert!(matches!(world.make(Direction::Deposit, 1).await, Err(TransferError::TooMany)));
    assert_eq!(world.chain.messages().len(), 0);
}

fn deposit(key: &str, landed: bool) -> Transfer {
    Transfer {
        key: EffectKey::named(key),
        direction: Direction::Deposit,
        amount: AttoFil(500),
        block: 0,
        landed,
        undone: false,
        promised: false,
    }
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
    let next = Transfers::of("test", transport, store.clone(), Arc::clone(health), nobody(), stop).await.expect("read");
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
    let next = Transfers::of("test", transport, world.store.clone(), health, nobody(), stop).await.expect("read");
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
    world.watch(vec![transfer.clone()]).await;
    let making = world.transfers.begin(transfer.key.clone());
    assert!(!world.look_after(true).await);
    assert_eq!(world.chain.messages().len(), 0);
    drop(making);
    world.watch(Vec::new()).await;
    let removed = world.pass_during(world.transfers.look_at(transfer.key.clone())).await;
    assert!(!removed.expect("the store works"));
    assert_eq!(world.chain.messages().len(), 0);
    world.watch(vec![transfer]).await;
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
    world.watch(transfers.collect()).await;
    let before = world.chain.epoch();
    let mut work = std::pin::pin!(world.transfers.look_after(true));
    // None waits for another: for that an epoch would have to pass.
    while world.chain.messages().len() < 8 {
        assert!(futures::poll!(&mut work).is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((world.chain.messages().len(), world.chain.epoch()), (8, before));
}

mod bid_money {
    use lota_bridge::{AuctionRef, memory::ManualClock};
    use tokio::sync::mpsc;

    use super::*;
    use crate::inbox::INBOX;

    const AUCTION: AuctionRef = AuctionRef { contract: Address::repeat_byte(2), min_reveal_period: 10 };

    struct Bidder {
        chain: Chain,
        transport: Arc<dyn Transport>,
        store: Store,
        health: Arc<Health>,
        me: Address,
        _folder: TempDir,
    }

    impl Bidder {
        /// One who has 500 of its 1,000 attoFIL in the auction.
        async fn begin() -> Self {
            let key = PrivateKeySigner::from_bytes(&[7; 32].into()).expect("a key");
            let me = key.address();
            let market = MarketRef { chain_id: 1, contract: Address::repeat_byte(1), settings: Settings::COIN };
            let time = Time(1_800_000_000);
            let genesis = Genesis { market, auction: Some(AUCTION), time, funds: vec![(me, AttoFil(1_000))] };
            let options = Options { clock: Arc::new(ManualClock::at(time)), ..Options::default() };
            let chain = Chain::in_memory(genesis, options).expect("little money");
            let transport: Arc<dyn Transport> = Arc::new(chain.connect(key));
            let fund = EffectKey::named("fund");
            transport.submit_to_auction(&fund, &auction::Command::Fund, AttoFil(500)).await.expect("it has that");
            let folder = TempDir::new().expect("a folder");
            let store = Store::open(&folder.path().join("node.sqlite")).await.expect("it opens");
            Self { chain, transport, store, health: Arc::new(Health::new("test")), me, _folder: folder }
        }

        /// A process of it, whose loop says that so much is free, and is told so many times that something has moved.
        async fn process(&self, free: u128) -> (Arc<Transfers>, Arc<SyncMutex<usize>>) {
            let (sender, mut receiver) = mpsc::channel(INBOX);
            let (transport, health) = (Arc::clone(&self.transport), Arc::clone(&self.health));
            let (inbox, stop) = (Inbox::new(sender), CancellationToken::new());
            let transfers = Transfers::of("test", transport, self.store.clone(), health, inbox, stop).await;
            let (moved, told) = (Arc::new(SyncMutex::new(0)), AttoFil(free));
            let (counted, store) = (Arc::clone(&moved), self.store.clone());
            tokio::spawn(async move {
                while let Some(message) = receiver.recv().await {
                    match message {
                        Message::TakeBidMoney { amount, to, key, reply } => {
                            let direction = Direction::WithdrawBidMoney { to, all: amount.is_none() };
                            let amount = amount.unwrap_or(told);
                            if amount != AttoFil::ZERO {
                                let mut batch = store.begin().await.expect("the store works");
                                let known = watched(&mut batch).await.expect("read");
                                let is_reused = known.iter().any(|transfer| transfer.key == key);
                                promise(&mut batch, key, direction, amount, 1).await.expect("noted");
                                batch.commit().await.expect("noted");
                                // What the loop looks at when something else moves at this moment.
                                let leaving = leaving(&store, u64::MAX).await.expect("read");
                                assert!(leaving == amount || is_reused, "{leaving:?}");
                            }
                            reply.send(Ok(amount)).expect("somebody waits");
                        }
                        Message::BidMoneyMoved => *counted.lock().expect("no panic") += 1,
                        other => panic!("{other:?}"),
                    }
                }
            });
            (Arc::new(transfers.expect("read")), moved)
        }

        async fn in_auction(&self) -> u128 {
            self.transport.auction_balance(self.me).await.expect("it is read").0
        }
    }

    #[tokio::test]
    async fn what_is_leaving_is_known_before_it_is_sent_and_after_a_reorganisation() {
        let bidder = Bidder::begin().await;
        let taken = |block, landed| Transfer {
            key: EffectKey::named(&format!("{block}/{landed}")),
            direction: Direction::WithdrawBidMoney { to: bidder.me, all: false },
            amount: AttoFil(10),
            block,
            ..deposit("", landed)
        };
        assert_eq!(leaving(&bidder.store, 0).await.expect("read"), AttoFil::ZERO);
        let all = vec![taken(5, false), taken(6, true), taken(7, true), deposit("other", false)];
        bidder.store.set_meta(TRANSFERS, &all).await.expect("kept");
        let sums = [u64::MAX, 7, 6, 5, 0].map(|above| leaving(&bidder.store, above));
        let sums = futures::future::join_all(sums).await.into_iter().map(|sum| sum.expect("read").0);
        assert_eq!(sums.collect::<Vec<_>>(), [10, 10, 20, 30, 30]);
    }

    #[tokio::test]
    async fn what_was_undone_leaves_until_it_landed_again_whatever_else_moves() {
        let bidder = Bidder::begin().await;
        let (transfers, _) = bidder.process(0).await;
        let taken = |block: u64| Transfer {
            key: EffectKey::named(&block.to_string()),
            direction: Direction::WithdrawBidMoney { to: bidder.me, all: false },
            amount: AttoFil(10),
            block,
            ..deposit("", true)
        };
        bidder.store.set_meta(TRANSFERS, &vec![taken(100), taken(105), taken(106)]).await.expect("kept");
        let now = async || leaving(&bidder.store, u64::MAX).await.expect("read").0;
        assert_eq!(now().await, 0);
        let mut batch = bidder.store.begin().await.expect("the store works");
        undo(&mut batch, 100).await.expect("noted");
        batch.commit().await.expect("noted");
        assert_eq!(now().await, 20);
        transfers.change(&taken(105).key, Some(105)).await.expect("it is there again");
        assert_eq!(now().await, 10, "the other one is not");
        transfers.change(&taken(106).key, Some(103)).await.expect("it is there again");
        assert_eq!(now().await, 0);
    }

    #[tokio::test]
    async fn all_that_is_free_by_one_name_moves_once_whatever_is_free_later() {
        let bidder = Bidder::begin().await;
        let (transfers, moved) = bidder.process(200).await;
        let me = bidder.me;
        let all = |transfers: &Arc<Transfers>| {
            let transfers = Arc::clone(transfers);
            async move { transfers.take_bid_money(me, None, Some("all".to_owned())).await }
        };
        let (one, other) = tokio::join!(all(&transfers), all(&transfers));
        one.and(other).expect("it is free");
        assert_eq!(bidder.in_auction().await, 300);
        // The next process, when that is final and watched no more.
        bidder.health.set_finalized(bidder.chain.head().block);
        assert!(!transfers.look_after(false).await.expect("the store works"));
        assert_eq!(bidder.store.meta::<Vec<Transfer>>(TRANSFERS).await.expect("read"), Some(vec![]));
        let (next, _) = bidder.process(50).await;
        all(&next).await.expect("it was done");
        assert_eq!(bidder.in_auction().await, 300);
        for (to, amount, name) in [
            (bidder.me, Some(AttoFil(200)), "all"),
            (Address::repeat_byte(9), None, "all"),
            (bidder.me, Some(AttoFil(9)), "rent"),
        ] {
            if name == "rent" {
                let rent = Some(name.to_owned());
                next.make(Direction::Deposit, AttoFil(9), rent).await.expect("it lands");
            }
            let reused = next.take_bid_money(to, amount, Some(name.to_owned())).await;
            assert!(matches!(reused, Err(TransferError::Submit(SubmitError::KeyReused { .. }))), "{name}: {reused:?}");
        }
        assert_eq!(bidder.in_auction().await, 300);
        all(&next).await.expect("what was refused took nothing of it");
        next.take_bid_money(bidder.me, None, None).await.expect("without a name it is another");
        assert_eq!(bidder.in_auction().await, 250);
        assert!(*moved.lock().expect("no panic") >= 2, "the loop is told");
    }

    #[tokio::test]
    async fn what_the_auction_refuses_is_not_remembered() {
        let bidder = Bidder::begin().await;
        let (transfers, moved) = bidder.process(0).await;
        let take = |amount| transfers.take_bid_money(bidder.me, Some(AttoFil(amount)), Some("much".to_owned()));
        let refused = take(600).await;
        assert!(
            matches!(refused, Err(TransferError::Submit(SubmitError::RejectedByAuction { .. }))),
            "the loop was wrong: {refused:?}"
        );
        assert_eq!(leaving(&bidder.store, 0).await.expect("read"), AttoFil::ZERO, "nothing is on its way");
        assert!(*moved.lock().expect("no panic") >= 1, "the loop is told");
        take(400).await.expect("the name is free");
        assert_eq!(bidder.in_auction().await, 100);
        transfers.take_bid_money(bidder.me, None, None).await.expect("nothing is free, and nothing is sent");
        assert_eq!(bidder.in_auction().await, 100);
    }
}
