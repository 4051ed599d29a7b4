//! `lota blessing pay`.

use anyhow::bail;
use clap::Args;
use lota_market::{Address, B256, U256, asset::Asset, filecoin_pay::fee};
use serde::Serialize;

use super::{KeyFlags, PlaceFlags};
use crate::{
    chain::{ChainRailGranter, GranterRail, show_amount},
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Column, Progress, Table, plural},
};

/// The most rails that one transaction pays: at most 90,000 gas each on Ethereum, and some 93 M on Filecoin, where a block takes 10 G.
const AT_ONCE: usize = 32;

/// Pay what a granter over Filecoin Pay granted: a grant locks the money on a rail, and this has it paid into the provider's account there.
///
/// Anybody may; the notaries' service does it by itself (the setting notary.pay). Many rails are paid in one transaction: all on which something
/// is due, or those that you name. The provider gets what was granted less Filecoin Pay's fee of 0.5 %, and takes it out of its account there by
/// `withdraw` of that contract.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota blessing pay --granter 0x5FC8... --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading
  lota blessing pay 7 12 --granter 0x5FC8... --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading --json")]
pub(crate) struct Pay {
    /// The rails' numbers [default: all on which something is due]
    #[arg(value_name = "RAIL")]
    rails: Vec<U256>,
    /// The granter, a FilecoinPayGranter of this blessing
    #[arg(long, value_name = "ADDRESS")]
    granter: Address,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

/// Amounts in the smallest unit of `unit`.
#[derive(Serialize)]
struct Told {
    granter: Address,
    transactions: Vec<B256>,
    unit: Asset,
    paid: Vec<Paid>,
    /// On which something is due and which pay no more: the sponsor terminated them.
    too_late: Vec<String>,
}

#[derive(Serialize)]
struct Paid {
    rail: String,
    payee: Option<Address>,
    /// What the sponsor paid.
    gross: String,
    fee: String,
    /// What the payee got.
    net: String,
}

impl Pay {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let signer = self.key.open(context).await?;
        let blessing = self.place.find().await?;
        let granter = ChainRailGranter::find(&blessing, self.granter, self.place.from_block).await?;
        let progress = Progress::start(self.format.json);
        progress.say("looking for what is due");
        let newest = granter.newest().await?;
        let found = granter.rails(&self.rails).await?;
        if let Some(unknown) = self.rails.iter().find(|rail| found.iter().all(|found| found.rail != **rail)) {
            return Err(Usage(format!(
                "rail {unknown} is none of this granter's, as far as it is read (--from-block); leave the numbers out to pay all that is due"
            ))
            .into());
        }
        let due = found.iter().filter(|rail| !rail.state.due.is_zero());
        let (due, late): (Vec<_>, Vec<_>) = due.partition(|rail| rail.pays(newest));
        if let (true, [first, ..]) = (!self.rails.is_empty() || due.is_empty(), &late[..]) {
            bail!(
                "rail {} pays no more: the sponsor terminated it, and its time is over; what was due there went back to the sponsor",
                first.rail
            );
        }
        let (mut transactions, mut paid) = (Vec::new(), Vec::new());
        for some in due.chunks(AT_ONCE) {
            progress.say(format!("paying {}", plural(some.len() as u64, "rail")));
            let sent = |transaction| {
                progress
                    .aside(|| terminal::tell(&format!("Sent as transaction {transaction}; waiting for its block.")));
            };
            let rails = some.iter().map(|rail| rail.rail).collect();
            let (landed, of) = granter.pay(&signer, rails, sent).await.map_err(|error| match paid.len() {
                0 => error,
                count => error.context(format!("{} were paid, the others were not", plural(count as u64, "rail"))),
            })?;
            transactions.push(landed.transaction);
            paid.extend(of);
        }
        progress.finish();
        let late: Vec<U256> = late.into_iter().map(|rail| rail.rail).collect();
        self.tell(&granter, transactions, &found, &paid, &late)
    }

    fn tell(
        &self,
        granter: &ChainRailGranter,
        transactions: Vec<B256>,
        rails: &[GranterRail],
        paid: &[(U256, U256)],
        late: &[U256],
    ) -> anyhow::Result<()> {
        let payee = |rail: &U256| rails.iter().find(|found| found.rail == *rail).map(|found| found.payee);
        if self.format.json {
            let of = |(rail, gross): &(U256, U256)| Paid {
                rail: rail.to_string(),
                payee: payee(rail),
                gross: gross.to_string(),
                fee: fee(*gross).to_string(),
                net: gross.saturating_sub(fee(*gross)).to_string(),
            };
            return terminal::print_json(&Told {
                granter: self.granter,
                transactions,
                unit: granter.asset().clone(),
                paid: paid.iter().map(of).collect(),
                too_late: late.iter().map(ToString::to_string).collect(),
            });
        }
        for rail in late {
            terminal::tell(&format!("Rail {rail} pays no more: the sponsor terminated it, and its time is over."));
        }
        if paid.is_empty() {
            terminal::tell("Nothing is due.");
            return Ok(());
        }
        let columns = [Column::Right, Column::Left, Column::Right, Column::Right, Column::Right];
        let mut table = Table::new(columns).heading(&["rail", "to", "paid", "fee", "arrives"]);
        for (rail, gross) in paid {
            let fee = fee(*gross);
            let amounts = [*gross, fee, gross.saturating_sub(fee)].map(|amount| show_amount(granter.asset(), amount));
            let payee = payee(rail).map(|payee| payee.to_string()).unwrap_or_default();
            table.row([rail.to_string(), payee].into_iter().chain(amounts));
        }
        terminal::print(&table.render())
    }
}
