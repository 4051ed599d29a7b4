//! Blocks for a development chain while deals wait for time to pass, though nobody sends anything.
//!
//! The market's time is that of blocks. A chain of one's own that mines only for transactions would never reach a deadline;
//! one that mines every second grows for ever while nobody uses it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use lota_bridge::evm::{Chain, RpcError, bindings, chain::Filter};
use lota_market::{
    Address, Time,
    agent::JobView,
    model::{Event, JobId, Status},
};
use serde_json::Value;

/// Between looks at the chain.
const LOOK: Duration = Duration::from_secs(1);
/// Between blocks while time matters.
const QUICK: Duration = Duration::from_secs(1);
/// Between blocks otherwise.
const IDLE: Duration = Duration::from_secs(60);
/// How long after the last event time still matters: nodes try again what failed.
const AFTERGLOW: u64 = 120;
/// How long after a deal's deadline somebody may still wait for a block, in seconds.
const GRACE: u64 = 30;

/// What is known of the deals whose deadlines are to come.
#[derive(Debug, Default)]
struct Deadlines {
    deals: HashMap<JobId, JobView>,
    last_event: Time,
}

impl Deadlines {
    fn take(&mut self, event: &Event, time: Time) {
        self.last_event = self.last_event.max(time);
        if let Event::JobOpened { job, terms, spec: _ } = event {
            let view = JobView::new(*job, terms.clone(), lota_market::Bytes::new(), Status::Open, time);
            self.deals.insert(*job, view);
        } else if let Some(job) = event.job()
            && let Some(view) = self.deals.get_mut(&job)
        {
            view.apply(event, time);
        }
    }

    /// How long after the last block the next one is due.
    fn due(&mut self, now: Time) -> Duration {
        self.deals.retain(|_, deal| deal.deadline().is_some_and(|deadline| deadline.after(GRACE) >= now));
        if self.deals.is_empty() && now.since(self.last_event) > AFTERGLOW { IDLE } else { QUICK }
    }
}

/// Mines blocks for the market, or what is beside it, at `contract` as long as it is not dropped.
pub(super) async fn keep(chain: Chain, contract: Address, first_block: u64) {
    let filter = Filter { addresses: vec![contract], topics: vec![] };
    let (mut deadlines, mut next, mut newest) = (Deadlines::default(), first_block, (0, Instant::now()));
    loop {
        if let Err(error) = look(&chain, &filter, &mut deadlines, &mut next, &mut newest).await {
            tracing::debug!(%error, "the development chain cannot be looked at");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks once; `next` is the first block that was not read yet, `newest` the latest one and when it was first seen.
async fn look(
    chain: &Chain,
    filter: &Filter,
    deadlines: &mut Deadlines,
    next: &mut u64,
    newest: &mut (u64, Instant),
) -> Result<(), RpcError> {
    let head = chain.newest().await?;
    if head.number() != newest.0 {
        *newest = (head.number(), Instant::now());
    }
    if *next <= head.number() {
        for log in chain.logs(filter, *next, head.number()).await? {
            let time = log.time().unwrap_or_else(|| head.time());
            match bindings::decode(&log.topics, &log.data) {
                Ok(event) => deadlines.take(&event, time),
                // Of another contract: something has happened.
                Err(_) => deadlines.last_event = deadlines.last_event.max(time),
            }
        }
        *next = head.number() + 1;
    }
    // Time passes on the clock, also without blocks.
    let now = head.time().after(newest.1.elapsed().as_secs());
    if newest.1.elapsed() >= deadlines.due(now) {
        chain.request::<_, Value>("evm_mine", ()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lota_market::{
        AttoFil, B256, U256,
        model::{Reason, Terms},
    };

    use super::*;

    fn opened(job: u8) -> Event {
        let terms = Terms {
            client: Address::repeat_byte(1),
            salt: U256::ZERO,
            spec: B256::ZERO,
            spec_codec: 0x55,
            min_price: AttoFil::ZERO,
            max_price: AttoFil::ZERO,
            ramp_start: Time(1000),
            ramp_period: 1,
            lock_by: Time(5000),
            run_for: 60,
            review_for: 0,
            rule_for: 0,
            collateral: AttoFil::ZERO,
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 0,
            keep_record: false,
        };
        Event::JobOpened { job: JobId(B256::repeat_byte(job)), terms, spec: lota_market::Bytes::new() }
    }

    #[test]
    fn blocks_come_quickly_while_a_deadline_is_to_come_and_seldom_otherwise() {
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.due(Time(1000)), IDLE, "nothing ever happened");
        deadlines.take(&opened(1), Time(1000));
        deadlines.take(&opened(2), Time(1000));
        assert_eq!(deadlines.due(Time(4000)), QUICK, "they can still be locked");
        let (job, account) = (JobId(B256::repeat_byte(1)), Address::repeat_byte(1));
        deadlines.take(&Event::JobCancelled { job, reason: Reason::Withdrawn }, Time(4000));
        assert_eq!(deadlines.due(Time(5030)), QUICK, "the other one may be expired now");
        assert_eq!(deadlines.due(Time(5031)), IDLE, "and if nobody does, that is that");
        assert!(deadlines.deals.is_empty());
        let event = Event::Deposited { account, payer: account, amount: AttoFil(1) };
        deadlines.take(&event, Time(6000));
        assert_eq!(deadlines.due(Time(6120)), QUICK, "something has just happened");
        assert_eq!(deadlines.due(Time(6121)), IDLE);
    }
}
