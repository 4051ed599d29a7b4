//! `lota mock-market balances`.

use clap::Args;
use lota_bridge::mock::protocol::AccountHoldings;
use lota_market::{AttoFil, movements::Pocket};

use super::ask::{Where, account};
use crate::terminal::{self, Column, Table, bold};

/// Where everybody's money lies: outside, free in the market, in escrow, as collateral, in the auction, in bids, or burned.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lota mock-market balances\n  lota mock-market balances --csv > balances.csv")]
pub(super) struct Balances {
    /// Of this account only
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
    /// Print comma-separated values, amounts in attoFIL
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Balances {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let account = self.account.as_deref().map(account).transpose()?;
        let client = self.place.connect().await?;
        let (mut all, mut from): (Vec<AccountHoldings>, _) = (Vec::new(), None);
        loop {
            let page = client.holdings(account, from).await?;
            all.extend(page.accounts);
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        if self.json {
            return terminal::print_json(&all);
        }
        terminal::print(&if self.csv { csv(&all) } else { table(&all) })
    }
}

fn csv(all: &[AccountHoldings]) -> String {
    let names: Vec<&str> = Pocket::ALL.iter().map(|pocket| pocket.name()).collect();
    let mut text = format!("account,{}\n", names.join(","));
    for AccountHoldings { account, holdings } in all {
        let amounts: Vec<String> = Pocket::ALL.iter().map(|pocket| holdings.of(*pocket).0.to_string()).collect();
        text.push_str(&format!("{account},{}\n", amounts.join(",")));
    }
    text
}

fn table(all: &[AccountHoldings]) -> String {
    let columns: Vec<Column> = std::iter::once(Column::Left).chain(Pocket::ALL.map(|_| Column::Right)).collect();
    let headings: Vec<String> = Pocket::ALL.iter().map(|pocket| pocket.name().to_uppercase()).collect();
    let headings: Vec<&str> = std::iter::once("ACCOUNT").chain(headings.iter().map(String::as_str)).collect();
    let mut table = Table::new(columns).heading(&headings);
    let shown = |amount: AttoFil| if amount == AttoFil::ZERO { "-".to_owned() } else { amount.to_string() };
    for AccountHoldings { account, holdings } in all {
        let amounts = Pocket::ALL.iter().map(|pocket| shown(holdings.of(*pocket)));
        table.row(std::iter::once(account.to_string()).chain(amounts).collect::<Vec<_>>());
    }
    let sums = Pocket::ALL.iter().map(|pocket| shown(all.iter().map(|each| each.holdings.of(*pocket)).sum()));
    table.row(std::iter::once(bold("all")).chain(sums).collect::<Vec<_>>());
    table.render()
}

#[cfg(test)]
mod tests {
    use lota_market::{Address, movements::Holdings};

    use super::*;

    #[test]
    fn a_line_for_each_account_with_all_its_pockets() {
        let holdings = Holdings { wallet: AttoFil(7), burned: AttoFil(u128::MAX), ..Holdings::default() };
        let all = [AccountHoldings { account: Address::repeat_byte(1), holdings }];
        assert_eq!(
            csv(&all),
            "account,wallet,market,escrow,collateral,auction,bids,burned\n\
             0x0101010101010101010101010101010101010101,7,0,0,0,0,0,340282366920938463463374607431768211455\n"
        );
    }
}
