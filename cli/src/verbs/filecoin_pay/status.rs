//! `lota filecoin-pay status`.

use clap::Args;
use lota_bridge::evm::filecoin_pay_deals;
use lota_market::{Address, AttoFil, U256, asset::Asset};
use serde::Serialize;

use super::{PlaceFlags, told_of_reading};
use crate::{
    chain::{ChainPayDeals, RailState},
    context::Context,
    failure::Usage,
    flags::Format,
    keystore::Keystore,
    terminal::{self, Column, Progress, Table},
    units::Seconds,
};

/// Show an account at Filecoin Pay: its money, what it lets the contract do, and the rails on which it pays or is paid.
///
/// Amounts on rails are gross: who is paid gets 0.5 % less, Filecoin Pay's fee.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota filecoin-pay status --key trading --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8...
  lota filecoin-pay status --account 0x7099... --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --json")]
pub(crate) struct Status {
    /// The account of this key of the keystore; no password is needed
    #[arg(long, value_name = "NAME", required_unless_present = "account", conflicts_with = "account")]
    key: Option<String>,
    /// The account's address
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    format: Format,
}

/// What is told; amounts in the smallest unit of `unit`, as text.
#[derive(Serialize)]
struct Shown {
    account: Address,
    contract: Address,
    filecoin_pay: Address,
    token: Address,
    unit: Asset,
    network: &'static str,
    chain_id: u64,
    block: u64,
    /// What the account has of the token outside Filecoin Pay.
    wallet: AttoFil,
    funds: String,
    /// Of the funds, what is not locked.
    available: String,
    /// Since which block the account cannot pay for its rails; none: it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_debt_since: Option<String>,
    approval: ApprovalShown,
    /// Of slashed collateral, in the market's asset.
    owed: AttoFil,
    rails: Vec<RailShown>,
}

#[derive(Serialize)]
struct ApprovalShown {
    is_approved: bool,
    allowance: String,
    used: String,
    /// What the contract may still lock.
    left: String,
    /// In blocks.
    max_lockup_period: String,
}

#[derive(Serialize)]
struct RailShown {
    rail: String,
    payer: Address,
    payee: Address,
    /// All that is promised on it, `due` included.
    promised: String,
    due: String,
    /// What is locked for it; none: it was wound up.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<String>,
    /// Before which block it still pays, once its payer has terminated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

impl Status {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let account = self.account(context)?;
        let deals = self.place.find(context).await?;
        let progress = Progress::start(self.format.json);
        let rails = deals.rails_of(account, told_of_reading(&progress)).await?;
        progress.finish();
        let (block, _) = deals.head().await?;
        let found = deals.account(account).await?;
        let approval = deals.approval(account).await?;
        let owed = deals.view(&filecoin_pay_deals::owed(account)).await?;
        let wallet = deals.wallet(account).await?;
        let network = deals.endpoint().network();
        let shown = Shown {
            account,
            contract: deals.contract(),
            filecoin_pay: deals.filecoin_pay(),
            token: deals.token(),
            unit: deals.asset().clone(),
            network: network.name,
            chain_id: network.chain_id,
            block,
            wallet,
            funds: found.funds.to_string(),
            available: found.available.to_string(),
            in_debt_since: (found.funded_until < U256::from(block)).then(|| found.funded_until.to_string()),
            approval: ApprovalShown {
                is_approved: approval.is_approved,
                allowance: approval.lockup_allowance.to_string(),
                used: approval.lockup_usage.to_string(),
                left: approval.lockup_allowance.saturating_sub(approval.lockup_usage).to_string(),
                max_lockup_period: approval.max_lockup_period.to_string(),
            },
            owed,
            rails: rails.iter().map(RailShown::of).collect(),
        };
        if self.format.json {
            return terminal::print_json(&shown);
        }
        let mut table = Table::pairs();
        table.row(["account", &account.to_string()]);
        table.row(["at Filecoin Pay", &shown.filecoin_pay.to_string()]);
        table.row(["in its wallet", &deals.asset().show(wallet)]);
        table.row(["funds", &deals.show(found.funds)]);
        table.row(["available", &deals.show(found.available)]);
        if let Some(block) = &shown.in_debt_since {
            table.row(["in debt", &terminal::bad(&format!("since block {block}: nothing can be locked; deposit"))]);
        }
        let allows = if approval.is_approved {
            format!(
                "may lock {}, of which {} are in use, for {}",
                deals.show(approval.lockup_allowance),
                deals.show(approval.lockup_usage),
                period(&deals, approval.max_lockup_period)
            )
        } else {
            "not approved: it can lock nothing".to_owned()
        };
        table.row(["the contract", &allows]);
        if owed > AttoFil::ZERO {
            table.row(["owed", &format!("{} of slashed collateral", deals.market().market().asset().show(owed))]);
        }
        terminal::print(&table.render())?;
        if rails.is_empty() {
            return Ok(());
        }
        terminal::print(&format!("\n{}", rails_table(&deals, account, &rails, block)))
    }

    fn account(&self, context: &Context) -> anyhow::Result<Address> {
        if let Some(account) = self.account {
            return Ok(account);
        }
        let name = self.key.as_deref().unwrap_or_default();
        let keys = Keystore::of(&context.home).list()?;
        let key = keys.into_iter().find(|key| key.name == name);
        let problem = || {
            Usage(format!("there is no key `{name}`; `lota wallet show` lists them, and --account takes an address"))
        };
        Ok(key.ok_or_else(problem)?.address)
    }
}

impl RailShown {
    fn of(state: &RailState) -> Self {
        Self {
            rail: state.rail.to_string(),
            payer: state.payer,
            payee: state.payee,
            promised: state.promised.needed.to_string(),
            due: state.promised.due.to_string(),
            locked: state.locked.map(|locked| locked.to_string()),
            end: state.end.map(|end| end.to_string()),
        }
    }
}

/// A number of epochs, and how long they are.
pub(super) fn period(deals: &ChainPayDeals, epochs: U256) -> String {
    let seconds = epochs.saturating_mul(U256::from(deals.epoch_seconds()));
    match u64::try_from(seconds) {
        Ok(seconds) if seconds <= 100 * 365 * 86_400 => format!("{epochs} blocks ({})", Seconds(seconds)),
        _ => "any time".to_owned(),
    }
}

fn rails_table(deals: &ChainPayDeals, account: Address, rails: &[RailState], block: u64) -> String {
    let columns = [Column::Right, Column::Left, Column::Right, Column::Right, Column::Right, Column::Left];
    let mut table = Table::new(columns).heading(&["rail", "with", "promised", "due", "locked", ""]);
    for state in rails {
        let with = if state.payer == account { format!("to {}", state.payee) } else { format!("from {}", state.payer) };
        let note = match (state.locked, state.end) {
            (None, _) => "wound up".to_owned(),
            (Some(_), Some(end)) if state.pays(block) => format!("terminated: pays before block {end}"),
            (Some(_), Some(_)) => "terminated: pays no more".to_owned(),
            (Some(_), None) if state.idle() > U256::ZERO => format!("{} can be released", deals.show(state.idle())),
            (Some(_), None) => String::new(),
        };
        table.row([
            state.rail.to_string(),
            with,
            deals.show(state.promised.needed),
            deals.show(state.promised.due),
            state.locked.map_or_else(String::new, |locked| deals.show(locked)),
            note,
        ]);
    }
    table.render()
}
