//! A granter that pays over Filecoin Pay, on a chain: which rail a grant is due on, and what there is to be paid.

use std::fmt;

use alloy::sol_types::SolCall;
use lota_market::{
    Address, B256, Bytes, U256,
    granter::{Command, Event},
    model::JobId,
};

use super::{abi::filecoin_pay::FilecoinPayGranter, bindings, blessing_of};
use crate::evm::{
    Call,
    chain::{At, Chain, Refusal, RpcError},
    filecoin_pay, filecoin_pay_deals,
    market::bindings::{View, returned},
};

/// A granter that pays over Filecoin Pay.
#[derive(Clone, Debug)]
pub struct RailGranter {
    chain: Chain,
    contract: Address,
    filecoin_pay: Address,
    token: Address,
    sponsor: Address,
}

/// What a grant left to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    pub rail: U256,
    /// Gross, in the token's smallest unit.
    pub amount: U256,
}

/// A rail as its granter and Filecoin Pay have it at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RailDue {
    /// To be paid now, gross.
    pub due: U256,
    /// Whom it leads to; none: it was wound up.
    pub payee: Option<Address>,
    /// Before which block it still pays, once its payer has terminated it.
    pub end: Option<U256>,
}

impl RailDue {
    /// Whether what is due can be paid by a transaction that gets into this block.
    #[must_use]
    pub fn pays_in(&self, block: u64) -> bool {
        self.payee.is_some() && self.end.is_none_or(|end| U256::from(block) < end)
    }
}

/// Why a granter's rails cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RailsError {
    /// It is none that pays over Filecoin Pay, or obeys another blessing.
    #[error("{contract} is no granter of this blessing that pays over Filecoin Pay: {problem}")]
    NotOne { contract: Address, problem: String },
    /// It is not known whether it is.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl RailGranter {
    /// The granter at an address, if it obeys this blessing and pays over Filecoin Pay.
    ///
    /// # Errors
    /// See [`RailsError`].
    pub async fn find(chain: &Chain, contract: Address, blessing: Address) -> Result<Self, RailsError> {
        let obeys = ask(chain, contract, &blessing_of()).await?;
        if obeys != blessing {
            return Err(RailsError::NotOne { contract, problem: format!("it obeys {obeys}") });
        }
        // The same names as in `FilecoinPayDeals`: both are `Rails.sol`.
        let filecoin_pay = ask(chain, contract, &filecoin_pay_deals::filecoin_pay()).await?;
        let token = ask(chain, contract, &filecoin_pay_deals::token()).await?;
        let sponsor = ask(chain, contract, &sponsor()).await?;
        Ok(Self { chain: chain.clone(), contract, filecoin_pay, token, sponsor })
    }

    /// Its address.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.contract
    }

    /// The contract that keeps the accounts.
    #[must_use]
    pub const fn filecoin_pay(&self) -> Address {
        self.filecoin_pay
    }

    /// What is paid: zero for the chain's coin.
    #[must_use]
    pub const fn token(&self) -> Address {
        self.token
    }

    /// Whose account pays.
    #[must_use]
    pub const fn sponsor(&self) -> Address {
        self.sponsor
    }

    /// A rail as it is at a block.
    ///
    /// # Errors
    /// When the node does not answer, or what a contract said cannot be understood.
    pub async fn rail(&self, rail: U256, at: At) -> Result<RailDue, RpcError> {
        let promised = bindings::promised(rail);
        let (_, due) = read(&promised, &self.chain.view(self.contract, &promised.data, at).await?)?;
        let there = filecoin_pay::rail(rail);
        match self.chain.view(self.filecoin_pay, &there.data, at).await {
            Ok(data) => {
                let found = read(&there, &data)?;
                let end = Some(found.end_epoch).filter(|end| !end.is_zero());
                Ok(RailDue { due, payee: Some(found.payee), end })
            }
            Err(RpcError::Refused(refusal)) if refusal.data.is_some() => Ok(RailDue { due, payee: None, end: None }),
            Err(error) => Err(error),
        }
    }

    /// The call by which anybody has all paid that is due on these rails.
    #[must_use]
    pub fn pay(&self, rails: Vec<U256>) -> Call {
        Call::new(self.contract, bindings::call_data(&Command::Pay { rails }))
    }
}

/// What a granter's grant of a job, in this transaction, left to be paid; `None`: the transaction says nothing of it.
///
/// # Errors
/// When the node does not answer, or does not know the transaction.
pub async fn locked(
    chain: &Chain,
    granter: Address,
    job: JobId,
    transaction: B256,
) -> Result<Option<Locked>, RpcError> {
    let receipt = chain.receipt(transaction).await?;
    let receipt = receipt.ok_or_else(|| RpcError::unavailable(format!("nobody knows transaction {transaction}")))?;
    let mut logs = receipt.logs.iter().filter(|log| log.address == granter);
    Ok(logs.find_map(|log| match bindings::decode(&log.topics, &log.data) {
        Ok(Event::GrantLocked { job: of, rail, amount }) if of == job => Some(Locked { rail, amount }),
        _ => None,
    }))
}

/// Why a payment is refused, in words.
#[must_use]
pub fn refusal(Refusal { message, data, .. }: &Refusal) -> String {
    // Errors of Filecoin Pay come through the granter as they are.
    match data.as_ref().map(|data| filecoin_pay_deals::revert(data)) {
        Some(Ok(rejection)) => rejection.to_string(),
        _ => format!("the node says: {message}"),
    }
}

fn sponsor() -> View<Address> {
    View::new(FilecoinPayGranter::SPONSORCall {}.abi_encode().into(), returned::<FilecoinPayGranter::SPONSORCall>)
}

async fn ask<T>(chain: &Chain, contract: Address, view: &View<T>) -> Result<T, RailsError> {
    let other = |problem: &dyn fmt::Display| RailsError::NotOne { contract, problem: problem.to_string() };
    match chain.view(contract, &view.data, At::Latest).await {
        Ok(data) => view.read(&data).map_err(|error| other(&error)),
        Err(RpcError::Refused(refusal)) => Err(other(&refusal.message)),
        Err(error) => Err(error.into()),
    }
}

fn read<T>(view: &View<T>, data: &Bytes) -> Result<T, RpcError> {
    view.read(data).map_err(|error| RpcError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rail_pays_until_its_end() {
        let rail = |payee, end: Option<u64>| RailDue { due: U256::ONE, payee, end: end.map(U256::from) };
        let payee = Some(Address::repeat_byte(1));
        assert!(rail(payee, None).pays_in(u64::MAX));
        assert!(rail(payee, Some(10)).pays_in(9) && !rail(payee, Some(10)).pays_in(10));
        assert!(!rail(None, None).pays_in(0), "it was wound up");
    }
}
