//! The granters of the project beside the blessing: who they are, what is compared of them, and what they are sent.
//!
//! Each is there twice: one that the blessing asks for grants, and one that obeys an account, so that grants are many and refusals are seen
//! with all fields.

use lota_bridge::evm::{Granter as Deployed, granters};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    blessing::{Grant, Limits},
    filecoin_address::FilecoinAddress,
    granter::{BonusPool, Bounds, Command, Event, Kind, MIN_DATACAP, PoolSettings, Rejection},
    model::{self, JobId},
    world::{Call, ContractCommand, End, Script, ScriptedCall},
};
use rand::Rng;

use super::{BLESSING, BlessingMutant, Comparison, generator::Generator};
use crate::{
    actors::{ALLOCATOR, ActorStep, Allowance, Precompile, balance},
    chain::Currency,
    comparison::START,
    party::{Behaviour, Parties, masked},
    token::TOKEN,
};

/// What most are asked for: a pool's bounds are few of these.
pub(super) const AMOUNT: u64 = MIN_DATACAP;
/// Long enough for some bonuses, short enough that many end.
const PERIOD: u64 = 80;

/// A granter of the project.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) address: Address,
    /// Who has it grant.
    pub(super) blessing: Address,
    pub(super) deployed: Deployed,
}

/// All of them; the first four are the blessing's.
pub(super) fn cast(parties: &Parties, currency: Currency) -> Vec<Member> {
    let asset = match currency {
        Currency::Coin => Address::ZERO,
        Currency::Token => TOKEN,
    };
    let [per_job, per_provider, per_period] = [2, 3, 4].map(|times| U256::from(times * AMOUNT));
    let bounds = Bounds { limits: Limits { per_job, per_provider, per_period }, period: PERIOD };
    let (alice, bob) = (parties.parties[0].address, parties.parties[1].address);
    let pool =
        |remainder_to, seconds| Deployed::Bonus { asset, bounds, remainder_to, open_until: START.after(seconds) };
    let member = |number: usize, blessing, deployed| {
        let address = Address::repeat_byte(0x61 + number as u8);
        Member { address, blessing, deployed }
    };
    let kinds = |first, blessing, pool| {
        [pool, Deployed::RequestOnly, Deployed::Verifreg, Deployed::MetaAllocator { allocator: ALLOCATOR }]
            .into_iter()
            .enumerate()
            .map(move |(number, deployed)| member(first + number, blessing, deployed))
    };
    kinds(0, BLESSING, pool(parties.scripted().address, 900)).chain(kinds(4, alice, pool(bob, 400))).collect()
}

impl Member {
    /// Its twin, as a mutant would have it.
    pub(super) fn kind(&self, mutant: Option<BlessingMutant>) -> Kind {
        match self.deployed {
            Deployed::Bonus { asset, mut bounds, remainder_to, open_until } => {
                if mutant == Some(BlessingMutant::EndlessPeriod) {
                    bounds.period = u64::MAX;
                }
                Kind::Bonus(Box::new(BonusPool::new(PoolSettings { asset, bounds, remainder_to, open_until })))
            }
            Deployed::MetaAllocator { allocator } => Kind::MetaAllocator { allocator },
            Deployed::Verifreg => Kind::Verifreg,
            Deployed::RequestOnly | Deployed::FilecoinPay { .. } => Kind::RequestOnly,
        }
    }

    fn is_pool(&self) -> bool {
        matches!(self.deployed, Deployed::Bonus { .. })
    }
}

/// Whether a granter could grant something: `checkGrant`, asked of both sides after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) granter: Address,
    pub(super) provider: Address,
    pub(super) recipient: Bytes,
    pub(super) amount: U256,
}

/// What a granter refuses, as the twin says it. What it passes on from others can be anything, nothing too.
pub(super) fn refusal(data: &[u8]) -> String {
    let rejection = granters::bindings::revert(data);
    in_words(&rejection.unwrap_or_else(|_| Rejection::AllowanceUnknown(Bytes::copy_from_slice(data))))
}

/// The same of the twin: a revert without data can be anything.
pub(super) fn in_words(rejection: &Rejection) -> String {
    match rejection {
        Rejection::AllowanceUnknown(data) if data.is_empty() => String::new(),
        rejection => format!("granter: {rejection:?}"),
    }
}

/// Whether a mutant takes what a granter refuses.
pub(super) fn is_overlooked(mutant: Option<BlessingMutant>, rejection: &Rejection) -> bool {
    use lota_market::blessing::Limit;
    match mutant {
        Some(BlessingMutant::UncountedBonus) => {
            matches!(rejection, Rejection::OverLimit { limit: Limit::PerProvider | Limit::PerPeriod, .. })
        }
        Some(BlessingMutant::BottomlessPool) => matches!(rejection, Rejection::PoolEmpty { .. }),
        Some(BlessingMutant::DataCapBelieved) => matches!(rejection, Rejection::NotGranted { .. }),
        Some(BlessingMutant::GrantToNobody) => matches!(
            rejection,
            Rejection::BadRecipient(recipient) if FilecoinAddress::read(recipient).is_some_and(|to| to.is_refused())
        ),
        Some(BlessingMutant::AnybodyGrants) => matches!(rejection, Rejection::NotTheBlessing(_)),
        Some(BlessingMutant::AnybodyInherits) => matches!(rejection, Rejection::NotEntitled(_)),
        Some(BlessingMutant::EarlyClose) => matches!(rejection, Rejection::PoolOpen(_)),
        _ => false,
    }
}

/// A refusal, or a failure that a blessing reports, by its name.
pub(super) fn kind(refusal: &str) -> Option<String> {
    let refusal = refusal.strip_prefix("granter: ")?;
    if let Some(limit) = refusal.strip_prefix("OverLimit").and_then(|rest| rest.split("limit: ").nth(1)) {
        return Some(format!("granter refused: OverLimit({}", limit.split(',').next().unwrap_or_default()));
    }
    let name = refusal.strip_prefix("Market(").unwrap_or(refusal);
    Some(format!("granter refused: {}", name.split(['(', ' ', '{', ')']).next().unwrap_or_default()))
}

/// What is worth counting of what a granter says.
pub(super) fn notable(event: &Event) -> Option<String> {
    matches!(event, Event::GrantRequested { .. }).then(|| "granter: GrantRequested".to_owned())
}

impl Generator {
    fn member(&mut self, both: &Comparison<'_>) -> Member {
        // Mostly a pool: it has most functions.
        let pools: Vec<Member> = both.members.iter().copied().filter(Member::is_pool).collect();
        if self.chance(60) { self.pick(&pools) } else { self.pick(&both.members) }
    }

    /// A command to a granter, by whom it is for or by a stranger.
    pub(super) fn command_to_granter(
        &mut self,
        both: &Comparison<'_>,
        at: Time,
    ) -> (Address, AttoFil, Address, Command) {
        let somebody = self.pick(&both.accounts);
        let member = self.member(both);
        let is_grant = !member.is_pool() || self.chance(55);
        if is_grant {
            let grant = Box::new(self.grant(both));
            // Few of those that nobody but the blessing may have made.
            let member = if member.blessing == BLESSING && self.chance(85) {
                both.members.iter().copied().find(|other| {
                    other.blessing != BLESSING
                        && std::mem::discriminant(&other.deployed) == std::mem::discriminant(&member.deployed)
                })
            } else {
                None
            }
            .unwrap_or(member);
            let sender = if member.blessing == BLESSING || self.chance(4) { somebody } else { member.blessing };
            return (sender, AttoFil::ZERO, member.address, Command::Grant(grant));
        }
        let Deployed::Bonus { remainder_to, open_until, .. } = member.deployed else {
            return (somebody, AttoFil::ZERO, member.address, Command::Close);
        };
        let amount = AttoFil(u128::from(self.rng.random_range(0..AMOUNT * 3 / 2)));
        let is_over = at > open_until;
        let (value, command) = match self.rng.random_range(0..10) {
            0 if both.currency == Currency::Coin => (AttoFil::ZERO, Command::FundToken { amount }),
            0 => (AttoFil::ZERO, Command::Fund),
            1 => (AttoFil::ZERO, Command::Close),
            2 | 3 => {
                let to = match self.rng.random_range(0..8) {
                    0 => Address::ZERO,
                    1 => masked(9),
                    2 => member.address,
                    _ => somebody,
                };
                (AttoFil::ZERO, Command::CloseTo { to })
            }
            4 if is_over => (AttoFil::ZERO, Command::Close),
            _ if both.currency == Currency::Coin => (amount, Command::Fund),
            _ => (AttoFil::ZERO, Command::FundToken { amount }),
        };
        let is_entitled = matches!(command, Command::CloseTo { .. }) && self.chance(80);
        let sender = if is_entitled { remainder_to } else { somebody };
        // Some that have no such function.
        let to = if self.chance(2) { self.pick(&both.members).address } else { member.address };
        (sender, value, to, command)
    }

    fn grant(&mut self, both: &Comparison<'_>) -> Grant {
        Grant {
            job: JobId(B256::repeat_byte(self.rng.random())),
            round: self.rng.random_range(1..4),
            provider: self.pick(&both.accounts[..3]),
            recipient: self.recipient(both),
            amount: self.bonus(),
            piece: B256::repeat_byte(7),
            piece_size: 128,
            reasons: B256::repeat_byte(self.pick(&[0, 1])),
        }
    }

    /// In a granter's unit.
    fn bonus(&mut self) -> U256 {
        let of = |amount: u64| U256::from(amount);
        match self.rng.random_range(0..20) {
            0 => U256::ZERO,
            1 => of(1),
            2 => of(AMOUNT - 1),
            3 => of(2 * AMOUNT),
            4 => of(2 * AMOUNT + 1),
            5 => of(3 * AMOUNT),
            6 => U256::MAX,
            7 | 8 => of(AMOUNT + 1),
            9 => of(AMOUNT * 3 / 2),
            _ => of(AMOUNT),
        }
    }

    /// To whom is granted: every form of an address, and what is none.
    pub(super) fn recipient(&mut self, both: &Comparison<'_>) -> Bytes {
        let somebody = self.pick(&both.accounts);
        let refusing = both.cast.parties.iter().find(|party| party.behaviour == Some(Behaviour::Refusing));
        let nobody = [Address::ZERO, masked(7), TOKEN, BLESSING, both.members[0].address, both.members[4].address];
        let nobody = self.pick(&nobody);
        let hash = |protocol: u8, size: usize| [vec![protocol], vec![9; size]].concat();
        match self.rng.random_range(0..24) {
            0..7 => somebody.to_vec(),
            7..10 => FilecoinAddress::delegated(somebody),
            10 => nobody.to_vec(),
            11 => FilecoinAddress::delegated(nobody),
            12 => refusing.map(|party| party.address.to_vec()).unwrap_or_default(),
            13..16 => both.cast.scripted().address.to_vec(),
            16 => vec![0, self.rng.random_range(0..128)],
            17 => [&[0][..], &[0x80; 8], &[self.rng.random_range(0..128)]].concat(),
            18 => self.pick(&[&[0][..], &[0, 0x80], &[0, 0x80, 0], &[0, 1, 1], &[0; 12], &[5, 1]]).to_vec(),
            19 => hash(self.pick(&[1, 2]), self.pick(&[20, 20, 20, 19, 21])),
            20 => hash(3, self.pick(&[48, 48, 47, 20])),
            21 => [&[4, self.pick(&[9, 11])][..], somebody.as_slice()].concat(),
            22 => [&[4, 10][..], &somebody[1..]].concat(),
            _ => vec![7; self.rng.random_range(0..65)],
        }
        .into()
    }

    /// Something that a granter could be asked.
    pub(super) fn probe(&mut self, both: &Comparison<'_>) -> Probe {
        let (granter, provider) = (self.member(both).address, self.pick(&both.accounts[..3]));
        Probe { granter, provider, recipient: self.recipient(both), amount: self.bonus() }
    }

    /// What is outside: mostly what makes a grant of this amount succeed.
    pub(super) fn actors(&mut self, both: &Comparison<'_>, amount: U256) -> ActorStep {
        // More than there can be is never granted.
        let amount = amount.min(U256::from(1_u64 << 40));
        let before = U256::from(self.rng.random_range(0..3_u64));
        let mut step = ActorStep {
            balances: [balance(before, 5), balance(before + amount, self.pick(&[5, 5, 6]))],
            ..ActorStep::default()
        };
        if self.chance(60) {
            return step;
        }
        match self.rng.random_range(0..12) {
            0 => step.precompile = self.pick(&[Precompile::Reverts, Precompile::Missing]),
            1..5 => step.registry.exit_code = self.pick(&[16, 17, 18, 18, 19, 1, -1, i64::MIN, i64::MAX]),
            5 => {
                step.allowance = match self.rng.random_range(0..6) {
                    0 => Allowance::Short,
                    1 => Allowance::Reverts(Bytes::from_static(&[1, 2, 3])),
                    2 => Allowance::Reverts(Bytes::from_static(&[1, 2, 3, 4, 5])),
                    3 => Allowance::Told(amount),
                    _ => Allowance::Told(amount.saturating_sub(U256::from(1))),
                }
            }
            6 => {
                let number = self.rng.random_range(0..2);
                step.balances[number].exit_code = self.pick(&[16, -6, 1]);
            }
            7 => {
                let broken: [&[u8]; 6] = [&[], &[0x41, 0], &[0x42, 1, 7], &[0x58, 2, 0], &[0x43, 0, 7], &[0x40, 0]];
                let number = self.rng.random_range(0..2);
                step.balances[number].returned = Bytes::from_static(self.pick(&broken));
            }
            8 => step.balances[1] = balance(before + amount - U256::from(self.rng.random_range(0..2_u64)), 4),
            9 => step.balances[1] = self.pick(&[&balance(U256::ZERO, 0), &balance(before, 5)]).clone(),
            _ => {
                step.allocation = self.allocation(both);
                step.refusal = Bytes::from_static(self.pick(&[&[][..], &[1, 2, 3, 4], &[7; 40]]));
            }
        }
        step
    }

    /// What a MetaAllocator does: it may call anybody, and nothing of it must succeed.
    fn allocation(&mut self, both: &Comparison<'_>) -> Script {
        let calls = (0..self.rng.random_range(0..3)).map(|_| {
            let contract = self.pick(&both.members).address;
            let command = match self.rng.random_range(0..3) {
                0 => Command::Grant(Box::new(self.grant(both))),
                1 => Command::Fund,
                _ => Command::Close,
            };
            let call = Call { sender: ALLOCATOR, contract, value: AttoFil::ZERO, command: command.into() };
            ScriptedCall { call, may_fail: true }
        });
        let calls = calls.collect();
        Script { calls, end: self.pick(&[End::Return, End::Revert, End::Revert, End::OutOfGas]) }
    }

    /// What a payee or a token does to a pool.
    pub(super) fn pool_call(&mut self, both: &Comparison<'_>, sender: Address) -> ScriptedCall {
        let pools: Vec<Address> =
            both.members.iter().filter(|member| member.is_pool()).map(|pool| pool.address).collect();
        let contract = self.pick(&pools);
        let (value, command) = match (self.rng.random_range(0..4), both.currency) {
            (0, _) => (AttoFil::ZERO, Command::Close),
            (1, _) => (AttoFil::ZERO, Command::CloseTo { to: both.accounts[1] }),
            (2, _) => (AttoFil::ZERO, Command::Grant(Box::new(self.grant(both)))),
            (_, Currency::Coin) => (AttoFil(7), Command::Fund),
            (_, Currency::Token) => (AttoFil::ZERO, Command::FundToken { amount: AttoFil::ZERO }),
        };
        let value = if sender == TOKEN { AttoFil::ZERO } else { value };
        let call = Call { sender, contract, value, command: command.into() };
        ScriptedCall { call, may_fail: self.chance(60) }
    }
}

/// What is asked for in a step.
pub(super) fn amount_of(command: &ContractCommand) -> U256 {
    use lota_market::blessing::Command as OfBlessing;
    match command {
        ContractCommand::Granter(Command::Grant(grant)) => grant.amount,
        ContractCommand::Blessing(OfBlessing::Nominate { request, .. }) => request.amount,
        ContractCommand::Blessing(OfBlessing::Grant { nomination }) => nomination.amount,
        _ => U256::ZERO,
    }
}

/// What of its asset is to move in a command to a granter.
pub(super) fn money_of(command: &Command) -> Option<AttoFil> {
    match command {
        Command::Grant(grant) => u128::try_from(grant.amount).ok().map(AttoFil),
        Command::FundToken { amount } => Some(*amount),
        Command::Fund
        | Command::Close
        | Command::CloseTo { .. }
        | Command::Pay { .. }
        | Command::Release { .. }
        | Command::RenewRail { .. } => None,
    }
}

/// What a mutant makes of what is outside.
pub(super) fn altered(mutant: Option<BlessingMutant>, step: &ActorStep) -> ActorStep {
    let mut step = step.clone();
    if mutant == Some(BlessingMutant::EndedFilPlus) && step.registry.exit_code == 18 {
        step.registry.exit_code = 0;
    }
    step
}

/// The error that a granter of the project failed with when the blessing asked it.
pub(super) fn failure(why: [u8; 4]) -> Option<String> {
    let of_market = model::Rejection::TransferFailed(Address::ZERO).selector();
    let name = if why == of_market { Some("TransferFailed") } else { granters::error_name(why.into()) };
    name.map(|name| format!("granter failed: {name}"))
}
