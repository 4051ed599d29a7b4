//! The mock itself.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use lota_bridge::{
    memory::{Clock as _, ManualClock, Options, SystemClock},
    mock::{Server, ServerOptions},
};
use lota_market::{AttoFil, money::FIL};

use crate::{
    context::Context,
    failure::Usage,
    host::{LocalMarket, MOCK_PORT, Sync, ended_by_user},
    terminal::{self, Table},
};

/// The most blocks: the index of so many takes some 2 GB of memory.
const MAX_BLOCKS: u64 = 50_000_000;
/// The most that the faucet gives at once.
const FAUCET: AttoFil = AttoFil(1_000_000 * FIL);

/// How the market is served.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where it listens [default: 127.0.0.1:8646]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where it keeps what happened [default: mock-market in the home]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Let time pass only when a client says so (`lota mock-market advance`)
    #[arg(long)]
    virtual_time: bool,
    /// Give play money to whoever asks: everybody who can reach the address
    #[arg(long)]
    faucet: bool,
}

impl Serve {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let usual = format!("127.0.0.1:{MOCK_PORT}");
        let text = self.listen.as_deref().unwrap_or(&usual);
        let listen: SocketAddr = text.parse().map_err(|_| {
            Usage(format!("`{}` is not an address; write for example {usual}", terminal::printable(text)))
        })?;
        let folder = self.data.clone().unwrap_or_else(|| context.home.mock_market());
        let ended = ended_by_user();
        let mut ended = std::pin::pin!(ended);
        let virtual_clock = self.virtual_time.then(|| ManualClock::at(SystemClock.now()));
        let options = Options { max_blocks: MAX_BLOCKS, ..Options::default() };
        let options = match &virtual_clock {
            // Begun now, if it is begun now; else where it stood.
            Some(clock) => Options { clock: std::sync::Arc::new(clock.clone()), ..options },
            None => options,
        };
        let opening = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || LocalMarket::open_with(&folder, Sync::Always, options))
        };
        let market = tokio::select! {
            market = opening => market??,
            signal = &mut ended => return signal,
        };
        if let Some(clock) = &virtual_clock {
            clock.move_to(market.chain.head().time);
        }
        let faucet = self.faucet.then_some(FAUCET);
        let options = ServerOptions { faucet, virtual_clock, ..ServerOptions::default() };
        let server = Server::start(market.chain.clone(), listen, options)
            .await
            .with_context(|| format!("cannot listen at {listen}"))?;
        let mut table = Table::pairs();
        table.row(["mock", &server.url()]);
        table.row(["data", &folder.display().to_string()]);
        table.row(["block", &market.chain.head().block.to_string()]);
        table.row(["time", if self.virtual_time { "virtual" } else { "real" }]);
        table.row(["faucet", if self.faucet { "on" } else { "off" }]);
        let told = terminal::print(&table.render());
        if told.is_ok() {
            ended.await?;
        }
        terminal::tell("Ending.");
        server.stop().await;
        let chain = market.chain;
        if let Err(error) = tokio::task::spawn_blocking(move || chain.keep_snapshot()).await? {
            // Nothing is lost: the log says everything.
            terminal::tell(&format!("No snapshot could be kept ({error}); the next start takes longer."));
        }
        told
    }
}
