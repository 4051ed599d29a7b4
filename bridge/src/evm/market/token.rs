//! The token that a market is paid in, as far as its parties need it: what it is called, what they have of it, and their leave for the
//! market to take it.

use alloy::{primitives::Bytes as Data, sol_types::SolCall};
use lota_market::{Address, AttoFil, U256, asset::Asset};

use super::bindings::{Unreadable, View};
use crate::evm::chain::{At, Chain, RpcError};

/// Generated; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(TestDollar, "../contracts/abi/TestDollar.json");
}

use abi::TestDollar;

fn amount(word: U256) -> Result<AttoFil, Unreadable> {
    word.try_into()
        .map(AttoFil)
        .map_err(|_| Unreadable::new("an amount of the token", format!("{word} is more than there is")))
}

fn returned<C: SolCall>(data: &[u8]) -> Result<C::Return, Unreadable> {
    C::abi_decode_returns(data).map_err(|error| Unreadable::new(C::SIGNATURE, error))
}

/// `symbol()`.
#[must_use]
pub fn symbol() -> View<String> {
    View { data: TestDollar::symbolCall {}.abi_encode().into(), read: returned::<TestDollar::symbolCall> }
}

/// `decimals()`.
#[must_use]
pub fn decimals() -> View<u8> {
    View { data: TestDollar::decimalsCall {}.abi_encode().into(), read: returned::<TestDollar::decimalsCall> }
}

/// `balanceOf(account)`.
#[must_use]
pub fn balance_of(account: Address) -> View<AttoFil> {
    View {
        data: TestDollar::balanceOfCall::new((account,)).abi_encode().into(),
        read: |data| amount(returned::<TestDollar::balanceOfCall>(data)?),
    }
}

/// `allowance(owner, spender)`; what is more than there can be is as much as there can be.
#[must_use]
pub fn allowance(owner: Address, spender: Address) -> View<AttoFil> {
    View {
        data: TestDollar::allowanceCall::new((owner, spender)).abi_encode().into(),
        read: |data| Ok(AttoFil(returned::<TestDollar::allowanceCall>(data)?.saturating_to())),
    }
}

/// Call data of `approve(spender, amount)`.
#[must_use]
pub fn approve(spender: Address, amount: AttoFil) -> Data {
    TestDollar::approveCall::new((spender, U256::from(amount.0))).abi_encode().into()
}

/// Call data of `mint(account, amount)`, which the test dollar has.
#[must_use]
pub fn mint(account: Address, amount: AttoFil) -> Data {
    TestDollar::mintCall::new((account, U256::from(amount.0))).abi_encode().into()
}

/// The code that deploys the test dollar.
#[must_use]
pub fn test_dollar() -> Data {
    TestDollar::BYTECODE.clone()
}

/// What a market's asset is: what the token says of itself, which is a stranger's word. A token that does not say how many decimals its
/// amounts have is counted in its smallest unit.
///
/// # Errors
/// When the node does not answer.
pub(super) async fn describe(chain: &Chain, asset: Address) -> Result<Asset, RpcError> {
    if asset.is_zero() {
        return Ok(Asset::coin());
    }
    let decimals = said(chain, asset, &decimals()).await?;
    let symbol = said(chain, asset, &symbol()).await?.unwrap_or_default();
    Ok(match decimals {
        Some(decimals) => Asset::token(&symbol, decimals),
        None => Asset::token(&symbol, u8::MAX),
    })
}

/// What a token says; `None` if that makes no sense.
async fn said<T>(chain: &Chain, token: Address, view: &View<T>) -> Result<Option<T>, RpcError> {
    match chain.view(token, &view.data, At::Latest).await {
        Ok(data) => Ok(view.read(&data).ok()),
        Err(RpcError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
