//! `lota notary serve`.

use std::path::{Path, PathBuf};

use clap::Args;
use lota_bridge::PrivateKeySigner;
use lota_notary::attestation;

use super::{
    running::{self, RunningNotary},
    service,
};
use crate::{
    context::Context,
    home::{self, Home},
    host::{Account, HomeLock, ended_by_user},
    keystore::{Keystore, Password},
    settings::Notary,
    terminal::{self, Table},
};

/// Run a notary's service, and serve its page, until Ctrl-C.
///
/// It follows a market and its blessing, gathers what a notary should know of each settled job, nominates those that the settings say, relays
/// what notaries sign in their wallets, has granted what was blessed, and tells of it by webhook and mail. What it did is in an audit log. It
/// holds no notary's key: its own pays for transactions and deposits only. docs/notaries.md tells how to run it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota notary serve --rpc https://node.example/rpc/v1 --contract 0x... --blessing 0x... --from-block 4200000 --key service
  lota notary serve --rpc http://127.0.0.1:8545 --contract 0x... --blessing 0x... --registry http://127.0.0.1:8647
  LOTA_NOTARY_GRANTER=0x... LOTA_NOTARY_AMOUNT_PER_BYTE=1 lota notary serve --rpc ... --contract ... --blessing ... --key service")]
pub(crate) struct Serve {
    /// Where the page is served [default: 127.0.0.1:8649]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where browsers reach it, as https://notary.example [default: http:// and --listen]
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Folder of its data [default: notary in the home]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// URLs of nodes of the market's chain, commas between
    #[arg(long, value_name = "URLS")]
    rpc: Option<String>,
    /// That chain, if its id is shared: filecoin, calibration, filecoin-local or development
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// The market's address
    #[arg(long, value_name = "ADDRESS")]
    contract: Option<String>,
    /// The address of its blessing
    #[arg(long, value_name = "ADDRESS")]
    blessing: Option<String>,
    /// The block that both are read from: that of the market's deployment, or an earlier one
    #[arg(long, value_name = "N")]
    from_block: Option<crate::units::Count>,
    /// The key in the keystore that nominates, relays votes and has granted [default: a new one without password]
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Take the key's password from the first line of this file instead of LOTA_PASSWORD or a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// URL of a FIL+ registry that is asked about what jobs read
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
}

impl Serve {
    fn settings(&self, context: &Context) -> anyhow::Result<Notary> {
        let layers = context
            .layers
            .clone()
            .flag("--listen", "notary.listen", self.listen.as_ref())
            .flag("--origin", "notary.origin", self.origin.as_ref())
            .flag("--data", "notary.data", self.data.as_ref())
            .flag("--rpc", "notary.rpc", self.rpc.as_ref())
            .flag("--network", "notary.network", self.network.as_ref())
            .flag("--contract", "notary.contract", self.contract.as_ref())
            .flag("--blessing", "notary.blessing", self.blessing.as_ref())
            .flag("--from-block", "notary.from_block", self.from_block.as_ref())
            .flag("--key", "notary.key", self.key.as_ref())
            .flag("--registry", "notary.registry", self.registry.as_ref());
        Ok(layers.settings()?.notary)
    }

    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let settings = self.settings(context)?;
        // What is wrong without a look at anything is said before anything is asked or written.
        running::check(&settings)?;
        let folder = settings.data.as_ref().map_or_else(|| context.home.notary(), PathBuf::from);
        home::create_private(&folder)?;
        let _lock = HomeLock::take(&Home::find(Some(folder.clone()))?)?;
        let ended = ended_by_user();
        let mut ended = std::pin::pin!(ended);
        let started = async {
            let market = service::market(&settings).await?;
            let signer = self.signer(context, &settings, &folder).await?;
            RunningNotary::start(&settings, &folder, &market, signer).await
        };
        let mut running = tokio::select! {
            started = started => started?,
            signal = &mut ended => return signal,
        };
        let mut table = Table::pairs();
        table.row(["page", &running.page]);
        table.row(["data", &folder.display().to_string()]);
        table.row(["account", &running.account.to_string()]);
        // Whoever verifies attestations trusts it; a notary that is asked for grants, too.
        table.row(["signs as", &attestation::did_key(&running.attests_with)]);
        let told = terminal::print(&table.render());
        let outcome = tokio::select! {
            error = running.ended() => Err(error),
            signal = &mut ended => signal,
        };
        terminal::tell("Ending.");
        running.end().await?;
        outcome.and(told)
    }

    /// The key of the service's account.
    async fn signer(&self, context: &Context, settings: &Notary, folder: &Path) -> anyhow::Result<PrivateKeySigner> {
        match &settings.key {
            Some(name) => {
                let password = Password::from(self.password_file.clone()).ask(name)?;
                let (keystore, name) = (Keystore::of(&context.home), name.clone());
                tokio::task::spawn_blocking(move || keystore.open(&name, &password)).await?
            }
            None => Account::play_key(&folder.join("key")),
        }
    }
}
