//! What is said of orders that are paid over Filecoin Pay.

use lota_bridge::Cursor;
use lota_market::{
    Time,
    agent::{Effect, Input},
    filecoin_pay_deals::Event as Said,
    model::Event,
};

use super::EventLoop;
use crate::{
    observe,
    store::{Batch, StoreError},
};

impl EventLoop {
    /// An event of the `FilecoinPayDeals` beside the market.
    pub(super) async fn take_order_event(
        &mut self,
        cursor: &Cursor,
        time: Time,
        event: &Said,
        batch: &mut Batch<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        self.parts.metrics.order_event(event);
        self.keep_rail_event(cursor, time, event, batch).await?;
        let Some(job) = event.job() else { return Ok(()) };
        observe::event(&self.parts.name, job, observe::order_event_name(event));
        // That an order was opened is said before its job is, which is kept then.
        let is_kept = matches!(event, Said::OrderOpened { .. })
            || self.agent.knows(job)
            || self.records.get(job, batch).await?.is_some();
        if is_kept {
            batch.add_order_event(cursor, time, event).await?;
        }
        if self.agent.knows(job) {
            let input = Input::OrderEvent { block: cursor.block, time, event };
            effects.extend(self.agent.handle(input, self.now));
        }
        Ok(())
    }

    /// A job was opened: if it is an order's, the agent is told that now.
    pub(super) async fn tell_of_order(
        &mut self,
        event: &Event,
        batch: &mut Batch<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        let Event::JobOpened { job, terms, .. } = event else { return Ok(()) };
        let contract = self.parts.transport.filecoin_pay_deals().map(|deals| deals.contract);
        if contract != Some(terms.matcher) || !self.agent.knows(*job) {
            return Ok(());
        }
        for (at, event) in batch.order_events_of(*job).await? {
            let input = Input::OrderEvent { block: at.block, time: at.time, event: &event };
            effects.extend(self.agent.handle(input, self.now));
        }
        Ok(())
    }
}
