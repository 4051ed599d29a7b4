//! `lota filecoin-pay pay`, `release` and `renew`.

use anyhow::bail;
use clap::Args;
use lota_bridge::evm::filecoin_pay_deals;
use lota_market::{
    Address, B256, U256,
    asset::Asset,
    filecoin_pay_deals::{Command, Event, fee},
};
use serde::Serialize;

use super::{Common, told, told_of_reading};
use crate::{
    chain::{ChainPayDeals, RailState},
    context::Context,
    failure::Usage,
    terminal::{self, Column, Table, plural},
};

/// The most rails that one transaction pays: at most 90,000 gas each on Ethereum, and some 57 M on Filecoin, where a block takes 10 G.
const AT_ONCE: usize = 32;

/// Pay what is due on rails, many in one transaction: of those on which the key's account pays or is paid, or of the ones that you name.
///
/// Anybody may pay any rail: the money is the payer's, which was locked for it, and goes into the payee's account at Filecoin Pay, less a fee
/// of 0.5 %. (`lota filecoin-pay withdraw` takes it out of there.)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota filecoin-pay pay --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading
  lota filecoin-pay pay --account 0x7099... --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key gas
  lota filecoin-pay pay 7 12 --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading --json")]
pub(crate) struct Pay {
    /// The rails' numbers [default: all of the account's on which something is due]
    #[arg(value_name = "RAIL")]
    rails: Vec<U256>,
    /// Pay those of this account instead of the key's: a running node's, whose key should send nothing else
    #[arg(long, value_name = "ADDRESS", conflicts_with = "rails")]
    account: Option<Address>,
    #[command(flatten)]
    common: Common,
}

/// Have what is locked on a rail for jobs that came to nothing back in the payer's account. The next job of the two would use it, too.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota filecoin-pay release 7 --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading"
)]
pub(crate) struct Release {
    /// The rail's number
    rail: U256,
    #[command(flatten)]
    common: Common,
}

/// As a payer who has terminated the rail to a provider, let a new one be made, so that the provider can take your jobs again.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota filecoin-pay renew 0x7099... --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading"
)]
pub(crate) struct Renew {
    /// The provider
    provider: Address,
    #[command(flatten)]
    common: Common,
}

/// Amounts in the smallest unit of `unit`.
#[derive(Serialize)]
struct Told {
    transactions: Vec<B256>,
    unit: Asset,
    paid: Vec<Paid>,
    /// On which something is due and which pay no more: their payers terminated them.
    too_late: Vec<String>,
}

#[derive(Serialize)]
struct Paid {
    rail: String,
    /// What the payer paid.
    gross: String,
    fee: String,
    /// What the payee got.
    net: String,
}

#[derive(Serialize)]
struct Done {
    transaction: B256,
    block: u64,
    /// In the token's smallest unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<String>,
}

impl Pay {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let progress = self.common.progress("looking for what is due");
        let (block, _) = deals.head().await?;
        let due = if self.rails.is_empty() {
            let rails = deals.rails_of(self.account.unwrap_or(signer.address()), told_of_reading(&progress)).await?;
            rails.into_iter().filter(|state| !state.promised.due.is_zero()).collect()
        } else {
            named(&deals, &self.rails).await?
        };
        let (due, late): (Vec<_>, Vec<_>) = due.into_iter().partition(|state| state.pays(block));
        let late: Vec<U256> = late.into_iter().map(|state| state.rail).collect();
        if let (true, [first, ..]) = (!self.rails.is_empty() || due.is_empty(), &late[..]) {
            bail!(
                "rail {first} pays no more: its payer terminated it, and its time is over; what was due there went back to the payer"
            );
        }
        let due: Vec<_> = due.into_iter().filter(|state| !state.promised.due.is_zero()).collect();
        let (mut transactions, mut paid) = (Vec::new(), Vec::new());
        for (number, some) in due.chunks(AT_ONCE).enumerate() {
            progress.say(format!("paying {}", plural(some.len() as u64, "rail")));
            let command = Command::Pay { rails: some.iter().map(|state| state.rail).collect() };
            let landed = match deals.send(&signer, &command, told(&progress)).await {
                Err(error) if number > 0 => {
                    return Err(
                        error.context(format!("{} were paid, the others were not", plural(paid.len() as u64, "rail")))
                    );
                }
                landed => landed?,
            };
            transactions.push(landed.transaction);
            let logs = landed.logs.iter().filter(|log| log.address == deals.contract());
            for log in logs {
                if let Ok(Event::RailPaid { rail, amount }) = filecoin_pay_deals::decode(&log.topics, &log.data) {
                    paid.push((rail, amount));
                }
            }
        }
        progress.finish();
        self.tell(&deals, transactions, &paid, &late)
    }

    fn tell(
        &self,
        deals: &ChainPayDeals,
        transactions: Vec<B256>,
        paid: &[(U256, U256)],
        late: &[U256],
    ) -> anyhow::Result<()> {
        if self.common.format.json {
            let of = |(rail, gross): &(U256, U256)| Paid {
                rail: rail.to_string(),
                gross: gross.to_string(),
                fee: fee(*gross).to_string(),
                net: gross.saturating_sub(fee(*gross)).to_string(),
            };
            return terminal::print_json(&Told {
                transactions,
                unit: deals.asset().clone(),
                paid: paid.iter().map(of).collect(),
                too_late: late.iter().map(ToString::to_string).collect(),
            });
        }
        for rail in late {
            terminal::tell(&format!("Rail {rail} pays no more: its payer terminated it, and its time is over."));
        }
        if paid.is_empty() {
            terminal::tell("Nothing is due.");
            return Ok(());
        }
        let columns = [Column::Right, Column::Right, Column::Right, Column::Right];
        let mut table = Table::new(columns).heading(&["rail", "paid", "fee", "to the payee"]);
        for (rail, gross) in paid {
            let fee = fee(*gross);
            let cells = [*gross, fee, gross.saturating_sub(fee)].map(|amount| deals.show(amount));
            table.row(std::iter::once(rail.to_string()).chain(cells));
        }
        terminal::print(&table.render())
    }
}

/// These rails, each once. What is none of the contract's is refused.
async fn named(deals: &ChainPayDeals, rails: &[U256]) -> anyhow::Result<Vec<RailState>> {
    let mut found: Vec<RailState> = Vec::new();
    for rail in rails {
        if found.iter().any(|state| state.rail == *rail) {
            continue;
        }
        let promised = deals.view(&filecoin_pay_deals::promised(*rail)).await?;
        let there = deals.rail_at_filecoin_pay(*rail).await?;
        let of_contract = there.is_none_or(|there| there.operator == deals.contract());
        if !of_contract || (there.is_none() && promised.needed.is_zero()) {
            return Err(Usage(format!(
                "rail {rail} is none of this contract's; `lota filecoin-pay status` shows those of an account"
            ))
            .into());
        }
        found.push(RailState {
            rail: *rail,
            payer: there.map(|there| there.payer).unwrap_or_default(),
            payee: there.map(|there| there.payee).unwrap_or_default(),
            promised,
            locked: there.map(|there| there.lockup_fixed),
            end: there.map(|there| there.end_epoch).filter(|end| !end.is_zero()),
        });
    }
    Ok(found)
}

impl Release {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let found = named(&deals, &[self.rail]).await?;
        let idle = found.first().map(RailState::idle).unwrap_or_default();
        if idle.is_zero() {
            bail!("nothing is locked on rail {} but what is promised there, so there is nothing to release", self.rail);
        }
        let progress = self.common.progress("releasing");
        let landed = deals.send(&signer, &Command::Release { rail: self.rail }, told(&progress)).await?;
        progress.finish();
        if self.common.format.json {
            let (transaction, block) = (landed.transaction, landed.block);
            return terminal::print_json(&Done { transaction, block, released: Some(idle.to_string()) });
        }
        terminal::print(&format!("released {} of rail {}\n", deals.show(idle), self.rail))
    }
}

impl Renew {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let progress = self.common.progress("letting a new rail be made");
        let command = Command::RenewRail { payee: self.provider };
        let landed = deals.send(&signer, &command, told(&progress)).await?;
        progress.finish();
        if self.common.format.json {
            let (transaction, block) = (landed.transaction, landed.block);
            return terminal::print_json(&Done { transaction, block, released: None });
        }
        terminal::print(&format!("the next job that {} takes from you is paid on a new rail\n", self.provider))
    }
}
