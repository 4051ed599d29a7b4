//! The [`BlessingTransport`] trait: what a process sees of a blessing, and how its commands get there.

use async_trait::async_trait;
use futures::stream::BoxStream;
use lota_market::{
    Address, AttoFil, B256, Time, U256,
    agent::EffectKey,
    asset::Asset,
    blessing::{Command, Event, Limits, Nomination, Notaries, Phase, Registration, Rejection, Settings},
    granter::Rejection as GranterRejection,
    model::JobId,
};

use super::BlessingRef;
use crate::transport::{Cursor, Head, TransportError};

/// A job as the contract stores it: `IBlessing.Record`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    pub phase: Phase,
    /// Of its last nomination; 0: it was never nominated.
    pub round: u32,
    /// [Struct hash](crate::blessing::nomination_hash) of the nomination that runs; otherwise zero.
    pub nomination: B256,
    /// Votes for it that count, while it is nominated.
    pub approvals: u32,
    /// Rejections that count while it is nominated, revocations while it is blessed.
    pub against: u32,
    /// When it was blessed; otherwise 0.
    pub blessed_at: Time,
    /// Digest of the reasons of the vote that blessed it; otherwise zero.
    pub reasons: B256,
}

/// What [`BlessingTransport::updates`] yields; as [`Update`](crate::transport::Update) of a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlessingUpdate {
    /// Something happened.
    Event {
        /// The position right after it.
        cursor: Cursor,
        /// Timestamp of its block.
        time: Time,
        transaction: B256,
        event: Box<Event>,
    },
    /// Every event up to `cursor` has been yielded.
    Head { cursor: Cursor, latest: Head, finalized: u64 },
    /// Every event above `to` is undone (all of them when it is `None`).
    Rewind { to: Option<Cursor> },
}

/// A stream of updates; see [`BlessingTransport::updates`].
pub type BlessingUpdates = BoxStream<'static, Result<BlessingUpdate, TransportError>>;

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlessingLanded {
    pub transaction: B256,
    /// The position right after its last event. It may still be undone by a reorganisation.
    pub cursor: Cursor,
    pub time: Time,
    pub events: Vec<Event>,
}

/// Why a command did not land.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlessingSubmitError {
    /// The contract refuses it. The key is not used up.
    #[error("the blessing refuses: {0}")]
    Rejected(Rejection),
    /// The account holds too little for the value and the fees.
    #[error("{account} holds {wallet} and needs {needed} for the value and the fees; send it more")]
    Unaffordable { account: Address, wallet: AttoFil, needed: AttoFil },
    /// It failed for a reason the protocol does not know. The key is not used up.
    #[error("the command failed: {0}")]
    Failed(String),
    /// It is not known whether it landed. Submitting again under the same key is harmless and finds out.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl BlessingSubmitError {
    /// Whether the same call may succeed later without anybody changing the command.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_temporary(),
            Self::Unaffordable { .. } => true,
            Self::Rejected(_) | Self::Failed(_) => false,
        }
    }
}

/// A party's way to one blessing.
#[async_trait]
pub trait BlessingTransport: Send + Sync + 'static {
    /// Which blessing this is.
    fn blessing(&self) -> BlessingRef;

    /// The market that it blesses jobs of.
    fn market(&self) -> Address;

    /// What its amounts are in.
    fn asset(&self) -> &Asset;

    /// What it was deployed with.
    fn settings(&self) -> Settings;

    /// Whose commands this transport signs and sends.
    fn party(&self) -> Address;

    /// The blessing's log from right after `from`, then what happens live; as
    /// [`Transport::updates`](crate::Transport::updates).
    ///
    /// # Errors
    /// A temporary error is news; any other is the stream's last item.
    fn updates(&self, from: Option<Cursor>) -> BlessingUpdates;

    /// Gets a command there and waits until it landed. Idempotent on (party, `key`), as
    /// [`Transport::submit`](crate::Transport::submit); a token that goes with it is allowed first.
    ///
    /// # Errors
    /// See [`BlessingSubmitError`].
    async fn submit(
        &self,
        key: &EffectKey,
        command: &Command,
        value: AttoFil,
    ) -> Result<BlessingLanded, BlessingSubmitError>;

    /// Credits so much of the party's money, in whatever the market's asset is, to its account in the blessing. Idempotent as
    /// [`submit`](Self::submit).
    ///
    /// # Errors
    /// See [`BlessingSubmitError`].
    async fn fund(&self, key: &EffectKey, amount: AttoFil) -> Result<BlessingLanded, BlessingSubmitError> {
        if *self.asset() == Asset::coin() {
            return self.submit(key, &Command::Fund, amount).await;
        }
        self.submit(key, &Command::FundToken { amount }, AttoFil::ZERO).await
    }

    /// Whether the contract would take a command of `sender` in its newest state; nothing is sent.
    ///
    /// # Errors
    /// See [`BlessingSubmitError`].
    async fn try_out(&self, sender: Address, command: &Command) -> Result<(), BlessingSubmitError>;

    /// What a nomination's granter would say now to the grant, with all fields of its error, of which a blessing keeps the selector alone.
    /// `None`: it would grant, or what it says is no error of a granter of ours.
    ///
    /// # Errors
    /// If it cannot be reached.
    async fn granter_refusal(&self, _nomination: &Nomination) -> Result<Option<GranterRejection>, TransportError> {
        Ok(None)
    }

    /// The notaries now.
    ///
    /// # Errors
    /// If it cannot be reached.
    async fn notaries(&self) -> Result<Notaries, TransportError>;

    /// # Errors
    /// If it cannot be reached.
    async fn limits(&self, granter: Address) -> Result<Limits, TransportError>;

    /// What a granter granted in this period: to a provider, and altogether.
    ///
    /// # Errors
    /// If it cannot be reached.
    async fn granted(&self, granter: Address, provider: Address) -> Result<(U256, U256), TransportError>;

    /// # Errors
    /// If it cannot be reached.
    async fn registration(&self, provider: Address, granter: Address) -> Result<Registration, TransportError>;

    /// # Errors
    /// If it cannot be reached.
    async fn record(&self, job: JobId) -> Result<StoredRecord, TransportError>;

    /// # Errors
    /// If it cannot be reached.
    async fn has_voted(&self, job: JobId, notary: Address) -> Result<bool, TransportError>;

    /// An account's free balance in the blessing.
    ///
    /// # Errors
    /// If it cannot be reached.
    async fn balance(&self, account: Address) -> Result<AttoFil, TransportError>;

    /// What a provider has set aside for its clients' shares.
    ///
    /// # Errors
    /// If it cannot be reached.
    async fn pool(&self, provider: Address) -> Result<AttoFil, TransportError>;
}
