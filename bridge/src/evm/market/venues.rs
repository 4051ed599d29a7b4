//! The contracts beside the market that its transport reaches: what they say comes in the market's log, and commands go to them.

use lota_market::{
    Address, AttoFil, B256, U256,
    agent::EffectKey,
    filecoin_pay_deals::{Command, Order, Rejection},
    model,
    world::ContractEvent,
};

use super::{Call, EvmTransport, FilecoinPayDeals, Revert, Unreadable, allowance::allow, gas, refused_with};
use crate::{
    evm::{
        account::SendError,
        auction,
        chain::{At, CallRequest, Refusal, RpcError},
        filecoin_pay, filecoin_pay_deals,
    },
    filecoin_pay_deals::RailState,
    transport::{Landed, Reserve, SubmitError, Transport as _, TransportError},
};

/// One of them, and how what it says is read.
#[derive(Clone, Copy)]
pub(super) struct Venue {
    pub(super) contract: Address,
    pub(super) decode: fn(&[B256], &[u8]) -> Result<ContractEvent, Unreadable>,
}

impl EvmTransport {
    /// Those that it reaches, in an order that is always the same.
    pub(super) fn venues(&self) -> Vec<Venue> {
        let auction = self.auction.as_ref().map(|auction| Venue {
            contract: auction.contract(),
            decode: |topics, data| auction::decode(topics, data).map(ContractEvent::Auction),
        });
        let deals = self.filecoin_pay_deals.as_ref().map(|deals| Venue {
            contract: deals.contract(),
            decode: |topics, data| filecoin_pay_deals::decode(topics, data).map(ContractEvent::FilecoinPayDeals),
        });
        auction.into_iter().chain(deals).collect()
    }

    /// The `FilecoinPayDeals`, if it is used.
    pub(super) fn used_filecoin_pay_deals(&self) -> Result<&FilecoinPayDeals, TransportError> {
        self.filecoin_pay_deals.as_ref().ok_or(TransportError::NoFilecoinPayDeals)
    }

    /// Takes an order, with the collateral as value, or by leave of the market's token.
    pub(super) async fn take(&self, key: &EffectKey, order: &Order, reserve: Reserve) -> Result<Landed, SubmitError> {
        let deals = self.used_filecoin_pay_deals()?;
        let contract = deals.contract();
        let (token, collateral) = (self.market.settings.asset, order.terms.collateral);
        let call = |value| Call {
            value,
            reserve: gas::reserved(&self.market.settings, reserve),
            ..Self::call_to_take(deals, order)
        };
        if token.is_zero() {
            return self.landed(self.account.send(key, call(collateral)).await.map_err(failed_to_take)?);
        }
        let _alone = self.allowing.lock().await;
        if !self.was_begun(key).await? {
            let (account, balance) = (self.party(), self.funds(self.party()).await?);
            if balance < collateral {
                // As the token would, but before anything is paid for.
                let poor = model::Rejection::InsufficientBalance { account, balance, needed: collateral };
                let rejection = Box::new(Rejection::Market(poor));
                return Err(SubmitError::RejectedByFilecoinPayDeals { rejection, block: None });
            }
            self.check_take(call(AttoFil::ZERO)).await?;
            allow(&self.account, token, contract, key, collateral).await?;
        }
        self.landed(self.account.send(key, call(AttoFil::ZERO)).await.map_err(failed_to_take)?)
    }

    /// How one of the rails is.
    pub(super) async fn read_rail(&self, rail: U256) -> Result<RailState, TransportError> {
        let deals = self.used_filecoin_pay_deals()?;
        let promised = deals.view(&filecoin_pay_deals::promised(rail), At::Latest).await?;
        let view = filecoin_pay::rail(rail);
        let found = match self.market.chain.view(deals.reference().filecoin_pay, &view.data, At::Latest).await {
            // It reverts for a rail that was wound up.
            Err(RpcError::Refused(refusal)) if refusal.data.is_some() => None,
            found => Some(view.read(&found?).map_err(|error| TransportError::Malformed(error.to_string()))?),
        };
        let end = found.map(|found| found.end_epoch).filter(|end| !end.is_zero());
        Ok(RailState { due: promised.due, end: end.map(|end| end.saturating_to()), is_wound_up: found.is_none() })
    }

    /// How much gas it takes to have paid what is due on rails.
    pub(super) async fn estimate_pay(&self, rails: &[U256]) -> Result<u64, SubmitError> {
        let Call { to, value, data, .. } = self.pay(rails)?;
        let request = CallRequest { from: Some(self.party()), to, value, data };
        let refused = |error| match error {
            RpcError::Refused(refusal) => refused_by_filecoin_pay_deals(SendError::Refused { refusal, block: None }),
            error => TransportError::from(error).into(),
        };
        self.market.chain.estimate(&request).await.map_err(refused)
    }

    /// Has what is due on rails paid.
    pub(super) async fn send_pay(
        &self,
        key: &EffectKey,
        rails: &[U256],
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        let call = Call { reserve: gas::reserved(&self.market.settings, reserve), ..self.pay(rails)? };
        self.landed(self.account.send(key, call).await.map_err(refused_by_filecoin_pay_deals)?)
    }

    fn pay(&self, rails: &[U256]) -> Result<Call, TransportError> {
        let contract = self.used_filecoin_pay_deals()?.contract();
        Ok(Call::new(contract, filecoin_pay_deals::call_data(&Command::Pay { rails: rails.to_vec() })))
    }

    /// What an account at Filecoin Pay has that is not locked.
    pub(super) async fn available_at_filecoin_pay(&self, account: Address) -> Result<AttoFil, TransportError> {
        let deals = self.used_filecoin_pay_deals()?;
        let view = filecoin_pay::account_info(deals.reference().token, account);
        let found = deals.view_of_filecoin_pay(&view, At::Latest).await?;
        Ok(AttoFil(found.available.saturating_to()))
    }

    pub(super) fn call_to_take(deals: &FilecoinPayDeals, order: &Order) -> Call {
        Call::new(deals.contract(), filecoin_pay_deals::call_data(&Command::Take { order: order.clone() }))
    }

    /// Whether all is well but the collateral, which comes last: what cannot be taken must not cost the gas of the leave to take that.
    pub(super) async fn check_take(&self, call: Call) -> Result<(), SubmitError> {
        let request = CallRequest { from: Some(self.party()), to: call.to, value: call.value, data: call.data };
        let Err(RpcError::Refused(refusal)) = self.market.chain.call(&request, At::Latest).await else { return Ok(()) };
        match refused_by_filecoin_pay_deals(SendError::Refused { refusal, block: None }) {
            SubmitError::RejectedByFilecoinPayDeals { rejection, .. }
                if matches!(*rejection, Rejection::Market(model::Rejection::TransferFailed(_))) =>
            {
                Ok(())
            }
            refused @ SubmitError::RejectedByFilecoinPayDeals { .. } => Err(refused),
            // Whatever else it is, the real thing says it.
            _ => Ok(()),
        }
    }
}

/// What it means when a call of the auction was refused.
pub(super) fn refused_by_auction(error: SendError) -> SubmitError {
    refused_by(error, auction::revert, |rejection, block| SubmitError::RejectedByAuction { rejection, block })
}

/// The same of `FilecoinPayDeals`.
pub(super) fn refused_by_filecoin_pay_deals(error: SendError) -> SubmitError {
    refused_by(error, filecoin_pay_deals::revert, |rejection, block| SubmitError::RejectedByFilecoinPayDeals {
        rejection: Box::new(rejection),
        block,
    })
}

/// What it means that an order was not taken. The payer alone can have what worked when it was tried out fail without anybody having
/// taken the order, even if nothing in the state after the block says how.
fn failed_to_take(error: SendError) -> SubmitError {
    let SendError::Reverted { transaction, block, refusal } = &error else {
        return refused_by_filecoin_pay_deals(error);
    };
    let rejection = match refusal.data.as_ref().map(|data| filecoin_pay_deals::revert(data)) {
        None => None,
        Some(Ok(rejection)) if rejection.is_payers() => Some(Box::new(rejection)),
        Some(_) => return refused_by_filecoin_pay_deals(error),
    };
    SubmitError::TakeFailed { rejection, transaction: *transaction, block: *block }
}

fn refused_by<R>(
    error: SendError,
    revert: impl Fn(&[u8]) -> Result<R, Revert>,
    rejected: impl Fn(R, Option<u64>) -> SubmitError,
) -> SubmitError {
    if let SendError::Reverted { refusal: Refusal { data: Some(data), .. }, block, .. } = &error
        && let Ok(rejection) = revert(data)
    {
        return rejected(rejection, Some(*block));
    }
    let SendError::Refused { refusal: Refusal { message, data, .. }, block } = error else { return error.into() };
    match data.as_ref().map(|data| revert(data)) {
        Some(Ok(rejection)) => rejected(rejection, block),
        Some(Err(other)) => refused_with(message, Some(other), block),
        None => refused_with(message, None, block),
    }
}
