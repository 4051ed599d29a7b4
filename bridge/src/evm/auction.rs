//! A sealed-bid auction beside a market on a chain: its contract, commands to call data, logs to events.
//! [`EvmTransport::with_auction`](super::EvmTransport::with_auction) puts it into a market's log.

use alloy::{
    primitives::{Bytes as Data, U256 as Word},
    sol_types::{SolCall, SolConstructor, SolEventInterface, SolInterface},
};
use lota_market::{
    Address, AttoFil, B256,
    auction::{Auction as Stored, AuctionFault, Command, Event, Rejection, Standing},
    model::{JobId, Status, Terms},
};

use super::{
    chain::{At, Chain, RpcError},
    market::{
        Market,
        bindings::{self, Revert, Unreadable, View, amount, returned, variant, word},
    },
};
use crate::transport::{AuctionRef, TransportError};

/// Generated from the checked-in ABI; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(SealedBidAuction, "../contracts/abi/SealedBidAuction.json");
}

use abi::{
    ILotaMarket,
    SealedBidAuction::{self, SealedBidAuctionErrors as Failure, SealedBidAuctionEvents as Happening},
};

/// An auction's contract on a chain.
#[derive(Clone, Debug)]
pub struct Auction {
    chain: Chain,
    reference: AuctionRef,
}

impl Auction {
    /// The auction at an address, for the jobs of this market.
    ///
    /// # Errors
    /// [`TransportError::NoAuctionAt`] when there is something else, or nothing, or it is another market's.
    pub async fn find(market: &Market, contract: Address) -> Result<Self, TransportError> {
        let chain = market.chain();
        let absent = |problem: String| TransportError::NoAuctionAt { contract, chain_id: chain.id(), problem };
        if chain.code(contract).await?.is_empty() {
            return Err(absent("there is no contract".into()));
        }
        let of_market = ask(chain, contract, &market_of(), &absent).await?;
        if of_market != market.contract() {
            return Err(absent(format!("it auctions the jobs of another market, {of_market}")));
        }
        let min_reveal_period = ask(chain, contract, &min_reveal_period(), &absent).await?;
        Ok(Self { chain: chain.clone(), reference: AuctionRef { contract, min_reveal_period } })
    }

    /// The same auction by another connection to its chain.
    #[must_use]
    pub fn reached_by(&self, chain: &Chain) -> Self {
        Self { chain: chain.clone(), ..self.clone() }
    }

    /// Its address.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.reference.contract
    }

    /// What it is.
    #[must_use]
    pub const fn reference(&self) -> AuctionRef {
        self.reference
    }

    /// What one of its views answers.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn view<T>(&self, view: &View<T>, at: At) -> Result<T, TransportError> {
        let returned = self.chain.view(self.contract(), &view.data, at).await?;
        view.read(&returned).map_err(|error| TransportError::Malformed(error.to_string()))
    }
}

/// What a contract answers that may be something else.
pub(super) async fn ask<T>(
    chain: &Chain,
    contract: Address,
    view: &View<T>,
    absent: &(impl Fn(String) -> TransportError + Sync),
) -> Result<T, TransportError> {
    match chain.view(contract, &view.data, At::Latest).await {
        Ok(returned) => view.read(&returned).map_err(|error| absent(error.to_string())),
        Err(RpcError::Refused(refusal)) => Err(absent(refusal.message)),
        Err(error) => Err(error.into()),
    }
}

bindings::abi_terms!(ILotaMarket);

/// The call data of a command.
#[must_use]
pub fn call_data(command: &Command) -> Data {
    use SealedBidAuction as call;
    let data = match command {
        Command::Fund => call::fundCall {}.abi_encode(),
        Command::FundToken { amount } => call::fundTokenCall::new((word(*amount),)).abi_encode(),
        Command::Withdraw { to, amount } => call::withdrawCall::new((*to, word(*amount))).abi_encode(),
        Command::Commit { terms, commitment } => call::commitCall::new((terms_out(terms), *commitment)).abi_encode(),
        Command::Reveal { terms, price, nonce } => {
            call::revealCall::new((terms_out(terms), word(*price), *nonce)).abi_encode()
        }
        Command::Award { terms } => call::awardCall::new((terms_out(terms),)).abi_encode(),
        Command::Cancel { terms } => call::cancelCall::new((terms_out(terms),)).abi_encode(),
        Command::Release { terms } => call::releaseCall::new((terms_out(terms),)).abi_encode(),
        Command::Sweep { terms, bidders } => call::sweepCall::new((terms_out(terms), bidders.clone())).abi_encode(),
    };
    data.into()
}

/// The event that a log's topics and data are.
///
/// # Errors
/// When it is none of the auction's.
pub fn decode(topics: &[B256], data: &[u8]) -> Result<Event, Unreadable> {
    let happening = Happening::decode_raw_log(topics, data).map_err(|error| Unreadable::new("a log", error))?;
    Ok(match happening {
        Happening::Funded(e) => Event::Funded { account: e.account, payer: e.payer, amount: amount(e.amount)? },
        Happening::Defunded(e) => Event::Defunded { account: e.account, to: e.to, amount: amount(e.amount)? },
        Happening::BidCommitted(e) => {
            Event::BidCommitted { job: JobId(e.jobId), bidder: e.bidder, commitment: e.commitment, order: e.order }
        }
        Happening::BidRevealed(e) => {
            Event::BidRevealed { job: JobId(e.jobId), bidder: e.bidder, price: amount(e.price)? }
        }
        Happening::AuctionAwarded(e) => {
            Event::AuctionAwarded { job: JobId(e.jobId), winner: e.winner, price: amount(e.price)? }
        }
        Happening::AuctionCancelled(e) => Event::AuctionCancelled { job: JobId(e.jobId) },
        Happening::AuctionReleased(e) => Event::AuctionReleased { job: JobId(e.jobId) },
        Happening::CommitmentSwept(e) => Event::CommitmentSwept { job: JobId(e.jobId), bidder: e.bidder },
    })
}

/// Reads the data of a revert.
///
/// # Errors
/// What it is when it is no refusal: see [`Revert`].
pub fn revert(data: &[u8]) -> Result<Rejection, Revert> {
    let own = Failure::abi_decode(data).ok().map(own_rejection);
    match own {
        Some(Ok(Some(rejection))) => Ok(rejection),
        Some(Err(error)) => Err(Revert::Unknown(error.to_string())),
        // It has errors of the market, and passes those of the market on.
        Some(Ok(None)) | None => match bindings::revert(data) {
            Revert::Rejected(rejection) => Ok(Rejection::Market(rejection)),
            other => Err(other),
        },
    }
}

/// The refusal of an error that is the auction's alone.
fn own_rejection(failure: Failure) -> Result<Option<Rejection>, Unreadable> {
    Ok(Some(match failure {
        Failure::NotTheMatcher(e) => Rejection::NotTheMatcher(e.matcher),
        Failure::BadAuction(e) => {
            let fault = AuctionFault::from_number(e.fault);
            Rejection::BadAuction(fault.ok_or_else(|| Unreadable::new("an enum", format!("{} is no fault", e.fault)))?)
        }
        Failure::NotOpen(e) => Rejection::NotOpen { job: JobId(e.jobId), found: variant::<Status>(e.found)? },
        Failure::AlreadyCommitted(e) => Rejection::AlreadyCommitted { job: JobId(e.jobId), bidder: e.bidder },
        Failure::NoCommitment(e) => Rejection::NoCommitment { job: JobId(e.jobId), bidder: e.bidder },
        Failure::NothingToAward(e) => Rejection::NothingToAward(JobId(e.jobId)),
        Failure::HasBids(e) => Rejection::HasBids(JobId(e.jobId)),
        Failure::NoAuction(e) => Rejection::NoAuction(JobId(e.jobId)),
        Failure::InvalidBidder(e) => Rejection::InvalidBidder(e.bidder),
        Failure::WrongReveal(e) => Rejection::WrongReveal { job: JobId(e.jobId), bidder: e.bidder },
        _ => return Ok(None),
    }))
}

// Views -------------------------------------------------------------------------------------------------------------------

/// `market()`.
#[must_use]
pub fn market_of() -> View<Address> {
    View::new(SealedBidAuction::marketCall {}.abi_encode().into(), returned::<SealedBidAuction::marketCall>)
}

/// `minRevealPeriod()`.
#[must_use]
pub fn min_reveal_period() -> View<u32> {
    let data = SealedBidAuction::minRevealPeriodCall {}.abi_encode().into();
    View::new(data, returned::<SealedBidAuction::minRevealPeriodCall>)
}

/// `balanceOf(account)`.
#[must_use]
pub fn balance_of(account: Address) -> View<AttoFil> {
    let data = SealedBidAuction::balanceOfCall::new((account,)).abi_encode().into();
    View::new(data, |data| amount(returned::<SealedBidAuction::balanceOfCall>(data)?))
}

/// `burned()`.
#[must_use]
pub fn burned() -> View<AttoFil> {
    let data = SealedBidAuction::burnedCall {}.abi_encode().into();
    View::new(data, |data| amount(returned::<SealedBidAuction::burnedCall>(data)?))
}

/// `commitmentOf(job, bidder)`.
#[must_use]
pub fn commitment_of(job: JobId, bidder: Address) -> View<u32> {
    let data = SealedBidAuction::commitmentOfCall::new((job.0, bidder)).abi_encode().into();
    View::new(data, returned::<SealedBidAuction::commitmentOfCall>)
}

/// `auctionOf(job)`.
#[must_use]
pub fn auction_of(job: JobId) -> View<Stored> {
    View::new(SealedBidAuction::auctionOfCall::new((job.0,)).abi_encode().into(), |data| {
        let found = returned::<SealedBidAuction::auctionOfCall>(data)?;
        Ok(Stored {
            commits: found.commits,
            best: standing_in(found.best, found.bestPrice, found.bestOrder)?,
            second: standing_in(found.second, found.secondPrice, found.secondOrder)?,
        })
    })
}

fn standing_in(bidder: Address, price: Word, order: u32) -> Result<Option<Standing>, Unreadable> {
    if bidder.is_zero() {
        return Ok(None);
    }
    Ok(Some(Standing { bidder, price: amount(price)?, order }))
}

/// The bytecode that deploys an auction for the jobs of a market.
#[must_use]
pub fn deployment(market: Address, min_reveal_period: u32) -> Data {
    let fixed = SealedBidAuction::constructorCall { fixedMarket: market, fixedMinRevealPeriod: min_reveal_period };
    let mut code = SealedBidAuction::BYTECODE.to_vec();
    code.extend(fixed.abi_encode());
    code.into()
}
