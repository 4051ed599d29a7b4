//! A market, a blessing beside it, notaries, a nominator, providers, a granter.

use std::collections::VecDeque;

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    blessing::{self, Blessing, Choice, Command, Limits, Nomination, Request},
    granter::{ActorAnswer, ActorRequest},
    model::{self, JobId, JobResult, Market, Receipt, Settings, Signed, Terms},
    world::{Call, CallError, Contract, ContractEvent, Env, ExternalCall, Log, Occasion, Script, World},
};

pub(crate) const MARKET: Address = Address::repeat_byte(0xaa);
pub(crate) const BLESSING: Address = Address::repeat_byte(0xbb);
pub(crate) const TOKEN: Address = Address::repeat_byte(0xcc);
pub(crate) const GRANTER: Address = Address::repeat_byte(0xdd);
/// A MetaAllocator.
pub(crate) const ALLOCATOR: Address = Address::repeat_byte(0xee);
pub(crate) const CLIENT: Address = Address::repeat_byte(0x11);
pub(crate) const PROVIDER: Address = Address::repeat_byte(0x22);
pub(crate) const NOMINATOR: Address = Address::repeat_byte(0x33);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x99);
pub(crate) const START: Time = Time(1_800_000_000);
pub(crate) const ACCOUNT: AttoFil = gwei(100_000);
pub(crate) const SETTINGS: blessing::Settings = blessing::Settings {
    deposit: gwei(1_000),
    vote_for: 100,
    revoke_for: 50,
    grant_for: 200,
    limit_period: 150,
    granter_gas: 100_000,
};
/// In gwei, of which the granter's unit is 10^-9: a share is a tenth.
pub(crate) const AMOUNT: u64 = 5_000;

pub(crate) const fn gwei(amount: u64) -> AttoFil {
    AttoFil::from_gwei(amount)
}

/// The granter's unit is attoFIL, too.
pub(crate) fn unit(amount: u64) -> U256 {
    U256::from(gwei(amount).0)
}

pub(crate) fn notary(n: u64) -> Address {
    Address::from_word(B256::from(U256::from(0xa0_0000 + n)))
}

pub(crate) fn limits() -> Limits {
    Limits { per_job: unit(AMOUNT), per_provider: unit(3 * AMOUNT), per_period: unit(4 * AMOUNT) }
}

fn job_of(terms: &Terms) -> JobId {
    JobId(alloy_primitives::keccak256(serde_json::to_vec(terms).expect("JSON")))
}

/// Time, and code that does what it is told, in the order in which it is called. A signature is good when it names its signer.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) now: Time,
    pub(crate) scripts: VecDeque<Script>,
    /// Whether the granter says that it could.
    pub(crate) could: bool,
    /// What the granter was asked for.
    pub(crate) granted: Vec<blessing::Grant>,
    /// What the MetaAllocator allows.
    pub(crate) allowance: Result<U256, Bytes>,
    /// What built-in actors answer, one after the other.
    pub(crate) answers: VecDeque<ActorAnswer>,
    /// What they were asked: the method, the client, the amount.
    pub(crate) asked: Vec<(String, Vec<u8>, U256)>,
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
        alloy_primitives::keccak256(spec)
    }
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        false
    }
    fn has_code(&self, account: Address) -> bool {
        [GRANTER, ALLOCATOR].contains(&account)
    }
    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        if let Occasion::Grant { grant } = call.occasion {
            assert_eq!((call.caller, call.callee), (BLESSING, GRANTER));
            self.granted.push(grant.clone());
        }
        self.scripts.pop_front().unwrap_or_default()
    }
    fn notary_signed(&self, at: Address, notary: Address, _: &blessing::Signed<'_>, signature: &Bytes) -> bool {
        at == BLESSING && signature[..] == notary[..]
    }
    fn check_grant(&self, granter: Address, _: &Nomination) -> Result<(), alloy_primitives::FixedBytes<4>> {
        assert_eq!(granter, GRANTER);
        if self.could { Ok(()) } else { Err([1, 2, 3, 4].into()) }
    }
    fn datacap_allowance(&self, allocator: Address, _: Address) -> Result<U256, Bytes> {
        assert_eq!(allocator, ALLOCATOR);
        self.allowance.clone()
    }
    fn ask_actor(&mut self, _: Address, request: &ActorRequest<'_>) -> Option<ActorAnswer> {
        self.asked.push(match *request {
            ActorRequest::AddVerifiedClient { client, amount } => ("AddVerifiedClient".into(), client.into(), amount),
            ActorRequest::DataCapOf { client } => ("DataCapOf".into(), client.into(), U256::ZERO),
        });
        self.answers.pop_front()
    }
}

#[derive(Clone)]
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) env: Outside,
    pub(crate) log: Vec<Log>,
    pub(crate) is_token: bool,
}

impl Town {
    /// Three notaries of whom two decide; the granter is admitted, the provider registered for it, and everybody has [`ACCOUNT`].
    pub(crate) fn new(is_token: bool) -> Self {
        let asset = if is_token { TOKEN } else { Address::ZERO };
        let settings = Settings { asset, min_window: 60, ..Settings::COIN };
        let mut world = World::new();
        world.deploy_token(TOKEN).expect("nothing is there");
        world.deploy(MARKET, Contract::Market(Market::new(settings))).expect("nothing is there");
        world.deploy_blessing(BLESSING, MARKET, SETTINGS, (0..3).map(notary).collect(), 2).expect("beside a market");
        let env = Outside {
            now: START,
            scripts: VecDeque::new(),
            could: true,
            granted: Vec::new(),
            allowance: Ok(U256::ZERO),
            answers: VecDeque::new(),
            asked: Vec::new(),
        };
        let mut town = Self { world, env, log: Vec::new(), is_token };
        for account in [CLIENT, PROVIDER, NOMINATOR].into_iter().chain((0..4).map(notary)) {
            if is_token {
                town.world.mint_token(TOKEN, account, ACCOUNT).expect("there is room");
                town.world.approve(TOKEN, account, BLESSING, ACCOUNT);
                town.act(account, Command::FundToken { amount: ACCOUNT }).expect("it owns as much");
            } else {
                town.world.mint(account, ACCOUNT).expect("there is room");
                town.send(account, ACCOUNT, Command::Fund).expect("it owns as much");
            }
        }
        let half = gwei(50_000);
        for provider in [PROVIDER, notary(3)] {
            town.act(provider, Command::SetAside { amount: half }).expect("it has as much");
            town.act(provider, register(Bytes::from_static(b"f1"))).expect("registers");
        }
        town.act(STRANGER, admit(limits())).expect("a quorum signed");
        town.log.clear();
        town
    }

    pub(crate) fn act(&mut self, sender: Address, command: Command) -> Result<(), CallError> {
        self.send(sender, AttoFil::ZERO, command)
    }

    pub(crate) fn send(&mut self, sender: Address, value: AttoFil, command: Command) -> Result<(), CallError> {
        let call = Call { sender, contract: BLESSING, value, command: command.into() };
        self.world.execute(&call, &mut self.env, &mut self.log)
    }

    fn ask_market(&mut self, sender: Address, command: model::Command) {
        let call = Call { sender, contract: MARKET, value: AttoFil::ZERO, command: command.into() };
        self.world.execute(&call, &mut self.env, &mut self.log).expect("the market does it");
    }

    /// What the blessing refuses a command with.
    pub(crate) fn refused(&mut self, sender: Address, command: Command) -> blessing::Rejection {
        let (before, said) = (self.world.clone(), self.log.len());
        match self.act(sender, command) {
            Err(CallError::RejectedByBlessing(rejection)) => {
                assert_eq!(self.world, before, "a refused command changed something");
                assert_eq!(self.log.len(), said, "a refused command said something");
                rejection
            }
            other => panic!("expected a rejection, got {other:?}"),
        }
    }

    /// A job that a provider has done, for nothing.
    pub(crate) fn settled(&mut self, salt: u64, provider: Address) -> (Terms, Receipt) {
        let terms = Terms { lock_by: self.env.now, ramp_start: self.env.now, ..terms(salt) };
        self.ask_market(CLIENT, model::Command::Open { terms: terms.clone(), spec: Bytes::new() });
        self.ask_market(provider, model::Command::Lock { terms: terms.clone() });
        let result = JobResult::default();
        self.ask_market(provider, model::Command::SubmitResult { terms: terms.clone(), result: result.clone() });
        (terms, Receipt { provider, price: AttoFil::ZERO, result })
    }

    pub(crate) fn nominate(&mut self, (terms, receipt): &(Terms, Receipt)) -> Nomination {
        self.act(NOMINATOR, nominate(terms, receipt)).expect("it may be nominated");
        self.running(terms)
    }

    /// The nomination that runs.
    pub(crate) fn running(&self, terms: &Terms) -> Nomination {
        let record = self.blessing().record(job_of(terms)).expect("it was nominated");
        record.nomination().expect("it runs").clone()
    }

    /// The nomination that runs, if one does.
    pub(crate) fn last(&self, terms: &Terms) -> Option<Nomination> {
        self.blessing().record(job_of(terms))?.nomination().cloned()
    }

    pub(crate) fn vote(&mut self, nomination: &Nomination, by: u64, choice: Choice) {
        self.act(notary(by), vote(nomination, choice)).expect("it may vote");
    }

    /// A nomination that may be granted now.
    pub(crate) fn blessed(&mut self, job: &(Terms, Receipt)) -> Nomination {
        let nomination = self.nominate(job);
        self.vote(&nomination, 0, Choice::Approve);
        self.vote(&nomination, 1, Choice::Approve);
        self.env.now = self.env.now.after(51);
        nomination
    }

    pub(crate) fn blessing(&self) -> &Blessing {
        self.world.blessing(BLESSING).expect("is there from the beginning")
    }

    /// What was said since the last time, by name.
    pub(crate) fn news(&mut self) -> Vec<String> {
        let name = |log: Log| {
            let ContractEvent::Blessing(event) = log.event else { return "other".to_owned() };
            format!("{event:?}").split([' ', '{']).next().unwrap_or_default().to_owned()
        };
        self.log.drain(..).map(name).collect()
    }

    pub(crate) fn money_is_accounted_for(&self) {
        let (world, blessing) = (&self.world, self.blessing());
        let accounts: u128 = blessing.balances().map(|(_, balance)| balance.0).sum();
        let pools: u128 = blessing.pools().map(|(_, pool)| pool.0).sum();
        let running = blessing.records().filter_map(|(_, record)| record.nomination());
        let escrow: u128 = running.map(|n| SETTINGS.deposit.0 + n.share.0 + n.bounty.0).sum();
        assert_eq!(blessing.escrowed().0, escrow);
        assert_eq!(blessing.held().0, accounts + pools + escrow + blessing.burned().0);
        if self.is_token {
            assert_eq!(world.token_wallet(TOKEN, BLESSING), blessing.held());
            let all: u128 = world.token_wallets(TOKEN).map(|(_, owned)| owned.0).sum();
            assert_eq!(all, world.token_minted(TOKEN).0);
        } else {
            assert_eq!(world.wallet(BLESSING), blessing.held());
            let all: u128 = world.wallets().map(|(_, owned)| owned.0).sum();
            assert_eq!(all, world.minted().0);
        }
    }
}

fn terms(salt: u64) -> Terms {
    Terms {
        client: CLIENT,
        // Lanes of their own: as many as one likes.
        salt: U256::from(salt) << 64,
        spec: B256::ZERO,
        spec_codec: 0x71,
        min_price: AttoFil::ZERO,
        max_price: AttoFil::ZERO,
        ramp_start: START,
        ramp_period: 1,
        lock_by: START,
        run_for: 600,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil::ZERO,
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: true,
    }
}

pub(crate) fn register(recipient: Bytes) -> Command {
    // A tenth, and no more than 400 gwei.
    let share_rate = U256::from(blessing::RATE_UNIT / 10);
    Command::Register { granter: GRANTER, recipient, share_rate, max_share: gwei(400) }
}

pub(crate) fn ballots(by: impl IntoIterator<Item = u64>) -> Vec<blessing::Ballot> {
    let ballot = |n| blessing::Ballot { notary: notary(n), signature: Bytes::copy_from_slice(&notary(n)[..]) };
    by.into_iter().map(ballot).collect()
}

pub(crate) fn admit(limits: Limits) -> Command {
    Command::SetGranter { granter: GRANTER, limits, until: Time(u64::MAX), ballots: ballots(0..2) }
}

pub(crate) fn request(amount: u64) -> Request {
    Request {
        granter: GRANTER,
        amount: unit(amount),
        piece: B256::repeat_byte(7),
        piece_size: 128,
        bounty: gwei(70),
        min_share: AttoFil::ZERO,
    }
}

pub(crate) fn nominate(terms: &Terms, receipt: &Receipt) -> Command {
    let (terms, receipt) = (Box::new(terms.clone()), Box::new(receipt.clone()));
    Command::Nominate { terms, receipt, request: request(AMOUNT) }
}

pub(crate) fn vote(nomination: &Nomination, choice: Choice) -> Command {
    Command::Vote { nomination: Box::new(nomination.clone()), choice, reasons: B256::repeat_byte(9) }
}

pub(crate) fn grant(nomination: &Nomination) -> Command {
    Command::Grant { nomination: Box::new(nomination.clone()) }
}

pub(crate) fn expire(nomination: &Nomination) -> Command {
    Command::Expire { nomination: Box::new(nomination.clone()) }
}

/// Numbers that look random and come from a seed (Steele and others, SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }
}
