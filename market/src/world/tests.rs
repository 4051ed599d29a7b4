//! Tests of the world: contracts side by side, scripts, savepoints.

mod conservation;
mod reentrancy;
mod scripts;
mod tokens;
mod wallets;

use std::collections::VecDeque;

use alloy_primitives::{Address, B256, Bytes};

use super::*;
use crate::{
    Time,
    model::{
        Authorization, Command, Event, JobId, Permit, Receipt, Signed, Status, Terms,
        tests::script::{CLIENT, PROVIDER, START, STRANGER, digest, gwei, result, terms},
    },
};

const HERE: Address = Address::repeat_byte(0xaa);
const THERE: Address = Address::repeat_byte(0xbb);
const ZERO: AttoFil = AttoFil::ZERO;

/// Code that does what it is told, in the order in which it is called; when nothing is left, nothing, which succeeds.
#[derive(Clone, Debug)]
struct Outside {
    now: Time,
    foreign_chain: Option<u64>,
    scripts: VecDeque<Script>,
    /// Who was called, by whom.
    called: Vec<(Address, Address)>,
    /// Accounts without code.
    plain: Vec<Address>,
    /// Whose permits and authorizations are good.
    signers: Vec<Address>,
    /// What tokens do, in the order in which they are called; when nothing is left, what they should.
    conduct: VecDeque<Conduct>,
    /// What tokens were asked for.
    moved: Vec<TokenTransfer>,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            now: START,
            foreign_chain: None,
            scripts: VecDeque::new(),
            called: Vec::new(),
            plain: Vec::new(),
            signers: Vec::new(),
            conduct: VecDeque::new(),
            moved: Vec::new(),
        }
    }
}

fn job_at(market: Address, terms: &Terms) -> JobId {
    JobId(digest(&(market, terms)))
}

impl Env for Outside {
    fn now(&self) -> Time {
        self.now
    }
    fn job_id(&self, market: Address, terms: &Terms) -> JobId {
        job_at(market, terms)
    }
    fn spec_digest(&self, spec: &Bytes) -> B256 {
        digest(spec)
    }
    fn foreign_chain(&self) -> Option<u64> {
        self.foreign_chain
    }
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, signature: &Bytes) -> bool {
        signature.is_empty()
    }
    fn has_code(&self, account: Address) -> bool {
        !self.plain.contains(&account)
    }
    fn permit_valid(&self, _: Address, owner: Address, _: Address, _: AttoFil, _: &Permit) -> bool {
        self.signers.contains(&owner)
    }
    fn authorization_valid(&self, _: Address, from: Address, _: Address, _: AttoFil, _: &Authorization) -> bool {
        self.signers.contains(&from)
    }
    fn conduct(&mut self, transfer: &TokenTransfer) -> Conduct {
        self.moved.push(*transfer);
        self.conduct.pop_front().unwrap_or_default()
    }
    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        self.called.push((call.caller, call.callee));
        self.scripts.pop_front().unwrap_or_default()
    }
}

/// Two markets, of which the second forbids callbacks of more than 100,000 gas; client and provider own 1000 gwei, and have
/// as much in each of them.
struct Town {
    world: World,
    env: Outside,
    log: Vec<Log>,
}

impl Town {
    fn new() -> Self {
        let mut world = World::with_market(HERE, Settings { max_callback_gas: 1_000_000, ..Settings::COIN });
        let other = Market::new(Settings { max_callback_gas: 100_000, ..Settings::COIN });
        world.deploy(THERE, Contract::Market(other)).expect("nothing is there");
        let mut town = Self { world, env: Outside::default(), log: Vec::new() };
        for account in [CLIENT, PROVIDER] {
            town.world.mint(account, gwei(3_000)).expect("there is room");
            for market in [HERE, THERE] {
                town.act(account, market, gwei(1_000), Command::Deposit { account }).expect("a deposit");
            }
        }
        town.log.clear();
        town
    }

    fn act(&mut self, sender: Address, contract: Address, value: AttoFil, command: Command) -> Result<(), CallError> {
        let call = Call { sender, contract, value, command: command.into() };
        self.world.execute(&call, &mut self.env, &mut self.log)
    }

    fn market(&self, address: Address) -> &Market {
        self.world.market(address).expect("is there from the beginning")
    }

    fn status(&self, market: Address, terms: &Terms) -> Status {
        self.market(market).deal(job_at(market, terms)).status
    }

    /// Brings a job to where its client may accept the result, at a price of 100 gwei.
    fn submitted(&mut self, market: Address, salt: u64) -> (Terms, Receipt) {
        let terms = Terms { callback_gas: 100_000, ..terms(salt) };
        let open = Command::Open { terms: terms.clone(), spec: Bytes::new() };
        self.act(CLIENT, market, ZERO, open).expect("opens");
        self.act(PROVIDER, market, ZERO, Command::Lock { terms: terms.clone() }).expect("locks");
        let submit = Command::SubmitResult { terms: terms.clone(), result: result() };
        self.act(PROVIDER, market, ZERO, submit).expect("submits");
        self.log.clear();
        (terms, Receipt { provider: PROVIDER, price: gwei(100), result: result() })
    }

    /// Accepts a result; the client's code does what the scripts say.
    fn accept(&mut self, market: Address, (terms, receipt): &(Terms, Receipt), scripts: impl Into<VecDeque<Script>>) {
        self.env.scripts = scripts.into();
        let accept = Command::Accept { terms: terms.clone(), receipt: receipt.clone() };
        self.act(CLIENT, market, ZERO, accept).expect("a callback cannot keep a result from being accepted");
    }

    /// What was said since the last time, by name and contract.
    fn news(&mut self) -> Vec<(Address, String)> {
        let name = |log: Log| {
            let ContractEvent::Market(event) = log.event else { panic!("there are markets only") };
            (log.contract, name_of(&event))
        };
        self.log.drain(..).map(name).collect()
    }
}

fn name_of(event: &Event) -> String {
    format!("{event:?}").split([' ', '{']).next().unwrap_or_default().to_owned()
}

fn call(sender: Address, contract: Address, value: AttoFil, command: Command) -> ScriptedCall {
    ScriptedCall { call: Call { sender, contract, value, command: command.into() }, may_fail: false }
}

fn open(salt: u64) -> Command {
    Command::Open { terms: Terms { callback_gas: 100_000, ..terms(salt) }, spec: Bytes::new() }
}

fn script(calls: impl Into<Vec<ScriptedCall>>) -> Script {
    Script { calls: calls.into(), end: End::Return }
}
