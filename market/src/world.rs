//! Everybody's wallets and all contracts as one state machine: what a chain executes, without the chain.
//!
//! A [`Call`] names its contract, and so does what a contract says ([`Log`]). Money is either in a wallet or was brought to
//! a contract, whose wallet then holds it: no sum is ever lost or made, but by [`World::mint`]. What code outside of this
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

mod call;
mod execute;
mod script;
#[cfg(test)]
mod tests;
mod wallets;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

pub use call::{Call, CallError, ContractCommand, ContractEvent, Log};
pub use script::{End, Env, ExternalCall, Occasion, Script, ScriptedCall};
pub use wallets::TooMuchMoney;

use crate::{
    AttoFil,
    model::{Market, Settings},
};
use wallets::Wallets;

/// Wallets and contracts. Equal worlds are equal values, with equal hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct World {
    wallets: Wallets,
    /// In the order of their deployment. They are few: a search takes no longer than a lookup.
    contracts: Vec<Deployed>,
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
}

/// Why a contract cannot be deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// Another contract is there.
    #[error("there is a contract at {0} already; deploy to another address")]
    Taken(Address),
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

    /// A world with one market, in which nothing has happened.
    #[must_use]
    pub fn with_market(address: Address, settings: Settings) -> Self {
        let contract = Contract::Market(Market::new(settings));
        Self { wallets: Wallets::default(), contracts: vec![Deployed { address, contract }] }
    }

    /// Puts a contract at an address. What the address owns already stays there, beside what the contract holds for others.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub fn deploy(&mut self, address: Address, contract: Contract) -> Result<(), DeployError> {
        if self.contract(address).is_some() {
            return Err(DeployError::Taken(address));
        }
        if self.wallets.undo.depth() > 0 {
            return Err(DeployError::SavepointOpen);
        }
        self.contracts.push(Deployed { address, contract });
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

    // Savepoints ------------------------------------------------------------------------------------------------------

    /// From here on everything can be undone. Savepoints nest: one that is closed closes those that were opened after it.
    pub fn savepoint(&mut self) -> Savepoint {
        let outer = self.wallets.undo.depth();
        self.wallets.open_savepoint();
        for Deployed { contract: Contract::Market(market), .. } in &mut self.contracts {
            market.open_savepoint();
        }
        Savepoint { outer }
    }

    /// The world is what it was when the savepoint was opened.
    pub fn roll_back(&mut self, savepoint: Savepoint) {
        while self.wallets.undo.depth() > savepoint.outer {
            self.wallets.roll_back();
            for Deployed { contract: Contract::Market(market), .. } in &mut self.contracts {
                market.roll_back();
            }
        }
    }

    /// Closes a savepoint; what has happened since then stays.
    pub fn keep(&mut self, savepoint: Savepoint) {
        while self.wallets.undo.depth() > savepoint.outer {
            self.wallets.undo.keep();
            for Deployed { contract: Contract::Market(market), .. } in &mut self.contracts {
                market.keep();
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
        self.contract(address).map(|Contract::Market(market)| market)
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
