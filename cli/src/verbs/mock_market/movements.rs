//! `lota mock-market movements`.

use clap::Args;
use jiff::Timestamp;
use lota_bridge::{memory::Booked, ws::MockClient};
use lota_market::{Address, movements::Holder};

use super::ask::{Where, account};
use crate::terminal::{self, short_address, short_id};

/// How money moved: when, why, for which job, from which pocket to which.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lota mock-market movements --follow\n  lota mock-market movements --csv > movements.csv"
)]
pub(super) struct Movements {
    /// Of this account only
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
    /// From this block on
    #[arg(long, value_name = "BLOCK", default_value_t = 0)]
    from_block: u64,
    /// Go on with what happens, until Ctrl-C
    #[arg(long, short = 'f')]
    follow: bool,
    /// Print comma-separated values, amounts in attoFIL
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print a JSON document for each movement, on a line of its own
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// The columns of the comma-separated values.
const HEADER: &str = "block,index,time,transaction,cause,job,from_account,from_pocket,to_account,to_pocket,amount\n";

impl Movements {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let account = self.account.as_deref().map(account).transpose()?;
        let client = self.place.connect().await?;
        if self.csv {
            terminal::print(HEADER)?;
        }
        let from = self.past(&client, account).await?;
        if self.follow {
            self.live(&client, from, account).await?;
        }
        Ok(())
    }

    /// What happened so far; where to go on.
    async fn past(&self, client: &MockClient, account: Option<Address>) -> anyhow::Result<(u64, u32)> {
        let mut from = (self.from_block, 0);
        loop {
            let page = client.movements(from, account).await?;
            terminal::print(&page.movements.iter().map(|booked| self.line(booked)).collect::<String>())?;
            from = page.next;
            if !page.more {
                return Ok(from);
            }
        }
    }

    async fn live(&self, client: &MockClient, from: (u64, u32), account: Option<Address>) -> anyhow::Result<()> {
        use futures::StreamExt as _;
        let mut movements = client.follow_movements(from, account);
        while let Some(booked) = movements.next().await {
            terminal::print(&self.line(&booked?))?;
        }
        Ok(())
    }

    fn line(&self, booked: &Booked) -> String {
        if self.json {
            return serde_json::to_string(booked).unwrap_or_default() + "\n";
        }
        if self.csv { csv(booked) } else { words(booked) }
    }
}

fn csv(booked: &Booked) -> String {
    let Booked { block, index, time, transaction, movement } = booked;
    let holder = |holder: Holder| format!("{},{}", holder.account, holder.pocket.name());
    format!(
        "{block},{index},{},{transaction},{},{},{},{},{}\n",
        time.0,
        movement.cause.name(),
        movement.job.map(|job| job.to_string()).unwrap_or_default(),
        movement.from.map_or_else(|| ",".to_owned(), holder),
        holder(movement.to),
        movement.amount.0,
    )
}

fn words(booked: &Booked) -> String {
    let Booked { block, time, movement, .. } = booked;
    let when = i64::try_from(time.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let when = when.map_or_else(|| time.to_string(), |when| when.to_string());
    let holder = |holder: Holder| format!("{} of {}", holder.pocket.name(), short_address(holder.account));
    let job = movement.job.map_or_else(String::new, |job| format!(" for job {}", short_id(job)));
    format!(
        "{when}  block {block}: {} {}{job}: {} -> {}\n",
        movement.amount,
        movement.cause.name(),
        movement.from.map_or_else(|| "nowhere".to_owned(), holder),
        holder(movement.to),
    )
}

#[cfg(test)]
mod tests {
    use lota_market::{
        AttoFil, B256, Time,
        movements::{Cause, Movement, Pocket},
    };

    use super::*;

    #[test]
    fn a_line_has_as_many_fields_as_the_header() {
        let to = Holder { account: Address::repeat_byte(2), pocket: Pocket::Wallet };
        for from in [None, Some(to)] {
            let movement = Movement { cause: Cause::Minted, job: None, from, to, amount: AttoFil(5) };
            let booked = Booked { block: 3, index: 0, time: Time(9), transaction: B256::ZERO, movement };
            let line = csv(&booked);
            assert_eq!(line.matches(',').count(), HEADER.matches(',').count(), "{line}");
            assert!(line.starts_with("3,0,9,0x00") && line.ends_with(",wallet,5\n"), "{line}");
        }
    }
}
