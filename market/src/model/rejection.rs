//! Why the market refuses a command.

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{JobId, MAX_BATCH, MAX_INLINE_DATA, MAX_SPEC, MAX_URL, Status, TermsFault};
use crate::{asset::Asset, money::AttoFil, time::Time};

/// A refusal: one for each error of `ILotaMarket`, with the same fields. It knows no asset: its text gives amounts in the smallest
/// unit, and [`Self::words`] as people have them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Called from within a payout or a call of the token; or from within a callback, and it is neither a deposit nor `open`.
    #[error(
        "from within a callback only deposits and opening are possible, from within a payout or a call of the token nothing"
    )]
    Reentered,
    /// The market's asset is this one (zero: the chain's coin), and the call is for another.
    #[error("this market's asset is {}, and this is for another", asset_name(.0))]
    WrongAsset(Address),
    /// The terms may not be opened.
    #[error("the terms cannot be opened: {0}")]
    BadTerms(TermsFault),
    /// No deal has these terms.
    #[error("no job {0} is known to the market")]
    UnknownJob(JobId),
    /// This salt was used or revoked before.
    #[error("salt {salt} of client {client} was used or revoked before; take another")]
    SaltSpent { client: Address, salt: U256 },
    /// This salt lies beyond the window of its lane.
    #[error("salt {salt} of client {client} lies too far ahead; the lowest free one in its lane is {next}")]
    SaltTooFar {
        client: Address,
        salt: U256,
        /// The lowest free salt of the lane.
        next: U256,
    },
    /// The deal is in a state that does not allow this.
    #[error("job {job} is {found:?}, which does not allow this")]
    WrongState { job: JobId, found: Status },
    /// Only `wanted` may do this.
    #[error("only {wanted} may do this, not {sender}")]
    WrongSender { sender: Address, wanted: Address },
    /// Too early.
    #[error("it is {time} and this may be done from {from} on (Unix seconds)")]
    TooEarly { time: Time, from: Time },
    /// Too late.
    #[error("it is {time} and this could be done until {until} (Unix seconds)")]
    TooLate { time: Time, until: Time },
    /// The spec is too large.
    #[error("the spec has {0} bytes; at most {max} can be published", max = MAX_SPEC)]
    SpecTooLarge(u64),
    /// The spec's bytes are not the ones the terms name.
    #[error("the spec's bytes hash to {found}, not to {wanted} as the terms say")]
    SpecMismatch { found: B256, wanted: B256 },
    /// The zero address, or a masked id that is not the sender, cannot be a provider.
    #[error("the zero address cannot be a provider, nor can the masked id (0xff00…) of another than the sender")]
    InvalidProvider,
    /// The price is out of range.
    #[error("{}", out_of_range([.price, .min_price, .max_price], &Asset::unknown()))]
    PriceOutOfRange { price: AttoFil, min_price: AttoFil, max_price: AttoFil },
    /// Too much inline data.
    #[error("the result carries {0} bytes inline; at most {max} are allowed", max = MAX_INLINE_DATA)]
    InlineTooLarge(u64),
    /// Not the receipt this deal committed to, or its price is not one that the terms allow.
    #[error("the receipt is not the one that job {0} committed to")]
    ReceiptMismatch(JobId),
    /// The URL is too long.
    #[error("the URL has {0} bytes; at most {max} are allowed", max = MAX_URL)]
    UrlTooLarge(u64),
    /// Too many at once.
    #[error("{0} at once are too many; at most {max} are allowed", max = MAX_BATCH)]
    TooMany(u64),
    /// The zero address, or a masked id that is not the sender, cannot receive money.
    #[error("the zero address cannot receive money, nor can the masked id (0xff00…) of another than the sender")]
    InvalidRecipient,
    /// Signatures are valid on the chain of deployment only.
    #[error("signatures are valid on the chain of deployment only, and this is chain {0}")]
    WrongChain(u64),
    /// The signature is not the client's.
    #[error("the signature is not {0}'s")]
    BadSignature(Address),
    /// The free balance is too small.
    #[error("{}", too_little(account, [.balance, .needed], &Asset::unknown()))]
    InsufficientBalance { account: Address, balance: AttoFil, needed: AttoFil },
    /// The recipient refused the money, or the token refused to move it.
    #[error("the money could not be moved to {0}: it refused, or the token did")]
    TransferFailed(Address),
    /// Another amount than asked moved into or out of the market.
    #[error("{}", mismatch([.moved, .asked], &Asset::unknown()))]
    TransferMismatch {
        /// What should have moved.
        asked: AttoFil,
        moved: AttoFil,
    },
    /// The callback failed again: nothing has changed.
    #[error("the callback of job {0} failed again; it may need more gas")]
    CallbackReverted(JobId),
}

impl Rejection {
    /// The same in words, with amounts as the market's asset has them.
    #[must_use]
    pub fn words(&self, asset: &Asset) -> String {
        match self {
            Self::PriceOutOfRange { price, min_price, max_price } => out_of_range([price, min_price, max_price], asset),
            Self::InsufficientBalance { account, balance, needed } => too_little(account, [balance, needed], asset),
            Self::TransferMismatch { asked, moved } => mismatch([moved, asked], asset),
            other => other.to_string(),
        }
    }
}

fn out_of_range(amounts: [&AttoFil; 3], asset: &Asset) -> String {
    let [price, min_price, max_price] = amounts.map(|amount| asset.show(*amount));
    format!("{price} is not a whole number of quanta from {min_price} to {max_price}")
}

fn too_little(account: &Address, amounts: [&AttoFil; 2], asset: &Asset) -> String {
    let [balance, needed] = amounts.map(|amount| asset.show(*amount));
    format!("{account} has {balance} free in the market and needs {needed}; deposit more")
}

fn mismatch(amounts: [&AttoFil; 2], asset: &Asset) -> String {
    let [moved, asked] = amounts.map(|amount| asset.show(*amount));
    format!("{moved} moved into or out of the market where {asked} should have")
}

fn asset_name(asset: &Address) -> String {
    if asset.is_zero() { "the chain's coin".to_owned() } else { format!("the token {asset}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::selector::tests::all_rejections;

    #[test]
    fn amounts_are_in_the_assets_unit_or_in_the_smallest() {
        let usd = Asset::token("USD", 6);
        let (account, cent) = (Address::repeat_byte(7), AttoFil(10_000));
        let too_little = Rejection::InsufficientBalance { account, balance: AttoFil::ZERO, needed: cent };
        let rest = "free in the market and needs";
        assert_eq!(too_little.words(&usd), format!("{account} has 0 USD {rest} 0.01 USD; deposit more"));
        assert_eq!(too_little.to_string(), format!("{account} has 0 units {rest} 10000 units; deposit more"));
        let mismatch = Rejection::TransferMismatch { asked: cent, moved: AttoFil(9_000) };
        assert!(mismatch.words(&usd).starts_with("0.009 USD moved") && mismatch.words(&usd).contains("where 0.01 USD"));
        let price = Rejection::PriceOutOfRange { price: AttoFil(1), min_price: cent, max_price: AttoFil(2_500_000) };
        assert_eq!(price.words(&usd), "0.000001 USD is not a whole number of quanta from 0.01 USD to 2.5 USD");
        // Nobody who knows no asset says what an amount is in.
        for (_, rejection) in all_rejections() {
            let (text, words) = (rejection.to_string(), rejection.words(&usd));
            assert!(!text.contains("FIL") && !words.contains("FIL"), "{text}");
            assert_eq!(text.contains(" units"), words.contains(" USD"), "{text}");
        }
    }
}
