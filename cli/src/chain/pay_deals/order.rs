//! An order, and what the logs of both contracts say became of it.

use std::time::Instant;

use anyhow::bail;
use lota_bridge::transport::Head;
use lota_market::{
    AttoFil, Time, U256,
    agent::JobView,
    filecoin_pay_deals::{Event, Order},
    model::{self, JobId, Status},
};

use crate::chain::reading::Reading;

/// What both contracts said of one job.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Market(model::Event),
    Deals(Event),
}

/// An order, and what became of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderState {
    pub(crate) order: Order,
    pub(crate) view: JobView,
    /// Rail and price, once somebody took it.
    pub(crate) taken: Option<(U256, U256)>,
    /// Of the provider's collateral, what the payer is owed; in the market's asset.
    pub(crate) refund: AttoFil,
}

impl OrderState {
    /// What the events of one job add up to; none: no order was opened.
    fn fold<'a>(said: impl IntoIterator<Item = (Time, &'a Said)>) -> Option<Self> {
        let (mut opened, mut view) = (None, None::<JobView>);
        let (mut taken, mut refund) = (None, AttoFil::ZERO);
        for (time, said) in said {
            match said {
                Said::Market(event) => match (&mut view, event) {
                    (Some(view), event) => view.apply(event, time),
                    (none, model::Event::JobOpened { job, terms, spec }) => {
                        *none = Some(JobView::new(*job, terms.clone(), spec.clone(), Status::Open, time));
                    }
                    (None, _) => {}
                },
                Said::Deals(Event::OrderOpened { payer, provider, min_price, max_price, .. }) => {
                    opened = Some((*payer, *provider, *min_price, *max_price));
                }
                Said::Deals(Event::OrderTaken { rail, price, .. }) => taken = Some((*rail, *price)),
                Said::Deals(Event::PriceFreed { refund: owed, .. }) => refund = *owed,
                Said::Deals(_) => {}
            }
        }
        let ((payer, provider, min_price, max_price), view) = opened.zip(view)?;
        let order = Order { terms: view.terms.clone(), payer, provider, min_price, max_price };
        Some(Self { order, view, taken, refund })
    }
}

/// The order of a job, which is looked at as it goes on.
pub(crate) struct FollowedOrder {
    pub(super) job: JobId,
    pub(super) reading: Reading<Said>,
    /// Whether it was opened, as far as anybody knows: a reorganisation may undo that for a while.
    pub(super) is_opened: bool,
}

impl FollowedOrder {
    /// Whose order.
    pub(crate) const fn job(&self) -> JobId {
        self.job
    }

    /// What became of it, at the next block that there is, or at none if `until` passes first.
    ///
    /// # Errors
    /// When the node does not answer, or no such order was opened.
    pub(crate) async fn next(&mut self, until: Option<Instant>) -> anyhow::Result<Option<(OrderState, Head)>> {
        loop {
            let Some(head) = self.reading.advance_until(until).await? else { return Ok(None) };
            match OrderState::fold(self.reading.said()) {
                Some(state) => {
                    self.is_opened = true;
                    return Ok(Some((state, head)));
                }
                None if self.is_opened => {}
                None => bail!("{}", no_order(self.job)),
            }
        }
    }
}

pub(super) fn no_order(job: JobId) -> String {
    format!(
        "no order of job {job} was opened there; check the id, and name the block of its opening or an earlier one with --from-block"
    )
}

#[cfg(test)]
mod tests {
    use lota_market::{Address, B256, Bytes, model::JobResult};

    use super::*;

    fn terms() -> model::Terms {
        model::Terms {
            client: Address::repeat_byte(9),
            salt: U256::ZERO,
            spec: B256::ZERO,
            spec_codec: 0x71,
            min_price: AttoFil::ZERO,
            max_price: AttoFil::ZERO,
            ramp_start: Time(1_000),
            ramp_period: 1,
            lock_by: Time(2_000),
            run_for: 60,
            review_for: 0,
            rule_for: 0,
            collateral: AttoFil(100),
            matcher: Address::repeat_byte(9),
            arbiter: Address::ZERO,
            callback_gas: 100_000,
            keep_record: false,
        }
    }

    #[test]
    fn what_both_contracts_said_adds_up_to_an_order() {
        let job = JobId(B256::repeat_byte(1));
        let (payer, provider) = (Address::repeat_byte(2), Address::repeat_byte(3));
        let rail = U256::from(7);
        let opened = Said::Deals(Event::OrderOpened {
            job,
            payer,
            provider: Address::ZERO,
            min_price: U256::from(5),
            max_price: U256::from(9),
        });
        let at_market = Said::Market(model::Event::JobOpened { job, terms: terms(), spec: Bytes::new() });
        let taken = Said::Deals(Event::OrderTaken { job, payer, provider, rail, price: U256::from(6) });
        let result = JobResult { exit_code: 3, ..JobResult::default() };
        let submitted = Said::Market(model::Event::ResultSubmitted { job, provider, result });
        let freed = Said::Deals(Event::PriceFreed { job, rail, price: U256::from(6), refund: AttoFil(50) });
        let fold = |said: &[&Said]| OrderState::fold(said.iter().map(|said| (Time(1_000), *said)));
        assert_eq!(fold(&[]), None);
        assert_eq!(fold(&[&at_market]), None, "a job of the contract's that is no order of anybody's");
        let open = fold(&[&opened, &at_market]).expect("an order");
        assert_eq!((open.order.payer, open.order.max_price, open.view.status), (payer, U256::from(9), Status::Open));
        assert_eq!((open.taken, open.refund), (None, AttoFil::ZERO));
        let done = fold(&[&opened, &at_market, &taken, &submitted]).expect("an order");
        assert_eq!(done.taken, Some((rail, U256::from(6))));
        assert_eq!(done.view.result.map(|result| result.exit_code), Some(3));
        assert_eq!(fold(&[&opened, &at_market, &taken, &freed]).expect("an order").refund, AttoFil(50));
    }
}
