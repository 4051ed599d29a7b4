//! The contracts' state, and the one door through which it changes.

use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{ActorAnswer, BonusPool, Command, Event, MIN_DATACAP, Rejection, actors};
use crate::{
    AttoFil, Time,
    blessing::Grant,
    filecoin_address::FilecoinAddress,
    filecoin_pay::rails::{self, Rails},
    model::{self, is_foreign_id, is_masked_id},
};

/// A granter. Equal states are equal values, with equal hashes.
///
/// It is a part of a [world](crate::world), which executes its commands and calls whom it calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Granter {
    blessing: Address,
    kind: Kind,
}

/// Which of the contracts a granter is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `BonusGranter.sol`: money from a pool.
    Bonus(Box<BonusPool>),
    /// `RequestOnlyGranter.sol`: nothing but an event.
    RequestOnly,
    /// `VerifregGranter.sol`: DataCap from the verified registry.
    Verifreg,
    /// `MetaAllocatorGranter.sol`: DataCap from a contract that is a verifier.
    MetaAllocator { allocator: Address },
    /// `FilecoinPayGranter.sol`: money from a sponsor's account at Filecoin Pay.
    FilecoinPay { sponsor: Address, rails: Box<Rails> },
}

/// What is wrong with a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentFault {
    /// The blessing is the zero address.
    #[error("no blessing contract is named")]
    NoBlessing,
    /// Of a pool.
    #[error(
        "a bound is zero, below the one before it, or 2^96 or more, or the period is zero; no token is there; or nobody is named for what is \
         left"
    )]
    BadSettings,
    /// Of rails.
    #[error("there is no Filecoin Pay, an epoch has no length, or the grace is longer than a year")]
    BadRailSettings,
    /// It is the zero address.
    #[error("nobody is named whose account pays")]
    NoSponsor,
    /// No contract stands there.
    #[error("there is no MetaAllocator at {0}")]
    NoAllocator(Address),
}

/// What a command finds outside of the granter.
pub(crate) struct Situation<'a> {
    pub(crate) now: Time,
    /// The granter's own address.
    pub(crate) here: Address,
    /// What it owns of its asset.
    pub(crate) held: AttoFil,
    /// What a MetaAllocator allows it, or what that reverts with.
    pub(crate) allowance: &'a dyn Fn(Address) -> Result<U256, Bytes>,
    /// Whether an amount could be promised on a rail to a payee.
    pub(crate) lockable: &'a dyn Fn(&Rails, Address, U256) -> Result<(), rails::Rejection>,
}

/// What is due outside of the granter before a command is done. If it fails, nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Done,
    /// The sender's tokens are to come in: then [`Granter::funded`].
    PullIn(AttoFil),
    PayOut {
        to: Address,
        amount: AttoFil,
    },
    /// The amount is to be promised on the sponsor's rail, and made due: then [`Granter::locked`].
    Lock {
        sponsor: Address,
        to: Address,
        amount: U256,
    },
    /// The registry is to be asked: then [`Granter::registered`].
    AddVerifiedClient {
        client: Bytes,
        amount: U256,
    },
    /// The MetaAllocator is to be asked, and the client's balance before and afterwards: then [`Granter::allocated`].
    Allocate {
        allocator: Address,
        client: Bytes,
        amount: U256,
    },
}

impl Granter {
    /// A granter that has granted nothing, to be asked by a blessing.
    #[must_use]
    pub const fn new(blessing: Address, kind: Kind) -> Self {
        Self { blessing, kind }
    }

    /// What is wrong with it, where `is_token` and `is_filecoin_pay` say what is at an address. That a MetaAllocator has code is taken for granted.
    pub(crate) fn fault(
        &self,
        is_token: impl FnOnce(Address) -> bool,
        is_filecoin_pay: impl FnOnce(Address) -> bool,
    ) -> Option<DeploymentFault> {
        if self.blessing.is_zero() {
            return Some(DeploymentFault::NoBlessing);
        }
        match &self.kind {
            Kind::Bonus(pool) => {
                let settings = pool.settings();
                let is_amiss = (!settings.asset.is_zero() && !is_token(settings.asset))
                    || settings.bounds.fault().is_some()
                    || settings.remainder_to.is_zero()
                    || is_masked_id(settings.remainder_to);
                is_amiss.then_some(DeploymentFault::BadSettings)
            }
            Kind::MetaAllocator { allocator } if allocator.is_zero() => Some(DeploymentFault::NoAllocator(*allocator)),
            Kind::FilecoinPay { rails, .. } if !rails.fits(is_filecoin_pay(rails.filecoin_pay())) => {
                Some(DeploymentFault::BadRailSettings)
            }
            Kind::FilecoinPay { sponsor, .. } if sponsor.is_zero() => Some(DeploymentFault::NoSponsor),
            Kind::RequestOnly | Kind::Verifreg | Kind::MetaAllocator { .. } | Kind::FilecoinPay { .. } => None,
        }
    }

    /// Whether its contract has such a function.
    #[must_use]
    pub const fn has(&self, command: &Command) -> bool {
        match command {
            Command::Grant(_) => true,
            Command::Fund | Command::FundToken { .. } | Command::Close | Command::CloseTo { .. } => {
                matches!(self.kind, Kind::Bonus(_))
            }
            Command::Pay { .. } | Command::Release { .. } | Command::RenewRail { .. } => {
                matches!(self.kind, Kind::FilecoinPay { .. })
            }
        }
    }

    /// Whether it could grant this now: `checkGrant`.
    pub(crate) fn check(
        &self,
        provider: Address,
        recipient: &Bytes,
        amount: U256,
        at: &Situation<'_>,
    ) -> Result<(), Rejection> {
        match &self.kind {
            Kind::Bonus(pool) => {
                to_evm(recipient)?;
                pool.check(provider, amount, U256::from(at.held.0), at.now)
            }
            Kind::RequestOnly => {
                to_filecoin(recipient)?;
                if amount.is_zero() { Err(Rejection::NoAmount) } else { Ok(()) }
            }
            Kind::Verifreg => check_datacap(recipient, amount),
            Kind::FilecoinPay { rails, .. } => Ok((at.lockable)(rails, to_evm(recipient)?, amount)?),
            Kind::MetaAllocator { allocator } => {
                check_datacap(recipient, amount)?;
                let allowance = (at.allowance)(*allocator).map_err(Rejection::AllowanceUnknown)?;
                if allowance < amount { Err(Rejection::AllowanceTooSmall { allowance, amount }) } else { Ok(()) }
            }
        }
    }

    /// Executes a command that it [has](Self::has), as far as it goes without the outside: the caller does what comes next. On `Err`
    /// nothing of what has changed stays: the caller rolls it back.
    ///
    /// `value` has been moved to the granter; only payable commands may bring any.
    pub(crate) fn execute(
        &mut self,
        sender: Address,
        value: AttoFil,
        command: &Command,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        if let Command::Grant(grant) = command {
            return self.grant(sender, grant, at, emit);
        }
        let Kind::Bonus(pool) = &self.kind else { return Ok(Next::Done) };
        if pool.calling {
            return Err(model::Rejection::Reentered.into());
        }
        let settings = pool.settings();
        let close = |to: Address, emit: &mut dyn FnMut(Event)| {
            if at.now <= settings.open_until {
                return Err(Rejection::PoolOpen(settings.open_until));
            }
            emit(Event::Closed { to, amount: at.held });
            Ok(Next::PayOut { to, amount: at.held })
        };
        match command {
            Command::Fund | Command::FundToken { .. }
                if settings.asset.is_zero() == matches!(command, Command::FundToken { .. }) =>
            {
                Err(model::Rejection::WrongAsset(settings.asset).into())
            }
            Command::Fund => {
                Self::funded(sender, value, emit);
                Ok(Next::Done)
            }
            Command::FundToken { amount } => Ok(Next::PullIn(*amount)),
            Command::Close => close(settings.remainder_to, emit),
            Command::CloseTo { to } => {
                if sender != settings.remainder_to {
                    return Err(Rejection::NotEntitled(sender));
                }
                if to.is_zero() || is_foreign_id(*to, sender) || *to == at.here {
                    return Err(model::Rejection::InvalidRecipient.into());
                }
                close(*to, emit)
            }
            // Of others.
            Command::Grant(_) | Command::Pay { .. } | Command::Release { .. } | Command::RenewRail { .. } => {
                Ok(Next::Done)
            }
        }
    }

    fn grant(
        &mut self,
        sender: Address,
        grant: &Grant,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        if sender != self.blessing {
            return Err(Rejection::NotTheBlessing(sender));
        }
        if self.is_calling() {
            return Err(model::Rejection::Reentered.into());
        }
        let Grant { job, provider, ref recipient, amount, .. } = *grant;
        self.check(provider, recipient, amount, at)?;
        if let Kind::RequestOnly = self.kind {
            emit(Event::GrantRequested { job, provider, grant: Box::new(grant.clone()) });
            return Ok(Next::Done);
        }
        if let Kind::FilecoinPay { sponsor, .. } = self.kind {
            return Ok(Next::Lock { sponsor, to: to_evm(recipient)?, amount });
        }
        emit(grant.into());
        match &mut self.kind {
            Kind::Bonus(pool) => {
                pool.spend(provider, amount, at.now);
                // It holds as much.
                let amount = AttoFil(u128::try_from(amount).unwrap_or(u128::MAX));
                Ok(Next::PayOut { to: to_evm(recipient)?, amount })
            }
            Kind::RequestOnly | Kind::FilecoinPay { .. } => Ok(Next::Done),
            Kind::Verifreg => Ok(Next::AddVerifiedClient { client: to_filecoin(recipient)?, amount }),
            Kind::MetaAllocator { allocator } => {
                Ok(Next::Allocate { allocator: *allocator, client: to_filecoin(recipient)?, amount })
            }
        }
    }

    /// What is said of money that has come in.
    pub(crate) fn funded(payer: Address, amount: AttoFil, emit: &mut dyn FnMut(Event)) {
        emit(Event::Funded { payer, amount });
    }

    /// A grant was promised on a rail: it is due, and certain.
    pub(crate) fn locked(&mut self, grant: &Grant, rail: U256, emit: &mut dyn FnMut(Event)) {
        if let Some(rails) = self.rails_mut() {
            // No more can be promised.
            rails.make_due(rail, u128::try_from(grant.amount).unwrap_or(u128::MAX));
        }
        emit(Event::GrantLocked { job: grant.job, rail, amount: grant.amount });
        emit(grant.into());
    }

    /// What the registry's answer comes to; without an answer there is no registry.
    pub(crate) fn registered(answer: Option<&ActorAnswer>, amount: U256) -> Result<(), Rejection> {
        actors::registered(answer, amount)
    }

    /// A client's DataCap, as the DataCap actor tells it.
    pub(crate) fn datacap(answer: Option<ActorAnswer>) -> Result<U256, Rejection> {
        actors::balance(answer)
    }

    /// Whether a client got what the MetaAllocator was asked for, by its DataCap before and afterwards.
    pub(crate) fn allocated(before: U256, afterwards: U256, amount: U256) -> Result<(), Rejection> {
        let granted = actors::granted(before, afterwards);
        if granted == amount { Ok(()) } else { Err(Rejection::NotGranted { granted, amount }) }
    }

    /// Whether it is calling a payee or its token: then a pool lets nobody in.
    pub(crate) fn is_calling(&self) -> bool {
        if let Kind::Bonus(pool) = &self.kind { pool.calling } else { false }
    }

    pub(crate) fn set_calling(&mut self, calling: bool) {
        if let Kind::Bonus(pool) = &mut self.kind {
            pool.calling = calling;
        }
    }

    pub(crate) fn open_savepoint(&mut self) {
        match &mut self.kind {
            Kind::Bonus(pool) => pool.open_savepoint(),
            Kind::FilecoinPay { rails, .. } => rails.open_savepoint(),
            _ => {}
        }
    }

    pub(crate) fn keep(&mut self) {
        match &mut self.kind {
            Kind::Bonus(pool) => pool.keep(),
            Kind::FilecoinPay { rails, .. } => rails.keep(),
            _ => {}
        }
    }

    pub(crate) fn roll_back(&mut self) {
        match &mut self.kind {
            Kind::Bonus(pool) => pool.roll_back(),
            Kind::FilecoinPay { rails, .. } => rails.roll_back(),
            _ => {}
        }
    }

    // Views -----------------------------------------------------------------------------------------------------------

    /// The blessing that may ask it for grants.
    #[must_use]
    pub const fn blessing(&self) -> Address {
        self.blessing
    }

    /// Which it is.
    #[must_use]
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its pool, if it has one.
    #[must_use]
    pub fn pool(&self) -> Option<&BonusPool> {
        if let Kind::Bonus(pool) = &self.kind { Some(pool) } else { None }
    }

    /// Its rails, if it pays by Filecoin Pay.
    #[must_use]
    pub fn rails(&self) -> Option<&Rails> {
        if let Kind::FilecoinPay { rails, .. } = &self.kind { Some(rails) } else { None }
    }

    pub(crate) fn rails_mut(&mut self) -> Option<&mut Rails> {
        if let Kind::FilecoinPay { rails, .. } = &mut self.kind { Some(rails) } else { None }
    }

    /// What a pool pays in: zero for the chain's coin, else a token.
    #[must_use]
    pub fn asset(&self) -> Address {
        self.pool().map_or(Address::ZERO, |pool| pool.settings().asset)
    }
}

fn check_datacap(recipient: &Bytes, amount: U256) -> Result<(), Rejection> {
    to_filecoin(recipient)?;
    if amount < U256::from(MIN_DATACAP) { Err(Rejection::AmountTooSmall(amount)) } else { Ok(()) }
}

fn address(recipient: &Bytes) -> Result<FilecoinAddress<'_>, Rejection> {
    let found = FilecoinAddress::read(recipient).filter(|address| !address.is_refused());
    found.ok_or_else(|| Rejection::BadRecipient(recipient.clone()))
}

/// The EVM address that a recipient is, as 20 bytes or as f410.
fn to_evm(recipient: &Bytes) -> Result<Address, Rejection> {
    address(recipient)?.evm().ok_or_else(|| Rejection::BadRecipient(recipient.clone()))
}

/// The bytes of the Filecoin address that a recipient is or, as an EVM address, stands for.
fn to_filecoin(recipient: &Bytes) -> Result<Bytes, Rejection> {
    Ok(match address(recipient)? {
        FilecoinAddress::Evm(address) => FilecoinAddress::delegated(address).into(),
        _ => recipient.clone(),
    })
}
