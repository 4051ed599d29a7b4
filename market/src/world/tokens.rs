//! Tokens: what markets use of an ERC-20, and how its code may behave.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{
    Script, TooMuchMoney,
    wallets::{self, Wallets},
};
use crate::{AttoFil, undo::UndoLog};

/// An allowance that does not shrink when it is used.
const UNLIMITED: AttoFil = AttoFil(u128::MAX);

/// A token: who owns how much of it, and who may take how much of whose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) wallets: Wallets,
    /// By owner and spender.
    #[serde(with = "crate::map_as_pairs")]
    allowances: BTreeMap<(Address, Address), AttoFil>,
    #[serde(skip)]
    undo: UndoLog<(Address, Address, AttoFil)>,
}

/// A market asks a token to move an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTransfer {
    pub token: Address,
    /// The market: one of the next two.
    pub caller: Address,
    pub from: Address,
    pub to: Address,
    pub amount: AttoFil,
}

/// What a token does when a market asks it to move an amount. The default: just that, and it says so.
///
/// First it moves money (or refuses, when `from` has too little), then its script runs, then it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conduct {
    /// What it takes from `from` instead of the amount asked for.
    pub taken: Option<AttoFil>,
    /// What it gives to `to` instead of the amount asked for. What is over stays with the token; what is missing it makes.
    pub given: Option<AttoFil>,
    /// What it calls meanwhile, and whether it reverts.
    pub script: Script,
    pub answer: Answer,
}

/// What a token returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    #[default]
    True,
    /// No data at all, as older tokens do.
    Nothing,
    /// `false`, or something that is no `bool`.
    NotTrue,
}

impl Token {
    pub(super) fn mint(&mut self, account: Address, amount: AttoFil) -> Result<(), TooMuchMoney> {
        self.wallets.mint(account, amount)
    }

    pub(super) fn allowance(&self, owner: Address, spender: Address) -> AttoFil {
        self.allowances.get(&(owner, spender)).copied().unwrap_or_default()
    }

    pub(super) fn approve(&mut self, owner: Address, spender: Address, amount: AttoFil) {
        let before = self.allowance(owner, spender);
        self.undo.note(|| (owner, spender, before));
        self.set_allowance(owner, spender, amount);
    }

    fn set_allowance(&mut self, owner: Address, spender: Address, amount: AttoFil) {
        if amount == AttoFil::ZERO {
            self.allowances.remove(&(owner, spender));
        } else {
            self.allowances.insert((owner, spender), amount);
        }
    }

    /// Uses up an allowance, if it is large enough; says whether it was.
    pub(super) fn spend_allowance(&mut self, owner: Address, spender: Address, amount: AttoFil) -> bool {
        let allowance = self.allowance(owner, spender);
        if allowance == UNLIMITED {
            return true;
        }
        let Some(left) = allowance.checked_sub(amount) else { return false };
        self.approve(owner, spender, left);
        true
    }

    /// Moves money as the token's code has it; says whether there was enough.
    pub(super) fn carry_out(&mut self, transfer: &TokenTransfer, conduct: &Conduct) -> bool {
        let TokenTransfer { token, from, to, amount, .. } = *transfer;
        let (taken, given) = (conduct.taken.unwrap_or(amount), conduct.given.unwrap_or(amount));
        if taken == given {
            return self.wallets.transfer(from, to, taken).is_ok();
        }
        self.wallets.transfer(from, token, taken).is_ok()
            && self.mint(token, given.saturating_sub(taken)).is_ok()
            && self.wallets.transfer(token, to, given).is_ok()
    }

    pub(super) fn open_savepoint(&mut self) {
        self.wallets.open_savepoint();
        self.undo.open_savepoint();
    }

    pub(super) fn keep(&mut self) {
        self.wallets.undo.keep();
        self.undo.keep();
    }

    pub(super) fn roll_back(&mut self) {
        self.wallets.roll_back();
        let changes: Vec<_> = self.undo.take_back().collect();
        for (owner, spender, amount) in changes {
            self.set_allowance(owner, spender, amount);
        }
    }
}

/// Why no token could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// Nothing is deployed there, or no token.
    #[error("there is no token at {0}")]
    NoToken(Address),
    #[error(transparent)]
    TooMuch(#[from] wallets::TooMuchMoney),
}
