//! A market, a Filecoin Pay, a `FilecoinPayDeals` between them, payers and providers.

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    filecoin_pay::{self, FilecoinPay, rails::Rails},
    filecoin_pay_deals::{Command, FilecoinPayDeals, Order, Rejection, lane_of_payer},
    model::{self, JobId, JobResult, Market, Receipt, Settings, Signed, Terms, salt},
    world::{Call, CallError, Contract, ContractCommand, Env, ExternalCall, Log, Script, World},
};

pub(crate) const MARKET: Address = Address::repeat_byte(0xaa);
pub(crate) const PAY: Address = Address::repeat_byte(0xbb);
pub(crate) const DEALS: Address = Address::repeat_byte(0xdd);
/// What prices are in; collateral is in the chain's coin.
pub(crate) const DOLLAR: Address = Address::repeat_byte(0xcc);
pub(crate) const ARBITER: Address = Address::repeat_byte(0x77);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x99);
pub(crate) const START: Time = Time(1_800_000_000);
pub(crate) const CALLBACK_GAS: u32 = 100_000;
pub(crate) const EPOCH: u64 = 30;
pub(crate) const GRACE: u64 = 300;
/// What everybody has in the coin, and every payer in its account.
pub(crate) const PURSE: AttoFil = AttoFil::from_gwei(1_000_000);
pub(crate) const FUNDS: u64 = 1_000_000;
pub(crate) const COLLATERAL: AttoFil = AttoFil::from_gwei(301);

pub(crate) fn payer(n: u64) -> Address {
    Address::from_word(B256::from(U256::from(0xa1_0000 + n)))
}

pub(crate) fn provider(n: u64) -> Address {
    Address::from_word(B256::from(U256::from(0xb1_0000 + n)))
}

pub(crate) fn job_of(terms: &Terms) -> JobId {
    JobId(alloy_primitives::keccak256(serde_json::to_vec(terms).expect("JSON")))
}

/// Epochs pass with the time; nobody has code.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) now: Time,
}

impl Env for Outside {
    fn now(&self) -> Time {
        self.now
    }
    fn block_number(&self) -> u64 {
        self.now.0 / EPOCH
    }
    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        job_of(terms)
    }
    fn spec_digest(&self, _: &Bytes) -> B256 {
        B256::ZERO
    }
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        false
    }
    /// A signature is its signer's address.
    fn order_signed(&self, market: Address, deals: Address, order: &Order, signature: &Bytes) -> bool {
        (market, deals) == (MARKET, DEALS) && signature.as_ref() == order.payer.as_slice()
    }
    fn has_code(&self, _: Address) -> bool {
        false
    }
    fn script(&mut self, _: &ExternalCall<'_>) -> Script {
        Script::default()
    }
}

#[derive(Clone)]
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) env: Outside,
    pub(crate) log: Vec<Log>,
    token: Address,
}

impl Town {
    /// Prices are in dollars, or in the coin.
    pub(crate) fn new(payers: u64, providers: u64, in_dollars: bool) -> Self {
        let token = if in_dollars { DOLLAR } else { Address::ZERO };
        let mut world = World::new();
        world.deploy_token(DOLLAR).expect("nothing is there");
        let settings = Settings { max_callback_gas: 1_000_000, ..Settings::COIN };
        world.deploy(MARKET, Contract::Market(Market::new(settings))).expect("nothing is there");
        world.deploy_filecoin_pay(PAY).expect("nothing is there");
        let rails = Rails::new(PAY, token, EPOCH, GRACE);
        world.deploy_filecoin_pay_deals(DEALS, MARKET, CALLBACK_GAS, rails).expect("nothing is there");
        let mut town = Self { world, env: Outside { now: START }, log: Vec::new(), token };
        for account in (0..payers).map(payer).chain((0..providers).map(provider)) {
            town.world.mint(account, PURSE).expect("there is room");
        }
        for account in (0..payers).map(payer) {
            town.world.mint_token(DOLLAR, account, AttoFil(FUNDS.into())).expect("there is room");
            town.world.approve(DOLLAR, account, PAY, AttoFil(u128::MAX));
            town.deposit(account, FUNDS);
            town.approve(account, U256::MAX, U256::MAX);
        }
        town.log.clear();
        town
    }

    pub(crate) fn act(
        &mut self,
        sender: Address,
        value: AttoFil,
        command: impl Into<ContractCommand>,
    ) -> Result<(), CallError> {
        let command = command.into();
        let contract = match &command {
            ContractCommand::FilecoinPay(_) => PAY,
            ContractCommand::FilecoinPayDeals(_) => DEALS,
            _ => MARKET,
        };
        self.world.execute(&Call { sender, contract, value, command }, &mut self.env, &mut self.log)
    }

    pub(crate) fn ask(&mut self, sender: Address, command: impl Into<ContractCommand>) -> Result<(), CallError> {
        self.act(sender, AttoFil::ZERO, command)
    }

    /// What the contract refuses a command with.
    pub(crate) fn refused(&mut self, sender: Address, value: AttoFil, command: Command) -> Rejection {
        let before = self.world.clone();
        match self.act(sender, value, command) {
            Err(CallError::RejectedByFilecoinPayDeals(rejection)) => {
                assert_eq!(self.world, before, "a refused command changed something");
                rejection
            }
            other => panic!("expected a rejection, got {other:?}"),
        }
    }

    fn deposit(&mut self, account: Address, amount: u64) {
        let value = if self.token.is_zero() { AttoFil(amount.into()) } else { AttoFil::ZERO };
        let (token, to, amount) = (self.token, account, U256::from(amount));
        self.act(account, value, filecoin_pay::Command::Deposit { token, to, amount }).expect("it owns as much");
    }

    pub(crate) fn approve(&mut self, account: Address, lockup_allowance: U256, max_lockup_period: U256) {
        let command = filecoin_pay::Command::SetOperatorApproval {
            token: self.token,
            operator: DEALS,
            approved: true,
            rate_allowance: U256::ZERO,
            lockup_allowance,
            max_lockup_period,
        };
        self.ask(account, command).expect("anybody may");
    }

    /// A payer tries to get all of its money out.
    pub(crate) fn withdraw_all(&mut self, account: Address) {
        let amount = self.pay().account(self.token, account).available();
        let command = filecoin_pay::Command::Withdraw { token: self.token, amount };
        self.ask(account, command).expect("it is free");
    }

    pub(crate) fn take(&mut self, order: &Order, provider: Address) -> Result<(), CallError> {
        let command = Command::OpenAndTake {
            order: order.clone(),
            spec: Bytes::new(),
            signature: Bytes::copy_from_slice(order.payer.as_slice()),
        };
        self.act(provider, order.terms.collateral, command)
    }

    pub(crate) fn submit(&mut self, order: &Order, provider: Address) -> Result<(), CallError> {
        let (terms, result) = (order.terms.clone(), JobResult::default());
        self.ask(provider, model::Command::SubmitResult { terms, result })
    }

    pub(crate) fn deals(&self) -> &FilecoinPayDeals {
        self.world.filecoin_pay_deals(DEALS).expect("is there from the beginning")
    }

    pub(crate) fn pay(&self) -> &FilecoinPay {
        self.world.filecoin_pay(PAY).expect("is there from the beginning")
    }

    pub(crate) fn market(&self) -> &Market {
        self.world.market(MARKET).expect("is there from the beginning")
    }

    /// Funds and lockup of an account at Filecoin Pay.
    pub(crate) fn account(&self, owner: Address) -> (U256, U256) {
        let account = self.pay().account(self.token, owner);
        (account.funds, account.lockup_current)
    }

    /// All that anybody holds is somebody's, and what is promised on a rail lies in it, unless the rail has ended.
    pub(crate) fn money_is_accounted_for(&self) {
        let coin: AttoFil = self.world.wallets().map(|(_, amount)| amount).sum();
        assert_eq!(coin, self.world.minted());
        assert_eq!(U256::from(self.world.wallet(PAY).0), self.pay().held(Address::ZERO));
        assert_eq!(U256::from(self.world.token_wallet(DOLLAR, PAY).0), self.pay().held(DOLLAR));
        assert_eq!(self.world.wallet(MARKET), self.market().held());
        let nothing = (self.world.wallet(DEALS), self.world.token_wallet(DOLLAR, DEALS));
        assert_eq!(nothing, (AttoFil::ZERO, AttoFil::ZERO), "the contract holds no money");
        let owed: AttoFil = self.deals().all_owed().map(|(_, amount)| amount).sum();
        assert_eq!(self.market().balance(DEALS), owed);
        let prices: u128 = self.deals().deals().map(|(_, deal)| deal.price).sum();
        let mut promised = 0;
        for (rail, of) in self.deals().rails().all_promised() {
            promised += of.needed - of.due;
            if let Some(rail) = self.pay().rail(rail) {
                assert!(rail.lockup_fixed >= U256::from(of.needed));
            }
        }
        assert_eq!(promised, prices, "what is promised and not due are the prices of deals under way");
        for (token, owner, account) in self.pay().accounts() {
            let rails = self.pay().rails().filter(|(_, rail)| (rail.token, rail.from) == (token, owner));
            let locked: U256 = rails.map(|(_, rail)| rail.lockup_fixed).sum();
            assert_eq!(account.lockup_current, locked);
            assert!(account.funds >= locked);
        }
    }
}

/// An order of a payer's, to whom nobody else's number matters.
pub(crate) fn order(payer: Address, number: u64, now: Time) -> Order {
    let terms = Terms {
        client: DEALS,
        salt: salt(lane_of_payer(payer), number),
        spec: B256::ZERO,
        spec_codec: 0x71,
        min_price: AttoFil::ZERO,
        max_price: AttoFil::ZERO,
        ramp_start: now,
        ramp_period: 100,
        lock_by: now.after(1_000),
        run_for: 600,
        review_for: 700,
        rule_for: 800,
        collateral: COLLATERAL,
        matcher: DEALS,
        arbiter: ARBITER,
        callback_gas: CALLBACK_GAS,
        keep_record: false,
    };
    Order { terms, payer, provider: Address::ZERO, min_price: U256::from(1_000), max_price: U256::from(2_000) }
}

pub(crate) fn receipt(provider: Address) -> Receipt {
    Receipt { provider, price: AttoFil::ZERO, result: JobResult::default() }
}

pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
