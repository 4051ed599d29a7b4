//! `lota fil-plus serve`.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use lota_fil_plus::{api::Server, keeper, metrics::Metrics};
use tokio_util::sync::CancellationToken;

use super::registry::{RegistryFlags, open};
use crate::{
    context::Context,
    failure::Usage,
    host::ended_by_user,
    terminal::{self, Progress, Table},
};

/// Serve a registry of FIL+ data over HTTP, and keep it up to date, until Ctrl-C.
///
/// It reads claims from chain nodes, asks indexes about payloads, and reads signed lists. What it knows is in one database; a
/// registry that was stopped, or killed, goes on where it was. docs/fil-plus.md tells of the API and of how sure an answer is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota fil-plus serve --rpc https://node.example/rpc/v1 --ipni https://cid.contact
  lota fil-plus serve --rpc https://node.example/rpc/v1 --providers f01234,f05678
  lota fil-plus serve --lists archive.csv --list-keys 3b6a27bc...
  curl http://127.0.0.1:8647/v1/cids/baga6ea4seaq...")]
pub(crate) struct Serve {
    /// Where it listens [default: 127.0.0.1:8647]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl Serve {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let layers = context.layers.clone().flag("--listen", "fil_plus.listen", self.listen.as_ref());
        let settings = self.registry.over(&layers)?;
        let listen: SocketAddr = settings.listen.parse().map_err(|_| {
            let text = terminal::printable(&settings.listen);
            Usage(format!("`{text}` is not an address; write for example 127.0.0.1:8647"))
        })?;
        let ended = ended_by_user();
        let mut ended = std::pin::pin!(ended);
        let opened = tokio::select! {
            opened = open(context, &settings) => opened?,
            signal = &mut ended => return signal,
        };
        let (registry, folder) = opened;
        let registry = Arc::new(registry);
        let metrics = Metrics::default();
        let server = Server::start(listen, Arc::clone(&registry), metrics.clone())
            .await
            .with_context(|| format!("cannot listen at {listen}"))?;
        let mut table = Table::pairs();
        table.row(["registry", &format!("http://{}", server.address())]);
        table.row(["data", &folder.display().to_string()]);
        for attached in registry.sources() {
            table.row(["source", &attached.registered.name]);
        }
        let told = terminal::print(&table.render());
        if registry.sources().is_empty() {
            terminal::tell(
                "No source is named: only what is in the database is answered. Name some with --rpc, --ipni or --lists.",
            );
        }
        let (stop, progress) = (CancellationToken::new(), Progress::start(false));
        let say = {
            let progress = progress.clone();
            move |source: &str, what: &str| progress.say(format!("{source}: {what}"))
        };
        let keeping = tokio::spawn(keeper::keep(Arc::clone(&registry), metrics, stop.clone(), Arc::new(say)));
        if told.is_ok() {
            ended.await?;
        }
        progress.finish();
        terminal::tell("Ending.");
        stop.cancel();
        keeping.await.context("the sources' task broke off")?;
        server.shutdown().await;
        registry.store().close().await;
        told
    }
}
