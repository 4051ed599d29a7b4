//! `lota wallet`.

mod r#move;
mod new;
mod show;

use clap::Subcommand;

use crate::context::Context;

/// Keys and money.
#[derive(Debug, Subcommand)]
pub(crate) enum Wallet {
    /// Make a key, encrypted with a password, in this home's keystore
    New(new::New),
    /// Show the keys of this home and the money of the running daemon's account
    Show(show::Show),
    /// Move money of the daemon's account into the market, to pay for jobs or to serve as collateral
    Deposit(r#move::Deposit),
    /// Move money out of the market
    Withdraw(r#move::Withdraw),
}

impl Wallet {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::New(verb) => verb.run(context).await,
            Self::Show(verb) => verb.run(context).await,
            Self::Deposit(verb) => verb.run(context).await,
            Self::Withdraw(verb) => verb.run(context).await,
        }
    }
}
