//! The job that is auctioned: three sealed bids, and why the second price is paid.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, bail};
use lota_api::{AuctionInfo, TermsRequest};
use lota_market::AttoFil;

use super::{checks::Check, parties::Parties, plan::Job};
use crate::{
    terminal::{Column, Table, bold},
    verbs::job::describe::why_the_price,
};

/// How long bids are opened, in seconds: as long as the auction demands.
const OPENING: u64 = 10;
/// How long all of it takes, in seconds: 20 to seal bids, while the providers fetch and compile the program.
const LOCK_FOR: u64 = 60;
/// How often it is looked, and how many times, whether everybody has taken their money back.
const LOOKS: (Duration, u32) = (Duration::from_millis(250), 120);

/// The same terms for a job that is auctioned.
pub(super) fn terms(terms: TermsRequest) -> TermsRequest {
    TermsRequest { auction: Some(true), ramp_period: Some(OPENING), lock_for: Some(LOCK_FOR), ..terms }
}

/// Waits until nobody has anything in the auction any more.
pub(super) async fn until_taken_back(parties: &Parties) -> anyhow::Result<()> {
    for person in parties.people.iter().filter(|person| person.offer.is_some()) {
        let transport = person.account.transport();
        let mut looks = 0;
        while transport.auction_balance(person.account.address()).await? != AttoFil::ZERO {
            looks += 1;
            if looks > LOOKS.1 {
                bail!("{} has not taken its money back from the auction", person.name);
            }
            tokio::time::sleep(LOOKS.0).await;
        }
    }
    Ok(())
}

/// The auction among the jobs.
fn of(jobs: &[Job]) -> Option<&AuctionInfo> {
    jobs.iter().find_map(|job| job.detail.auction.as_ref())
}

/// What must be true of it.
pub(super) fn check(jobs: &[Job]) -> anyhow::Result<Vec<Check>> {
    let auction = of(jobs).context("no job was auctioned")?;
    let mut bids: Vec<_> = auction.bids.iter().filter_map(|bid| Some((bid.price?, bid.bidder))).collect();
    bids.sort_unstable();
    let award = auction.awarded.as_ref();
    let won = |lowest: &[_], award: &lota_api::AwardInfo| matches!(lowest, [(_, who), ..] if *who == award.winner);
    let paid =
        |lowest: &[_], award: &lota_api::AwardInfo| matches!(lowest, [_, (second, _), ..] if *second == award.price);
    Ok(vec![
        Check { what: "three sealed bids were opened".to_owned(), ok: bids.len() == 3 },
        Check { what: "the lowest bid won the auction".to_owned(), ok: award.is_some_and(|award| won(&bids, award)) },
        Check { what: "the second-lowest bid was paid".to_owned(), ok: award.is_some_and(|award| paid(&bids, award)) },
    ])
}

/// The auction, told to a person.
pub(super) fn told(parties: &Parties, jobs: &[Job]) -> String {
    let Some(auction) = of(jobs) else { return String::new() };
    let (asset, _) = parties.venue.asset();
    let mut text = format!(
        "\n{}\n\nThe first job was auctioned. Each provider bid what the job costs it, sealed, so that nobody saw the others\' bids,\n\
         and opened its bid when no other could be made any more.\n\n",
        bold("The auction")
    );
    let mut table = Table::new([Column::Left, Column::Right]).indent(2);
    for bid in &auction.bids {
        let price = bid.price.map_or_else(|| "never opened".to_owned(), |price| asset.show(price));
        table.row([parties.name_of(bid.bidder), price]);
    }
    text.push_str(&table.render());
    if let Some(why) = why_the_price(auction, &asset) {
        let why = auction
            .bids
            .iter()
            .fold(why, |why, bid| why.replace(&bid.bidder.to_string(), &parties.name_of(bid.bidder)));
        let _ = writeln!(text, "\n  {why}.");
    }
    text
}
