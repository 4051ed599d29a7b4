//! What contracts beside a market do with money alike: tokens come in, and money leaves.

use alloy_primitives::Address;

use super::{
    Answer, CallError, Env, ExternalCall, Log, Occasion, Script, TokenTransfer, World, execute::require_moved,
};
use crate::{
    AttoFil,
    model::{Command, Rejection},
};

/// A contract that moves money, and in what.
#[derive(Clone, Copy)]
pub(super) struct Till {
    pub(super) contract: Address,
    /// Zero: the chain's coin.
    pub(super) asset: Address,
}

impl World {
    /// Tokens come in, and exactly as many as were asked for; otherwise what has happened is to be undone.
    pub(super) fn take_in<E: Env>(
        &mut self,
        till: Till,
        from: Address,
        amount: AttoFil,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), Rejection> {
        let Till { contract, asset } = till;
        let before = self.token_wallet(asset, contract);
        let transfer = TokenTransfer { token: asset, caller: contract, from, to: contract, amount };
        if !self.move_tokens(&transfer, false, env, log) {
            return Err(Rejection::TransferFailed(contract));
        }
        require_moved(amount, before, self.token_wallet(asset, contract))
    }

    /// Money leaves; otherwise what has happened is to be undone.
    pub(super) fn give_out<E: Env>(
        &mut self,
        till: Till,
        to: Address,
        amount: AttoFil,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), Rejection> {
        let Till { contract, asset } = till;
        if !asset.is_zero() {
            let before = self.token_wallet(asset, contract);
            let transfer = TokenTransfer { token: asset, caller: contract, from: contract, to, amount };
            if !self.move_tokens(&transfer, true, env, log) {
                return Err(Rejection::TransferFailed(to));
            }
            return require_moved(amount, self.token_wallet(asset, contract), before);
        }
        let script = if self.has_contract(to) {
            // Contracts of this world take no money but with their commands.
            Script::accepting(false)
        } else {
            env.script(&ExternalCall { caller: contract, callee: to, occasion: Occasion::Payout { amount } })
        };
        let paid = self.wallets.transfer(contract, to, amount);
        debug_assert_eq!(paid, Ok(()), "the contract holds what is in its books");
        if self.run(&script, env, log) { Ok(()) } else { Err(Rejection::TransferFailed(to)) }
    }

    /// Brings what a contract holds to its account at a market.
    pub(super) fn bring_to_market<E: Env>(
        &mut self,
        till: Till,
        market: Address,
        amount: AttoFil,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), Rejection> {
        let Till { contract: account, asset } = till;
        if asset.is_zero() {
            return self.ask_market(account, market, amount, &Command::Deposit { account }, env, log);
        }
        self.approve(asset, account, market, amount);
        self.ask_market(account, market, AttoFil::ZERO, &Command::DepositToken { account, amount }, env, log)
    }

    /// A contract gives its market a command; otherwise what has happened is to be undone.
    pub(super) fn ask_market<E: Env>(
        &mut self,
        contract: Address,
        market: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), Rejection> {
        self.call_market(contract, market, value, command, env, log).map_err(|error| match error {
            CallError::Rejected(rejection) => rejection,
            // The contract holds what it brings, and its market is there since before it was deployed.
            _ => Rejection::TransferFailed(market),
        })
    }

    /// The token does what it is asked to, or something else; says whether it did not refuse.
    pub(super) fn move_tokens<E: Env>(
        &mut self,
        transfer: &TokenTransfer,
        allowed: bool,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> bool {
        let conduct = env.conduct(transfer);
        let Some(token) = self.token_mut(transfer.token) else { return false };
        (allowed || token.spend_allowance(transfer.from, transfer.caller, transfer.amount))
            && token.carry_out(transfer, &conduct)
            && self.run(&conduct.script, env, log)
            && conduct.answer != Answer::NotTrue
    }
}
