//! What the loop asks the chain about money: the party's free balance, what it has for gas, and what gas costs.

use lota_bridge::Update;
use lota_market::{
    AttoFil,
    agent::{Effect, Input},
    model::{Event, JobId},
};

use super::{EventLoop, intake::Incoming};

/// What gas costs is asked this often, in seconds of the market's time.
const PRICE_GAS_EVERY: u64 = 60;
/// The free balance is asked for at least this often, in seconds of the market's time.
const WEIGH_EVERY: u64 = 600;

impl EventLoop {
    /// Asks, when time has passed, for what may have changed since it was asked.
    pub(super) async fn look_at_money(&mut self) -> Vec<Effect> {
        let is_due = self.money_moved || self.now.since(self.weighed) > WEIGH_EVERY;
        let mut effects = if is_due { self.refresh_balance().await } else { Vec::new() };
        effects.extend(self.price_gas().await);
        if self.parts.health.is_short_of_gas()
            && let Ok(wallet) = self.parts.transport.wallet(self.parts.transport.party()).await
        {
            self.parts.health.has_outside(wallet);
        }
        effects
    }

    /// Whether an update may change the party's free balance, but for collateral: the agent counts what it stakes itself.
    pub(super) fn moves_money(&self, incoming: &Incoming) -> bool {
        let Incoming::Update(update) = incoming else { return false };
        let event = match &**update {
            Update::Event { event, .. } => event,
            Update::Rewind { .. } => return true,
            // What the auction does to a balance, the market says, too.
            Update::Auction { .. } | Update::FilecoinPayDeals { .. } | Update::Head { .. } => return false,
        };
        let me = self.parts.transport.party();
        let terms = |job: &JobId| self.agent.job(*job).map(|job| &job.view.terms);
        let is_partys =
            |job: &JobId| terms(job).is_some_and(|terms| [terms.client, terms.arbiter, terms.matcher].contains(&me));
        match event {
            Event::Deposited { account, .. } | Event::Withdrawn { account, .. } => *account == me,
            Event::JobOpened { terms, .. } => terms.client == me,
            Event::JobSettled { job, provider, .. }
            | Event::JobSlashed { job, provider, .. }
            | Event::JobVoided { job, provider, .. } => *provider == me || is_partys(job),
            Event::JobCancelled { job, .. } => is_partys(job),
            Event::BatchSettled { client, provider, .. } => [*client, *provider].contains(&me),
            _ => false,
        }
    }

    /// Asks now and then what gas costs, and for callbacks' gas a multiple of that. A chain that does not answer changes nothing.
    pub(super) async fn price_gas(&mut self) -> Vec<Effect> {
        let Some(margin) = self.parts.callback_margin.filter(|_| self.parts.provides) else { return Vec::new() };
        if self.gas_priced.is_some_and(|asked| self.now.since(asked) < PRICE_GAS_EVERY) {
            return Vec::new();
        }
        let Ok(price) = self.parts.transport.gas_price().await else { return Vec::new() };
        self.gas_priced = Some(self.now);
        let per_megagas = AttoFil(price.0.saturating_mul(u128::from(margin)).saturating_mul(1_000_000));
        self.parts.health.set_callback_price(per_megagas);
        self.agent.handle(Input::CallbackPrice(per_megagas), self.now)
    }

    pub(super) async fn refresh_balance(&mut self) -> Vec<Effect> {
        if self.parts.provides
            && let Ok(free) = self.parts.transport.balance(self.parts.transport.party()).await
        {
            (self.money_moved, self.weighed) = (false, self.now);
            return self.agent.handle(Input::Balance(free), self.now);
        }
        Vec::new()
    }
}
