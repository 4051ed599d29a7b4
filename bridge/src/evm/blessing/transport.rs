//! The [`BlessingTransport`] to a blessing on a chain.

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
    Address, AttoFil, B256, U256,
    agent::EffectKey,
    asset::Asset,
    blessing::{Command, Event, Grant, Limits, Nomination, Notaries, Registration, Rejection, Settings},
    granter::{Command as GranterCommand, Rejection as GranterRejection},
    model::{self, JobId},
};
use tokio::sync::Mutex;

use super::contract::Blessing;
use crate::{
    BlessingRef, Journal, PrivateKeySigner,
    blessing::{BlessingLanded, BlessingSubmitError, BlessingTransport, BlessingUpdate, BlessingUpdates, StoredRecord},
    evm::{
        account::{self, Account, Call, SendError},
        blessing,
        chain::{At, CallRequest, Chain, Config, Refusal, RpcError},
        granters,
        log::{self, EventLog},
        market::{
            Market, allow,
            bindings::{Revert, Unreadable, View},
            token,
        },
    },
    journal::AccountId,
    transport::{Cursor, MAX_COMMAND, TransportError},
};

/// A party's transport to a blessing on a chain.
pub struct EvmBlessing {
    blessing: Blessing,
    account: Account,
    journal: Arc<dyn Journal>,
    /// Held by a command that rests on what the contract is allowed to take of the token: that is one number.
    allowing: Mutex<()>,
    /// Number of the newest block that one of its own commands landed in.
    landed_in: AtomicU64,
}

impl fmt::Debug for EvmBlessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmBlessing")
            .field("blessing", &self.blessing)
            .field("party", &self.account.address())
            .finish_non_exhaustive()
    }
}

impl EvmBlessing {
    /// Connects to a chain and to a blessing on it, for the jobs of this market, and takes up what an earlier process left. Whoever
    /// speaks to several contracts with one key opens the [`Account`] once and hands it to [`new`](Self::new).
    ///
    /// # Errors
    /// [`TransportError::Unavailable`] when the node does not answer; [`TransportError::WrongChain`], [`TransportError::NoMarket`]
    /// and [`TransportError::NoBlessingAt`] when it serves something else.
    pub async fn connect(
        config: Config,
        market: Address,
        contract: Address,
        first_block: u64,
        signer: PrivateKeySigner,
        journal: Arc<dyn Journal>,
    ) -> Result<Self, TransportError> {
        let chain = Chain::connect(config).await?;
        let market = Market::find(&chain, market, first_block).await?;
        let blessing = Blessing::find(&market, contract, first_block).await?;
        let account = Account::open(&chain, signer, Arc::clone(&journal));
        Ok(Self::new(blessing, account, journal))
    }

    /// A party's transport to a blessing, which sends with this account, and finds what the account sent in its journal.
    #[must_use]
    pub const fn new(blessing: Blessing, account: Account, journal: Arc<dyn Journal>) -> Self {
        Self { blessing, account, journal, allowing: Mutex::const_new(()), landed_in: AtomicU64::new(0) }
    }

    /// The contract.
    #[must_use]
    pub const fn contract(&self) -> &Blessing {
        &self.blessing
    }

    /// In which state views are asked. One address may stand for several nodes: one that is behind does not know yet what this
    /// party's own commands came to, and then has no answer rather than an old one.
    async fn newest(&self) -> Result<At, RpcError> {
        Ok(match self.landed_in.load(Ordering::Relaxed) {
            0 => At::Latest,
            landed => At::Block(self.blessing.chain().newest().await?.number().max(landed)),
        })
    }

    async fn view<T>(&self, view: &View<T>) -> Result<T, TransportError> {
        self.blessing.view(view, self.newest().await?).await
    }

    /// What the party holds of the token.
    async fn holds(&self, token: Address) -> Result<AttoFil, TransportError> {
        let view = token::balance_of(self.account.address());
        let returned = self.blessing.chain().view(token, &view.data, self.newest().await?).await?;
        view.read(&returned).map_err(|error| TransportError::Malformed(error.to_string()))
    }

    async fn send(
        &self,
        key: &EffectKey,
        command: &Command,
        value: AttoFil,
    ) -> Result<BlessingLanded, BlessingSubmitError> {
        if value != AttoFil::ZERO && !command.is_payable() {
            let problem = format!("{value} was sent with a command that takes no money; only fund does");
            return Err(BlessingSubmitError::Failed(problem));
        }
        let contract = self.blessing.contract();
        let data = blessing::call_data(command);
        if data.len() > MAX_COMMAND {
            let problem = format!("it is too large: {} bytes; at most {MAX_COMMAND} are allowed", data.len());
            return Err(BlessingSubmitError::Failed(problem));
        }
        let call = Call { value, result_from: Some(contract), ..Call::new(contract, data) };
        self.landed(self.account.send(key, call).await?)
    }

    /// Moves so much of the token into the party's account in the blessing, with its leave for that much and no more.
    async fn fund_with_token(
        &self,
        key: &EffectKey,
        command: &Command,
        amount: AttoFil,
    ) -> Result<BlessingLanded, BlessingSubmitError> {
        let (token, me) = (self.blessing.token(), self.account.address());
        let _alone = self.allowing.lock().await;
        let id = AccountId { chain_id: self.blessing.chain().id(), address: me };
        let begun = self.journal.find(id, key).await.map_err(|error| TransportError::Storage(error.to_string()))?;
        if begun.is_some() {
            // What was undone with the leave that it needs, is refused: then it is prepared again.
            match self.send(key, command, AttoFil::ZERO).await {
                Err(BlessingSubmitError::Rejected(_) | BlessingSubmitError::Failed(_)) => {}
                other => return other,
            }
        }
        let balance = self.holds(token).await?;
        if balance < amount {
            // Before anything is paid for.
            let poor = model::Rejection::InsufficientBalance { account: me, balance, needed: amount };
            return Err(BlessingSubmitError::Rejected(Rejection::Market(poor)));
        }
        allow(&self.account, token, self.blessing.contract(), key, amount).await?;
        self.send(key, command, AttoFil::ZERO).await
    }

    /// What a call came to, in the blessing's terms.
    fn landed(&self, landed: account::Landed) -> Result<BlessingLanded, BlessingSubmitError> {
        let account::Landed { transaction, block, block_hash, time, logs, .. } = landed;
        self.landed_in.fetch_max(block, Ordering::Relaxed);
        let (mut index, mut events) = (0, Vec::new());
        for log in logs.iter().filter(|log| log.address == self.blessing.contract()) {
            let event = blessing::decode(&log.topics, &log.data);
            events.push(event.map_err(|error| TransportError::Malformed(error.to_string()))?);
            index = log.index().saturating_add(1);
        }
        Ok(BlessingLanded { transaction, cursor: Cursor { block, block_hash, index }, time, events })
    }
}

impl From<SendError> for BlessingSubmitError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused { refusal, .. } | SendError::Reverted { refusal, .. } => refused(refusal),
            SendError::Unaffordable { account, wallet, needed } => Self::Unaffordable { account, wallet, needed },
            SendError::Failed(problem) => Self::Failed(problem),
            SendError::TooMuchGas { .. } | SendError::KeyReused { .. } => Self::Failed(error.to_string()),
            SendError::Signer { account, problem } => TransportError::Signer { party: account, problem }.into(),
            SendError::Journal(error) => TransportError::Storage(error.to_string()).into(),
            SendError::Rpc(error) => TransportError::from(error).into(),
        }
    }
}

/// What a node's refusal means.
fn refused(Refusal { message, data, .. }: Refusal) -> BlessingSubmitError {
    match data.as_ref().map(|data| blessing::revert(data)) {
        Some(Ok(rejection)) => BlessingSubmitError::Rejected(rejection),
        Some(Err(Revert::InsufficientGas { left, needed })) => BlessingSubmitError::Failed(format!(
            "the node tried it with too little gas: {left} was left, {needed} was promised to a granter or a wallet"
        )),
        Some(Err(Revert::Unknown(text))) if message.is_empty() => BlessingSubmitError::Failed(text),
        _ => BlessingSubmitError::Failed(format!("the node says: {message}")),
    }
}

/// An update of the blessing's log; `None` for what only logs of several contracts have.
fn update(update: log::Update<Result<Event, Unreadable>>) -> Option<Result<BlessingUpdate, TransportError>> {
    Some(match update {
        log::Update::Log { cursor, time, log, value } => match value {
            Ok(event) => {
                let (transaction, event) = (log.transaction_hash, Box::new(event));
                Ok(BlessingUpdate::Event { cursor, time, transaction, event })
            }
            Err(error) => Err(TransportError::Malformed(error.to_string())),
        },
        log::Update::Head { cursor, latest, finalized } => Ok(BlessingUpdate::Head { cursor, latest, finalized }),
        log::Update::Rewind { to } => Ok(BlessingUpdate::Rewind { to }),
        log::Update::CaughtUp { .. } => return None,
    })
}

#[async_trait]
impl BlessingTransport for EvmBlessing {
    fn blessing(&self) -> BlessingRef {
        self.blessing.reference()
    }

    fn market(&self) -> Address {
        self.blessing.market()
    }

    fn asset(&self) -> &Asset {
        self.blessing.asset()
    }

    fn settings(&self) -> Settings {
        self.blessing.settings()
    }

    fn party(&self) -> Address {
        self.account.address()
    }

    fn updates(&self, from: Option<Cursor>) -> BlessingUpdates {
        let name = format!("blessing {}", self.blessing.contract());
        let mut log = EventLog::decoding(self.blessing.chain(), Arc::clone(&self.journal), &name, |log| {
            blessing::decode(&log.topics, &log.data)
        });
        log.follow(self.blessing.source(), from);
        let updates = stream::unfold(Some(log), |log| async move {
            let mut log = log?;
            loop {
                let next = match log.next().await? {
                    Ok(told) => update(told),
                    Err(error) => Some(Err(error.into())),
                };
                if let Some(next) = next {
                    let is_last = next.as_ref().is_err_and(|error: &TransportError| !error.is_temporary());
                    return Some((next, (!is_last).then_some(log)));
                }
            }
        });
        updates.boxed()
    }

    async fn submit(
        &self,
        key: &EffectKey,
        command: &Command,
        value: AttoFil,
    ) -> Result<BlessingLanded, BlessingSubmitError> {
        match command {
            Command::FundToken { amount } if !self.blessing.token().is_zero() && value == AttoFil::ZERO => {
                self.fund_with_token(key, command, *amount).await
            }
            command => self.send(key, command, value).await,
        }
    }

    async fn try_out(&self, sender: Address, command: &Command) -> Result<(), BlessingSubmitError> {
        let call = CallRequest {
            from: Some(sender),
            to: Some(self.blessing.contract()),
            value: AttoFil::ZERO,
            data: blessing::call_data(command),
        };
        let at = self.newest().await.map_err(TransportError::from)?;
        match self.blessing.chain().call(&call, at).await {
            Ok(_) => Ok(()),
            Err(RpcError::Refused(refusal)) => Err(refused(refusal)),
            Err(error) => Err(TransportError::from(error).into()),
        }
    }

    async fn granter_refusal(&self, nomination: &Nomination) -> Result<Option<GranterRejection>, TransportError> {
        let grant = Grant {
            job: nomination.job,
            round: nomination.round,
            provider: nomination.provider,
            recipient: nomination.recipient.clone(),
            amount: nomination.amount,
            piece: nomination.piece,
            piece_size: nomination.piece_size,
            // No refusal depends on them.
            reasons: B256::ZERO,
        };
        let call = CallRequest {
            from: Some(self.blessing.contract()),
            to: Some(nomination.granter),
            value: AttoFil::ZERO,
            data: granters::bindings::call_data(&GranterCommand::Grant(Box::new(grant))),
        };
        let at = self.newest().await.map_err(TransportError::from)?;
        match self.blessing.chain().call(&call, at).await {
            Ok(_) => Ok(None),
            Err(RpcError::Refused(refusal)) => Ok(refusal.data.and_then(|data| granters::bindings::revert(&data).ok())),
            Err(error) => Err(error.into()),
        }
    }

    async fn notaries(&self) -> Result<Notaries, TransportError> {
        // Both of one block: a change in between would give the number of one set, and the list of another.
        let newest = self.blessing.chain().newest().await.map_err(TransportError::from)?.number();
        let at = At::Block(newest.max(self.landed_in.load(Ordering::Relaxed)));
        let (list, quorum, version) = self.blessing.view(&blessing::notaries(), at).await?;
        let decisions = self.blessing.view(&blessing::decisions(), at).await?;
        Ok(Notaries { list, quorum, version, decisions })
    }

    async fn limits(&self, granter: Address) -> Result<Limits, TransportError> {
        self.view(&blessing::limits_of(granter)).await
    }

    async fn granted(&self, granter: Address, provider: Address) -> Result<(U256, U256), TransportError> {
        self.view(&blessing::granted_of(granter, provider)).await
    }

    async fn registration(&self, provider: Address, granter: Address) -> Result<Registration, TransportError> {
        self.view(&blessing::registration_of(provider, granter)).await
    }

    async fn record(&self, job: JobId) -> Result<StoredRecord, TransportError> {
        self.view(&blessing::record_of(job)).await
    }

    async fn has_voted(&self, job: JobId, notary: Address) -> Result<bool, TransportError> {
        self.view(&blessing::has_voted(job, notary)).await
    }

    async fn balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.view(&blessing::balance_of(account)).await
    }

    async fn pool(&self, provider: Address) -> Result<AttoFil, TransportError> {
        self.view(&blessing::pool_of(provider)).await
    }
}
