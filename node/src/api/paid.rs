//! What the party is paid over Filecoin Pay.

use lota_api::{DueOnRail, OrderInfo, OrdersInfo, Paid, PriceStage, rfc3339};
use lota_market::{
    AttoFil, U256,
    agent::{At, Job, OrderView, PriceState, RailBook, Standing},
    filecoin_pay_deals::fee,
};

use super::Api;
use crate::{http_error::HttpError, store::PricePaid};

/// The most rails that are told of.
const MAX_RAILS: usize = 100;

/// A price in its parts. A rail has less than 2^128.
fn paid(gross: U256) -> Paid {
    parts(gross, fee(gross))
}

fn parts(gross: U256, fee: U256) -> Paid {
    let amount = |amount: U256| AttoFil(amount.saturating_to());
    Paid { gross: amount(gross), fee: amount(fee), net: amount(gross.saturating_sub(fee)) }
}

/// What the order of a job pays, if the job is an order's.
pub(super) async fn order(api: &Api, job: &Job) -> Result<Option<OrderInfo>, HttpError> {
    let (Some(unit), Some(order)) = (api.orders_asset.clone(), &job.view.filecoin_pay) else { return Ok(None) };
    let &OrderView { payer, max_price, ref taken, .. } = order;
    let Some(taken) = taken else {
        let (price, stage) = (paid(max_price), PriceStage::Open);
        return Ok(Some(OrderInfo { payer, unit, price, stage, rail: None, collected: None, why_not: None }));
    };
    let (mut collected, mut why_not) = (None, None);
    let stage = match taken.state {
        PriceState::Locked => PriceStage::Locked,
        PriceState::Freed => PriceStage::Freed,
        PriceState::Due => match api.store.price_paid(job.id(), taken.rail).await? {
            Some(PricePaid::At(at)) => {
                collected = at.map(rfc3339);
                PriceStage::Collected
            }
            Some(PricePaid::NotYet) => {
                why_not = api.uncollected.of(taken.rail).map(|reason| reason.to_string());
                PriceStage::Due
            }
            // Of others' rails only what is said of jobs is kept.
            None => PriceStage::Due,
        },
    };
    let (price, rail) = (paid(taken.price), Some(taken.rail.to_string()));
    Ok(Some(OrderInfo { payer, unit, price, stage, rail, collected, why_not }))
}

/// What the party has of all orders, if it follows any.
pub(super) async fn orders(api: &Api) -> Result<Option<OrdersInfo>, HttpError> {
    let (Some(unit), Some(deals)) = (api.orders_asset.clone(), api.transport.filecoin_pay_deals()) else {
        return Ok(None);
    };
    let books = api.store.books_of_rails().await?;
    if books.is_empty() && api.offer.is_none() {
        return Ok(None);
    }
    let sum = |amounts: &mut dyn Iterator<Item = U256>| amounts.fold(U256::ZERO, U256::saturating_add);
    let collected = parts(sum(&mut books.iter().map(|book| book.paid)), sum(&mut books.iter().map(|book| book.fees)));
    let finalized = api.health.finalized();
    let latest = api.health.head().map(|head| At { block: head.block, time: head.time }).unwrap_or_default();
    let (lost, due): (Vec<&RailBook>, Vec<&RailBook>) =
        books.iter().partition(|book| book.standing(latest, finalized) == Standing::Lost);
    let lost = AttoFil(sum(&mut lost.iter().map(|book| book.due)).saturating_to());
    let due = parts(sum(&mut due.iter().map(|book| book.due)), sum(&mut due.iter().map(|book| fee(book.due))));
    let last_collected = books.iter().filter_map(|book| book.last_paid).max().map(|at| rfc3339(at.time));
    let rails = api.store.due_rails().await?.into_iter().take(MAX_RAILS).map(|rail| DueOnRail {
        rail: rail.rail.to_string(),
        payer: rail.payer,
        due: paid(rail.book.due),
        since: rail.book.since.map(|since| rfc3339(since.time)),
        end: rail.book.end,
        why_not: api.uncollected.of(rail.rail).map(|reason| reason.to_string()),
    });
    let rails = rails.collect();
    Ok(Some(OrdersInfo { contract: deals.contract, unit, due, collected, lost, last_collected, rails }))
}
