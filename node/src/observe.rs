//! What a node says about itself: one function for each thing worth saying.

use std::fmt;

use lota_bridge::failure::causes;
use lota_bridge::{Cursor, SubmitError, TransportError};
use lota_content::Cid;
use lota_market::{
    Address, AttoFil, U256,
    agent::{EffectKey, Failure, Resources, StepKey, StepOutcome},
    asset::Asset,
    auction, filecoin_pay_deals,
    model::{Event, JobId},
};

use crate::{
    executor::ExecutorError,
    store::{Publication, StoreError},
};

/// The loop's database failed, and with it the node.
pub(crate) fn loop_failed(node: &str, error: &StoreError) {
    tracing::error!(node, error = causes(error), "the node stops");
}

/// A publisher was asked about a job's output.
pub(crate) fn published(node: &str, publication: &Publication, problem: Option<&str>) {
    let Publication { job, publisher, cid, state, .. } = publication;
    match problem {
        None => tracing::info!(node, %job, publisher, %cid, ?state, "published"),
        Some(reason) => tracing::warn!(node, %job, publisher, %cid, ?state, reason, "not published"),
    }
}

/// The market cannot be read any more.
pub(crate) fn market_failed(node: &str, error: &TransportError) {
    tracing::warn!(node, %error, "the market cannot be read; trying again until it can");
}

/// The market can be read again.
pub(crate) fn market_reached(node: &str) {
    tracing::warn!(node, "the market can be read again");
}

/// There is too little money for gas.
pub(crate) fn short_of_gas(node: &str, account: Address, wallet: AttoFil, needed: AttoFil) {
    tracing::warn!(node, %account, has = %wallet, %needed, "too little money for gas: nothing is sent until there is more");
}

/// There is enough money for gas again.
pub(crate) fn gas_is_paid(node: &str) {
    tracing::warn!(node, "there is enough money for gas again");
}

/// The provider was slashed for good.
pub(crate) fn suspended(node: &str, job: JobId) {
    tracing::warn!(target: "lota_node::slashed", node, %job, "slashed for this job: no jobs are locked until `lota node resume`");
}

/// The operator has the provider lock jobs again.
pub(crate) fn resumed(node: &str) {
    tracing::warn!(node, "jobs are locked again");
}

/// Somebody else sends with the node's key.
pub(crate) fn key_shared(node: &str, by: &impl fmt::Display) {
    tracing::error!(node, "{by}");
}

/// The node was told to end.
pub(crate) fn draining(node: &str) {
    tracing::info!(node, "the node is about to end: no more jobs are taken");
}

/// A node that is about to end cannot find out what of its own is still on its way.
pub(crate) fn outstanding_unknown(node: &str, error: &TransportError) {
    tracing::warn!(node, %error, "it is not known whether a lock or a bid of this node is still on its way: it stays until it is");
}

/// How fast this machine runs programs.
pub(crate) fn calibrated(node: &str, fuel_per_second: u64) {
    tracing::info!(node, fuel_per_second, "the machine was measured");
}

/// The machine could not be measured.
pub(crate) fn not_calibrated(node: &str, error: &ExecutorError) {
    tracing::warn!(node, %error, "the machine could not be measured: jobs are taken whose fuel may not fit their wall time");
}

/// The gateway's URL could not be announced.
pub(crate) fn announcement_failed(node: &str, problem: &str) {
    tracing::info!(node, problem, "the gateway's URL could not be announced; trying again");
}

/// A deposit or withdrawal that a reorganisation undid is not back yet.
pub(crate) fn transfer_waits(node: &str, asset: &Asset, key: &EffectKey, error: &SubmitError) {
    tracing::info!(node, %key, error = error.words(asset), "a deposit or withdrawal that may have been undone, or waits for money, is in no block; trying again");
}

/// A deposit or withdrawal was asked for in an earlier process, and never sent.
pub(crate) fn transfer_forgotten(node: &str, key: &EffectKey) {
    tracing::warn!(node, %key, "a deposit or withdrawal was never sent, since the node ended before; it is forgotten: ask for it again");
}

/// A deposit or withdrawal that a reorganisation undid will not come back.
pub(crate) fn transfer_lost(node: &str, asset: &Asset, key: &EffectKey, error: &SubmitError) {
    tracing::warn!(node, %key, error = error.words(asset), "a deposit or withdrawal was undone by a reorganisation, and the market refuses it now");
}

/// Deposits and withdrawals could not be looked after.
pub(crate) fn transfers_failed(node: &str, error: &StoreError) {
    tracing::warn!(node, error = causes(error), "deposits and withdrawals cannot be looked after; trying again");
}

/// An engine cannot be reached.
pub(crate) fn engine_away(node: &str, engine: &str, why: &str) {
    tracing::warn!(node, engine, why, "an engine is away: jobs that need it wait");
}

/// An engine can be reached again.
pub(crate) fn engine_back(node: &str, engine: &str) {
    tracing::warn!(node, engine, "an engine is back");
}

/// The chain was reorganised.
pub(crate) fn rewound(node: &str, to: Option<&Cursor>) {
    match to {
        Some(to) => tracing::warn!(node, %to, "the chain was reorganised"),
        None => tracing::warn!(node, "the chain was reorganised down to the market's beginning"),
    }
}

/// An event was taken in.
pub(crate) fn event(node: &str, job: JobId, event: &str) {
    tracing::debug!(node, %job, event, "event");
}

/// What a provider has to offer.
pub(crate) fn offers(node: &str, engines: &[String], resources: &Resources) {
    let Resources { cpu_millis, memory_bytes, disk_bytes, gpus } = resources;
    tracing::info!(node, ?engines, cpu_millis, memory_bytes, disk_bytes, gpus, "what it offers at once");
}

/// A step came to an end.
pub(crate) fn step(node: &str, asset: &Asset, key: &StepKey, outcome: &StepOutcome) {
    let StepKey { subject, step, round, .. } = key;
    match outcome {
        StepOutcome::Err(failure) => {
            let failure = failure.words(asset);
            tracing::info!(node, %subject, %step, round, failure, "step failed");
        }
        _ => tracing::debug!(node, %subject, %step, round, "step done"),
    }
}

/// A step failed over what only the operator may know.
pub(crate) fn concealed(node: &str, key: &StepKey, failure: &Failure) {
    let StepKey { subject, step, .. } = key;
    tracing::warn!(node, %subject, %step, %failure, "step failed; others are not told which file it was");
}

/// A block of some content turned out to be corrupt or gone.
pub(crate) fn healing(node: &str, cid: &Cid) {
    tracing::warn!(node, %cid, "content is damaged here: its blocks are checked, and fetched again");
}

/// The name of an event of the auction, as in its contract.
pub(crate) const fn auction_event_name(event: &auction::Event) -> &'static str {
    match event {
        auction::Event::Funded { .. } => "Funded",
        auction::Event::Defunded { .. } => "Defunded",
        auction::Event::BidCommitted { .. } => "BidCommitted",
        auction::Event::BidRevealed { .. } => "BidRevealed",
        auction::Event::AuctionAwarded { .. } => "AuctionAwarded",
        auction::Event::AuctionCancelled { .. } => "AuctionCancelled",
        auction::Event::AuctionReleased { .. } => "AuctionReleased",
        auction::Event::CommitmentSwept { .. } => "CommitmentSwept",
    }
}

/// A job of this node's that is paid over Filecoin Pay was settled.
pub(crate) fn price_due(node: &str, job: JobId, rail: U256, price: U256) {
    tracing::info!(node, %job, %rail, %price, "the price is due on the rail");
}

/// What was due to this node on a rail was paid, by whomever.
pub(crate) fn rail_paid(node: &str, rail: U256, gross: U256) {
    tracing::info!(node, %rail, %gross, "what was due on the rail was paid into the account at Filecoin Pay");
}

/// A payer terminated its rail to this node.
pub(crate) fn rail_closing(node: &str, rail: U256, end: U256) {
    tracing::warn!(node, %rail, %end, "the payer has terminated the rail: what is due there must be paid before that block");
}

/// What is due on rails is about to be collected.
pub(crate) fn collecting(node: &str, key: &EffectKey, rails: &[U256]) {
    tracing::info!(node, %key, ?rails, "what is due on rails is collected");
}

/// What is due on a rail is not collected yet, or never will be.
pub(crate) fn not_collected(node: &str, rail: U256, why: &str, is_lost: bool) {
    if is_lost {
        tracing::error!(node, %rail, why, "what was due on the rail is lost");
    } else {
        tracing::warn!(node, %rail, why, "what is due on the rail is not collected yet");
    }
}

/// A transaction that collects, and may have been undone or waits for money, is in no block.
pub(crate) fn collecting_waits(node: &str, key: &EffectKey, error: &SubmitError) {
    tracing::info!(node, %key, %error, "what was sent to collect is in no block; trying again");
}

/// What is due could not be looked after.
pub(crate) fn collecting_failed(node: &str, error: &StoreError) {
    tracing::warn!(node, error = causes(error), "what is due on rails cannot be looked after; trying again");
}

/// The name of an event of a `FilecoinPayDeals`, as in the contract.
pub(crate) const fn order_event_name(event: &filecoin_pay_deals::Event) -> &'static str {
    match event {
        filecoin_pay_deals::Event::OrderOpened { .. } => "OrderOpened",
        filecoin_pay_deals::Event::OrderTaken { .. } => "OrderTaken",
        filecoin_pay_deals::Event::PriceDue { .. } => "PriceDue",
        filecoin_pay_deals::Event::PriceFreed { .. } => "PriceFreed",
        filecoin_pay_deals::Event::RailOpened { .. } => "RailOpened",
        filecoin_pay_deals::Event::RailClosing { .. } => "RailClosing",
        filecoin_pay_deals::Event::RailPaid { .. } => "RailPaid",
    }
}

/// The name of an event, as in the contract.
pub(crate) const fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Deposited { .. } => "Deposited",
        Event::Withdrawn { .. } => "Withdrawn",
        Event::JobOpened { .. } => "JobOpened",
        Event::JobLocked { .. } => "JobLocked",
        Event::ResultSubmitted { .. } => "ResultSubmitted",
        Event::JobDisputed { .. } => "JobDisputed",
        Event::JobSettled { .. } => "JobSettled",
        Event::JobCancelled { .. } => "JobCancelled",
        Event::JobSlashed { .. } => "JobSlashed",
        Event::JobVoided { .. } => "JobVoided",
        Event::CallbackDelivered { .. } => "CallbackDelivered",
        Event::CallbackFailed { .. } => "CallbackFailed",
        Event::BatchSettled { .. } => "BatchSettled",
        Event::BatchSkipped { .. } => "BatchSkipped",
        Event::SaltsRevoked { .. } => "SaltsRevoked",
        Event::SpecPublished { .. } => "SpecPublished",
        Event::Announced { .. } => "Announced",
    }
}
