//! A market, an auction beside it, a client and bidders.

use std::collections::VecDeque;

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    auction::{self, Bid, SealedBidAuction},
    model::{self, JobId, Market, Settings, Signed, Terms},
    money::GWEI,
    world::{Call, CallError, Env, ExternalCall, Log, Script, World},
};

pub(crate) const MARKET: Address = Address::repeat_byte(0xaa);
pub(crate) const AUCTION: Address = Address::repeat_byte(0xbb);
pub(crate) const TOKEN: Address = Address::repeat_byte(0xcc);
pub(crate) const CLIENT: Address = Address::repeat_byte(0x11);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x99);
pub(crate) const START: Time = Time(1_800_000_000);
pub(crate) const REVEAL_FROM: Time = Time(START.0 + 600);
pub(crate) const REVEAL_UNTIL: Time = Time(START.0 + 1_200);
pub(crate) const LOCK_BY: Time = Time(START.0 + 3_600);
pub(crate) const MIN_REVEAL_PERIOD: u32 = 120;
/// Of the terms below.
pub(crate) const DEPOSIT: AttoFil = gwei(1_000);
pub(crate) const COLLATERAL: AttoFil = gwei(3_000);
/// What each bidder brings.
pub(crate) const ACCOUNT: AttoFil = gwei(100_000);

pub(crate) const fn gwei(amount: u64) -> AttoFil {
    AttoFil::from_gwei(amount)
}

pub(crate) fn bidder(n: usize) -> Address {
    Address::from_word(B256::from(U256::from(0xb1d0_0000_u64 + n as u64)))
}

pub(crate) fn nonce(bidder: Address) -> B256 {
    B256::left_padding_from(bidder.as_slice())
}

fn digest(bytes: &[u8]) -> B256 {
    alloy_primitives::keccak256(bytes)
}

pub(crate) fn job_of(terms: &Terms) -> JobId {
    JobId(digest(&serde_json::to_vec(terms).expect("JSON")))
}

pub(crate) fn commitment(bid: &Bid) -> B256 {
    digest(format!("{bid:?}").as_bytes())
}

/// Time, and code that does what it is told, in the order in which it is called.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) now: Time,
    pub(crate) scripts: VecDeque<Script>,
    /// Who has code.
    pub(crate) coded: Vec<Address>,
}

impl Env for Outside {
    fn now(&self) -> Time {
        self.now
    }
    fn job_id(&self, market: Address, terms: &Terms) -> JobId {
        assert_eq!(market, MARKET);
        job_of(terms)
    }
    fn spec_digest(&self, spec: &Bytes) -> B256 {
        digest(spec)
    }
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        false
    }
    fn has_code(&self, account: Address) -> bool {
        self.coded.contains(&account)
    }
    fn script(&mut self, _: &ExternalCall<'_>) -> Script {
        self.scripts.pop_front().unwrap_or_default()
    }
    fn seals(&self, auction: Address, sealed: B256, bid: &Bid) -> bool {
        assert_eq!(auction, AUCTION);
        sealed == commitment(bid)
    }
}

#[derive(Clone)]
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) env: Outside,
    pub(crate) log: Vec<Log>,
    is_token: bool,
}

impl Town {
    /// Bidders with [`ACCOUNT`] each in the auction, and a client with as much at the market; in coins.
    pub(crate) fn new(bidders: usize) -> Self {
        Self::with(bidders, false)
    }

    pub(crate) fn with(bidders: usize, is_token: bool) -> Self {
        let asset = if is_token { TOKEN } else { Address::ZERO };
        let settings =
            Settings { asset, quantum: GWEI as u64, min_window: 60, max_callback_gas: 1_000_000, ..Settings::COIN };
        let mut world = World::new();
        world.deploy_token(TOKEN).expect("nothing is there");
        let market = lota_market::world::Contract::Market(Market::new(settings));
        world.deploy(MARKET, market).expect("nothing is there");
        world.deploy_auction(AUCTION, MARKET, MIN_REVEAL_PERIOD).expect("beside a market");
        let env = Outside { now: START, scripts: VecDeque::new(), coded: Vec::new() };
        let mut town = Self { world, env, log: Vec::new(), is_token };
        for account in (0..bidders).map(bidder) {
            town.endow(account, ACCOUNT);
            town.fund(account, ACCOUNT).expect("it owns as much");
        }
        town.endow(CLIENT, ACCOUNT);
        let (value, command) = if is_token {
            town.world.approve(TOKEN, CLIENT, MARKET, ACCOUNT);
            (AttoFil::ZERO, model::Command::DepositToken { account: CLIENT, amount: ACCOUNT })
        } else {
            (ACCOUNT, model::Command::Deposit { account: CLIENT })
        };
        town.ask_market(CLIENT, value, command).expect("it owns as much");
        town.log.clear();
        town
    }

    fn endow(&mut self, account: Address, amount: AttoFil) {
        if self.is_token {
            self.world.mint_token(TOKEN, account, amount).expect("there is room");
        } else {
            self.world.mint(account, amount).expect("there is room");
        }
    }

    pub(crate) fn fund(&mut self, account: Address, amount: AttoFil) -> Result<(), CallError> {
        if self.is_token {
            self.world.approve(TOKEN, account, AUCTION, amount);
            return self.act(account, auction::Command::FundToken { amount });
        }
        self.send(account, amount, auction::Command::Fund)
    }

    pub(crate) fn act(&mut self, sender: Address, command: auction::Command) -> Result<(), CallError> {
        self.send(sender, AttoFil::ZERO, command)
    }

    pub(crate) fn send(&mut self, sender: Address, value: AttoFil, command: auction::Command) -> Result<(), CallError> {
        let call = Call { sender, contract: AUCTION, value, command: command.into() };
        self.world.execute(&call, &mut self.env, &mut self.log)
    }

    pub(crate) fn ask_market(
        &mut self,
        sender: Address,
        value: AttoFil,
        command: model::Command,
    ) -> Result<(), CallError> {
        let call = Call { sender, contract: MARKET, value, command: command.into() };
        self.world.execute(&call, &mut self.env, &mut self.log)
    }

    /// What the auction refuses a command with.
    pub(crate) fn refused(&mut self, sender: Address, command: auction::Command) -> auction::Rejection {
        let before = self.world.clone();
        match self.act(sender, command) {
            Err(CallError::RejectedByAuction(rejection)) => {
                assert_eq!(self.world, before, "a refused command changed something");
                rejection
            }
            other => panic!("expected a rejection, got {other:?}"),
        }
    }

    pub(crate) fn open(&mut self, terms: &Terms) {
        let open = model::Command::Open { terms: terms.clone(), spec: Bytes::new() };
        self.ask_market(terms.client, AttoFil::ZERO, open).expect("it opens");
    }

    pub(crate) fn commit(&mut self, terms: &Terms, bidder: Address, price: AttoFil) {
        self.act(bidder, sealed(terms, bidder, price)).expect("it commits");
    }

    pub(crate) fn reveal(&mut self, terms: &Terms, bidder: Address, price: AttoFil) {
        self.act(bidder, revealed(terms, bidder, price)).expect("it reveals");
    }

    pub(crate) fn award(&mut self, terms: &Terms) -> Result<(), CallError> {
        self.act(STRANGER, auction::Command::Award { terms: terms.clone() })
    }

    pub(crate) fn auction(&self) -> &SealedBidAuction {
        self.world.auction(AUCTION).expect("is there from the beginning")
    }

    pub(crate) fn market(&self) -> &Market {
        self.world.market(MARKET).expect("is there from the beginning")
    }

    pub(crate) fn account(&self, n: usize) -> AttoFil {
        self.auction().balance(bidder(n))
    }

    /// Who has the job, and at what price.
    pub(crate) fn locked(&self, terms: &Terms) -> (Address, AttoFil) {
        let deal = self.market().deal(job_of(terms));
        (deal.provider, deal.price)
    }

    /// What was said since the last time, by name.
    pub(crate) fn news(&mut self) -> Vec<String> {
        let name = |log: Log| {
            let said = match log.event {
                lota_market::world::ContractEvent::Market(event) => format!("{event:?}"),
                lota_market::world::ContractEvent::Auction(event) => format!("{event:?}"),
                lota_market::world::ContractEvent::Blessing(event) => format!("{event:?}"),
                lota_market::world::ContractEvent::FilecoinPay(event) => format!("{event:?}"),
                lota_market::world::ContractEvent::FilecoinPayDeals(event) => format!("{event:?}"),
                lota_market::world::ContractEvent::Granter(event) => format!("{event:?}"),
            };
            said.split([' ', '{']).next().unwrap_or_default().to_owned()
        };
        self.log.drain(..).map(name).collect()
    }

    pub(crate) fn money_is_accounted_for(&self) {
        let (world, auction, market) = (&self.world, self.auction(), self.market());
        let accounts: u128 = auction.balances().map(|(_, balance)| balance.0).sum();
        assert_eq!(auction.held().0, accounts + auction.staked().0 + auction.burned().0);
        let owns = |account| {
            if self.is_token { world.token_wallet(TOKEN, account) } else { world.wallet(account) }
        };
        assert_eq!(owns(AUCTION), auction.held());
        assert_eq!(owns(MARKET), market.held());
        assert_eq!(market.balance(AUCTION), AttoFil::ZERO, "nothing stays at the market");
        let all: u128 = if self.is_token {
            world.token_wallets(TOKEN).map(|(_, owned)| owned.0).sum()
        } else {
            world.wallets().map(|(_, owned)| owned.0).sum()
        };
        let minted = if self.is_token { world.token_minted(TOKEN) } else { world.minted() };
        assert_eq!(all, minted.0);
    }

    /// Nothing is stored of any auction, nor of any sealed bid.
    pub(crate) fn is_empty(&self) -> bool {
        self.auction().auctions().next().is_none() && self.auction().commitments().next().is_none()
    }
}

pub(crate) fn terms(salt: u64) -> Terms {
    Terms {
        client: CLIENT,
        salt: U256::from(salt),
        spec: B256::ZERO,
        spec_codec: 0x71,
        min_price: gwei(1_000),
        max_price: gwei(2_000),
        ramp_start: REVEAL_FROM,
        ramp_period: REVEAL_UNTIL.0 - REVEAL_FROM.0,
        lock_by: LOCK_BY,
        run_for: 600,
        review_for: 0,
        rule_for: 0,
        collateral: COLLATERAL,
        matcher: AUCTION,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    }
}

pub(crate) fn sealed(terms: &Terms, bidder: Address, price: AttoFil) -> auction::Command {
    let bid = Bid { job: job_of(terms), bidder, price, nonce: nonce(bidder) };
    auction::Command::Commit { terms: terms.clone(), commitment: commitment(&bid) }
}

pub(crate) fn revealed(terms: &Terms, bidder: Address, price: AttoFil) -> auction::Command {
    auction::Command::Reveal { terms: terms.clone(), price, nonce: nonce(bidder) }
}

/// Numbers that look random and come from a seed (Steele and others, SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for n in (1..list.len()).rev() {
            list.swap(n, self.below(n as u64 + 1) as usize);
        }
    }
}
