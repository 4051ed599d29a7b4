//! Everybody's wallets and all contracts as one state machine: what a chain executes, without the chain.
//!
//! A [`Call`] names its contract, and so does what a contract says ([`Log`]). Money is either in a wallet or was brought to
//! a contract, whose wallet then holds it: no sum is ever lost or made, but by [`World::mint`]. A token is a currency with wallets of
//! its own, whose code does what [`Env::conduct`] says. What code outside of this
//! world does when a contract calls it (a client's callback, the recipient of a payout) is a [`Script`] of further calls, for
//! which [`Env`] is asked. [Savepoints](World::savepoint) span wallets and contracts, nest, and cost nothing while none is open.
//!
//! ```
//! # use lota_market::{Address, AttoFil, B256, Bytes, Time, model::*, world::*};
//! # struct Quiet;
//! # impl Env for Quiet {
//! #     fn now(&self) -> Time { Time(0) }
//! #     fn job_id(&self, _: Address, _: &Terms) -> JobId { JobId::default() }
//! #     fn spec_digest(&self, _: &Bytes) -> B256 { B256::ZERO }
//! #     fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool { false }
//! #     fn has_code(&self, _: Address) -> bool { false }
//! #     fn script(&mut self, _: &ExternalCall<'_>) -> Script { Script::default() }
//! # }
//! let (market, alice) = (Address::repeat_byte(1), Address::repeat_byte(2));
//! let mut world = World::with_market(market, Settings::COIN);
//! world.mint(alice, AttoFil(10))?;
//! let deposit = Call { sender: alice, contract: market, value: AttoFil(7), command: Command::Deposit { account: alice }.into() };
//! let mut log = Vec::new();
//! world.execute(&deposit, &mut Quiet, &mut log)?;
//! assert_eq!((world.wallet(alice), world.wallet(market)), (AttoFil(3), AttoFil(7)));
//! assert_eq!(log, [Log { contract: market, event: Event::Deposited { account: alice, payer: alice, amount: AttoFil(7) }.into() }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auction;
mod beside;
mod blessing;
mod call;
mod execute;
mod filecoin_pay;
mod filecoin_pay_deals;
mod granter;
mod script;
#[cfg(test)]
mod tests;
mod tokens;
mod wallets;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

pub use call::{Call, CallError, ContractCommand, ContractEvent, Log};
pub use script::{End, Env, ExternalCall, Occasion, Script, ScriptedCall};
pub use tokens::{Answer, Conduct, MintError, TokenTransfer};
pub use wallets::TooMuchMoney;

use crate::{
    AttoFil,
    auction::SealedBidAuction,
    blessing::{Blessing, DeploymentFault, Notaries, NotariesFault, Settings as BlessingSettings},
    filecoin_pay::{
        FilecoinPay,
        rails::{self, Rails},
    },
    filecoin_pay_deals::{DeploymentFault as DealsFault, FilecoinPayDeals},
    granter::{DeploymentFault as GranterFault, Granter, Kind as GranterKind},
    model::{Market, Settings, SettingsFault},
};
use filecoin_pay::RailsOf;
use tokens::Token;
use wallets::Wallets;

/// Wallets and contracts. Equal worlds are equal values, with equal hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct World {
    wallets: Wallets,
    /// In the order of their deployment. They are few: a search takes no longer than a lookup.
    contracts: Vec<Deployed>,
    /// By their addresses, in the order of their deployment.
    tokens: Vec<(Address, Token)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Deployed {
    address: Address,
    contract: Contract,
}

/// A contract's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// `LotaMarket.sol`.
    Market(Market),
    /// `SealedBidAuction.sol`.
    Auction(SealedBidAuction),
    /// `Blessing.sol`.
    Blessing(Box<Blessing>),
    /// Filecoin Pay.
    FilecoinPay(Box<FilecoinPay>),
    /// `FilecoinPayDeals.sol`.
    FilecoinPayDeals(Box<FilecoinPayDeals>),
    /// One of `contracts/src/granters`.
    Granter(Granter),
}

impl Contract {
    fn open_savepoint(&mut self) {
        match self {
            Self::Market(market) => market.open_savepoint(),
            Self::Auction(auction) => auction.open_savepoint(),
            Self::Blessing(blessing) => blessing.open_savepoint(),
            Self::FilecoinPay(filecoin_pay) => filecoin_pay.open_savepoint(),
            Self::FilecoinPayDeals(deals) => deals.open_savepoint(),
            Self::Granter(granter) => granter.open_savepoint(),
        }
    }

    fn keep(&mut self) {
        match self {
            Self::Market(market) => market.keep(),
            Self::Auction(auction) => auction.keep(),
            Self::Blessing(blessing) => blessing.keep(),
            Self::FilecoinPay(filecoin_pay) => filecoin_pay.keep(),
            Self::FilecoinPayDeals(deals) => deals.keep(),
            Self::Granter(granter) => granter.keep(),
        }
    }

    fn roll_back(&mut self) {
        match self {
            Self::Market(market) => market.roll_back(),
            Self::Auction(auction) => auction.roll_back(),
            Self::Blessing(blessing) => blessing.roll_back(),
            Self::FilecoinPay(filecoin_pay) => filecoin_pay.roll_back(),
            Self::FilecoinPayDeals(deals) => deals.roll_back(),
            Self::Granter(granter) => granter.roll_back(),
        }
    }

    /// The rails of a contract that has some.
    fn rails(&self) -> Option<&Rails> {
        match self {
            Self::FilecoinPayDeals(deals) => Some(deals.rails()),
            Self::Granter(granter) => granter.rails(),
            _ => None,
        }
    }

    fn rails_mut(&mut self) -> Option<RailsOf<'_>> {
        let deals = match self {
            Self::FilecoinPayDeals(deals) => deals,
            Self::Granter(granter) => {
                let event_of = |event: rails::Event| ContractEvent::Granter(event.into());
                let refusal_of = |refusal: rails::Rejection| CallError::RejectedByGranter(refusal.into());
                return Some(RailsOf { rails: granter.rails_mut()?, event_of, refusal_of });
            }
            _ => return None,
        };
        let event_of = |event: rails::Event| ContractEvent::FilecoinPayDeals(event.into());
        let refusal_of = |refusal: rails::Rejection| CallError::RejectedByFilecoinPayDeals(refusal.into());
        Some(RailsOf { rails: &mut deals.rails, event_of, refusal_of })
    }
}

/// Why a contract cannot be deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// Another contract is there.
    #[error("there is a contract at {0} already; deploy to another address")]
    Taken(Address),
    /// A market cannot have such settings.
    #[error("a market cannot have these settings: {0}")]
    BadSettings(SettingsFault),
    /// An auction cannot be deployed so.
    #[error(
        "an auction cannot be deployed beside {market} with a shortest reveal period of {min_reveal_period} s; there must be a \
         market, and the period must be from 1 s to 90 days"
    )]
    BadAuctionSettings { market: Address, min_reveal_period: u32 },
    /// A blessing cannot be deployed so.
    #[error("a blessing cannot be deployed beside {market}: {fault}")]
    BadBlessing { market: Address, fault: DeploymentFault },
    /// A `FilecoinPayDeals` cannot be deployed so.
    #[error("a FilecoinPayDeals cannot be deployed beside {market}: {fault}")]
    BadFilecoinPayDeals { market: Address, fault: DealsFault },
    /// A granter cannot be deployed so.
    #[error("a granter cannot be deployed: {0}")]
    BadGranter(GranterFault),
    /// A blessing cannot have such notaries.
    #[error("a blessing cannot have these notaries: {0}")]
    BadNotaries(NotariesFault),
    /// Deployments are not undone, so none is made where something may be undone.
    #[error("a savepoint is open; deploy before it is opened, or after it was closed")]
    SavepointOpen,
}

/// Where a [`World`] can go back to. Close it with [`World::roll_back`] or [`World::keep`]; until then everything that changes
/// is noted.
#[derive(Debug)]
#[must_use = "a savepoint stays open, and notes every change, until it is closed"]
pub struct Savepoint {
    /// How many savepoints were open before.
    outer: usize,
}

impl World {
    /// A world without money and contracts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A world with one market, in which nothing has happened; its settings are taken as they are.
    #[must_use]
    pub fn with_market(address: Address, settings: Settings) -> Self {
        let contract = Contract::Market(Market::new(settings));
        Self { contracts: vec![Deployed { address, contract }], ..Self::default() }
    }

    /// Puts a contract at an address. What the address owns already stays there, beside what the contract holds for others.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub fn deploy(&mut self, address: Address, contract: Contract) -> Result<(), DeployError> {
        self.can_deploy(address)?;
        match &contract {
            Contract::Market(market) => {
                if let Some(fault) = market.settings().fault(self.has_contract(market.settings().asset)) {
                    return Err(DeployError::BadSettings(fault));
                }
            }
            Contract::Auction(auction) => {
                let (market, min_reveal_period) = (auction.market(), auction.min_reveal_period());
                if !self.market(market).is_some_and(|market| auction.fits(&market.settings())) {
                    return Err(DeployError::BadAuctionSettings { market, min_reveal_period });
                }
            }
            Contract::Blessing(blessing) => {
                let market = blessing.market();
                if let Some(fault) = blessing.fault(self.market(market).map(Market::settings).as_ref()) {
                    return Err(DeployError::BadBlessing { market, fault });
                }
                let Notaries { list, quorum, .. } = blessing.notaries();
                if let Some(fault) = Notaries::fault(list, *quorum) {
                    return Err(DeployError::BadNotaries(fault));
                }
            }
            Contract::FilecoinPay(_) => {}
            Contract::FilecoinPayDeals(deals) => {
                let market = deals.market();
                let settings = self.market(market).map(Market::settings);
                let has_filecoin_pay = self.filecoin_pay(deals.rails().filecoin_pay()).is_some();
                if let Some(fault) = deals.fault(settings.as_ref(), has_filecoin_pay) {
                    return Err(DeployError::BadFilecoinPayDeals { market, fault });
                }
            }

            Contract::Granter(granter) => {
                let fault = granter.fault(|asset| self.token(asset).is_some(), |at| self.filecoin_pay(at).is_some());
                if let Some(fault) = fault {
                    return Err(DeployError::BadGranter(fault));
                }
            }
        }
        self.contracts.push(Deployed { address, contract });
        Ok(())
    }

    /// Puts an auction at an address, for the jobs of a market.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub fn deploy_auction(
        &mut self,
        address: Address,
        market: Address,
        min_reveal_period: u32,
    ) -> Result<(), DeployError> {
        let settings = self.market(market).map(Market::settings);
        let settings = settings.ok_or(DeployError::BadAuctionSettings { market, min_reveal_period })?;
        self.deploy(address, Contract::Auction(SealedBidAuction::new(market, &settings, min_reveal_period)))
    }

    /// Puts a blessing at an address, for the jobs of a market.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub fn deploy_blessing(
        &mut self,
        address: Address,
        market: Address,
        settings: BlessingSettings,
        notaries: Vec<Address>,
        quorum: u32,
    ) -> Result<(), DeployError> {
        let of_market = self.market(market).map(Market::settings);
        let of_market = of_market.ok_or(DeployError::BadBlessing { market, fault: DeploymentFault::Market })?;
        let blessing = Blessing::new(market, &of_market, settings, Notaries::first(notaries, quorum));
        self.deploy(address, Contract::Blessing(Box::new(blessing)))
    }

    /// Puts a Filecoin Pay at an address.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub fn deploy_filecoin_pay(&mut self, address: Address) -> Result<(), DeployError> {
        self.deploy(address, Contract::FilecoinPay(Box::default()))
    }

    /// Puts a `FilecoinPayDeals` at an address, for the jobs of a market.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub fn deploy_filecoin_pay_deals(
        &mut self,
        address: Address,
        market: Address,
        callback_gas: u32,
        rails: Rails,
    ) -> Result<(), DeployError> {
        let settings = self.market(market).map(Market::settings);
        let settings = settings.ok_or(DeployError::BadFilecoinPayDeals { market, fault: DealsFault::Settings })?;
        let deals = FilecoinPayDeals::new(market, &settings, callback_gas, rails);
        self.deploy(address, Contract::FilecoinPayDeals(Box::new(deals)))
    }

    /// Puts a granter at an address, to be asked by a blessing, which need not be of this world.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub fn deploy_granter(
        &mut self,
        address: Address,
        blessing: Address,
        kind: GranterKind,
    ) -> Result<(), DeployError> {
        self.deploy(address, Contract::Granter(Granter::new(blessing, kind)))
    }

    /// Puts a token at an address, of which nobody owns anything yet.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub fn deploy_token(&mut self, address: Address) -> Result<(), DeployError> {
        self.can_deploy(address)?;
        self.tokens.push((address, Token::default()));
        Ok(())
    }

    fn can_deploy(&self, address: Address) -> Result<(), DeployError> {
        if self.has_contract(address) {
            return Err(DeployError::Taken(address));
        }
        if self.wallets.undo.depth() > 0 {
            return Err(DeployError::SavepointOpen);
        }
        Ok(())
    }

    /// Makes money: how a world begins, and what a faucet does. Minted for a contract, it is money forced on it: it counts
    /// for nobody there.
    ///
    /// # Errors
    /// When there would be more than 2^128 - 1 attoFIL in this world.
    pub fn mint(&mut self, account: Address, amount: AttoFil) -> Result<(), TooMuchMoney> {
        self.wallets.mint(account, amount)
    }

    /// Makes some of a token: see [`World::mint`].
    ///
    /// # Errors
    /// When there is no such token, or would be more than 2^128 - 1 of its smallest units.
    pub fn mint_token(&mut self, token: Address, account: Address, amount: AttoFil) -> Result<(), MintError> {
        Ok(self.token_mut(token).ok_or(MintError::NoToken(token))?.mint(account, amount)?)
    }

    /// Lets `spender` take up to `amount` of the token from `owner` (2^128 - 1: as much as it likes), as `owner` asked the token to;
    /// says whether there is such a token.
    pub fn approve(&mut self, token: Address, owner: Address, spender: Address, amount: AttoFil) -> bool {
        self.token_mut(token).map(|token| token.approve(owner, spender, amount)).is_some()
    }

    // Savepoints ------------------------------------------------------------------------------------------------------

    /// From here on everything can be undone. Savepoints nest: one that is closed closes those that were opened after it.
    pub fn savepoint(&mut self) -> Savepoint {
        let outer = self.wallets.undo.depth();
        self.wallets.open_savepoint();
        for deployed in &mut self.contracts {
            deployed.contract.open_savepoint();
        }
        for (_, token) in &mut self.tokens {
            token.open_savepoint();
        }
        Savepoint { outer }
    }

    /// The world is what it was when the savepoint was opened.
    pub fn roll_back(&mut self, savepoint: Savepoint) {
        while self.wallets.undo.depth() > savepoint.outer {
            self.wallets.roll_back();
            for deployed in &mut self.contracts {
                deployed.contract.roll_back();
            }
            for (_, token) in &mut self.tokens {
                token.roll_back();
            }
        }
    }

    /// Closes a savepoint; what has happened since then stays.
    pub fn keep(&mut self, savepoint: Savepoint) {
        while self.wallets.undo.depth() > savepoint.outer {
            self.wallets.undo.keep();
            for deployed in &mut self.contracts {
                deployed.contract.keep();
            }
            for (_, token) in &mut self.tokens {
                token.keep();
            }
        }
    }

    // Views -----------------------------------------------------------------------------------------------------------

    /// The contract at an address.
    #[must_use]
    pub fn contract(&self, address: Address) -> Option<&Contract> {
        self.contracts.iter().find(|deployed| deployed.address == address).map(|deployed| &deployed.contract)
    }

    /// All contracts, in the order of their deployment.
    pub fn contracts(&self) -> impl Iterator<Item = (Address, &Contract)> + '_ {
        self.contracts.iter().map(|deployed| (deployed.address, &deployed.contract))
    }

    /// The market at an address.
    #[must_use]
    pub fn market(&self, address: Address) -> Option<&Market> {
        if let Some(Contract::Market(market)) = self.contract(address) { Some(market) } else { None }
    }

    /// The auction at an address.
    #[must_use]
    pub fn auction(&self, address: Address) -> Option<&SealedBidAuction> {
        if let Some(Contract::Auction(auction)) = self.contract(address) { Some(auction) } else { None }
    }

    /// The blessing at an address.
    #[must_use]
    pub fn blessing(&self, address: Address) -> Option<&Blessing> {
        if let Some(Contract::Blessing(blessing)) = self.contract(address) { Some(blessing) } else { None }
    }

    /// Filecoin Pay at an address.
    #[must_use]
    pub fn filecoin_pay(&self, address: Address) -> Option<&FilecoinPay> {
        if let Some(Contract::FilecoinPay(found)) = self.contract(address) { Some(found) } else { None }
    }

    /// The `FilecoinPayDeals` at an address.
    #[must_use]
    pub fn filecoin_pay_deals(&self, address: Address) -> Option<&FilecoinPayDeals> {
        if let Some(Contract::FilecoinPayDeals(deals)) = self.contract(address) { Some(deals) } else { None }
    }

    /// The granter at an address.
    #[must_use]
    pub fn granter(&self, address: Address) -> Option<&Granter> {
        if let Some(Contract::Granter(granter)) = self.contract(address) { Some(granter) } else { None }
    }

    /// Whether a contract or a token of this world is there.
    #[must_use]
    pub fn has_contract(&self, address: Address) -> bool {
        self.contract(address).is_some() || self.token(address).is_some()
    }

    fn token(&self, address: Address) -> Option<&Token> {
        self.tokens.iter().find(|(at, _)| *at == address).map(|(_, token)| token)
    }

    fn token_mut(&mut self, address: Address) -> Option<&mut Token> {
        self.tokens.iter_mut().find(|(at, _)| *at == address).map(|(_, token)| token)
    }

    /// All tokens, in the order of their deployment.
    pub fn tokens(&self) -> impl Iterator<Item = Address> + '_ {
        self.tokens.iter().map(|(address, _)| *address)
    }

    /// What an account owns of a token outside of all contracts; of a contract: what it holds, and what was forced on it.
    #[must_use]
    pub fn token_wallet(&self, token: Address, account: Address) -> AttoFil {
        self.token(token).map_or(AttoFil::ZERO, |token| token.wallets.of(account))
    }

    /// All accounts that own some of a token, by their addresses.
    pub fn token_wallets(&self, token: Address) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.token(token).into_iter().flat_map(|token| token.wallets.iter())
    }

    /// How much `spender` may take of a token from `owner`.
    #[must_use]
    pub fn allowance(&self, token: Address, owner: Address, spender: Address) -> AttoFil {
        self.token(token).map_or(AttoFil::ZERO, |token| token.allowance(owner, spender))
    }

    /// All there is of a token: the sum of all wallets.
    #[must_use]
    pub fn token_minted(&self, token: Address) -> AttoFil {
        self.token(token).map_or(AttoFil::ZERO, |token| token.wallets.minted())
    }

    /// What an account owns outside of all contracts; of a contract: what it holds, and what was forced on it.
    #[must_use]
    pub fn wallet(&self, account: Address) -> AttoFil {
        self.wallets.of(account)
    }

    /// All accounts that own something, contracts included, by their addresses.
    pub fn wallets(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.wallets.iter()
    }

    /// All money there is: the sum of all wallets.
    #[must_use]
    pub const fn minted(&self) -> AttoFil {
        self.wallets.minted()
    }
}
