//! `lota wallet deposit` and `lota wallet withdraw`.

use std::str::FromStr;

use clap::Args;
use lota_api::{MoveMoney, TakeBidMoney};
use lota_market::Address;

use super::show::balances;
use crate::{api::ApiFailure, context::Context, failure::Usage, flags::Format, terminal, units::Amount};

/// Move money of the daemon's account into the market.
///
/// In the market of a token it first allows the market to take so much of it, and no more.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota wallet deposit '2.5 FIL'")]
pub(crate) struct Deposit {
    /// How much: `2.5 FIL`, `20 gwei`, `7 attoFIL`; in the market of a token `2.5 USD`, or `2.5`
    amount: Amount,
    /// Any name: repeated with the same one, the command moves the money once. Without one, each command moves it
    #[arg(long, value_name = "NAME")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// Move money out of the market, or out of the auction in which the daemon bids.
///
/// With --from-auction, what bids that are not over need stays. From then on the daemon brings no more money into the auction, and bids
/// with what it left there, until `lota node resume`. With `all` it bids no more until then, and takes back what its bids leave, too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota wallet withdraw '1 FIL' --to 0x52908400098527886E0F7030069857D2E4169EE7
  lota wallet withdraw all --from-auction")]
pub(crate) struct Withdraw {
    /// How much: `2.5 FIL`, `20 gwei`, `7 attoFIL`; in the market of a token `2.5 USD`, or `2.5`; with --from-auction also `all`
    amount: AmountOrAll,
    /// Take it out of the auction instead of the market
    #[arg(long)]
    from_auction: bool,
    /// To whom, if not to the account itself
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    /// Any name: repeated with the same one, the command moves the money once. Without one, each command moves it
    #[arg(long, value_name = "NAME")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    format: Format,
}

impl Deposit {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let asset = api.asset().await?;
        let amount = self.amount.in_asset(&asset).map_err(|error| Usage(error.to_string()))?;
        let key = key_or_random(self.idempotency_key.as_ref());
        let order = MoveMoney { amount, to: None, idempotency_key: Some(key.clone()) };
        let wallet = api.deposit(&order).await.map_err(|error| with_key(error, &key))?;
        if self.format.json { terminal::print_json(&wallet) } else { terminal::print(&balances(&wallet, &asset)) }
    }
}

impl Withdraw {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let asset = api.asset().await?;
        let amount = match &self.amount {
            AmountOrAll::All => None,
            AmountOrAll::Amount(amount) => Some(amount.in_asset(&asset).map_err(|error| Usage(error.to_string()))?),
        };
        let key = key_or_random(self.idempotency_key.as_ref());
        let (to, idempotency_key) = (self.to, Some(key.clone()));
        let moved = match amount {
            amount if self.from_auction => api.withdraw_bid_money(&TakeBidMoney { amount, to, idempotency_key }).await,
            Some(amount) => api.withdraw(&MoveMoney { amount, to, idempotency_key }).await,
            None => {
                return Err(Usage("`all` is for --from-auction; out of the market, name an amount".to_owned()).into());
            }
        };
        let wallet = moved.map_err(|error| with_key(error, &key))?;
        if self.format.json { terminal::print_json(&wallet) } else { terminal::print(&balances(&wallet, &asset)) }
    }
}

/// What is to be withdrawn.
#[derive(Clone, Debug)]
enum AmountOrAll {
    Amount(Amount),
    All,
}

impl FromStr for AmountOrAll {
    type Err = <Amount as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::Amount) }
    }
}

/// The name of this command's transfer. Whoever types a command twice means two transfers.
fn key_or_random(key: Option<&String>) -> String {
    key.cloned().unwrap_or_else(|| hex::encode(rand::random::<[u8; 16]>()))
}

/// Says how to repeat a command that may have moved the money.
fn with_key(error: anyhow::Error, key: &str) -> anyhow::Error {
    if !error.downcast_ref::<ApiFailure>().is_some_and(ApiFailure::is_gone) {
        return error;
    }
    error.context(format!(
        "the money may have moved, or may yet; to be sure that it does once, repeat the command with `--idempotency-key {key}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uncertain_end_names_the_key_to_repeat_it_with_and_another_command_has_another() {
        let gone = anyhow::Error::from(ApiFailure::NoDaemon("api.json".into()));
        let told = with_key(gone, "k7").to_string();
        assert!(told.contains("--idempotency-key k7"), "{told}");
        assert_eq!(with_key(anyhow::anyhow!("too little"), "k7").to_string(), "too little");
        assert_eq!(key_or_random(Some(&"mine".to_owned())), "mine");
        assert_ne!(key_or_random(None), key_or_random(None));
    }
}
