//! `lota node resume`.

use clap::Args;
use lota_api::Resumed;

use crate::{context::Context, flags::Format, terminal};

/// Have a provider that stopped by itself take jobs again.
///
/// A provider that lost its collateral stops locking jobs once that is final: `lota node show` says for which job. Find out why first
/// (`lota job describe`): what cost one collateral may cost the next. It also stops when somebody else sends to the market with its key:
/// stop the other daemon first, or give it a key of its own. And it brings money for bids again, after you took some out of the auction.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota node resume")]
pub(crate) struct Resume {
    #[command(flatten)]
    format: Format,
}

impl Resume {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let resumed = context.api()?.resume().await?;
        if self.format.json {
            return terminal::print_json(&resumed);
        }
        if let Some(job) = resumed.slashed_for {
            terminal::tell(&format!("The node locks jobs again; it had stopped over job {job}."));
        }
        if let Some(transaction) = resumed.key_shared {
            terminal::tell(&format!(
                "The node takes jobs again; it had stopped because somebody else sent transaction {transaction} with its key."
            ));
        }
        if !resumed.bid_money.is_as_needed() {
            terminal::tell("The node brings money for bids into the auction again.");
        }
        if resumed == Resumed::default() {
            terminal::tell("The node had not stopped locking jobs.");
        }
        Ok(())
    }
}
