//! A Lota market on a chain: commands to call data, logs to events, and the [`Transport`] on top of [chain](super::chain),
//! [account](super::account) and [log](super::log).

mod allowance;
pub mod bindings;
mod elsewhere;
mod failures;
mod gas;
mod outstanding;
pub mod token;
mod trial;
mod updates;
mod venues;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    asset::Asset,
    auction, filecoin_pay_deals,
    model::{Command, JobId, Lane, Receipt, Settings, Terms},
    world::ContractEvent,
};
use tokio::sync::Mutex;

pub(super) use self::allowance::allow;
use self::{
    bindings::{Revert, Unreadable},
    failures::refused_with,
    updates::update,
    venues::refused_by_auction,
};
use super::{
    account::{self, Account, Call, SendError},
    auction::{self as evm_auction, Auction},
    chain::{At, Chain, Config, Network, RpcError},
    filecoin_pay_deals::contract::FilecoinPayDeals,
    log::{EventLog, Source},
};
use crate::{
    Journal, PrivateKeySigner, eip712, encoding,
    filecoin_pay_deals::RailState,
    transport::{
        AuctionRef, Cursor, FilecoinPayDealsRef, Head, Landed, MarketRef, Outstanding, Reserve, SealedBid, StoredDeal,
        SubmitError, Transport, TransportError, UpdateStream,
    },
};

/// A market's contract on a chain.
#[derive(Clone, Debug)]
pub struct Market {
    chain: Chain,
    contract: Address,
    first_block: u64,
    settings: Settings,
    asset: Asset,
}

impl Market {
    /// The market at an address; what happened there is read from `first_block` on: that of its deployment, or 0.
    ///
    /// # Errors
    /// [`TransportError::NoMarket`] when there is something else, or nothing.
    pub async fn find(chain: &Chain, contract: Address, first_block: u64) -> Result<Self, TransportError> {
        let absent = |problem: String| TransportError::NoMarket { contract, chain_id: chain.id(), problem };
        if chain.code(contract).await?.is_empty() {
            return Err(absent("there is no contract".into()));
        }
        let view = bindings::settings();
        let settings = match chain.view(contract, &view.data, At::Latest).await {
            Ok(returned) => view.read(&returned).map_err(|error| absent(error.to_string()))?,
            Err(RpcError::Refused(refusal)) => return Err(absent(refusal.message)),
            Err(error) => return Err(error.into()),
        };
        let asset = token::describe(chain, settings.asset).await?;
        Ok(Self { chain: chain.clone(), contract, first_block, settings, asset })
    }

    /// The same market by another connection to its chain.
    #[must_use]
    pub fn reached_by(&self, chain: &Chain) -> Self {
        Self { chain: chain.clone(), ..self.clone() }
    }

    /// Its chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Its address.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.contract
    }

    /// What it was deployed with.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// What its amounts are in.
    #[must_use]
    pub const fn asset(&self) -> &Asset {
        &self.asset
    }

    /// What its events are read from.
    #[must_use]
    pub const fn source(&self) -> Source {
        Source::new(self.contract, self.first_block)
    }

    /// What one of its views answers.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn view<T>(&self, view: &bindings::View<T>, at: At) -> Result<T, TransportError> {
        let returned = self.chain.view(self.contract, &view.data, at).await?;
        view.read(&returned).map_err(|error| TransportError::Malformed(error.to_string()))
    }

    /// What it is.
    #[must_use]
    pub fn reference(&self) -> MarketRef {
        MarketRef { chain_id: self.chain.id(), contract: self.contract, settings: self.settings }
    }
}

/// A party's transport to a market on a chain.
pub struct EvmTransport {
    market: Market,
    account: Account,
    signer: PrivateKeySigner,
    journal: Arc<dyn Journal>,
    auction: Option<Auction>,
    filecoin_pay_deals: Option<FilecoinPayDeals>,
    max_retry_gas: u64,
    /// See [`allowance`].
    allowing: Mutex<()>,
    /// Number of the newest block that one of its own commands landed in.
    landed_in: AtomicU64,
}

impl fmt::Debug for EvmTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmTransport")
            .field("market", &self.market)
            .field("party", &self.party())
            .finish_non_exhaustive()
    }
}

impl EvmTransport {
    /// Connects to a chain and to a market on it, and takes up what an earlier process left. Whoever speaks to several contracts with one
    /// key opens the [`Account`] once and hands it to [`new`](Self::new).
    ///
    /// # Errors
    /// [`TransportError::Unavailable`] when the node does not answer; [`TransportError::WrongChain`] and
    /// [`TransportError::NoMarket`] when it serves something else.
    pub async fn connect(
        config: Config,
        contract: Address,
        first_block: u64,
        signer: PrivateKeySigner,
        journal: Arc<dyn Journal>,
    ) -> Result<Self, TransportError> {
        let chain = Chain::connect(config).await?;
        let market = Market::find(&chain, contract, first_block).await?;
        let account = Account::open(&chain, signer.clone(), Arc::clone(&journal));
        Ok(Self::new(market, account, signer, journal))
    }

    /// A party's transport to a market, which sends with this account, the signer's.
    #[must_use]
    pub const fn new(market: Market, account: Account, signer: PrivateKeySigner, journal: Arc<dyn Journal>) -> Self {
        let max_retry_gas = gas::usual_retry(&market.settings);
        let allowing = Mutex::const_new(());
        Self {
            market,
            account,
            signer,
            journal,
            auction: None,
            filecoin_pay_deals: None,
            max_retry_gas,
            allowing,
            landed_in: AtomicU64::new(0),
        }
    }

    /// The same, with a `FilecoinPayDeals` beside the market: its events come in the same log.
    #[must_use]
    pub fn with_filecoin_pay_deals(self, deals: FilecoinPayDeals) -> Self {
        Self { filecoin_pay_deals: Some(deals), ..self }
    }

    /// The same, with the `FilecoinPayDeals` at an address.
    ///
    /// # Errors
    /// See [`FilecoinPayDeals::find`].
    pub async fn with_filecoin_pay_deals_at(self, contract: Address) -> Result<Self, TransportError> {
        let deals = FilecoinPayDeals::find(&self.market, contract).await?;
        Ok(self.with_filecoin_pay_deals(deals))
    }

    /// The same, with an auction beside the market: its events come in the same log.
    #[must_use]
    pub fn with_auction(self, auction: Auction) -> Self {
        Self { auction: Some(auction), ..self }
    }

    /// The same, with the auction at an address.
    ///
    /// # Errors
    /// See [`Auction::find`].
    pub async fn with_auction_at(self, contract: Address) -> Result<Self, TransportError> {
        let auction = Auction::find(&self.market, contract).await?;
        Ok(self.with_auction(auction))
    }

    /// The same, which sends the retry of a callback with this much gas at most: an answer may need more than its callback was
    /// promised, and who retries it pays. Otherwise it is twice what the market lets a callback be promised.
    #[must_use]
    pub fn with_max_retry_gas(self, max_retry_gas: u64) -> Self {
        Self { max_retry_gas, ..self }
    }

    /// The auction, if it is used.
    fn used_auction(&self) -> Result<&Auction, TransportError> {
        self.auction.as_ref().ok_or(TransportError::NoAuction)
    }

    fn cannot_sign(&self, error: &alloy::signers::Error) -> TransportError {
        TransportError::Signer { party: self.signer.address(), problem: error.to_string() }
    }

    /// What a view of the market's token answers.
    async fn token_view<T>(&self, token: Address, view: &bindings::View<T>) -> Result<T, TransportError> {
        let returned = self.market.chain.view(token, &view.data, At::Latest).await?;
        view.read(&returned).map_err(|error| TransportError::Malformed(error.to_string()))
    }

    /// What a call came to, in the market's terms.
    fn landed(&self, landed: account::Landed) -> Result<Landed, SubmitError> {
        let account::Landed { transaction, block, block_hash, time, logs, .. } = landed;
        self.landed_in.fetch_max(block, Ordering::Relaxed);
        let (mut index, mut events, mut auction_events) = (0, Vec::new(), Vec::new());
        let venues = self.venues();
        for log in &logs {
            let decoded = if log.address == self.market.contract {
                bindings::decode(&log.topics, &log.data).map(ContractEvent::Market)
            } else if let Some(venue) = venues.iter().find(|venue| venue.contract == log.address) {
                (venue.decode)(&log.topics, &log.data)
            } else {
                continue;
            };
            match decoded.map_err(|error| TransportError::Malformed(error.to_string()))? {
                ContractEvent::Market(event) => events.push(event),
                ContractEvent::Auction(event) => auction_events.push(event),
                // Nobody asks what an order that was taken said: the log tells it.
                _ => {}
            }
            index = log.index().saturating_add(1);
        }
        Ok(Landed { transaction, cursor: Cursor { block, block_hash, index }, time, events, auction_events })
    }
}

#[async_trait]
impl Transport for EvmTransport {
    fn market(&self) -> MarketRef {
        self.market.reference()
    }

    fn party(&self) -> Address {
        self.signer.address()
    }

    fn updates(&self, from: Option<Cursor>) -> UpdateStream {
        let mut name = self.market.contract.to_string();
        let venues = self.venues();
        for venue in &venues {
            // What is remembered of the way to a position is of these contracts together.
            name = format!("{name}+{}", venue.contract);
        }
        let sources: Vec<Address> = venues.iter().map(|venue| venue.contract).collect();
        let mut log = EventLog::decoding(&self.market.chain, Arc::clone(&self.journal), &name, move |log| match venues
            .iter()
            .find(|venue| venue.contract == log.address)
        {
            Some(venue) => (venue.decode)(&log.topics, &log.data),
            None => bindings::decode(&log.topics, &log.data).map(ContractEvent::Market),
        });
        log.follow(self.market.source(), from);
        for contract in sources {
            // From the same place: all are read together, and their events come in the chain's order.
            log.follow(Source::new(contract, self.market.first_block), from);
        }
        let updates = stream::unfold(Some(log), |log| async move {
            let mut log = log?;
            loop {
                let next = match log.next().await? {
                    Ok(told) => update(told),
                    Err(error) => Some(Err(error.into())),
                };
                if let Some(next) = next {
                    let is_last = next.as_ref().is_err_and(|error| !error.is_temporary());
                    return Some((next, (!is_last).then_some(log)));
                }
            }
        });
        updates.boxed()
    }

    async fn submit(&self, key: &EffectKey, command: &Command, value: AttoFil) -> Result<Landed, SubmitError> {
        self.submit_with_reserve(key, command, value, Reserve::default()).await
    }

    async fn submit_with_reserve(
        &self,
        key: &EffectKey,
        command: &Command,
        value: AttoFil,
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        encoding::encode(command, value)?;
        let Market { chain, contract, settings, .. } = &self.market;
        let extra_gas = gas::promised(chain, settings, command).await.map_err(SendError::from)?;
        let call = Call {
            value,
            extra_gas,
            max_gas: matches!(command, Command::RetryCallback { .. }).then_some(self.max_retry_gas),
            reserve: gas::reserved(settings, reserve),
            result_from: Some(*contract),
            ..Call::new(*contract, bindings::call_data(command))
        };
        self.landed(self.account.send(key, call).await?)
    }

    fn filecoin_pay_deals(&self) -> Option<FilecoinPayDealsRef> {
        self.filecoin_pay_deals.as_ref().map(FilecoinPayDeals::reference)
    }

    async fn filecoin_pay_asset(&self) -> Result<Asset, TransportError> {
        let token = self.used_filecoin_pay_deals()?.reference().token;
        if token == self.market.settings.asset {
            Ok(self.asset())
        } else {
            Ok(token::describe(&self.market.chain, token).await?)
        }
    }

    async fn try_order(&self, order: &filecoin_pay_deals::Order, price: U256) -> Result<(), SubmitError> {
        self.try_to_take(order, price).await
    }

    async fn take_order(
        &self,
        key: &EffectKey,
        order: &filecoin_pay_deals::Order,
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        self.take(key, order, reserve).await
    }

    async fn rail(&self, rail: U256) -> Result<RailState, TransportError> {
        self.read_rail(rail).await
    }

    async fn gas_to_collect(&self, rails: &[U256]) -> Result<u64, SubmitError> {
        self.estimate_pay(rails).await
    }

    fn collects_cheaper_together(&self) -> bool {
        // There each call writes anew what has changed, also within one message (docs/granters.md).
        !Network::is_filecoin_id(self.market.chain.id())
    }

    async fn collect(&self, key: &EffectKey, rails: &[U256], reserve: Reserve) -> Result<Landed, SubmitError> {
        self.send_pay(key, rails, reserve).await
    }

    async fn filecoin_pay_balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.available_at_filecoin_pay(account).await
    }

    fn auction(&self) -> Option<AuctionRef> {
        self.auction.as_ref().map(Auction::reference)
    }

    async fn submit_to_auction(
        &self,
        key: &EffectKey,
        command: &auction::Command,
        value: AttoFil,
    ) -> Result<Landed, SubmitError> {
        self.submit_to_auction_with_reserve(key, command, value, Reserve::default()).await
    }

    async fn submit_to_auction_with_reserve(
        &self,
        key: &EffectKey,
        command: &auction::Command,
        value: AttoFil,
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        let contract = self.used_auction()?.contract();
        encoding::encode_for_auction(contract, command, value)?;
        let Market { chain, settings, .. } = &self.market;
        let extra_gas = gas::promised_through_auction(chain, settings, command).await.map_err(SendError::from)?;
        let reserve = gas::reserved_beside_a_bid(settings, command, reserve);
        let call = Call { value, extra_gas, reserve, ..Call::new(contract, evm_auction::call_data(command)) };
        self.landed(self.account.send(key, call).await.map_err(refused_by_auction)?)
    }

    async fn fund_auction(&self, key: &EffectKey, amount: AttoFil, reserve: Reserve) -> Result<Landed, SubmitError> {
        if self.market.settings.asset.is_zero() {
            return self.submit_to_auction_with_reserve(key, &auction::Command::Fund, amount, reserve).await;
        }
        self.fund_auction_with_token(key, amount, reserve).await
    }

    async fn was_begun(&self, key: &EffectKey) -> Result<bool, TransportError> {
        Ok(self.journal.find(self.account_id(), key).await.map_err(outstanding::unreadable)?.is_some())
    }

    async fn outstanding(&self, seen: u64) -> Result<Outstanding, TransportError> {
        self.read_outstanding(seen).await
    }

    async fn sent_elsewhere(&self, transaction: B256) -> Result<Option<u64>, TransportError> {
        self.find_elsewhere(transaction).await
    }

    fn bid_gas(&self) -> u64 {
        gas::of_a_bid(self.market.chain.id())
    }

    fn order_gas(&self) -> u64 {
        gas::of_an_order(self.market.chain.id(), self.market.settings.asset)
    }

    fn seal(&self, job: JobId, price: AttoFil) -> Option<SealedBid> {
        let contract = self.auction.as_ref()?.contract();
        Some(crate::auction::seal(&self.signer, self.market.chain.id(), contract, job, price))
    }

    async fn auction_balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        // One address may stand for several nodes: one that is behind does not know yet what this party's own commands came to, and
        // then has no answer rather than an old one.
        let at = match self.landed_in.load(Ordering::Relaxed) {
            0 => At::Latest,
            landed => At::Block(self.market.chain.recent().await?.number().max(landed)),
        };
        self.used_auction()?.view(&evm_auction::balance_of(account), at).await
    }

    async fn auction_of(&self, job: JobId) -> Result<auction::Auction, TransportError> {
        self.used_auction()?.view(&evm_auction::auction_of(job), At::Latest).await
    }

    async fn sealed_order(&self, job: JobId, bidder: Address) -> Result<u32, TransportError> {
        self.used_auction()?.view(&evm_auction::commitment_of(job, bidder), At::Latest).await
    }

    async fn head(&self) -> Result<Head, TransportError> {
        let latest = self.market.chain.newest().await?;
        Ok(Head { block: latest.number(), hash: latest.hash, time: latest.time() })
    }

    async fn balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.market.view(&bindings::balance_of(account), At::Latest).await
    }

    async fn wallet(&self, account: Address) -> Result<AttoFil, TransportError> {
        Ok(self.market.chain.balance(account, At::Latest).await?)
    }

    fn asset(&self) -> Asset {
        self.market.asset.clone()
    }

    async fn funds(&self, account: Address) -> Result<AttoFil, TransportError> {
        let token = self.market.settings.asset;
        if token.is_zero() {
            return self.wallet(account).await;
        }
        self.token_view(token, &token::balance_of(account)).await
    }

    async fn deposit(&self, key: &EffectKey, amount: AttoFil) -> Result<Landed, SubmitError> {
        if self.market.settings.asset.is_zero() {
            return self.submit(key, &Command::Deposit { account: self.party() }, amount).await;
        }
        self.deposit_token(key, amount).await
    }

    async fn gas_price(&self) -> Result<AttoFil, TransportError> {
        Ok(self.account.gas_price().await?)
    }

    async fn deal(&self, job: JobId) -> Result<StoredDeal, TransportError> {
        self.market.view(&bindings::deal_of(job), At::Latest).await
    }

    async fn is_spent(&self, client: Address, salt: U256) -> Result<bool, TransportError> {
        self.market.view(&bindings::is_spent(client, salt), At::Latest).await
    }

    async fn next_salt(&self, client: Address, lane: Lane) -> Result<U256, TransportError> {
        self.market.view(&bindings::next_salt(client, lane), At::Latest).await
    }

    async fn sign_terms(&self, terms: &Terms) -> Result<Bytes, TransportError> {
        eip712::sign(&self.signer, &self.job_id(terms).0).map_err(|error| self.cannot_sign(&error))
    }

    async fn sign_acceptance(&self, job: JobId, receipt: &Receipt, until: Time) -> Result<Bytes, TransportError> {
        let digest = eip712::acceptance_digest(&self.market(), job, receipt, until);
        eip712::sign(&self.signer, &digest).map_err(|error| self.cannot_sign(&error))
    }
}
