//! `lota mock-market`.

mod ask;
mod balances;
mod movements;
mod serve;

use clap::{Args, Subcommand};

use crate::context::Context;

/// Serve a market without a chain to nodes on this machine and elsewhere, or look at one that runs.
///
/// The market executes what the contracts would, on a websocket instead of a chain, with play money: `lota node run --mock URL`
/// joins it. It keeps what happened in its folder: nothing that was acknowledged is lost, whatever ends it.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  lota mock-market --faucet
  lota node run --name p1 --mock ws://127.0.0.1:8646        # in another terminal
  lota mock-market balances --mock ws://127.0.0.1:8646
  lota mock-market movements --csv > movements.csv
  lota mock-market --virtual-time --faucet --data /tmp/market
  lota mock-market advance 1h"
)]
pub(crate) struct MockMarket {
    #[command(subcommand)]
    question: Option<Question>,
    #[command(flatten)]
    serve: serve::Serve,
}

/// What a running market is asked.
#[derive(Debug, Subcommand)]
enum Question {
    /// Where everybody's money lies
    Balances(balances::Balances),
    /// How money moved, each time with the reason
    Movements(movements::Movements),
    /// Let virtual time pass
    Advance(ask::Advance),
    /// Give an account play money from nowhere
    Give(ask::Give),
}

impl MockMarket {
    /// Whether it runs until it is told to end.
    pub(crate) const fn is_server(&self) -> bool {
        self.question.is_none()
    }

    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match &self.question {
            None => self.serve.run(context).await,
            Some(Question::Balances(verb)) => verb.run().await,
            Some(Question::Movements(verb)) => verb.run().await,
            Some(Question::Advance(verb)) => verb.run().await,
            Some(Question::Give(verb)) => verb.run().await,
        }
    }
}
