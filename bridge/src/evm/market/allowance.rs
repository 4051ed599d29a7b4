//! Money of a token on its way into a contract, which takes it by itself, with the account's leave: for as much as is wanted, and no
//! more. What is allowed is one number for each contract, so an account's commands that rest on it go one after another; what an earlier
//! one of them was allowed, and did not take because the process ended, is overwritten by the next.

use lota_market::{Address, AttoFil, agent::EffectKey, auction, model};

use super::{At, Call, EvmTransport, token};
use crate::{
    evm::{
        account::{Account, SendError},
        chain::RpcError,
    },
    transport::{Landed, Reserve, SubmitError, Transport as _},
};

/// How often leave is given for one key, at most: once, and again when something else has used it up in the meantime.
const MAX_ROUNDS: u32 = 3;

impl EvmTransport {
    /// Moves so much of the market's token into the market.
    pub(super) async fn deposit_token(&self, key: &EffectKey, amount: AttoFil) -> Result<Landed, SubmitError> {
        let _alone = self.allowing.lock().await;
        let command = model::Command::DepositToken { account: self.party(), amount };
        if self.was_begun(key).await? {
            // What was undone with the leave that it needs, is refused: then it is prepared again.
            match self.submit(key, &command, AttoFil::ZERO).await {
                Err(SubmitError::Rejected { .. } | SubmitError::Failed(_)) => {}
                other => return other,
            }
        }
        allow(&self.account, self.market.settings.asset, self.market.contract, key, amount).await?;
        self.submit(key, &command, AttoFil::ZERO).await
    }

    /// Moves so much of the market's token into the party's account in the auction.
    pub(super) async fn fund_auction_with_token(
        &self,
        key: &EffectKey,
        amount: AttoFil,
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        let auction = self.used_auction()?.contract();
        let _alone = self.allowing.lock().await;
        if !self.was_begun(key).await? {
            let (account, balance) = (self.party(), self.funds(self.party()).await?);
            if balance < amount {
                // As the auction would, but before anything is paid for.
                let poor = model::Rejection::InsufficientBalance { account, balance, needed: amount };
                return Err(SubmitError::RejectedByAuction {
                    rejection: auction::Rejection::Market(poor),
                    block: None,
                });
            }
            allow(&self.account, self.market.settings.asset, auction, key, amount).await?;
        }
        let command = auction::Command::FundToken { amount };
        self.submit_to_auction_with_reserve(key, &command, AttoFil::ZERO, reserve).await
    }
}

/// Allows a contract to take so much of an account's token, under keys that follow from that of the effect. Some tokens let no leave be
/// changed to another, only taken back.
pub(in crate::evm) async fn allow(
    account: &Account,
    token: Address,
    contract: Address,
    key: &EffectKey,
    amount: AttoFil,
) -> Result<(), SendError> {
    let view = token::allowance(account.address(), contract);
    for round in 0..MAX_ROUNDS {
        let returned = account.chain().view(token, &view.data, At::Latest).await?;
        let allowed = view.read(&returned).map_err(|error| RpcError::Malformed(error.to_string()))?;
        if allowed >= amount {
            break;
        }
        let again = if round == 0 { String::new() } else { format!("/{round}") };
        for (name, amount) in [("take-back", AttoFil::ZERO), ("approve", amount)] {
            if name == "approve" || allowed > AttoFil::ZERO {
                let call = Call::new(token, token::approve(contract, amount));
                account.send(&EffectKey::named(&format!("{key}/{name}{again}")), call).await?;
            }
        }
    }
    Ok(())
}
