//! Where everybody's money lies, folded from what the contracts say, and every movement with its cause.
//!
//! The contracts keep sums; this keeps who they belong to. Whoever sees all events of a [world](crate::world), and what was minted,
//! knows from them what everybody has, to the last attoFIL: property tests hold the two against each other.

mod fold;

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{AttoFil, auction, model::JobId, undo::UndoLog};

/// Where a party's money lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pocket {
    /// Outside of all contracts.
    Wallet,
    /// Free in the market.
    Market,
    /// Held for jobs of a client's.
    Escrow,
    /// Put up for jobs of a provider's.
    Collateral,
    /// Free in the auction.
    Auction,
    /// Deposits of sealed bids, and collateral of revealed ones.
    Bids,
    /// Lost for good.
    Burned,
}

impl Pocket {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 7] =
        [Self::Wallet, Self::Market, Self::Escrow, Self::Collateral, Self::Auction, Self::Bids, Self::Burned];

    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Market => "market",
            Self::Escrow => "escrow",
            Self::Collateral => "collateral",
            Self::Auction => "auction",
            Self::Bids => "bids",
            Self::Burned => "burned",
        }
    }
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It was given from nowhere.
    Minted,
    /// It was brought into the market.
    Deposited,
    /// It left the market.
    Withdrawn,
    /// A job was opened: its highest price is held.
    Escrowed,
    /// A job was locked below its highest price: the rest came back.
    PriceReduced,
    /// Collateral was put up for a job.
    Staked,
    /// The provider was paid.
    Paid,
    /// The collateral came back.
    StakeReturned,
    /// The escrow came back.
    EscrowReturned,
    /// A provider was slashed: what the client gets of the collateral.
    Compensated,
    /// A provider was slashed: what the arbiter gets of the collateral.
    ArbiterPaid,
    /// A provider was slashed: what nobody gets of the collateral.
    StakeBurned,
    /// A deal that was never opened was paid by the client's signature.
    BatchPaid,
    /// It was brought into the auction.
    Funded,
    /// It left the auction.
    Defunded,
    /// A bid was sealed: its deposit is held.
    BidSealed,
    /// A bid was revealed: its deposit came back.
    BidRevealed,
    /// A bid is among the best two: the collateral is held.
    BidStaked,
    /// A bid is no longer among the best two, or another one won: the collateral came back.
    BidReturned,
    /// A bid won: the auction brings the collateral to the market.
    BidAwarded,
    /// A bid was not revealed: its deposit is lost.
    BidBurned,
}

impl Cause {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minted => "minted",
            Self::Deposited => "deposited",
            Self::Withdrawn => "withdrawn",
            Self::Escrowed => "escrowed",
            Self::PriceReduced => "price_reduced",
            Self::Staked => "staked",
            Self::Paid => "paid",
            Self::StakeReturned => "stake_returned",
            Self::EscrowReturned => "escrow_returned",
            Self::Compensated => "compensated",
            Self::ArbiterPaid => "arbiter_paid",
            Self::StakeBurned => "stake_burned",
            Self::BatchPaid => "batch_paid",
            Self::Funded => "funded",
            Self::Defunded => "defunded",
            Self::BidSealed => "bid_sealed",
            Self::BidRevealed => "bid_revealed",
            Self::BidStaked => "bid_staked",
            Self::BidReturned => "bid_returned",
            Self::BidAwarded => "bid_awarded",
            Self::BidBurned => "bid_burned",
        }
    }
}

/// A pocket, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    pub account: Address,
    pub pocket: Pocket,
}

/// Money that moved from one pocket to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Movement {
    pub cause: Cause,
    /// The job that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// None: from nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Holder>,
    pub to: Holder,
    pub amount: AttoFil,
}

impl Movement {
    /// Whether it changed what this account has, or where.
    #[must_use]
    pub fn concerns(&self, account: Address) -> bool {
        self.to.account == account || self.from.is_some_and(|from| from.account == account)
    }
}

/// What a party has, by where it lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Holdings {
    pub wallet: AttoFil,
    pub market: AttoFil,
    pub escrow: AttoFil,
    pub collateral: AttoFil,
    pub auction: AttoFil,
    pub bids: AttoFil,
    pub burned: AttoFil,
}

impl Holdings {
    /// What lies in a pocket.
    #[must_use]
    pub const fn of(&self, pocket: Pocket) -> AttoFil {
        match pocket {
            Pocket::Wallet => self.wallet,
            Pocket::Market => self.market,
            Pocket::Escrow => self.escrow,
            Pocket::Collateral => self.collateral,
            Pocket::Auction => self.auction,
            Pocket::Bids => self.bids,
            Pocket::Burned => self.burned,
        }
    }

    const fn pocket(&mut self, pocket: Pocket) -> &mut AttoFil {
        match pocket {
            Pocket::Wallet => &mut self.wallet,
            Pocket::Market => &mut self.market,
            Pocket::Escrow => &mut self.escrow,
            Pocket::Collateral => &mut self.collateral,
            Pocket::Auction => &mut self.auction,
            Pocket::Bids => &mut self.bids,
            Pocket::Burned => &mut self.burned,
        }
    }
}

/// What is held for a job that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Deal {
    client: Address,
    arbiter: Address,
    /// What is in escrow: the highest price, and once it is locked, the price.
    price: AttoFil,
    collateral: AttoFil,
    /// What a sealed bid for it takes.
    deposit: AttoFil,
}

/// What is held for bids for a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Bidding {
    deposit: AttoFil,
    collateral: AttoFil,
    standing: auction::Auction,
    /// The orders of the bids that are sealed, by their bidders.
    #[serde(with = "crate::map_as_pairs")]
    sealed: BTreeMap<Address, u32>,
}

/// Where everybody's money lies. Equal histories give equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Accounts {
    #[serde(with = "crate::map_as_pairs")]
    holdings: BTreeMap<Address, Holdings>,
    #[serde(with = "crate::map_as_pairs")]
    deals: BTreeMap<JobId, Deal>,
    #[serde(with = "crate::map_as_pairs")]
    biddings: BTreeMap<JobId, Bidding>,
    #[serde(skip)]
    undo: UndoLog<Change>,
}

/// What something was before it changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Holdings(Address, Option<Holdings>),
    Deal(JobId, Option<Deal>),
    Bidding(JobId, Option<Box<Bidding>>),
}

impl Accounts {
    /// What a party has.
    #[must_use]
    pub fn of(&self, account: Address) -> Holdings {
        self.holdings.get(&account).copied().unwrap_or_default()
    }

    /// Everybody who ever had anything, by address.
    pub fn all(&self) -> impl Iterator<Item = (Address, Holdings)> + '_ {
        self.all_from(Address::ZERO)
    }

    /// The same, from an address on.
    pub fn all_from(&self, first: Address) -> impl Iterator<Item = (Address, Holdings)> + '_ {
        self.holdings.range(first..).map(|(account, holdings)| (*account, *holdings))
    }

    /// From here on changes can be undone, until one of the next two is called.
    pub fn open_savepoint(&mut self) {
        self.undo.open_savepoint();
    }

    /// Keeps what changed since the innermost savepoint.
    pub fn keep(&mut self) {
        self.undo.keep();
    }

    /// Undoes what changed since the innermost savepoint.
    pub fn roll_back(&mut self) {
        fn back<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
            match before {
                Some(before) => drop(map.insert(key, before)),
                None => drop(map.remove(&key)),
            }
        }
        let Self { holdings, deals, biddings, undo } = self;
        for change in undo.take_back() {
            match change {
                Change::Holdings(account, before) => back(holdings, account, before),
                Change::Deal(job, before) => back(deals, job, before),
                Change::Bidding(job, before) => back(biddings, job, before.map(|before| *before)),
            }
        }
    }
}
