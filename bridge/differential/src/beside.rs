//! What the tests of contracts beside a market have in common: random sequences on both sides, what they came to, and a short
//! sequence where they differ.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use lota_market::{
    Address, Time, U256,
    model::{self, Market, Terms},
    world::{Contract, Log as WorldLog, Script, World},
};

pub(crate) use crate::comparison::Difference;
use crate::{
    Counterexample,
    chain::{Chain, Currency, WALLET},
    comparison::{self, START},
    oracle::Ids,
    party::{MARKET, Parties},
    scripted,
    token::{self, Approval, TOKEN, TokenStep},
};

/// No more attempts than this to make a sequence shorter.
const MAX_ATTEMPTS: usize = 3_000;

/// Contracts and their twins, each in one world.
pub(crate) trait Both {
    /// A command, and the circumstances of it.
    type Step: Clone;

    /// Executes a step on both and compares; says what it came to.
    fn perform(&mut self, step: &Self::Step) -> Result<Vec<String>, Difference>;
}

/// Refuses values that are not equal.
pub(crate) fn same<T: PartialEq + fmt::Debug>(
    what: impl Into<String>,
    contract: &T,
    twin: &T,
) -> Result<(), Difference> {
    comparison::same(|| what.into(), contract, twin)
}

/// A market and its twin, everybody's wallets, and those who do as the steps say.
pub(crate) struct Stage<'a> {
    pub(crate) cast: &'a Parties,
    pub(crate) currency: Currency,
    pub(crate) world: World,
    pub(crate) chain: Chain,
    pub(crate) ids: Ids,
    script: Script,
    token: TokenStep,
    /// Terms of all jobs that were opened, in order.
    pub(crate) known: Vec<Terms>,
    pub(crate) now: Time,
}

impl<'a> Stage<'a> {
    /// Both with nothing but the market. There is the token if the market is paid in it, or `with_token`.
    #[expect(clippy::expect_used, reason = "what cannot be deployed cannot be compared")]
    pub(crate) fn new(cast: &'a Parties, currency: Currency, with_token: bool) -> Self {
        let mut chain = Chain::new(cast, currency, |_| {});
        let mut world = World::new();
        let with_token = with_token || currency == Currency::Token;
        if with_token {
            chain.put_token(cast);
            world.deploy_token(TOKEN).expect("nobody is there");
        }
        world.deploy(MARKET, Contract::Market(Market::new(currency.settings()))).expect("nobody is there");
        for party in cast.parties.iter().filter(|party| party.address != MARKET) {
            world.mint(party.address, WALLET).expect("there is room");
            if with_token {
                world.mint_token(TOKEN, party.address, WALLET).expect("there is room");
            }
        }
        let (script, token) = (Script::default(), TokenStep::default());
        Self { cast, currency, world, chain, ids: Ids::default(), script, token, known: Vec::new(), now: START }
    }

    pub(crate) fn market(&self) -> &Market {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.world.market(MARKET).expect("is there from the beginning")
    }

    /// The time of a step, and who lets whom take how much of the token before it.
    pub(crate) fn begin(&mut self, at: Time, approval: Option<Approval>) {
        self.now = at;
        if let Some(Approval { owner, spender, amount }) = approval
            && self.world.approve(TOKEN, owner, spender, amount)
        {
            self.chain.store(TOKEN, token::allowance_slot(owner, spender), amount);
        }
    }

    /// What is to be known of what the twin has said.
    pub(crate) fn learn(&mut self, said: &[WorldLog]) {
        let events = said.iter().filter_map(|log| log.event.of_market());
        self.known.extend(events.filter_map(|event| match event {
            model::Event::JobOpened { terms, .. } => Some(terms.clone()),
            _ => None,
        }));
    }

    /// Those with code do on the chain what the step says.
    pub(crate) fn instruct(&mut self, script: &Script, token: &TokenStep) {
        if self.script != *script {
            self.script.clone_from(script);
            self.chain.set_code(self.cast.scripted().address, scripted::code(script));
        }
        if self.token != *token && self.world.tokens().next().is_some() {
            self.token.clone_from(token);
            self.chain.set_code(TOKEN, token::code(token));
        }
    }

    /// What accounts have outside, and who may take how much of it.
    pub(crate) fn compare_wallets(&mut self, accounts: &[Address], spenders: &[Address]) -> Result<(), Difference> {
        for account in accounts.iter().copied() {
            let name = |what: &str| self.cast.name(format_args!("{what} of {account:?}"));
            let wallet = U256::from(self.world.wallet(account).0);
            same(name("the wallet"), &self.chain.wallet(account), &wallet)?;
            let tokens = U256::from(self.world.token_wallet(TOKEN, account).0);
            same(name("the tokens"), &self.chain.stored(TOKEN, token::balance_slot(account)), &tokens)?;
            for spender in spenders {
                let allowance = U256::from(self.world.allowance(TOKEN, account, *spender).0);
                let found = self.chain.stored(TOKEN, token::allowance_slot(account, *spender));
                same(name("the allowance"), &found, &allowance)?;
            }
        }
        Ok(())
    }
}

/// The name of a command, as it is counted.
pub(crate) fn name_of(command: &impl fmt::Debug) -> String {
    let name = format!("{command:?}");
    name.split(['(', ' ', '{', ')']).nth(1).unwrap_or_default().to_owned()
}

/// What was run, without a difference.
#[derive(Clone, Debug, Default)]
pub struct ReportBeside {
    /// Commands that were executed on both sides.
    pub commands: u64,
    /// Those that were refused, by the error, and those that succeeded, by the command or what it came to.
    pub outcomes: BTreeMap<String, u64>,
    /// How long that took.
    pub elapsed: Duration,
    /// What a long run must have met.
    pub wanted: &'static [&'static str],
}

impl ReportBeside {
    /// What should have come up and did not.
    #[must_use]
    pub fn unmet(&self) -> Vec<&'static str> {
        self.wanted.iter().copied().filter(|outcome| !self.outcomes.contains_key(*outcome)).collect()
    }
}

impl fmt::Display for ReportBeside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} commands agree in {seconds:.1} s: {:.0}/s", self.commands, self.commands as f64 / seconds)?;
        for (outcome, count) in &self.outcomes {
            write!(f, "\n  {outcome}: {count}")?;
        }
        Ok(())
    }
}

/// Sequences of steps that are drawn by chance.
pub(crate) struct Sequences<'a, New, Describe> {
    pub(crate) cast: &'a Parties,
    /// At least so many commands, in whole sequences.
    pub(crate) commands: u64,
    /// Commands of one sequence.
    pub(crate) length: u64,
    /// The seed of the first sequence; the next has the next number.
    pub(crate) seed: u64,
    /// What a long run must have met.
    pub(crate) wanted: &'static [&'static str],
    /// Both sides, at the beginning.
    pub(crate) new: New,
    /// A step in words.
    pub(crate) describe: Describe,
}

impl<B, New, Describe> Sequences<'_, New, Describe>
where
    B: Both,
    New: Fn(Currency) -> B,
    Describe: Fn(&B::Step) -> String,
{
    /// Runs them; `draw` says of a seed what draws the steps of its sequence.
    ///
    /// # Errors
    /// The first difference that was found.
    pub(crate) fn run<Draw: FnMut(&B) -> B::Step>(
        &self,
        draw: impl Fn(u64) -> Draw,
    ) -> Result<ReportBeside, Box<Counterexample>> {
        let begin = Instant::now();
        let mut report = ReportBeside { wanted: self.wanted, ..ReportBeside::default() };
        for number in 0..self.commands.div_ceil(self.length) {
            let seed = self.seed.wrapping_add(number);
            let mut next = draw(seed);
            let mut both = (self.new)(Currency::of(seed));
            let mut steps = Vec::new();
            for _ in 0..self.length {
                let step = next(&both);
                let outcome = both.perform(&step);
                steps.push(step);
                match outcome {
                    Ok(outcomes) => {
                        for outcome in outcomes {
                            *report.outcomes.entry(outcome).or_default() += 1;
                        }
                    }
                    Err(difference) => return Err(self.shrink(seed, steps, difference)),
                }
                report.commands += 1;
            }
        }
        report.elapsed = begin.elapsed();
        Ok(report)
    }

    /// Leaves out what is not needed to see a difference.
    fn shrink(&self, seed: u64, mut steps: Vec<B::Step>, mut difference: Difference) -> Box<Counterexample> {
        let found_after = steps.len();
        let (mut attempts, mut size) = (0, steps.len() / 2);
        while size > 0 {
            let mut index = steps.len();
            while index > 0 && attempts < MAX_ATTEMPTS {
                let from = index.saturating_sub(size);
                let mut fewer = steps.clone();
                fewer.drain(from..index);
                attempts += 1;
                let mut both = (self.new)(Currency::of(seed));
                let mut found = fewer.iter().enumerate();
                let found = found.find_map(|(n, step)| both.perform(step).err().map(|found| (n, found)));
                if let Some((last, found)) = found {
                    fewer.truncate(last + 1);
                    (steps, difference) = (fewer, found);
                    index = steps.len().min(from);
                } else {
                    index = from;
                }
            }
            size /= 2;
        }
        let Difference { what, contract, model } = difference;
        let what = format!("they differ in {what}:\n  contract: {contract}\n  model:    {model}");
        Box::new(Counterexample {
            seed,
            found_after,
            steps: steps.iter().map(&self.describe).collect(),
            difference: self.cast.put_names(what),
        })
    }
}
