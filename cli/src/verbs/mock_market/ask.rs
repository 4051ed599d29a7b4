//! What is asked of a running mock, and short questions.

use clap::Args;
use lota_bridge::ws::MockClient;
use lota_market::{Address, asset::Asset};

use crate::{
    failure::Usage,
    host::MOCK_PORT,
    terminal,
    units::{Amount, Seconds},
};

/// Where the mock is.
#[derive(Debug, Args)]
pub(super) struct Where {
    /// URL of the mock [default: ws://127.0.0.1:8646]
    #[arg(long, value_name = "URL")]
    mock: Option<String>,
}

impl Where {
    /// Connects to it.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn connect(&self) -> anyhow::Result<MockClient> {
        let usual = || format!("ws://127.0.0.1:{MOCK_PORT}");
        let url = self.mock.clone().unwrap_or_else(usual);
        Ok(MockClient::connect(&url).await?)
    }
}

/// An account, as it is written on the command line.
///
/// # Errors
/// When it is none.
pub(super) fn account(text: &str) -> Result<Address, Usage> {
    let problem = || Usage(format!("`{}` is no address; write 0x and 40 hex digits", terminal::printable(text)));
    text.parse().map_err(|_| problem())
}

/// Let virtual time pass on a mock that was started with --virtual-time.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota mock-market advance 90s")]
pub(super) struct Advance {
    /// How long
    #[arg(value_name = "TIME")]
    time: Seconds,
    #[command(flatten)]
    place: Where,
}

impl Advance {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let landed = self.place.connect().await?.advance(self.time.0).await?;
        terminal::print(&format!("{}\n", landed.time))
    }
}

/// Give an account play money from nowhere, on a mock that was started with --faucet.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota mock-market give 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 '100 FIL'")]
pub(super) struct Give {
    /// To whom
    #[arg(value_name = "ADDRESS")]
    account: String,
    /// How much
    #[arg(value_name = "AMOUNT")]
    amount: Amount,
    #[command(flatten)]
    place: Where,
}

impl Give {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let amount = self.amount.in_asset(&Asset::coin()).map_err(|error| Usage(error.to_string()))?;
        let account = account(&self.account)?;
        self.place.connect().await?.give(account, amount).await?;
        terminal::print(&format!("{account} got {amount}\n"))
    }
}
