//! Orders that are paid over Filecoin Pay, from the payer's signature to the provider's account there, with nodes on a chain.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{sync::Arc, time::Duration};

use lota_api::{JobDetail, NodeInfo, OrderInfo, OrdersInfo, Paid, PriceStage, WalletInfo};
use lota_bridge::{
    Transport as _, eip712,
    evm::{
        Chain, EvmTransport, FilecoinPayDeals, Market,
        chain::At,
        filecoin_pay::{self, Approval},
        filecoin_pay_deals, token,
    },
    filecoin_pay_deals::order_digest,
};
use lota_content::Cid;
use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    agent::Offer,
    filecoin_pay_deals::{Command, Order, fee},
    model::{JobId, Reason, SpecCodec, Status, Terms},
    money::FIL,
};
use lota_node::NodeConfig;
use lota_tests::{
    anvil::{Anvil, number},
    programs,
    world::{self, Party, asking, spec},
};
use serde_json::json;
use tempfile::TempDir;

const DOLLAR: u128 = 1_000_000;
const PAYER: u8 = 5;
const POOR: u8 = 6;

/// Where orders are opened, taken and paid.
struct Venue {
    anvil: Anvil,
    orders: Address,
    filecoin_pay: Address,
    /// What is paid.
    token: Address,
    deals: FilecoinPayDeals,
}

impl Venue {
    async fn new(mut anvil: Anvil, token: Address) -> Self {
        let (orders, filecoin_pay) = anvil.with_orders(token).await;
        let chain = Chain::connect(anvil.config()).await.expect("the chain answers");
        let market = Market::find(&chain, anvil.contract(), 0).await.expect("the market is there");
        let deals = FilecoinPayDeals::find(&market, orders).await.expect("they are the market's");
        assert_eq!((deals.reference().token, deals.reference().filecoin_pay), (token, filecoin_pay));
        Self { anvil, orders, filecoin_pay, token, deals }
    }

    /// The payer lets the contract lock its money, of which it pays so much in.
    async fn pay_in(&self, amount: u128) {
        self.pay_in_as(PAYER, amount).await;
    }

    async fn pay_in_as(&self, payer: u8, amount: u128) {
        let payer = world::key(payer).address();
        self.anvil.execute(Some(payer), self.filecoin_pay, self.approval(true), AttoFil::ZERO).await;
        let deposit = filecoin_pay::deposit(self.token, payer, U256::from(amount));
        let value = if self.token.is_zero() { AttoFil(amount) } else { AttoFil::ZERO };
        self.anvil.execute(Some(payer), self.filecoin_pay, deposit, value).await;
    }

    /// What lets the contract lock all of a payer's money, or none any more.
    fn approval(&self, is_approved: bool) -> Bytes {
        let approval = Approval {
            is_approved,
            lockup_allowance: if is_approved { U256::MAX } else { U256::ZERO },
            max_lockup_period: U256::from(1_000_000),
            ..Approval::default()
        };
        filecoin_pay::set_operator_approval(self.token, self.orders, &approval)
    }

    /// Lets so many seconds pass, which makes a provider send a transaction, and has the payer take its approval back in the same
    /// block, before that.
    async fn revoke_ahead(&self, seconds: u64) {
        let payer = world::key(PAYER).address();
        self.anvil.call("evm_setAutomine", json!([false])).await;
        self.anvil.advance(seconds).await;
        let waiting = async || number(&self.anvil.call("txpool_status", json!([])).await["pending"]);
        while waiting().await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.anvil.call("anvil_impersonateAccount", json!([payer])).await;
        let (data, price) = (self.approval(false), format!("{:#x}", 1_000_000_000_000_u64));
        let revoke = json!([{ "from": payer, "to": self.filecoin_pay, "data": data, "gasPrice": price }]);
        let revoke = self.anvil.call("eth_sendTransaction", revoke).await;
        self.anvil.call("evm_mine", json!([])).await;
        let receipt = self.anvil.call("eth_getTransactionReceipt", json!([revoke])).await;
        assert_eq!((&receipt["status"], &receipt["transactionIndex"]), (&json!("0x1"), &json!("0x0")), "{receipt}");
        self.anvil.call("evm_setAutomine", json!([true])).await;
    }

    /// Anybody opens an order that `payer` has signed.
    async fn open(&self, payer: u8, number: u64, provider: Address, module: &Cid, price: u128) -> JobId {
        self.open_from(0, payer, number, provider, module, price).await
    }

    /// The same, for jobs that can be taken in so many seconds.
    async fn open_from(
        &self,
        seconds: u64,
        payer: u8,
        number: u64,
        provider: Address,
        module: &Cid,
        price: u128,
    ) -> JobId {
        let key = world::key(payer);
        let reader = self.reader().await;
        let now = reader.head().await.expect("the chain is there").time;
        let bytes = Bytes::from(serde_json::to_vec(&spec(module)).expect("JSON"));
        let lane = U256::from_be_slice(key.address().as_slice());
        let terms = Terms {
            client: self.orders,
            salt: (lane << 64) | U256::from(number),
            spec: B256::from(lota_content::sha2_256(&bytes)),
            spec_codec: SpecCodec::Json.code(),
            min_price: AttoFil::ZERO,
            max_price: AttoFil::ZERO,
            ramp_start: now.after(seconds),
            ramp_period: 1,
            lock_by: now.after(86_400),
            run_for: 600,
            review_for: 0,
            rule_for: 0,
            collateral: self.collateral(&reader),
            matcher: self.orders,
            arbiter: Address::ZERO,
            callback_gas: 60_000,
            keep_record: false,
        };
        let (min_price, max_price) = (U256::from(price), U256::from(price));
        let order = Order { terms, payer: key.address(), provider, min_price, max_price };
        let (market, job) = (reader.market(), reader.job_id(&order.terms));
        let digest = order_digest(&market, self.orders, &order);
        let told = self.deals.view(&filecoin_pay_deals::order_digest(&order), At::Latest).await;
        assert_eq!(told, Ok(digest), "the contract signs the same");
        let signature = eip712::sign(&key, &digest).expect("signed");
        let data = filecoin_pay_deals::call_data(&Command::Open { order, spec: bytes, signature });
        self.anvil.execute(None, self.orders, data, AttoFil::ZERO).await;
        let open = self.deals.view(&filecoin_pay_deals::open_order(job), At::Latest).await;
        assert_eq!(open, Ok(Some(digest)));
        job
    }

    fn collateral(&self, reader: &EvmTransport) -> AttoFil {
        if reader.market().settings.asset.is_zero() { AttoFil(FIL / 20) } else { AttoFil(DOLLAR / 20) }
    }

    /// Somebody who only reads.
    async fn reader(&self) -> Arc<EvmTransport> {
        let dir = TempDir::new().expect("a folder");
        self.anvil.connect(world::key(9), dir.path(), AttoFil(FIL)).await
    }

    /// A node that runs jobs, with its account in a folder, and leaves it to others to have it paid.
    async fn provider(&self, number: u8, home: &TempDir, offer: Offer, rate: Option<&str>) -> Party {
        self.collecting_provider(number, home, offer, rate, None).await
    }

    /// One that collects what is due to it within so many seconds.
    async fn collecting_provider(
        &self,
        number: u8,
        home: &TempDir,
        offer: Offer,
        rate: Option<&str>,
        within: Option<u64>,
    ) -> Party {
        let name = format!("provider-{number}");
        let transport = self.anvil.connect(world::key(number), &home.path().join(&name), AttoFil(FIL)).await;
        let config = NodeConfig {
            provider: Some(offer),
            filecoin_pay_rate: rate.map(str::to_owned),
            collect_within: within,
            // What is asked for callbacks does not follow what gas costs.
            callback_margin: 0,
            ..world::config(&name, home.path())
        };
        Party::with_executors(transport, config, world::executors(1)).await
    }

    /// What each transaction of an account took, in the chain's order.
    async fn gas_used(&self, account: Address) -> Vec<u64> {
        let mut used = Vec::new();
        for block in 0..=self.anvil.height().await {
            let block = self.anvil.call("eth_getBlockByNumber", json!([format!("{block:#x}"), true])).await;
            for sent in block["transactions"].as_array().expect("a list") {
                if sent["from"] == json!(format!("{account:#x}")) {
                    let receipt = self.anvil.call("eth_getTransactionReceipt", json!([sent["hash"]])).await;
                    used.push(number(&receipt["gasUsed"]));
                }
            }
        }
        used
    }

    /// Somebody has what is due between the payer and a provider paid; says how much the provider has at Filecoin Pay then.
    async fn pay_out(&self, provider: Address, due: u128) -> U256 {
        let payer = world::key(PAYER).address();
        let rail = self.deals.view(&filecoin_pay_deals::rail_of(payer, provider), At::Latest).await;
        let rail = rail.expect("it answers").expect("they have a rail");
        let promised = self.deals.view(&filecoin_pay_deals::promised(rail), At::Latest).await.expect("it answers");
        assert_eq!((promised.needed, promised.due), (U256::from(due), U256::from(due)));
        let pay = filecoin_pay_deals::call_data(&Command::Pay { rails: vec![rail] });
        self.anvil.execute(None, self.orders, pay, AttoFil::ZERO).await;
        let account = filecoin_pay::account_info(self.token, provider);
        self.deals.view_of_filecoin_pay(&account, At::Latest).await.expect("it answers").available
    }

    /// Waits until a provider says this of a job.
    async fn hears(&self, party: &Party, job: JobId, part: &str) {
        let mut reasons = Vec::new();
        for _ in 0..3_000 {
            if let Ok(detail) = party.get::<JobDetail>(&format!("/v1/jobs/{job}")).await {
                reasons = detail.decisions.into_iter().map(|decision| decision.reason).collect::<Vec<_>>();
                if reasons.iter().any(|reason| reason.contains(part)) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody says `{part}` of job {job}: {reasons:?}");
    }

    /// Waits until a job is over; what is tried again later waits for the chain's time.
    async fn wait(&self, party: &Party, job: JobId) -> JobDetail {
        for looks in 1..3_000 {
            if let Ok(detail) = party.get::<JobDetail>(&format!("/v1/jobs/{job}")).await
                && detail.summary.status.is_final()
            {
                return detail;
            }
            if looks % 50 == 0 {
                self.anvil.advance(1).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("job {job} is not over: {:?}", party.get::<JobDetail>(&format!("/v1/jobs/{job}")).await);
    }

    /// Waits until what a node tells of a job's order is at this stage.
    async fn wait_for_stage(&self, party: &Party, job: JobId, stage: PriceStage) -> OrderInfo {
        for looks in 1..3_000 {
            let detail = party.get::<JobDetail>(&format!("/v1/jobs/{job}")).await.ok();
            if let Some(order) = detail.and_then(|it| it.summary.order).filter(|order| order.stage == stage) {
                return order;
            }
            if looks % 50 == 0 {
                self.anvil.advance(1).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not {stage:?}: {:?}", party.get::<JobDetail>(&format!("/v1/jobs/{job}")).await);
    }

    async fn rail(&self, provider: Address) -> U256 {
        let rail = filecoin_pay_deals::rail_of(world::key(PAYER).address(), provider);
        self.deals.view(&rail, At::Latest).await.expect("it answers").expect("they have a rail")
    }

    /// What an account has at Filecoin Pay.
    async fn available(&self, account: Address) -> U256 {
        let account = filecoin_pay::account_info(self.token, account);
        self.deals.view_of_filecoin_pay(&account, At::Latest).await.expect("it answers").available
    }
}

async fn orders(party: &Party) -> OrdersInfo {
    party.get::<NodeInfo>("/v1/node").await.expect("it answers").orders.expect("it takes orders")
}

fn paid(gross: u128) -> Paid {
    let fee = gross.div_ceil(200);
    Paid { gross: AttoFil(gross), fee: AttoFil(fee), net: AttoFil(gross - fee) }
}

/// Whether a node can serve a block to others.
async fn has(party: &Party, cid: &Cid) -> bool {
    let url = format!("{}/ipfs/{cid}?format=raw", party.node.gateway());
    lota_http::client().get(url).send().await.expect("it answers").status().is_success()
}

fn net(gross: u128) -> U256 {
    U256::from(gross) - fee(U256::from(gross))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_race_for_orders_and_each_is_run_once_and_paid() {
    const PRICE: u128 = FIL / 50;
    let Some(mut anvil) = Anvil::spawn_or_skip().await else { return };
    // Both venues at once.
    anvil.with_auction().await;
    let venue = Venue::new(anvil, Address::ZERO).await;
    let home = TempDir::new().expect("a folder");
    let payer = world::key(PAYER).address();
    venue.anvil.set_balance(payer, AttoFil(2 * FIL)).await;
    venue.pay_in(FIL).await;
    let offer = || asking(AttoFil(FIL / 100));
    // A default rate: prices and collateral are in the same coin.
    let (one, two) = (venue.provider(2, &home, offer(), None).await, venue.provider(3, &home, offer(), None).await);
    one.knows(2).await;
    two.knows(2).await;
    let module = one.add(&programs::says("hello\n", 0)).await;

    // An order with nothing behind it, one that pays too little, and then one for whoever is first.
    let unpaid = venue.open(POOR, 0, Address::ZERO, &module, FIL).await;
    let cheap = venue.open(PAYER, 0, Address::ZERO, &module, FIL / 100).await;
    let raced = venue.open(PAYER, 1, Address::ZERO, &module, PRICE).await;
    let detail = venue.wait(&one, raced).await;
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Settled, Reason::Unreviewed), "{detail:#?}");
    let winner = detail.summary.provider.expect("somebody ran it");
    assert!([one.address, two.address].contains(&winner));
    assert_eq!(venue.pay_out(winner, PRICE).await, net(PRICE));

    // Whoever lost goes on working.
    let (loser, other) = if winner == one.address { (&two, &one) } else { (&one, &two) };
    let next = venue.open(PAYER, 2, loser.address, &module, 2 * PRICE).await;
    let detail = venue.wait(loser, next).await;
    assert_eq!((detail.summary.status, detail.summary.provider), (Status::Settled, Some(loser.address)), "{detail:#?}");
    assert_eq!(venue.pay_out(loser.address, 2 * PRICE).await, net(2 * PRICE));
    let reader = venue.reader().await;
    for party in [loser, other] {
        assert_eq!(reader.balance(party.address).await, Ok(AttoFil(FIL / 20)), "its collateral, back in the market");
        for job in [unpaid, cheap] {
            let detail: JobDetail = party.get(&format!("/v1/jobs/{job}")).await.expect("it is known");
            assert_eq!(detail.summary.status, Status::Open, "{detail:#?}");
        }
    }
    let refused: JobDetail = one.get(&format!("/v1/jobs/{cheap}")).await.expect("it is known");
    let reasons: Vec<String> = refused.decisions.into_iter().map(|decision| decision.reason).collect();
    assert!(reasons.iter().any(|reason| reason.contains("below the 0.01 FIL that this provider asks")), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_a_market_of_dollars_takes_orders_in_coins_at_its_rate() {
    // Worth 0.04 dollars less the fee, where a FIL is worth 4 dollars.
    const PRICE: u128 = FIL / 100;
    let Some(mut anvil) = Anvil::spawn_or_skip().await else { return };
    let dollar = anvil.in_dollars().await;
    let venue = Venue::new(anvil, Address::ZERO).await;
    let home = TempDir::new().expect("a folder");
    let payer = world::key(PAYER).address();
    venue.anvil.set_balance(payer, AttoFil(2 * FIL)).await;
    venue.pay_in(FIL).await;
    let offer = asking(AttoFil(FIL / 30)).in_asset(&venue.reader().await.asset(), 1);
    let provider = venue.provider(2, &home, offer.clone(), Some("4")).await;
    venue.anvil.mint(dollar, provider.address, AttoFil(DOLLAR)).await;
    provider.knows(1).await;
    let module = provider.add(&programs::says("hello\n", 0)).await;
    let unpaid = venue.open(POOR, 0, Address::ZERO, &module, FIL).await;
    for number in 0..2 {
        let job = venue.open(PAYER, number, Address::ZERO, &module, PRICE).await;
        let detail = venue.wait(&provider, job).await;
        assert_eq!(
            (detail.summary.status, detail.summary.reason),
            (Status::Settled, Reason::Unreviewed),
            "{detail:#?}"
        );
    }
    assert_eq!(venue.pay_out(provider.address, 2 * PRICE).await, net(2 * PRICE));
    // What it asks for an order's gas, beside that of a lock, covers leave, order and payment (contracts/snapshots).
    let [_, leave, take, ..] = venue.gas_used(provider.address).await[..] else { panic!("it has sent more") };
    let (lock, pay, asked) = (44_692, 89_076, venue.reader().await.order_gas());
    let beyond = leave + take + pay - lock;
    assert!((beyond..beyond * 6 / 5).contains(&asked), "{leave} {take}: {beyond}, asked for: {asked}");
    // The announcement; and for each job the leave, the order and the result. None for the order that nobody can take.
    let address = provider.address;
    assert_eq!(venue.anvil.count(address).await, 1 + 2 * 3);
    provider.node.shutdown().await;
    let job = venue.open(PAYER, 2, Address::ZERO, &module, PRICE).await;
    // It was opened while the node was away.
    let provider = venue.provider(2, &home, offer, Some("4")).await;
    assert_eq!(provider.address, address);
    let detail = venue.wait(&provider, job).await;
    assert_eq!((detail.summary.status, detail.summary.provider), (Status::Settled, Some(address)), "{detail:#?}");
    assert_eq!(venue.pay_out(address, PRICE).await, net(2 * PRICE) + net(PRICE));
    let reader = venue.reader().await;
    assert_eq!(reader.balance(provider.address).await, Ok(AttoFil(3 * DOLLAR / 20)), "all collaterals");
    let detail: JobDetail = provider.get(&format!("/v1/jobs/{unpaid}")).await.expect("it is known");
    assert_eq!(detail.summary.status, Status::Open, "{detail:#?}");
    let spent = token::allowance(provider.address, venue.orders);
    let left = json!([{ "to": dollar, "data": spent.data }, "latest"]);
    let left = venue.anvil.call("eth_call", left).await;
    assert_eq!(left, format!("0x{}", "0".repeat(64)), "no leave is left over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_collects_what_is_due_to_it_and_its_books_say_what_and_when() {
    // With a rest: the fee is rounded up.
    const PRICE: u128 = FIL / 50 + 7;
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let venue = Venue::new(anvil, Address::ZERO).await;
    let home = TempDir::new().expect("a folder");
    let payer = world::key(PAYER).address();
    venue.anvil.set_balance(payer, AttoFil(2 * FIL)).await;
    venue.pay_in(FIL).await;
    let offer = asking(AttoFil(FIL / 100));
    let provider = venue.collecting_provider(2, &home, offer.clone(), None, Some(0)).await;
    provider.knows(1).await;
    let module = provider.add(&programs::says("hello\n", 0)).await;
    let first = venue.open(PAYER, 0, Address::ZERO, &module, PRICE).await;
    let order = venue.wait_for_stage(&provider, first, PriceStage::Collected).await;
    assert_eq!((order.payer, order.price, order.rail.as_deref()), (payer, paid(PRICE), Some("1")));
    assert!(order.collected.is_some() && order.why_not.is_none(), "{order:?}");
    assert_eq!(venue.available(provider.address).await, net(PRICE));
    // The announcement, the order, the result, and what collects.
    assert_eq!(venue.anvil.count(provider.address).await, 4);

    // One that ends before it collects goes on at its next start; a stranger may be faster.
    provider.node.shutdown().await;
    let provider = venue.provider(2, &home, offer.clone(), None).await;
    let second = venue.open(PAYER, 1, Address::ZERO, &module, PRICE).await;
    assert_eq!(venue.wait_for_stage(&provider, second, PriceStage::Due).await.price, paid(PRICE));
    assert_eq!((orders(&provider).await.due, orders(&provider).await.collected), (paid(PRICE), paid(PRICE)));
    assert_eq!(venue.pay_out(provider.address, PRICE).await, net(PRICE) + net(PRICE));
    venue.wait_for_stage(&provider, second, PriceStage::Collected).await;
    let third = venue.open(PAYER, 2, Address::ZERO, &module, PRICE).await;
    let fourth = venue.open(PAYER, 3, Address::ZERO, &module, PRICE).await;
    venue.wait_for_stage(&provider, third, PriceStage::Due).await;
    venue.wait_for_stage(&provider, fourth, PriceStage::Due).await;
    let sent = venue.anvil.count(provider.address).await;
    provider.node.shutdown().await;
    let provider = venue.collecting_provider(2, &home, offer, None, Some(0)).await;
    for job in [third, fourth] {
        venue.wait_for_stage(&provider, job, PriceStage::Collected).await;
    }
    assert_eq!(venue.anvil.count(provider.address).await, sent + 1, "both in one payment, once");
    let told = orders(&provider).await;
    // Of what is paid together there is one fee.
    let both = paid(2 * PRICE);
    let all = |part: fn(&Paid) -> AttoFil| [paid(PRICE), paid(PRICE), both].iter().map(part).sum::<AttoFil>();
    let collected = Paid { gross: all(|it| it.gross), fee: all(|it| it.fee), net: all(|it| it.net) };
    assert_eq!((told.collected, told.due, told.rails), (collected, Paid::default(), vec![]));
    assert!(told.last_collected.is_some());
    let wallet: WalletInfo = provider.get("/v1/wallet").await.expect("it answers");
    let there = wallet.filecoin_pay.expect("it is told");
    assert_eq!(
        (there.available, U256::from(there.available.0)),
        (collected.net, venue.available(provider.address).await)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_worth_its_gas_waits_and_what_is_lost_is_said() {
    const PRICE: u128 = DOLLAR / 100;
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let dollar = anvil.create(token::test_dollar()).await;
    let venue = Venue::new(anvil, dollar).await;
    let home = TempDir::new().expect("a folder");
    let payer = world::key(PAYER).address();
    venue.anvil.set_balance(payer, AttoFil(FIL)).await;
    venue.anvil.mint(dollar, payer, AttoFil(100 * DOLLAR)).await;
    let leave = token::approve(venue.filecoin_pay, AttoFil(100 * DOLLAR));
    venue.anvil.execute(Some(payer), dollar, leave, AttoFil::ZERO).await;
    venue.pay_in(100 * DOLLAR).await;
    // A cent is worth 10^12 attoFIL: less than the tip of any transaction, and what this one asks.
    let provider = venue.collecting_provider(2, &home, asking(AttoFil(1_000_000_000)), Some("0.0001"), Some(0)).await;
    provider.knows(1).await;
    let module = provider.add(&programs::says("hello\n", 0)).await;
    let poor = venue.open(PAYER, 0, Address::ZERO, &module, PRICE).await;
    let order = venue.wait_for_stage(&provider, poor, PriceStage::Due).await;
    assert_eq!((order.price, order.unit.symbol()), (paid(PRICE), "tUSD"));
    let mut why_not = None;
    for _ in 0..100 {
        venue.anvil.advance(1).await;
        why_not = venue.wait_for_stage(&provider, poor, PriceStage::Due).await.why_not;
        if why_not.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(why_not.as_deref().is_some_and(|why| why.contains("costs more than it brings")), "{why_not:?}");
    let sent = venue.anvil.count(provider.address).await;
    assert_eq!(sent, 3, "the announcement, the order and the result");

    // More is due on the same rail, which is worth it.
    let rich = venue.open(PAYER, 1, Address::ZERO, &module, 50 * DOLLAR).await;
    venue.wait_for_stage(&provider, rich, PriceStage::Collected).await;
    venue.wait_for_stage(&provider, poor, PriceStage::Collected).await;
    assert_eq!(venue.anvil.count(provider.address).await, sent + 3);
    assert_eq!(venue.available(provider.address).await, net(PRICE + 50 * DOLLAR));

    // A payer that ends the rail and waits gets back what was not worth collecting.
    let lost = venue.open(PAYER, 2, Address::ZERO, &module, PRICE).await;
    venue.wait_for_stage(&provider, lost, PriceStage::Due).await;
    let terminate = filecoin_pay::terminate_rail(venue.rail(provider.address).await);
    venue.anvil.execute(Some(payer), venue.filecoin_pay, terminate, AttoFil::ZERO).await;
    venue.anvil.call("anvil_mine", json!(["0x578"])).await;
    let mut told = orders(&provider).await;
    for _ in 0..600 {
        told = orders(&provider).await;
        if told.rails.first().is_some_and(|rail| rail.why_not.as_deref().is_some_and(|why| why.contains("is over"))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rail = told.rails.first().expect("something was due there");
    assert!(rail.why_not.as_deref().is_some_and(|why| why.contains("went back to the payer")), "{told:?}");
    assert!(rail.end.is_some(), "{told:?}");
    assert_eq!((told.due, told.lost), (Paid::default(), AttoFil(PRICE)));
    assert_eq!(venue.anvil.count(provider.address).await, sent + 5, "for what would be refused nothing is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_takes_its_approval_back_before_the_block_costs_a_node_gas_twice_and_no_more() {
    const OTHER: u8 = 7;
    const PRICE: u128 = FIL / 50;
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let venue = Venue::new(anvil, Address::ZERO).await;
    let home = TempDir::new().expect("a folder");
    for payer in [PAYER, OTHER] {
        venue.anvil.set_balance(world::key(payer).address(), AttoFil(2 * FIL)).await;
        venue.pay_in_as(payer, FIL).await;
    }
    let payer = world::key(PAYER).address();
    let offer = || asking(AttoFil(FIL / 100));
    let provider = venue.provider(2, &home, offer(), None).await;
    provider.knows(1).await;
    let module = provider.add(&programs::says("hello\n", 0)).await;
    let job = venue.open_from(1_000, PAYER, 0, Address::ZERO, &module, PRICE).await;
    venue.hears(&provider, job, "waits for that price").await;
    let before = venue.anvil.count(provider.address).await;
    venue.revoke_ahead(1_000).await;
    venue.hears(&provider, job, "though it had worked when it was tried out").await;
    assert_eq!(venue.anvil.count(provider.address).await, before + 1, "it was tried, and failed");
    // It might have been an accident.
    venue.anvil.execute(Some(payer), venue.filecoin_pay, venue.approval(true), AttoFil::ZERO).await;
    venue.revoke_ahead(60).await;
    venue.hears(&provider, job, "takes none of its orders any more").await;
    assert_eq!(venue.anvil.count(provider.address).await, before + 2);

    // Nor does it after a restart, and others are served.
    provider.node.shutdown().await;
    let provider = venue.provider(2, &home, offer(), None).await;
    venue.anvil.execute(Some(payer), venue.filecoin_pay, venue.approval(true), AttoFil::ZERO).await;
    let late = venue.open(PAYER, 1, Address::ZERO, &module, PRICE).await;
    let served = venue.open(OTHER, 0, Address::ZERO, &module, PRICE).await;
    let detail = venue.wait(&provider, served).await;
    assert_eq!(
        (detail.summary.status, detail.summary.provider),
        (Status::Settled, Some(provider.address)),
        "{detail:#?}"
    );
    venue.hears(&provider, late, "takes none of its orders any more").await;
    assert_eq!(venue.anvil.count(provider.address).await, before + 4, "the order and its result");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_for_an_order_without_money_until_there_is_some() {
    const PRICE: u128 = FIL / 50;
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let venue = Venue::new(anvil, Address::ZERO).await;
    let home = TempDir::new().expect("a folder");
    venue.anvil.set_balance(world::key(POOR).address(), AttoFil(2 * FIL)).await;
    let provider = venue.provider(2, &home, asking(AttoFil(FIL / 100)), None).await;
    let client = venue.provider(3, &home, asking(AttoFil(FIL)), None).await;
    provider.knows(2).await;
    let module = client.add(&programs::says("hello\n", 0)).await;
    // By what the contract would look at, and by trying it out.
    let later = venue.open_from(3_600, POOR, 0, Address::ZERO, &module, PRICE).await;
    let now = venue.open(POOR, 1, Address::ZERO, &module, PRICE).await;
    for job in [later, now] {
        venue.hears(&provider, job, "has not approved this contract as an operator").await;
    }
    assert!(!has(&provider, &module).await, "it has fetched nothing");
    venue.pay_in_as(POOR, FIL).await;
    venue.anvil.advance(30).await;
    let detail = venue.wait(&provider, now).await;
    assert_eq!(
        (detail.summary.status, detail.summary.provider),
        (Status::Settled, Some(provider.address)),
        "{detail:#?}"
    );
    assert!(has(&provider, &module).await);
}
