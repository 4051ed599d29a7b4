//! What is said of the rails on which the party is paid over Filecoin Pay, or pays.

use lota_bridge::Cursor;
use lota_market::{
    AttoFil, Time,
    filecoin_pay_deals::{Event as Said, fee},
};

use super::EventLoop;
use crate::{
    observe,
    store::{Batch, StoreError},
};

impl EventLoop {
    /// Keeps an event of the `FilecoinPayDeals` that is about one of the party's rails, whether the agent still knows the job or not.
    pub(super) async fn keep_rail_event(
        &mut self,
        cursor: &Cursor,
        time: Time,
        event: &Said,
        batch: &mut Batch<'_>,
    ) -> Result<(), StoreError> {
        let me = self.parts.transport.party();
        let rail = match event {
            &Said::RailOpened { rail, payer, payee: provider } | &Said::OrderTaken { rail, payer, provider, .. } => {
                if [payer, provider].contains(&me) {
                    batch.add_rail(cursor, rail, payer, provider == me).await?;
                }
                return Ok(());
            }
            Said::PriceDue { rail, .. } | Said::RailPaid { rail, .. } | Said::RailClosing { rail, .. } => *rail,
            Said::OrderOpened { .. } | Said::PriceFreed { .. } => return Ok(()),
        };
        if !batch.add_rail_event(cursor, time, rail, event).await? {
            return Ok(());
        }
        let node = &self.parts.name;
        match event {
            Said::PriceDue { job, rail, price } => observe::price_due(node, *job, *rail, *price),
            Said::RailPaid { rail, amount } => {
                observe::rail_paid(node, *rail, *amount);
                if let Some(asset) = &self.parts.orders_asset {
                    let net = amount.saturating_sub(fee(*amount));
                    self.parts.metrics.collected(asset, AttoFil(net.saturating_to()));
                }
            }
            Said::RailClosing { rail, end_epoch } => observe::rail_closing(node, *rail, *end_epoch),
            _ => {}
        }
        Ok(())
    }
}
