//! The contract of jobs that are paid over Filecoin Pay, beside a market on a chain: found, deployed, read, and sent to.

mod deploy;
mod order;
mod rails;

use anyhow::Context as _;
use lota_bridge::{
    PrivateKeySigner,
    evm::{
        Call, FilecoinPayDeals, Granter, Network, RpcError, SendError, Source,
        account::Landed,
        bindings::{self, Unreadable, View},
        chain::{At, Log},
        filecoin_pay::{self, AccountInfo, Approval},
        filecoin_pay_deals, token,
    },
    transport::Head,
};
use lota_market::{
    Address, AttoFil, B256, Time, U256,
    asset::Asset,
    filecoin_pay_deals::{Command, Order},
    model::{self, JobId},
};

use self::order::{Said, no_order};
pub(crate) use self::{
    deploy::{check_filecoin_pay, deploy_pay_deals},
    order::{FollowedOrder, OrderState},
    rails::{RailState, ReadSoFar},
};
use super::{ChainError, ChainMarket, Endpoint, code, deploy::send, reading::Reading};

/// How many views are asked for at once.
const AT_ONCE: usize = 8;

/// The least gas for the contract's callback on this network, unless another amount is asked for. On Ethereum a result with its
/// callback takes 57,000 altogether (contracts/snapshots/granters.json). On the FVM the dearest callback, of a provider that was slashed,
/// took 20 M with 300 deals under way and 34 M with 2,000: what is stored grows with them.
pub(crate) const fn default_pay_callback_gas(network: &Network) -> u32 {
    if Network::is_filecoin_id(network.chain_id) { 60_000_000 } else { 100_000 }
}

/// A `FilecoinPayDeals` on a chain, and its market, whose codes were compared with the checked-in ones.
#[derive(Clone, Debug)]
pub(crate) struct ChainPayDeals {
    market: ChainMarket,
    deals: FilecoinPayDeals,
    /// What prices are in.
    asset: Asset,
    epoch_seconds: u64,
    grace: u64,
    first_block: u64,
}

impl ChainPayDeals {
    /// The contract at this address, and the market that it is for; what happened at both is read from `first_block` on.
    ///
    /// # Errors
    /// [`ChainError::NoPayDeals`], [`ChainError::OtherThanPayDeals`], those of [`ChainMarket::find`], or when the node does not answer.
    pub(crate) async fn find(endpoint: Endpoint, contract: Address, first_block: u64) -> anyhow::Result<Self> {
        let network = *endpoint.network();
        let code = endpoint.chain().code(contract).await.map_err(|error| endpoint.failed(error))?;
        if code.is_empty() {
            return Err(ChainError::NoPayDeals { contract, network: network.name, chain_id: network.chain_id }.into());
        }
        if code::granter(&code) == Some(Granter::FILECOIN_PAY) {
            return Err(ChainError::GranterNotPayDeals { contract, network: network.name }.into());
        }
        if !code::is_pay_deals(&code) {
            return Err(ChainError::OtherThanPayDeals { contract, network: network.name, size: code.len() }.into());
        }
        let of = endpoint.view(contract, &filecoin_pay_deals::market_of(), At::Latest).await?;
        let epoch_seconds = endpoint.view(contract, &filecoin_pay_deals::epoch_seconds(), At::Latest).await?;
        let grace = endpoint.view(contract, &filecoin_pay_deals::grace(), At::Latest).await?;
        let market = ChainMarket::find(endpoint, of, first_block).await?;
        let deals = FilecoinPayDeals::find(market.market(), contract).await?;
        let asset = unit_of(market.endpoint(), deals.reference().token).await?;
        let (epoch_seconds, grace) = (epoch_seconds.saturating_to(), grace.saturating_to());
        Ok(Self { market, deals, asset, epoch_seconds, grace, first_block })
    }

    /// The market whose jobs it pays for.
    pub(crate) const fn market(&self) -> &ChainMarket {
        &self.market
    }

    /// The chain.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        self.market.endpoint()
    }

    /// Its address.
    pub(crate) const fn contract(&self) -> Address {
        self.deals.contract()
    }

    /// The contract that keeps the accounts.
    pub(crate) const fn filecoin_pay(&self) -> Address {
        self.deals.reference().filecoin_pay
    }

    /// What prices are in: zero for the chain's coin.
    pub(crate) const fn token(&self) -> Address {
        self.deals.reference().token
    }

    /// What prices are in, for people.
    pub(crate) const fn asset(&self) -> &Asset {
        &self.asset
    }

    /// The least gas for its callback.
    pub(crate) const fn callback_gas(&self) -> u32 {
        self.deals.reference().callback_gas
    }

    /// How long what is due can still be paid when the payer ends the rail, in seconds.
    pub(crate) const fn grace(&self) -> u64 {
        self.grace
    }

    /// The shortest time between two blocks, in seconds.
    pub(crate) const fn epoch_seconds(&self) -> u64 {
        self.epoch_seconds
    }

    /// For how many epochs it locks the price of a job whose last deadline is so many seconds after it was taken.
    pub(crate) fn lockup_period(&self, seconds: u64) -> U256 {
        lockup_period(seconds, self.grace, self.epoch_seconds)
    }

    /// An amount of the token for people. More than there can be is no limit.
    pub(crate) fn show(&self, amount: U256) -> String {
        show(&self.asset, amount)
    }

    /// What a view of the contract answers.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn view<T>(&self, view: &View<T>) -> Result<T, ChainError> {
        self.endpoint().view(self.contract(), view, At::Latest).await
    }

    /// An account at Filecoin Pay.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn account(&self, owner: Address) -> Result<AccountInfo, ChainError> {
        let view = filecoin_pay::account_info(self.token(), owner);
        self.endpoint().view(self.filecoin_pay(), &view, At::Latest).await
    }

    /// What an account lets the contract do.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn approval(&self, owner: Address) -> Result<Approval, ChainError> {
        let view = filecoin_pay::operator_approval(self.token(), owner, self.contract());
        self.endpoint().view(self.filecoin_pay(), &view, At::Latest).await
    }

    /// What an account has of the token outside Filecoin Pay.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn wallet(&self, owner: Address) -> Result<AttoFil, ChainError> {
        match self.token() {
            coin if coin.is_zero() => self.endpoint().money(owner, At::Latest).await,
            token => self.endpoint().view(token, &token::balance_of(owner), At::Latest).await,
        }
    }

    /// The newest block.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn head(&self) -> Result<(u64, Time), ChainError> {
        let endpoint = self.endpoint();
        let head = endpoint.chain().newest().await.map_err(|error| endpoint.failed(error))?;
        Ok((head.number(), head.time()))
    }

    /// A rail as Filecoin Pay has it; none: it was wound up, or never was there.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn rail_at_filecoin_pay(&self, rail: U256) -> Result<Option<filecoin_pay::Rail>, ChainError> {
        let (endpoint, view) = (self.endpoint(), filecoin_pay::rail(rail));
        match endpoint.chain().view(self.filecoin_pay(), &view.data, At::Latest).await {
            Err(RpcError::Refused(refusal)) if refusal.data.is_some() => Ok(None),
            Err(error) => Err(endpoint.failed(error)),
            Ok(data) => view.read(&data).map(Some).map_err(|error| ChainError::Malformed {
                node: endpoint.node().to_owned(),
                problem: error.to_string(),
            }),
        }
    }

    /// The order of a job, from now on.
    pub(crate) fn follow(&self, job: JobId) -> FollowedOrder {
        self.follow_from(job, self.first_block, false)
    }

    /// The order of a job, which was opened in this block just now.
    pub(crate) fn follow_opened(&self, job: JobId, block: u64) -> FollowedOrder {
        self.follow_from(job, block, true)
    }

    fn follow_from(&self, job: JobId, first_block: u64, is_opened: bool) -> FollowedOrder {
        let (market, deals) = (self.market.contract(), self.contract());
        let source = |contract| Source { topics: vec![Vec::new(), vec![job.0]], ..Source::new(contract, first_block) };
        let decode = move |log: &Log| -> Result<Said, Unreadable> {
            if log.address == deals {
                filecoin_pay_deals::decode(&log.topics, &log.data).map(Said::Deals)
            } else {
                bindings::decode(&log.topics, &log.data).map(Said::Market)
            }
        };
        let reading = Reading::begin(self.endpoint(), [source(market), source(deals)], decode);
        FollowedOrder { job, reading, is_opened }
    }

    /// The order of a job, and what has become of it.
    ///
    /// # Errors
    /// When the node does not answer, or no such order was opened.
    pub(crate) async fn order(&self, job: JobId) -> anyhow::Result<(OrderState, Head)> {
        self.follow(job).next(None).await?.with_context(|| no_order(job))
    }

    /// The lowest salt of the payer's lane that no order of its has.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn next_salt(&self, payer: Address) -> Result<U256, ChainError> {
        let lane = model::Lane::from_be_slice(payer.as_slice());
        let view = bindings::next_salt(self.contract(), lane);
        self.endpoint().view(self.market.contract(), &view, At::Latest).await
    }

    /// Sends one command, with money, and waits for its block.
    ///
    /// # Errors
    /// In words that say what to do.
    pub(crate) async fn send(
        &self,
        signer: &PrivateKeySigner,
        command: &Command,
        sent: impl FnOnce(B256),
    ) -> anyhow::Result<Landed> {
        // What the market promises to the callback without using it is not in an estimate.
        let extra_gas = match command {
            Command::Cancel { order } => self.with_callback(order.terms.callback_gas),
            Command::Accept { terms, .. } => self.with_callback(terms.callback_gas),
            _ => 0,
        };
        let call = Call { extra_gas, ..Call::new(self.contract(), filecoin_pay_deals::call_data(command)) };
        self.send_call(signer, call, sent).await
    }

    /// Gas for a call of the market's that ends a job.
    fn with_callback(&self, callback_gas: u32) -> u64 {
        let gas = u64::from(callback_gas);
        gas + gas / 63 + 1 + u64::from(self.market.settings().callback_reserve)
    }

    /// Ends a job whose time is over, at the market; anybody may.
    ///
    /// # Errors
    /// In words that say what to do.
    pub(crate) async fn expire(
        &self,
        signer: &PrivateKeySigner,
        order: &Order,
        sent: impl FnOnce(B256),
    ) -> anyhow::Result<Landed> {
        let data = bindings::call_data(&model::Command::Expire { terms: order.terms.clone() });
        let extra_gas = self.with_callback(order.terms.callback_gas);
        self.send_call(signer, Call { extra_gas, ..Call::new(self.market.contract(), data) }, sent).await
    }

    /// Sends one call to Filecoin Pay, with money, and waits for its block.
    ///
    /// # Errors
    /// In words that say what to do.
    pub(crate) async fn send_to_filecoin_pay(
        &self,
        signer: &PrivateKeySigner,
        data: lota_market::Bytes,
        value: AttoFil,
        sent: impl FnOnce(B256),
    ) -> anyhow::Result<Landed> {
        self.send_call(signer, Call { value, ..Call::new(self.filecoin_pay(), data) }, sent).await
    }

    /// Lets Filecoin Pay take so much of the account's token, and no more. Some tokens let no leave be changed to another, only taken back.
    ///
    /// # Errors
    /// In words that say what to do.
    pub(crate) async fn allow(&self, signer: &PrivateKeySigner, amount: AttoFil) -> anyhow::Result<()> {
        let (token, spender) = (self.token(), self.filecoin_pay());
        let allowed = self.endpoint().view(token, &token::allowance(signer.address(), spender), At::Latest).await?;
        if allowed >= amount {
            return Ok(());
        }
        for amount in [AttoFil::ZERO, amount].into_iter().skip(usize::from(allowed == AttoFil::ZERO)) {
            let call = Call::new(token, token::approve(spender, amount));
            self.send_call(signer, call, |_| {}).await.context("the token was not approved")?;
        }
        Ok(())
    }

    async fn send_call(
        &self,
        signer: &PrivateKeySigner,
        call: Call,
        sent: impl FnOnce(B256),
    ) -> anyhow::Result<Landed> {
        send(self.endpoint().chain(), signer.clone(), call, sent).await.map_err(|error| self.refusal(error))
    }

    /// What a contract refused, in words.
    fn refusal(&self, error: anyhow::Error) -> anyhow::Error {
        let (Some(SendError::Refused { refusal, .. }) | Some(SendError::Reverted { refusal, .. })) =
            error.downcast_ref::<SendError>()
        else {
            return error;
        };
        match refusal.data.as_ref().map(|data| filecoin_pay_deals::revert(data)) {
            Some(Ok(rejection)) => {
                anyhow::anyhow!("the contract refuses: {}", rejection.words(self.market.market().asset()))
            }
            _ => error,
        }
    }
}

/// For how many epochs the contract locks a price that must lie for so many seconds and the grace.
fn lockup_period(seconds: u64, grace: u64, epoch_seconds: u64) -> U256 {
    let (seconds, grace) = (U256::from(seconds), U256::from(grace));
    (seconds + grace).div_ceil(U256::from(epoch_seconds.max(1))) + U256::ONE
}

/// An amount for people. More than there can be of anything is no limit.
pub(crate) fn show(asset: &Asset, amount: U256) -> String {
    u128::try_from(amount).map_or_else(|_| "unlimited".to_owned(), |amount| asset.show(AttoFil(amount)))
}

/// What a token says that its amounts are in.
pub(super) async fn unit_of(endpoint: &Endpoint, token: Address) -> Result<Asset, ChainError> {
    if token.is_zero() {
        return Ok(Asset::coin());
    }
    let mute = |error| matches!(error, ChainError::Refused { .. } | ChainError::Malformed { .. });
    let decimals = match endpoint.view(token, &token::decimals(), At::Latest).await {
        Ok(decimals) => decimals,
        Err(error) if mute(error.clone()) => u8::MAX,
        Err(error) => return Err(error),
    };
    let symbol = match endpoint.view(token, &token::symbol(), At::Latest).await {
        Ok(symbol) => symbol,
        Err(error) if mute(error.clone()) => String::new(),
        Err(error) => return Err(error),
    };
    Ok(Asset::token(&symbol, decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_markets_accept_the_callback_by_default() {
        for network in Network::ALL {
            let gas = default_pay_callback_gas(&network);
            assert!(gas <= crate::chain::default_callback_gas(&network), "{}: providers", network.name);
            assert!(gas <= crate::chain::default_settings(&network).max_callback_gas, "{}: the market", network.name);
        }
    }

    #[test]
    fn the_lockup_reaches_beyond_the_last_deadline_and_the_grace() {
        // The contract's own arithmetic: (time + GRACE + EPOCH_SECONDS - 1) / EPOCH_SECONDS + 1.
        for (seconds, grace, epoch, wanted) in
            [(0, 0, 1, 1), (60, 0, 30, 3), (61, 0, 30, 4), (3_600, 2_592_000, 30, 86_521), (1, 0, 1, 2)]
        {
            assert_eq!(lockup_period(seconds, grace, epoch), U256::from(wanted), "{seconds} {grace} {epoch}");
        }
        assert!(lockup_period(u64::MAX, u64::MAX, 1) > U256::from(u64::MAX), "nothing overflows");
    }

    #[test]
    fn amounts_beyond_all_money_are_no_limit() {
        assert_eq!(show(&Asset::coin(), U256::MAX), "unlimited");
        assert_eq!(show(&Asset::token("USDFC", 18), U256::from(1_500_000_000_000_000_000_u64)), "1.5 USDFC");
    }
}
