//! What becomes of an order: `lota filecoin-pay wait`, and `order --wait`.

use std::time::Instant;

use anyhow::bail;
use clap::Args;
use lota_bridge::transport::Head;
use lota_content::{cid_from_digest, codec};
use lota_market::{
    Address, AttoFil, Time,
    asset::Asset,
    filecoin_pay_deals::fee,
    model::{JobId, Status},
};
use serde::Serialize;

use super::{PlaceFlags, parse_job};
use crate::{
    chain::{ChainPayDeals, FollowedOrder, OrderState},
    context::Context,
    failure::{ExitWith, FAILED},
    flags::Format,
    terminal::{self, Progress, Table, short_id},
    units::Seconds,
    verbs::job::describe::reason,
};

/// Wait until the job of an order has ended, and show what came of it: exit code 0 if it was settled, 1 if it ended otherwise, nobody took
/// it in time, or the time is over.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota filecoin-pay wait 0x1f... --timeout 1h --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8..."
)]
pub(crate) struct Wait {
    /// The job's id
    #[arg(value_parser = parse_job)]
    job: JobId,
    /// Give up after this time (the job goes on)
    #[arg(long, short, value_name = "TIME")]
    timeout: Option<Seconds>,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    format: Format,
}

/// What is told of an order; prices in the smallest unit of `unit`, as text.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    job: JobId,
    status: Status,
    reason: &'static str,
    payer: Address,
    unit: Asset,
    min_price: String,
    max_price: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rail: Option<String>,
    /// Gross, as it is locked on the rail.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    /// Whether the price is to be paid to the provider: not when the job came to nothing.
    is_due: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u32>,
    /// CID of what the job wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// Of the provider's collateral, what the payer is owed; in the market's asset.
    refund: AttoFil,
    /// The contract was not told of the end yet.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    callback_pending: bool,
}

impl Shown {
    pub(super) fn of(deals: &ChainPayDeals, state: &OrderState) -> Self {
        let OrderState { order, view, taken, refund } = state;
        let is_due = view.status == Status::Settled && !view.callback_pending;
        Self {
            job: view.id,
            status: view.status,
            reason: reason(view.reason),
            payer: order.payer,
            unit: deals.asset().clone(),
            min_price: order.min_price.to_string(),
            max_price: order.max_price.to_string(),
            provider: (!view.provider.is_zero()).then_some(view.provider),
            rail: taken.map(|(rail, _)| rail.to_string()),
            price: taken.map(|(_, price)| price.to_string()),
            is_due,
            exit_code: view.result.as_ref().map(|result| result.exit_code),
            output: view.result.as_ref().map(|result| cid_from_digest(codec::DAG_PB, result.output.0).to_string()),
            refund: *refund,
            callback_pending: view.callback_pending,
        }
    }
}

impl Wait {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let deals = self.place.find(context).await?;
        let progress = Progress::start(self.format.json);
        context.last_words.set(goes_on(self.job));
        let until = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout.duration()));
        let state = follow(&mut deals.follow(self.job), until, &progress).await?;
        progress.finish();
        show(&deals, &state, self.format)?;
        if state.view.status == Status::Settled { Ok(()) } else { Err(ExitWith(FAILED).into()) }
    }
}

/// What a person who waits and interrupts it should know.
pub(super) fn goes_on(job: JobId) -> String {
    format!(
        "The job goes on; wait for it with `lota filecoin-pay wait {job}`, or take it back with `lota filecoin-pay cancel {job}` while nobody has taken it."
    )
}

/// Waits until the job has ended, nobody can take it any more, its provider is too late, or `until` has passed; tells a person meanwhile
/// what it is doing.
///
/// # Errors
/// When the node does not answer, no such order was opened, or something has to be done by somebody.
pub(super) async fn follow(
    followed: &mut FollowedOrder,
    until: Option<Instant>,
    progress: &Progress,
) -> anyhow::Result<OrderState> {
    let job = followed.job();
    let mut last = None;
    loop {
        let Some((state, Head { time, .. })) = followed.next(until).await? else {
            return match last {
                Some(state) => {
                    progress.aside(|| terminal::tell("The time is over; the job goes on."));
                    Ok(state)
                }
                None => bail!("the chain's log could not be read in that time; give it longer with --timeout"),
            };
        };
        progress.say(format!("job {}: {}", short_id(job), doing(&state)));
        if state.view.status.is_final() {
            return Ok(state);
        }
        if let Some(problem) = overdue(&state, time) {
            bail!("job {job} {problem}; `lota filecoin-pay expire {job}` ends it");
        }
        last = Some(state);
    }
}

fn doing(state: &OrderState) -> &'static str {
    match state.view.status {
        Status::Open => "waits for a provider",
        Status::Locked => "a provider runs it",
        Status::Submitted => "its result can be reviewed",
        Status::Disputed => "its result is disputed",
        _ => "has ended",
    }
}

/// What will not happen any more, because time has passed.
fn overdue(state: &OrderState, now: Time) -> Option<&'static str> {
    state.view.deadline().filter(|deadline| now > *deadline)?;
    match state.view.status {
        Status::Open => Some("was taken by nobody in time; it cost nothing"),
        Status::Locked => Some("got no result in time"),
        _ => None,
    }
}

/// Shows what became of an order.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn show(deals: &ChainPayDeals, state: &OrderState, format: Format) -> anyhow::Result<()> {
    let shown = Shown::of(deals, state);
    if format.json {
        return terminal::print_json(&shown);
    }
    let status = terminal::status(state.view.status);
    let mut table = Table::pairs();
    table.row(["job", &shown.job.to_string()]);
    table.row(["status", &if state.view.status.is_final() { format!("{status}: {}", shown.reason) } else { status }]);
    if let Some(provider) = shown.provider {
        table.row(["provider", &provider.to_string()]);
    }
    if let Some((rail, price)) = state.taken {
        let what = match state.view.status {
            Status::Settled => {
                format!("{}, of which {} is Filecoin Pay's fee", deals.show(price), deals.show(fee(price)))
            }
            status if status.is_final() => format!("none: {} are yours again", deals.show(price)),
            _ => format!("{}, locked", deals.show(price)),
        };
        table.row(["price", &what]);
        table.row(["rail", &rail.to_string()]);
    }
    if let Some(code) = shown.exit_code {
        table.row(["exit code", &code.to_string()]);
    }
    if let Some(output) = &shown.output {
        table.row(["output", output]);
    }
    if state.refund > AttoFil::ZERO {
        let asset = deals.market().market().asset();
        table.row([
            "collateral",
            &format!("{} of the provider's are yours (lota filecoin-pay claim)", asset.show(state.refund)),
        ]);
    }
    terminal::print(&table.render())?;
    if let Some(output) = &shown.output {
        terminal::tell(&format!(
            "Get the output with `lota content get {output} -o DIR`, by a running node (`lota node run`)."
        ));
    }
    if shown.callback_pending {
        terminal::tell(
            "The contract was not told of the end: its callback failed, and anybody may repeat it. A node does whose setting node.look_after names the contract.",
        );
    } else if shown.is_due {
        terminal::tell(
            "The price is due since then: the provider's node collects it, and anybody may pay it out with `lota filecoin-pay pay`.",
        );
    }
    Ok(())
}
