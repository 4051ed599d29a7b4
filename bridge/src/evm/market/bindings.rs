//! Where Solidity meets Rust: the contract's ABI, and the conversions between its types and the market's.

use alloy::{
    primitives::{Bytes as Data, FixedBytes, LogData, U256 as Word},
    sol_types::{SolCall, SolEventInterface, SolInterface},
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    model::{
        Authorization, BatchEntry, Command, Event, JobId, JobResult, Lane, Permit, Reason, Receipt, Rejection,
        Settings, SettingsFault, Status, Terms, TermsFault,
    },
};

use crate::transport::StoredDeal;

/// Generated from the checked-in ABI; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(LotaMarket, "../contracts/abi/LotaMarket.json");
}

use abi::{
    ILotaMarket,
    LotaMarket::{self, LotaMarketErrors as Failure, LotaMarketEvents as Happening},
};

/// What the contract said, and this version does not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct Unreadable {
    /// What was to be read.
    what: &'static str,
    /// Why it cannot be.
    problem: String,
}

impl Unreadable {
    pub(crate) fn new(what: &'static str, problem: impl ToString) -> Self {
        Self { what, problem: problem.to_string() }
    }
}

// Values ------------------------------------------------------------------------------------------------------------------

pub(crate) fn amount(word: Word) -> Result<AttoFil, Unreadable> {
    word.try_into()
        .map(AttoFil)
        .map_err(|_| Unreadable::new("an amount", format!("{word} of the smallest unit are more than 128 bits hold")))
}

fn time(word: Word) -> Time {
    Time(word.saturating_to())
}

pub(crate) const fn word(amount: AttoFil) -> Word {
    Word::from_limbs([amount.0 as u64, (amount.0 >> 64) as u64, 0, 0])
}

pub(crate) fn variant<T: TryFrom<u8>>(discriminant: u8) -> Result<T, Unreadable>
where
    T::Error: std::fmt::Display,
{
    T::try_from(discriminant).map_err(|unknown| Unreadable::new("an enum", unknown))
}

fn terms_in(terms: ILotaMarket::Terms) -> Result<Terms, Unreadable> {
    Ok(Terms {
        client: terms.client,
        salt: terms.salt,
        spec: terms.spec,
        spec_codec: terms.specCodec,
        min_price: amount(terms.minPrice)?,
        max_price: amount(terms.maxPrice)?,
        ramp_start: Time(terms.rampStart),
        ramp_period: terms.rampPeriod,
        lock_by: Time(terms.lockBy),
        run_for: terms.runFor,
        review_for: terms.reviewFor,
        rule_for: terms.ruleFor,
        collateral: amount(terms.collateral)?,
        matcher: terms.matcher,
        arbiter: terms.arbiter,
        callback_gas: terms.callbackGas,
        keep_record: terms.keepRecord,
    })
}

/// Terms as the ABI has them. The types that `sol!` makes of one struct in two contracts' ABIs are two.
macro_rules! abi_terms {
    ($abi:ident) => {
        fn terms_out(terms: &Terms) -> $abi::Terms {
            $abi::Terms {
                client: terms.client,
                salt: terms.salt,
                spec: terms.spec,
                specCodec: terms.spec_codec,
                minPrice: word(terms.min_price),
                maxPrice: word(terms.max_price),
                rampStart: terms.ramp_start.0,
                rampPeriod: terms.ramp_period,
                lockBy: terms.lock_by.0,
                runFor: terms.run_for,
                reviewFor: terms.review_for,
                ruleFor: terms.rule_for,
                collateral: word(terms.collateral),
                matcher: terms.matcher,
                arbiter: terms.arbiter,
                callbackGas: terms.callback_gas,
                keepRecord: terms.keep_record,
            }
        }
    };
}
pub(in crate::evm) use abi_terms;

abi_terms!(ILotaMarket);

fn result_in(result: ILotaMarket::Result) -> JobResult {
    JobResult {
        output: result.output,
        exit_code: result.exitCode,
        fuel_used: result.fuelUsed,
        inline_data: result.inlineData,
    }
}

fn result_out(result: &JobResult) -> ILotaMarket::Result {
    ILotaMarket::Result {
        output: result.output,
        exitCode: result.exit_code,
        fuelUsed: result.fuel_used,
        inlineData: result.inline_data.clone(),
    }
}

fn receipt_out(receipt: &Receipt) -> ILotaMarket::Receipt {
    ILotaMarket::Receipt { provider: receipt.provider, price: word(receipt.price), result: result_out(&receipt.result) }
}

fn entry_out(entry: &BatchEntry) -> ILotaMarket::BatchEntry {
    ILotaMarket::BatchEntry {
        terms: terms_out(&entry.terms),
        receipt: receipt_out(&entry.receipt),
        until: entry.until.0,
        signature: entry.signature.clone(),
    }
}

// Commands ----------------------------------------------------------------------------------------------------------------

/// The call data of a command.
#[must_use]
pub fn call_data(command: &Command) -> Data {
    use LotaMarket as call;
    let data = match command {
        Command::Deposit { account } => call::depositCall::new((*account,)).abi_encode(),
        Command::DepositToken { account, amount } => {
            call::depositTokenCall::new((*account, word(*amount))).abi_encode()
        }
        Command::DepositTokenWithPermit { account, amount, permit: Permit { deadline, v, r, s } } => {
            call::depositTokenWithPermitCall::new((*account, word(*amount), *deadline, *v, *r, *s)).abi_encode()
        }
        Command::DepositTokenWithAuthorization {
            from,
            amount,
            authorization: Authorization { valid_after, valid_before, nonce, v, r, s },
        } => call::depositTokenWithAuthorizationCall::new((
            *from,
            word(*amount),
            *valid_after,
            *valid_before,
            *nonce,
            *v,
            *r,
            *s,
        ))
        .abi_encode(),
        Command::Withdraw { to, amount } => call::withdrawCall::new((*to, word(*amount))).abi_encode(),
        Command::Open { terms, spec } => call::openCall::new((terms_out(terms), spec.clone())).abi_encode(),
        Command::OpenSigned { terms, spec, signature } => {
            call::openSignedCall::new((terms_out(terms), spec.clone(), signature.clone())).abi_encode()
        }
        Command::OpenSignedAndLock { terms, spec, signature } => {
            call::openSignedAndLockCall::new((terms_out(terms), spec.clone(), signature.clone())).abi_encode()
        }
        Command::Revoke { lane, up_to } => call::revokeCall::new((*lane, *up_to)).abi_encode(),
        Command::Lock { terms } => call::lockCall::new((terms_out(terms),)).abi_encode(),
        Command::Award { terms, provider, price } => {
            call::awardCall::new((terms_out(terms), *provider, word(*price))).abi_encode()
        }
        Command::Cancel { terms } => call::cancelCall::new((terms_out(terms),)).abi_encode(),
        Command::Expire { terms } => call::expireCall::new((terms_out(terms),)).abi_encode(),
        Command::GiveUp { terms } => call::giveUpCall::new((terms_out(terms),)).abi_encode(),
        Command::SubmitResult { terms, result } => {
            call::submitResultCall::new((terms_out(terms), result_out(result))).abi_encode()
        }
        Command::Accept { terms, receipt } => {
            call::acceptCall::new((terms_out(terms), receipt_out(receipt))).abi_encode()
        }
        Command::Settle { terms, receipt } => {
            call::settleCall::new((terms_out(terms), receipt_out(receipt))).abi_encode()
        }
        Command::Dispute { terms } => call::disputeCall::new((terms_out(terms),)).abi_encode(),
        Command::Rule { terms, receipt, verdict } => {
            call::ruleCall::new((terms_out(terms), receipt_out(receipt), u8::from(*verdict))).abi_encode()
        }
        Command::Lapse { terms, receipt } => {
            call::lapseCall::new((terms_out(terms), receipt_out(receipt))).abi_encode()
        }
        Command::RetryCallback { terms, receipt } => {
            call::retryCallbackCall::new((terms_out(terms), receipt_out(receipt))).abi_encode()
        }
        Command::SettleBatch { entries } => {
            call::settleBatchCall::new((entries.iter().map(entry_out).collect(),)).abi_encode()
        }
        Command::Multicall { calls } => call::multicallCall::new((calls.iter().map(call_data).collect(),)).abi_encode(),
        Command::PublishSpec { spec } => call::publishSpecCall::new((spec.clone(),)).abi_encode(),
        Command::Announce { url } => call::announceCall::new((url.clone(),)).abi_encode(),
    };
    data.into()
}

// Events ------------------------------------------------------------------------------------------------------------------

/// The event that a log of the market is.
///
/// # Errors
/// When it is none of the protocol's.
pub fn event(log: &LogData) -> Result<Event, Unreadable> {
    decode(log.topics(), &log.data)
}

/// The event that a log's topics and data are.
///
/// # Errors
/// When it is none of the protocol's.
pub fn decode(topics: &[B256], data: &[u8]) -> Result<Event, Unreadable> {
    let happening = Happening::decode_raw_log(topics, data).map_err(|error| Unreadable::new("a log", error))?;
    Ok(match happening {
        Happening::Deposited(e) => Event::Deposited { account: e.account, payer: e.payer, amount: amount(e.amount)? },
        Happening::Withdrawn(e) => Event::Withdrawn { account: e.account, to: e.to, amount: amount(e.amount)? },
        Happening::JobOpened(e) => Event::JobOpened { job: JobId(e.jobId), terms: terms_in(e.terms)?, spec: e.spec },
        Happening::JobLocked(e) => {
            Event::JobLocked { job: JobId(e.jobId), provider: e.provider, payer: e.payer, price: amount(e.price)? }
        }
        Happening::ResultSubmitted(e) => {
            Event::ResultSubmitted { job: JobId(e.jobId), provider: e.provider, result: result_in(e.result) }
        }
        Happening::JobDisputed(e) => Event::JobDisputed { job: JobId(e.jobId) },
        Happening::JobSettled(e) => Event::JobSettled {
            job: JobId(e.jobId),
            provider: e.provider,
            price: amount(e.price)?,
            reason: variant::<Reason>(e.reason)?,
        },
        Happening::JobCancelled(e) => Event::JobCancelled { job: JobId(e.jobId), reason: variant::<Reason>(e.reason)? },
        Happening::JobSlashed(e) => Event::JobSlashed {
            job: JobId(e.jobId),
            provider: e.provider,
            to_client: amount(e.toClient)?,
            to_arbiter: amount(e.toArbiter)?,
            to_burn: amount(e.toBurn)?,
            reason: variant::<Reason>(e.reason)?,
        },
        Happening::JobVoided(e) => Event::JobVoided {
            job: JobId(e.jobId),
            provider: e.provider,
            price: amount(e.price)?,
            reason: variant::<Reason>(e.reason)?,
        },
        Happening::CallbackDelivered(e) => Event::CallbackDelivered { job: JobId(e.jobId) },
        Happening::CallbackFailed(e) => Event::CallbackFailed { job: JobId(e.jobId) },
        Happening::BatchSettled(e) => Event::BatchSettled {
            job: JobId(e.jobId),
            client: e.client,
            provider: e.provider,
            salt: e.salt,
            price: amount(e.price)?,
            output: e.output,
            exit_code: e.exitCode,
        },
        Happening::BatchSkipped(e) => Event::BatchSkipped { job: JobId(e.jobId), why: e.why.0 },
        Happening::SaltsRevoked(e) => Event::SaltsRevoked { client: e.client, lane: e.lane, up_to: e.upTo },
        Happening::SpecPublished(e) => Event::SpecPublished { spec: e.spec, data: e.data },
        Happening::Announced(e) => Event::Announced { party: e.party, url: e.url },
    })
}

// Errors ------------------------------------------------------------------------------------------------------------------

/// What the data of a revert says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revert {
    /// The protocol refuses.
    Rejected(Rejection),
    /// Less gas was left than a callback or a wallet was promised.
    InsufficientGas {
        /** What was left. */
        left: u64,
        /** What was needed. */
        needed: u64,
    },
    /// A market cannot be deployed with these settings.
    BadSettings(SettingsFault),
    /// It is none of the market's errors: a panic, or another contract's.
    Unknown(String),
}

/// Reads the data of a revert.
#[must_use]
pub fn revert(data: &[u8]) -> Revert {
    let Ok(failure) = Failure::abi_decode(data) else {
        let text = alloy::sol_types::decode_revert_reason(data);
        return Revert::Unknown(text.unwrap_or_else(|| format!("with the data {}", Bytes::copy_from_slice(data))));
    };
    rejection(failure).unwrap_or_else(|error| Revert::Unknown(error.to_string()))
}

fn rejection(failure: Failure) -> Result<Revert, Unreadable> {
    Ok(Revert::Rejected(match failure {
        Failure::InsufficientGas(e) => {
            return Ok(Revert::InsufficientGas { left: e.left.saturating_to(), needed: e.needed.saturating_to() });
        }
        Failure::BadSettings(e) => return variant::<SettingsFault>(e.fault).map(Revert::BadSettings),
        Failure::Reentered(_) => Rejection::Reentered,
        Failure::WrongAsset(e) => Rejection::WrongAsset(e.asset),
        Failure::BadTerms(e) => Rejection::BadTerms(variant::<TermsFault>(e.fault)?),
        Failure::UnknownJob(e) => Rejection::UnknownJob(JobId(e.jobId)),
        Failure::SaltSpent(e) => Rejection::SaltSpent { client: e.client, salt: e.salt },
        Failure::SaltTooFar(e) => Rejection::SaltTooFar { client: e.client, salt: e.salt, next: e.next },
        Failure::WrongState(e) => Rejection::WrongState { job: JobId(e.jobId), found: variant::<Status>(e.found)? },
        Failure::WrongSender(e) => Rejection::WrongSender { sender: e.sender, wanted: e.wanted },
        Failure::TooEarly(e) => Rejection::TooEarly { time: time(e.time), from: time(e.from) },
        Failure::TooLate(e) => Rejection::TooLate { time: time(e.time), until: time(e.until) },
        Failure::SpecTooLarge(e) => Rejection::SpecTooLarge(e.size.saturating_to()),
        Failure::SpecMismatch(e) => Rejection::SpecMismatch { found: e.found, wanted: e.wanted },
        Failure::InvalidProvider(_) => Rejection::InvalidProvider,
        Failure::PriceOutOfRange(e) => Rejection::PriceOutOfRange {
            price: amount(e.price)?,
            min_price: amount(e.minPrice)?,
            max_price: amount(e.maxPrice)?,
        },
        Failure::InlineTooLarge(e) => Rejection::InlineTooLarge(e.size.saturating_to()),
        Failure::ReceiptMismatch(e) => Rejection::ReceiptMismatch(JobId(e.jobId)),
        Failure::UrlTooLarge(e) => Rejection::UrlTooLarge(e.size.saturating_to()),
        Failure::TooMany(e) => Rejection::TooMany(e.count.saturating_to()),
        Failure::InvalidRecipient(_) => Rejection::InvalidRecipient,
        Failure::WrongChain(e) => Rejection::WrongChain(e.chainId.saturating_to()),
        Failure::BadSignature(e) => Rejection::BadSignature(e.client),
        Failure::InsufficientBalance(e) => Rejection::InsufficientBalance {
            account: e.account,
            balance: amount(e.balance)?,
            needed: amount(e.needed)?,
        },
        Failure::TransferFailed(e) => Rejection::TransferFailed(e.to),
        Failure::TransferMismatch(e) => {
            Rejection::TransferMismatch { asked: amount(e.asked)?, moved: amount(e.moved)? }
        }
        Failure::CallbackReverted(e) => Rejection::CallbackReverted(JobId(e.jobId)),
    }))
}

// Views -------------------------------------------------------------------------------------------------------------------

/// A view of the contract: its call data, and how its answer is read.
pub struct View<T> {
    /// Call data.
    pub data: Data,
    pub(super) read: fn(&[u8]) -> Result<T, Unreadable>,
}

impl<T> View<T> {
    pub(crate) const fn new(data: Data, read: fn(&[u8]) -> Result<T, Unreadable>) -> Self {
        Self { data, read }
    }

    /// Reads the returned data.
    ///
    /// # Errors
    /// When it is not what the view returns.
    pub fn read(&self, returned: &[u8]) -> Result<T, Unreadable> {
        (self.read)(returned)
    }
}

pub(crate) fn returned<C: SolCall>(data: &[u8]) -> Result<C::Return, Unreadable> {
    C::abi_decode_returns(data).map_err(|error| Unreadable::new(C::SIGNATURE, error))
}

/// `settings()`.
#[must_use]
pub fn settings() -> View<Settings> {
    View {
        data: LotaMarket::settingsCall {}.abi_encode().into(),
        read: |data| {
            let settings = returned::<LotaMarket::settingsCall>(data)?;
            Ok(Settings {
                asset: settings.asset,
                quantum: settings.quantum,
                min_window: settings.minWindow,
                max_callback_gas: settings.maxCallbackGas,
                callback_reserve: settings.callbackReserve,
                signature_gas: settings.signatureGas,
            })
        },
    }
}

/// `jobIdOf(terms)`.
#[must_use]
pub fn job_id_of(terms: &Terms) -> View<JobId> {
    View {
        data: LotaMarket::jobIdOfCall::new((terms_out(terms),)).abi_encode().into(),
        read: |data| returned::<LotaMarket::jobIdOfCall>(data).map(JobId),
    }
}

/// `receiptDigest(jobId, receipt)`.
#[must_use]
pub fn receipt_digest(job: JobId, receipt: &Receipt) -> View<FixedBytes<26>> {
    View {
        data: LotaMarket::receiptDigestCall::new((job.0, receipt_out(receipt))).abi_encode().into(),
        read: |data| returned::<LotaMarket::receiptDigestCall>(data),
    }
}

/// `balanceOf(account)`.
#[must_use]
pub fn balance_of(account: Address) -> View<AttoFil> {
    View {
        data: LotaMarket::balanceOfCall::new((account,)).abi_encode().into(),
        read: |data| amount(returned::<LotaMarket::balanceOfCall>(data)?),
    }
}

/// `burned()`.
#[must_use]
pub fn burned() -> View<AttoFil> {
    View {
        data: LotaMarket::burnedCall {}.abi_encode().into(),
        read: |data| amount(returned::<LotaMarket::burnedCall>(data)?),
    }
}

/// `isSpent(client, salt)`.
#[must_use]
pub fn is_spent(client: Address, salt: U256) -> View<bool> {
    View {
        data: LotaMarket::isSpentCall::new((client, salt)).abi_encode().into(),
        read: |data| returned::<LotaMarket::isSpentCall>(data),
    }
}

/// `nextSalt(client, lane)`.
#[must_use]
pub fn next_salt(client: Address, lane: Lane) -> View<U256> {
    View {
        data: LotaMarket::nextSaltCall::new((client, lane)).abi_encode().into(),
        read: |data| returned::<LotaMarket::nextSaltCall>(data),
    }
}

/// `dealOf(job)`.
#[must_use]
pub fn deal_of(job: JobId) -> View<StoredDeal> {
    View {
        data: LotaMarket::dealOfCall::new((job.0,)).abi_encode().into(),
        read: |data| {
            let deal = returned::<LotaMarket::dealOfCall>(data)?;
            Ok(StoredDeal {
                status: variant::<Status>(deal.status)?,
                reason: variant::<Reason>(deal.reason)?,
                callback_pending: deal.callbackPending,
                since: Time(deal.since),
                provider: deal.provider,
                price: amount(deal.price)?,
                receipt: deal.receipt,
            })
        },
    }
}

/// The bytecode that deploys a market with these settings.
#[must_use]
pub fn deployment(settings: &Settings) -> Data {
    use alloy::sol_types::SolConstructor;
    let fixed = ILotaMarket::Settings {
        asset: settings.asset,
        quantum: settings.quantum,
        minWindow: settings.min_window,
        maxCallbackGas: settings.max_callback_gas,
        callbackReserve: settings.callback_reserve,
        signatureGas: settings.signature_gas,
    };
    let mut code = LotaMarket::BYTECODE.to_vec();
    code.extend(LotaMarket::constructorCall { fixedSettings: fixed }.abi_encode());
    code.into()
}
