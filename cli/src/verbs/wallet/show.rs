//! `lota wallet show`.

use clap::Args;
use lota_api::WalletInfo;
use lota_market::{agent::Filling, asset::Asset};
use serde::Serialize;

use crate::{
    api::ApiFailure,
    context::Context,
    failure,
    flags::Format,
    keystore::{Keystore, Listed},
    terminal::{self, Table},
    verbs::node::show::problems,
};

/// Show the keys of this home and the money of the running daemon's account.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota wallet show --json")]
pub(crate) struct Show {
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Shown {
    account: Option<WalletInfo>,
    keys: Vec<Listed>,
}

impl Show {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let keys = Keystore::of(&context.home).list()?;
        let account = match context.api() {
            Ok(api) => api.wallet().await.map(Some),
            Err(error) => Err(error),
        };
        // Without a daemon there are still keys to show.
        let account = match account {
            Err(error) if !keys.is_empty() && no_daemon(&error) => {
                terminal::tell(&failure::line(&error));
                None
            }
            other => other?,
        };
        if self.format.json {
            return terminal::print_json(&Shown { account, keys });
        }
        if let Some(account) = &account {
            let asset = context.api()?.asset_for_showing().await;
            terminal::print(&balances(account, &asset))?;
        }
        if !keys.is_empty() {
            let mut table = Table::pairs();
            for key in &keys {
                table.row([format!("key `{}`", key.name), key.address.to_string()]);
            }
            terminal::print(&table.render())?;
        }
        Ok(())
    }
}

fn no_daemon(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ApiFailure::NoDaemon(_) | ApiFailure::Gone { .. }))
}

/// An account's money as text.
pub(crate) fn balances(wallet: &WalletInfo, asset: &Asset) -> String {
    let mut table = Table::pairs();
    table.row(["account", &wallet.address.to_string()]);
    table.row(["in the market", &asset.show(wallet.market)]);
    if let Some(auction) = wallet.auction {
        let filling = match wallet.bid_money {
            Filling::AsNeeded => "",
            Filling::Stopped => " (none is brought for further bids, until `lota node resume`)",
            Filling::Emptied => " (what bids leave goes back, and there are no further ones until `lota node resume`)",
        };
        table.row(["in the auction", &format!("{}{filling}", asset.show(auction))]);
    }
    match wallet.token {
        Some(token) => {
            table.row(["outside", &asset.show(token)]);
            table.row(["for gas", &wallet.wallet.to_string()]);
        }
        None => table.row(["outside", &wallet.wallet.to_string()]),
    }
    if let Some(there) = &wallet.filecoin_pay {
        table.row(["at Filecoin Pay", &there.unit.show(there.available)]);
    }
    table.render() + &problems(&wallet.problems)
}
