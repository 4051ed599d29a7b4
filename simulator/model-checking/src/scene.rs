//! What is explored: who there is, which jobs may be opened, and what the environment does.

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    auction::Bid,
    model::{Command, JobId, Receipt, Settings, Signed, Terms},
    world::{Call, End, Env, ExternalCall, Log, Occasion, Script, ScriptedCall, World},
};
use serde::Serialize;

/// The market.
pub const MARKET: Address = Address::repeat_byte(0xaa);
/// The auction beside it.
pub const AUCTION: Address = Address::repeat_byte(0xab);
/// Both clients. The first is a contract, which is called back.
pub const CLIENTS: [Address; 2] = [Address::repeat_byte(0xc1), Address::repeat_byte(0xc2)];
/// Both providers.
pub const PROVIDERS: [Address; 2] = [Address::repeat_byte(0xd1), Address::repeat_byte(0xd2)];
/// Who disputes and rules.
pub const ARBITER: Address = Address::repeat_byte(0xe1);
/// Who is no party to anything.
pub const STRANGER: Address = Address::repeat_byte(0xf1);
/// Everybody who sends commands.
pub const EVERYBODY: [Address; 6] = [CLIENTS[0], CLIENTS[1], PROVIDERS[0], PROVIDERS[1], ARBITER, STRANGER];

/// What an account is called where people read it.
#[must_use]
pub fn name_of(account: Address) -> &'static str {
    const NAMES: [(Address, &str); 8] = [
        (CLIENTS[0], "client 1"),
        (CLIENTS[1], "client 2"),
        (PROVIDERS[0], "provider 1"),
        (PROVIDERS[1], "provider 2"),
        (ARBITER, "the arbiter"),
        (STRANGER, "a stranger"),
        (MARKET, "the market"),
        (AUCTION, "the auction"),
    ];
    NAMES.iter().find(|(address, _)| *address == account).map_or("nobody", |(_, name)| name)
}

/// A market of the smallest amounts and windows: every second and every attoFIL counts.
pub const SETTINGS: Settings = Settings { quantum: 1, min_window: 1, max_callback_gas: 100_000, ..Settings::COIN };

/// How much is explored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bounds {
    /// Seconds: what the tests do.
    #[default]
    Small,
    /// Minutes.
    Medium,
    /// As long as there is patience and memory for.
    Large,
}

impl std::str::FromStr for Bounds {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "large" => Ok(Self::Large),
            _ => Err(format!("there are no bounds called {name:?}; take small, medium or large")),
        }
    }
}

/// The beginning of a world, and what may be done in it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What it is called.
    pub name: &'static str,
    /// What is in it.
    pub about: &'static str,
    /// The jobs that may be opened. Job i has the id i + 1.
    pub jobs: Vec<Terms>,
    /// What bidders may bid.
    pub bids: Vec<AttoFil>,
    /// What everybody has at the market, in attoFIL.
    pub endowment: u128,
    /// What everybody has in the wallet, and bidders at the auction.
    pub purse: u128,
    /// Whether clients sign: then others open their jobs, settle them in batches, and clients revoke.
    pub signatures: bool,
    /// Whether money is withdrawn: everything that somebody has, or more.
    pub withdrawals: bool,
}

/// A plain job: opened at 0, locked until 1, with windows of a second, at prices from 1 to 2.
fn plain(client: Address, salt: u64) -> Terms {
    Terms {
        client,
        salt: U256::from(salt),
        spec: B256::ZERO,
        spec_codec: 0x71,
        min_price: AttoFil(1),
        max_price: AttoFil(2),
        ramp_start: Time(0),
        ramp_period: 1,
        lock_by: Time(1),
        run_for: 1,
        review_for: 1,
        rule_for: 1,
        // Odd: half of it is rounded.
        collateral: AttoFil(3),
        matcher: Address::ZERO,
        arbiter: ARBITER,
        callback_gas: 0,
        keep_record: false,
    }
}

/// Without an arbiter.
fn unreviewed(terms: Terms) -> Terms {
    Terms { arbiter: Address::ZERO, review_for: 0, rule_for: 0, ..terms }
}

/// Auctioned: commits at 0, reveals until 2, awards until 3.
fn auctioned(terms: Terms) -> Terms {
    Terms { matcher: AUCTION, ramp_start: Time(1), ramp_period: 1, lock_by: Time(3), max_price: AttoFil(3), ..terms }
}

impl Scene {
    /// What is explored within some bounds.
    #[must_use]
    pub fn all(bounds: Bounds) -> Vec<Self> {
        let [one, two] = CLIENTS;
        let called_back = |terms| Terms { callback_gas: 50_000, ..terms };
        let kept = |terms| Terms { keep_record: true, ..terms };
        let scene = |name, about, jobs| Self {
            name,
            about,
            jobs,
            bids: vec![AttoFil(1), AttoFil(2)],
            endowment: 6,
            purse: 0,
            signatures: false,
            withdrawals: false,
        };
        let small = [
            Self {
                withdrawals: true,
                ..scene(
                    "one life",
                    "one job of a contract that is called back, with an arbiter; everybody withdraws",
                    vec![called_back(kept(plain(one, 0)))],
                )
            },
            scene(
                "two lives",
                "a job with an arbiter and one without, of two clients; providers can afford two collaterals",
                vec![plain(one, 0), unreviewed(plain(two, 0))],
            ),
            Self {
                signatures: true,
                ..scene(
                    "one salt",
                    "two terms with one salt and a third job: opened, opened by signature, locked, settled in a batch, revoked, in \
                     multicalls",
                    vec![unreviewed(plain(one, 0)), plain(one, 0), unreviewed(plain(two, 0))],
                )
            },
            Self {
                purse: 6,
                ..scene(
                    "one auction",
                    "an auctioned job with an arbiter, two bidders, two prices; late and missing reveals",
                    vec![auctioned(plain(one, 0))],
                )
            },
        ];
        let mut scenes = Vec::from(small);
        if bounds == Bounds::Small {
            return scenes;
        }
        scenes.push(Self {
            purse: 6,
            ..scene(
                "auction and life",
                "an auctioned job and one that anyone may lock, of two clients, both with an arbiter",
                vec![auctioned(plain(one, 0)), plain(two, 0)],
            )
        });
        scenes.push(Self {
            purse: 3,
            ..scene(
                "two lives, long",
                "two jobs with an arbiter, one called back, prices from 1 to 3, windows of two seconds, paid from the wallet or the \
                 balance",
                vec![
                    Terms {
                        max_price: AttoFil(3),
                        ramp_period: 2,
                        lock_by: Time(2),
                        run_for: 2,
                        ..called_back(plain(one, 0))
                    },
                    Terms { review_for: 2, ..plain(two, 0) },
                ],
            )
        });
        if bounds == Bounds::Large {
            scenes.push(Self {
                purse: 6,
                withdrawals: true,
                ..scene(
                    "auction and life, withdrawn",
                    "the same, with three prices, a callback, and withdrawals at any time",
                    vec![auctioned(called_back(plain(one, 0))), plain(two, 0)],
                )
            });
            scenes.push(Self {
                signatures: true,
                ..scene(
                    "two salts",
                    "four jobs of two clients with two salts, by all ways of opening",
                    vec![plain(one, 0), unreviewed(plain(one, 0)), unreviewed(plain(one, 1)), plain(two, 0)],
                )
            });
        }
        scenes
    }

    /// The id of a job of this scene.
    #[must_use]
    pub fn job(index: usize) -> JobId {
        JobId(B256::from(U256::from(index as u64 + 1)))
    }

    /// Which job has an id.
    #[must_use]
    pub fn index_of(&self, job: JobId) -> Option<usize> {
        (0..self.jobs.len()).find(|index| Self::job(*index) == job)
    }

    /// The world in which nothing has happened but that everybody has money.
    #[must_use]
    pub fn begin(&self) -> World {
        self.begin_saying(&mut Vec::new())
    }

    /// The same, with what was said when the money came.
    #[expect(clippy::expect_used, reason = "a scene is written in this file; one that cannot begin is a mistake here")]
    pub fn begin_saying(&self, log: &mut Vec<Log>) -> World {
        let mut world = World::with_market(MARKET, SETTINGS);
        world.deploy_auction(AUCTION, MARKET, 1).expect("the market is there");
        let mut env = Surroundings { scene: self, now: Time(0), callbacks: Callbacks::Fail };
        for account in EVERYBODY {
            // A stranger has nothing: what he can do, anybody can.
            if account == STRANGER {
                continue;
            }
            let bids = PROVIDERS.contains(&account);
            let funds = if bids { self.purse } else { 0 };
            world.mint(account, AttoFil(self.endowment + self.purse + funds)).expect("a few attoFIL");
            let call = |contract, value, command| Call { sender: account, contract, value: AttoFil(value), command };
            let deposit = Command::Deposit { account };
            world.execute(&call(MARKET, self.endowment, deposit.into()), &mut env, log).expect("a deposit");
            if funds > 0 {
                let fund = lota_market::auction::Command::Fund;
                world.execute(&call(AUCTION, funds, fund.into()), &mut env, log).expect("a deposit");
            }
        }
        world
    }
}

/// What clients' code does when it is called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callbacks {
    /// It tries what it must not, and returns.
    Return,
    /// It reverts.
    Fail,
}

/// The environment of a scene's commands: hashes are made up, a signature is the signer's address.
pub struct Surroundings<'a> {
    pub scene: &'a Scene,
    pub now: Time,
    pub callbacks: Callbacks,
}

/// A signature that counts as an account's.
#[must_use]
pub fn signature_of(account: Address) -> Bytes {
    Bytes::copy_from_slice(account.as_slice())
}

/// What seals a bid: nobody can find a price in it, since nobody here looks.
#[must_use]
pub fn commitment(bid: &Bid) -> B256 {
    let mut sealed = bid.job.0;
    sealed[0] = bid.bidder[0];
    sealed[1..17].copy_from_slice(&bid.price.0.to_be_bytes());
    sealed
}

impl Env for Surroundings<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        let index = self.scene.jobs.iter().position(|known| known == terms);
        index.map_or(JobId::default(), Scene::job)
    }

    fn spec_digest(&self, _: &Bytes) -> B256 {
        B256::ZERO
    }

    fn signature_valid(&self, _: Address, client: Address, _: &Signed<'_>, signature: &Bytes) -> bool {
        *signature == signature_of(client)
    }

    fn has_code(&self, account: Address) -> bool {
        account == CLIENTS[0]
    }

    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        let Occasion::Callback { job, .. } = call.occasion else { return Script::default() };
        match self.callbacks {
            Callbacks::Fail => Script::ending(End::Revert),
            Callbacks::Return => {
                // Once more, and all the money: both are refused, or the properties do not hold.
                let terms = self.scene.index_of(job).and_then(|index| self.scene.jobs.get(index));
                let again =
                    terms.map(|terms| Command::RetryCallback { terms: terms.clone(), receipt: Receipt::default() });
                let commands = again.into_iter().chain([Command::Withdraw { to: call.callee, amount: AttoFil(1) }]);
                let calls = commands.map(|command| ScriptedCall {
                    call: Call {
                        sender: call.callee,
                        contract: call.caller,
                        value: AttoFil::ZERO,
                        command: command.into(),
                    },
                    may_fail: true,
                });
                Script { calls: calls.collect(), end: End::Return }
            }
        }
    }

    fn seals(&self, _: Address, sealed: B256, bid: &Bid) -> bool {
        sealed == commitment(bid)
    }
}
