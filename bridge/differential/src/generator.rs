//! Commands that make sense, for the state the market is in. [`crate::faults`] makes some of them wrong afterwards.

use alloy::primitives::keccak256;
use lota_bridge::eip712;
use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    model::{BatchEntry, Command, Deal, JobResult, MAX_SPEC, Receipt, Status, Terms, Verdict, lane_of},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::{
    chain::Currency,
    comparison::Comparison,
    oracle::REFERENCE,
    party::{MARKET, Party},
    step::Step,
};

/// A command and who sends it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) sender: Address,
    pub(crate) value: AttoFil,
    pub(crate) command: Command,
}

pub(crate) struct Generator {
    pub(crate) rng: StdRng,
    /// All terms that were made up; most are of deals that exist.
    pub(crate) known: Vec<Terms>,
    /// How many of them were looked at since they were made up.
    seen: usize,
    /// Salts that this step's commands take already.
    pub(crate) drafted: Vec<(Address, U256)>,
    begun: usize,
}

pub(crate) const fn gwei(amount: u64) -> AttoFil {
    AttoFil::from_gwei(amount)
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), known: Vec::new(), seen: 0, drafted: Vec::new(), begun: 0 }
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        #[expect(clippy::expect_used, reason = "the lists are written out here, and none is empty")]
        *from.choose(&mut self.rng).expect("something to pick from")
    }

    /// Anybody; mostly somebody with a key.
    pub(crate) fn party<'w>(&mut self, both: &Comparison<'w>) -> &'w Party {
        let parties = &both.cast.parties;
        let keyed = parties.iter().filter(|party| party.signer.is_some()).count();
        let index =
            if self.chance(65) { self.rng.random_range(0..keyed) } else { self.rng.random_range(0..parties.len()) };
        &parties[index]
    }

    /// The next step.
    pub(crate) fn next(&mut self, both: &Comparison<'_>) -> Step {
        self.forget_unopened(both);
        self.drafted.clear();
        let at = self.advance(both);
        let Draft { sender, value, command } = self.draft(both, at);
        let mut step = Step::of(at, sender, value, command);
        if self.chance(40) {
            step.script = self.script(both, at);
        }
        if both.currency == Currency::Token {
            step.token = self.token_step(both, &mut step.command, sender, at);
        }
        let faults = match self.rng.random_range(0..100) {
            0..24 => 1,
            24..34 => 2,
            _ => 0,
        };
        for _ in 0..faults {
            self.spoil(&mut step, both);
        }
        // These two send no transactions on any chain.
        if step.sender.is_zero() || step.sender == MARKET {
            step.sender = both.cast.parties[0].address;
        }
        step
    }

    /// Terms that came to no deal are of little further use.
    fn forget_unopened(&mut self, both: &Comparison<'_>) {
        for terms in self.known.split_off(self.seen) {
            if both.market().deal(both.ids.of(&terms)).status != Status::None || self.chance(5) {
                self.known.push(terms);
            }
        }
        self.seen = self.known.len();
    }

    /// The time passes, often to a moment at which something changes.
    fn advance(&mut self, both: &Comparison<'_>) -> Time {
        let now = both.now;
        match self.rng.random_range(0..100) {
            0..55 => now,
            55..80 => now.after(self.rng.random_range(1..6)),
            80..96 => self.deadline(both).filter(|deadline| *deadline >= now).unwrap_or(now),
            _ => now.after(self.rng.random_range(10..400)),
        }
    }

    /// A moment at which some deal changes, or one second beside it.
    fn deadline(&mut self, both: &Comparison<'_>) -> Option<Time> {
        let terms = self.job(both)?;
        let deal = both.market().deal(both.ids.of(&terms));
        let moment = match deal.status {
            Status::Locked => terms.run_by(deal.since),
            Status::Submitted => terms.review_by(deal.since),
            Status::Disputed => terms.rule_by(deal.since),
            _ if self.chance(50) => terms.ramp_start,
            _ => terms.lock_by,
        };
        // Years away: that would end everything else.
        if moment.since(both.now) > 100_000 && !self.chance(2) {
            return None;
        }
        Some(match self.rng.random_range(0..3) {
            0 => Time(moment.0.saturating_sub(1)),
            1 => moment,
            _ => moment.after(1),
        })
    }

    /// Terms of a job, mostly of one that runs.
    pub(crate) fn job(&mut self, both: &Comparison<'_>) -> Option<Terms> {
        if self.known.is_empty() {
            return None;
        }
        let mut index = self.rng.random_range(0..self.known.len());
        for _ in 0..12 {
            let status = both.market().deal(both.ids.of(&self.known[index])).status;
            if !status.is_final() && status != Status::None {
                break;
            }
            let back = self.rng.random_range(0..self.known.len().min(24));
            index = self.known.len() - 1 - back;
        }
        Some(self.known[index].clone())
    }

    pub(crate) fn draft(&mut self, both: &Comparison<'_>, at: Time) -> Draft {
        let keyed = both.cast.parties.len();
        if self.begun < keyed {
            let account = both.cast.parties[self.begun].address;
            self.begun += 1;
            let amount = gwei(self.rng.random_range(0..100_000));
            let sender = self.party(both).address;
            let (value, command) = match both.currency {
                Currency::Coin => (amount, Command::Deposit { account }),
                Currency::Token => (AttoFil::ZERO, Command::DepositToken { account, amount }),
            };
            return Draft { sender, value, command };
        }
        match self.rng.random_range(0..100) {
            0..10 => self.money(both),
            10..13 => self.announcement(both),
            13..19 => self.batch(both),
            19..25 => self.multicall(both, at),
            25..47 => self.opening(both, at),
            _ => self.life(both, at),
        }
    }

    fn money(&mut self, both: &Comparison<'_>) -> Draft {
        let sender = self.party(both).address;
        let (value, command) = match self.rng.random_range(0..10) {
            0..4 => {
                let amount = gwei(self.rng.random_range(0..20_000));
                self.deposit(both, sender, amount)
            }
            4..8 => {
                let balance = both.market().balance(sender);
                let amount = match self.rng.random_range(0..4) {
                    0 => balance,
                    1 => AttoFil::ZERO,
                    2 => AttoFil(1),
                    _ => AttoFil(self.rng.random_range(0..=balance.0) / 4),
                };
                (AttoFil::ZERO, Command::Withdraw { to: self.party(both).address, amount })
            }
            _ => {
                let lane = self.lane();
                let (_, next) = lane_of(both.market().next_salt(sender, lane));
                // Seldom far: what was to be opened with the salts below cannot be any more.
                let far = if self.chance(15) { self.rng.random_range(60..70) } else { self.rng.random_range(0..4) };
                (AttoFil::ZERO, Command::Revoke { lane, up_to: next.saturating_add(far).saturating_sub(1) })
            }
        };
        Draft { sender, value, command }
    }

    fn announcement(&mut self, both: &Comparison<'_>) -> Draft {
        let sender = self.party(both).address;
        let size = self.pick(&[0, 1, 31, 32, 33, 255, 256]);
        let command = if self.chance(50) {
            Command::Announce { url: "u".repeat(size) }
        } else {
            let size = if self.chance(10) { MAX_SPEC } else { size };
            Command::PublishSpec { spec: vec![7; size].into() }
        };
        Draft { sender, value: AttoFil::ZERO, command }
    }

    // Opening ---------------------------------------------------------------------------------------------------------

    fn opening(&mut self, both: &Comparison<'_>, at: Time) -> Draft {
        let client = if self.chance(15) { both.cast.scripted() } else { self.party(both) };
        let mut terms = self.terms(both, at, client);
        let spec = if self.chance(40) { Bytes::from_static(self.spec_bytes()) } else { Bytes::new() };
        let how = self.rng.random_range(0..10);
        let zero = AttoFil::ZERO;
        let draft = match how {
            0..4 => {
                let value = match self.rng.random_range(0..4) {
                    _ if both.currency == Currency::Token && !self.chance(3) => zero,
                    0 => terms.max_price,
                    1 => gwei(self.rng.random_range(0..3_000)),
                    _ => zero,
                };
                Draft { sender: client.address, value, command: Command::Open { terms: terms.clone(), spec } }
            }
            4..7 => {
                let sender = self.party(both).address;
                let signature = self.signature(both, &terms);
                Draft { sender, value: zero, command: Command::OpenSigned { terms: terms.clone(), spec, signature } }
            }
            _ => {
                let sender = self.party(both).address;
                if self.chance(90) {
                    terms.matcher = Address::ZERO;
                }
                let signature = self.signature(both, &terms);
                let command = Command::OpenSignedAndLock { terms: terms.clone(), spec, signature };
                Draft { sender, value: zero, command }
            }
        };
        self.known.push(terms);
        draft
    }

    /// The client's signature over terms; sometimes in the short form (EIP-2098).
    fn signature(&mut self, both: &Comparison<'_>, terms: &Terms) -> Bytes {
        let signature = both.cast.sign(terms.client, &both.ids.of(terms).0);
        self.encode(signature)
    }

    fn encode(&mut self, signature: Bytes) -> Bytes {
        if self.chance(80) {
            return signature;
        }
        parse_signature(&signature).map_or(signature, |parsed| parsed.as_erc2098().to_vec().into())
    }

    // Life ------------------------------------------------------------------------------------------------------------

    pub(crate) fn life(&mut self, both: &Comparison<'_>, at: Time) -> Draft {
        let Some(terms) = self.job(both) else { return self.opening(both, at) };
        let deal = both.market().deal(both.ids.of(&terms));
        let is_over = deal.status == Status::None || deal.status.is_final() && !deal.callback_pending;
        if is_over && self.chance(85) {
            return self.opening(both, at);
        }
        self.life_of(both, at, terms)
    }

    /// What may be done with a deal now.
    fn life_of(&mut self, both: &Comparison<'_>, at: Time, terms: Terms) -> Draft {
        let deal = both.market().deal(both.ids.of(&terms));
        let anybody = self.party(both).address;
        let receipt = deal.receipt.cloned().unwrap_or_default();
        let (client, matcher, arbiter) = (terms.client, terms.matcher, terms.arbiter);
        let (sender, command) = match deal.status {
            Status::Open if at > terms.lock_by => (anybody, Command::Expire { terms }),
            Status::Open if self.chance(12) => {
                (if matcher.is_zero() { client } else { matcher }, Command::Cancel { terms })
            }
            Status::Open if !matcher.is_zero() => {
                let range = terms.min_price.to_gwei().unwrap_or(0)..=terms.max_price.to_gwei().unwrap_or(0);
                let price = if range.is_empty() { terms.max_price } else { gwei(self.rng.random_range(range)) };
                (matcher, Command::Award { terms, provider: anybody, price })
            }
            Status::Open if self.chance(15) => {
                (anybody, Command::OpenSignedAndLock { terms, spec: Bytes::new(), signature: Bytes::new() })
            }
            Status::Open => (anybody, Command::Lock { terms }),
            Status::Locked if at > terms.run_by(deal.since) => (anybody, Command::Expire { terms }),
            Status::Locked if self.chance(6) => (deal.provider, Command::GiveUp { terms }),
            Status::Locked => (deal.provider, Command::SubmitResult { terms, result: self.result() }),
            Status::Submitted if at > terms.review_by(deal.since) && self.chance(80) => {
                (anybody, Command::Settle { terms, receipt })
            }
            Status::Submitted if arbiter.is_zero() || self.chance(30) => (client, Command::Accept { terms, receipt }),
            Status::Submitted => (arbiter, Command::Dispute { terms }),
            Status::Disputed if at > terms.rule_by(deal.since) => (anybody, Command::Lapse { terms, receipt }),
            Status::Disputed => {
                let verdict = self.pick(&[Verdict::Upheld, Verdict::Overturned, Verdict::Void]);
                (arbiter, Command::Rule { terms, receipt, verdict })
            }
            _ if deal.callback_pending => (anybody, Command::RetryCallback { terms, receipt }),
            _ => return self.anything(terms, &deal, anybody),
        };
        Draft { sender, value: AttoFil::ZERO, command }
    }

    /// Any command at all on a deal, right or wrong.
    pub(crate) fn anything(&mut self, terms: Terms, deal: &Deal<'_>, anybody: Address) -> Draft {
        let sender = self.pick(&[anybody, terms.client, terms.matcher, terms.arbiter, deal.provider]);
        let receipt = deal.receipt.cloned().unwrap_or_default();
        let command = match self.rng.random_range(0..13) {
            0 => Command::Lock { terms },
            1 => Command::Award { price: terms.max_price, terms, provider: anybody },
            2 => Command::Cancel { terms },
            3 => Command::Expire { terms },
            4 => Command::SubmitResult { terms, result: self.result() },
            5 => Command::Accept { terms, receipt },
            6 => Command::Settle { terms, receipt },
            7 => Command::Dispute { terms },
            8 => Command::Rule { terms, receipt, verdict: Verdict::Upheld },
            9 => Command::Lapse { terms, receipt },
            10 => Command::RetryCallback { terms, receipt },
            11 => Command::GiveUp { terms },
            _ => Command::Open { terms, spec: Bytes::new() },
        };
        Draft { sender, value: AttoFil::ZERO, command }
    }

    pub(crate) fn result(&mut self) -> JobResult {
        let size = self.pick(&[0, 0, 0, 1, 31, 32, 33, 1_023, 1_024]);
        JobResult {
            output: keccak256(self.rng.random::<[u8; 8]>()),
            exit_code: self.pick(&[0, 1, 255, u32::MAX]),
            fuel_used: self.pick(&[0, 1, 1_000_000_007, u64::MAX]),
            inline_data: vec![self.rng.random(); size].into(),
        }
    }

    // Many at once ----------------------------------------------------------------------------------------------------

    fn batch(&mut self, both: &Comparison<'_>) -> Draft {
        let count = self.rng.random_range(1..5);
        let mut entries: Vec<BatchEntry> = (0..count).map(|_| self.entry(both)).collect();
        if self.chance(10) {
            entries.extend(entries.first().cloned());
        }
        if self.chance(5) {
            entries.clear();
        }
        let sender = self.party(both).address;
        Draft { sender, value: AttoFil::ZERO, command: Command::SettleBatch { entries } }
    }

    fn entry(&mut self, both: &Comparison<'_>) -> BatchEntry {
        let client = self.party(both);
        let mut terms = self.terms(both, both.now, client);
        terms.callback_gas = 0;
        terms.keep_record = self.chance(3);
        let until = if self.chance(10) { Time(both.now.0 - 1) } else { both.now.after(self.rng.random_range(0..50)) };
        if self.chance(20) {
            // No other bound is checked.
            terms.ramp_period = 0;
            terms.run_for = 0;
            terms.spec_codec = 7;
            terms.collateral = AttoFil(u128::MAX);
        }
        let range = terms.min_price.to_gwei().unwrap_or(0)..=terms.max_price.to_gwei().unwrap_or(0);
        let price = gwei(self.rng.random_range(range));
        let receipt = Receipt { provider: self.party(both).address, price, result: self.result() };
        let digest = eip712::acceptance_digest(&REFERENCE, both.ids.of(&terms), &receipt, until);
        let signature = both.cast.sign(client.address, &digest);
        let signature = self.encode(signature);
        if self.chance(10) {
            self.known.push(terms.clone());
        }
        BatchEntry { terms, receipt, until, signature }
    }

    /// Several commands of one sender, on different jobs; sometimes in multicalls of their own.
    fn multicall(&mut self, both: &Comparison<'_>, at: Time) -> Draft {
        let sender = self.party(both).address;
        let mut calls = Vec::new();
        let mut jobs = Vec::new();
        for _ in 0..self.rng.random_range(1..14) {
            let mut draft = match self.rng.random_range(0..8) {
                0 => self.money(both),
                1 => self.announcement(both),
                2 => self.opening(both, at),
                3 if self.chance(30) => self.batch(both),
                _ => self.life(both, at),
            };
            if let Some(terms) = crate::step::terms_of(&mut draft.command) {
                let job = both.ids.of(terms);
                if jobs.contains(&job) && self.chance(90) {
                    continue;
                }
                jobs.push(job);
            }
            let free = matches!(
                draft.command,
                Command::Deposit { .. }
                    | Command::DepositToken { .. }
                    | Command::DepositTokenWithAuthorization { .. }
                    | Command::Expire { .. }
                    | Command::Settle { .. }
                    | Command::Lapse { .. }
                    | Command::RetryCallback { .. }
                    | Command::OpenSigned { .. }
                    | Command::OpenSignedAndLock { .. }
                    | Command::Lock { .. }
                    | Command::SettleBatch { .. }
                    | Command::Announce { .. }
                    | Command::PublishSpec { .. }
                    | Command::Revoke { .. }
            );
            if draft.sender == sender || free || self.chance(3) {
                calls.push(draft.command);
            }
        }
        if calls.len() > 1 && self.chance(25) {
            let tail = calls.split_off(calls.len() / 2);
            calls.push(Command::Multicall { calls: tail });
            if self.chance(20) {
                calls = vec![Command::Multicall { calls }];
            }
        }
        Draft { sender, value: AttoFil::ZERO, command: Command::Multicall { calls } }
    }
}

/// A signature of 65 bytes, taken apart.
pub(crate) fn parse_signature(bytes: &[u8]) -> Option<alloy::primitives::Signature> {
    (bytes.len() == 65).then(|| alloy::primitives::Signature::from_raw(bytes).ok()).flatten()
}
