//! What a replay came to, for people and for programs.

use std::{collections::BTreeMap, fmt::Write as _};

use lota_bridge::{StoredDeal, recording::Hashes};
use lota_market::{
    Address, AttoFil,
    asset::Asset,
    auction::SealedBidAuction,
    model::{Deal, JobId, Market, Reason, Status},
    replay::{Divergence, Replay},
};
use serde::Serialize;

use crate::terminal::{Column, Table, bad, good, plural};

/// The most differences that are told.
const MAX_DIFFERENCES: usize = 20;

/// The report of an audit.
#[derive(Debug, Serialize)]
pub(super) struct Audit {
    /// Whether every event and every balance is what the model says.
    consistent: bool,
    source: String,
    /// Events that are consistent.
    events: u64,
    jobs: u64,
    /// Jobs that have not ended.
    running: u64,
    /// Jobs by the reasons of their ends.
    ends: BTreeMap<Reason, u64>,
    in_batches: u64,
    parties: Vec<Party>,
    escrowed: AttoFil,
    collateral: AttoFil,
    burned: AttoFil,
    /// The first event that is not what the model says.
    divergence: Option<Diverges>,
    /// Whether the contracts' own books were there to be compared.
    compared: bool,
    /// What is not in the contracts' own books as the events say; at most twenty.
    differences: Vec<Difference>,
    #[serde(skip)]
    is_of_token: bool,
}

#[derive(Debug, Serialize)]
struct Party {
    account: Address,
    paid_in: AttoFil,
    taken_out: AttoFil,
    at_market: AttoFil,
    at_auction: AttoFil,
    /// What the jobs brought, or cost: with a sign. What is in escrow or staked counts as spent.
    #[serde(serialize_with = "as_text")]
    net: i128,
}

fn as_text<S: serde::Serializer>(number: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[derive(Debug, Serialize)]
struct Diverges {
    /// `None`: at the end.
    block: Option<u64>,
    index: Option<u32>,
    problem: String,
}

/// Something in the contracts' books that is not as the events say.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    what: String,
    replayed: String,
    found: String,
}

impl Difference {
    /// `None` when they are the same.
    pub(super) fn of_amount(what: &str, replayed: AttoFil, found: AttoFil) -> Option<Self> {
        let told = |amount: AttoFil| amount.0.to_string();
        (replayed != found).then(|| Self { what: what.to_owned(), replayed: told(replayed), found: told(found) })
    }

    pub(super) fn of_deal(job: JobId, replayed: &Deal<'_>, found: &StoredDeal) -> Option<Self> {
        let replayed = StoredDeal::of(job, replayed);
        (replayed != *found).then(|| Self {
            what: format!("job {job}"),
            replayed: format!("{replayed:?}"),
            found: format!("{found:?}"),
        })
    }

    /// All that is not the same in two markets, and in their auctions.
    pub(super) fn between(
        replayed: &Market,
        found: &Market,
        auctions: Option<(&SealedBidAuction, &SealedBidAuction)>,
    ) -> Vec<Self> {
        let mut differences = Vec::new();
        let accounts = |market: &Market| market.balances().map(|(account, _)| account).collect::<Vec<_>>();
        for account in [accounts(replayed), accounts(found)].concat() {
            let what = format!("balance of {account} at the market");
            differences.extend(Self::of_amount(&what, replayed.balance(account), found.balance(account)));
        }
        for (job, deal) in found.deals() {
            differences.extend(Self::of_deal(job, &replayed.deal(job), &StoredDeal::of(job, &deal)));
        }
        let amounts = [
            ("held by the market", replayed.held(), found.held()),
            ("burned at the market", replayed.burned(), found.burned()),
        ];
        differences
            .extend(amounts.into_iter().filter_map(|(what, replayed, found)| Self::of_amount(what, replayed, found)));
        let whole = |what: &str| Self {
            what: what.to_owned(),
            replayed: "another state".to_owned(),
            found: "the log's own".to_owned(),
        };
        if differences.is_empty() && replayed != found {
            differences.push(whole("salts of the market"));
        }
        if let Some((replayed, found)) = auctions
            && replayed != found
        {
            let held = Self::of_amount("held by the auction", replayed.held(), found.held());
            differences.push(held.unwrap_or_else(|| whole("accounts and bids of the auction")));
        }
        differences
    }
}

impl Audit {
    /// What came out of the events.
    pub(super) fn of(source: String, fold: &Replay<Hashes>, divergence: Option<Divergence>) -> Self {
        let (market, tally) = (fold.market(), fold.tally());
        let at_auction = |account| fold.auction().map_or(AttoFil::ZERO, |auction| auction.balance(account));
        let mut accounts = tally.parties.clone();
        for (account, _) in market.balances() {
            accounts.entry(account).or_default();
        }
        let parties = accounts.into_iter().map(|(account, party)| {
            let (at_market, at_auction) = (market.balance(account), at_auction(account));
            let signed = |amount: AttoFil| i128::try_from(amount.0).unwrap_or(i128::MAX);
            let now = signed(party.taken_out).saturating_add(signed(at_market)).saturating_add(signed(at_auction));
            let net = now.saturating_sub(signed(party.paid_in));
            Party { account, paid_in: party.paid_in, taken_out: party.taken_out, at_market, at_auction, net }
        });
        Self {
            consistent: divergence.is_none(),
            source,
            events: tally.events,
            jobs: tally.jobs,
            running: market.deals().filter(|(_, deal)| !is_over(deal)).count() as u64,
            ends: tally.ends.clone(),
            in_batches: tally.in_batches,
            parties: parties.collect(),
            escrowed: market.escrowed(),
            collateral: market.collateral(),
            burned: AttoFil(market.burned().0.saturating_add(fold.auction().map_or(0, |auction| auction.burned().0))),
            divergence: divergence.map(|divergence| Diverges {
                block: divergence.at.as_ref().map(|event| event.block),
                index: divergence.at.as_ref().map(|event| event.index),
                problem: divergence.to_string(),
            }),
            compared: false,
            differences: Vec::new(),
            is_of_token: market.settings().is_token(),
        }
    }

    /// A log whose own blocks do not follow from each other.
    pub(super) fn broken(source: String, block: u64, problem: String) -> Self {
        Self {
            consistent: false,
            source,
            events: 0,
            jobs: 0,
            running: 0,
            ends: BTreeMap::new(),
            in_batches: 0,
            parties: Vec::new(),
            escrowed: AttoFil::ZERO,
            collateral: AttoFil::ZERO,
            burned: AttoFil::ZERO,
            divergence: Some(Diverges {
                block: Some(block),
                index: None,
                problem: format!("block {block}: {problem}"),
            }),
            compared: false,
            differences: Vec::new(),
            is_of_token: false,
        }
    }

    /// Notes what the contracts' own books say otherwise.
    pub(super) fn compare(&mut self, mut differences: Vec<Difference>) {
        // After a divergence the books cannot agree.
        if self.divergence.is_some() {
            return;
        }
        self.compared = true;
        differences.truncate(MAX_DIFFERENCES);
        self.consistent &= differences.is_empty();
        self.differences = differences;
    }

    pub(super) const fn is_sound(&self) -> bool {
        self.consistent
    }

    pub(super) const fn is_of_token(&self) -> bool {
        self.is_of_token
    }

    /// For a person.
    pub(super) fn render(&self, asset: &Asset) -> String {
        let mut text = String::new();
        let mut told = Table::pairs();
        told.row(["replayed", &self.source]);
        told.row(["events", &self.events.to_string()]);
        told.row(["jobs", &format!("{}, {} of them running", self.jobs, self.running)]);
        for (reason, count) in &self.ends {
            told.row([String::new(), format!("{count} {:?} ({reason:?})", reason.status())]);
        }
        if self.in_batches > 0 {
            told.row([String::new(), format!("{} settled in batches", self.in_batches)]);
        }
        told.row(["in escrow", &asset.show(self.escrowed)]);
        told.row(["staked", &asset.show(self.collateral)]);
        told.row(["burned", &asset.show(self.burned)]);
        text.push_str(&told.render());
        if !self.parties.is_empty() {
            let columns = [Column::Left, Column::Right, Column::Right, Column::Right, Column::Right];
            let mut money = Table::new(columns).heading(&["party", "paid in", "taken out", "has", "by jobs"]);
            for party in &self.parties {
                let sign = if party.net < 0 { "-" } else { "+" };
                money.row([
                    party.account.to_string(),
                    asset.show(party.paid_in),
                    asset.show(party.taken_out),
                    asset.show(AttoFil(party.at_market.0.saturating_add(party.at_auction.0))),
                    format!("{sign}{}", asset.show(AttoFil(party.net.unsigned_abs()))),
                ]);
            }
            text.push('\n');
            text.push_str(&money.render());
        }
        text.push('\n');
        // Text takes everything.
        let _ = match (&self.divergence, self.differences.as_slice()) {
            (Some(diverges), _) => writeln!(text, "{}: {}", bad("the first divergence"), diverges.problem),
            (None, []) if self.compared => {
                writeln!(text, "{}: every event is what the model says, and the books agree", good("consistent"))
            }
            (None, []) => writeln!(
                text,
                "{}: every event is what the model says; there were no books to compare with",
                good("consistent")
            ),
            (None, differences) => {
                let mut lines = format!(
                    "{} with the contracts' own books:\n",
                    bad(&plural(differences.len() as u64, "difference"))
                );
                for Difference { what, replayed, found } in differences {
                    let _ = writeln!(lines, "  {what}: {replayed} by the events, {found} in fact");
                }
                text.push_str(&lines);
                Ok(())
            }
        };
        text
    }
}

/// Whether a stored deal has ended.
const fn is_over(deal: &Deal<'_>) -> bool {
    deal.status.is_final() || matches!(deal.status, Status::None)
}
