//! A party: the node's agent, and what the simulator keeps beside it.

use lota_market::{
    Address, AttoFil, Time,
    agent::{Agent, At},
};

use crate::{
    chance::Chance,
    queue::VirtualTime,
    strategy::{ClientStrategy, ProviderStrategy},
};

pub(super) struct Party {
    pub(super) agent: Agent,
    pub(super) account: Address,
    /// Its place among the populations.
    pub(super) population: u16,
    pub(super) name: String,
    pub(super) chance: Chance,
    pub(super) role: Role,
    /// When its agent is called, if nothing happens before.
    pub(super) wake: Option<VirtualTime>,
    /// What it was told last: its free balance, and the newest block.
    pub(super) told: (AttoFil, At),
    /// The block whose finality it may wait for.
    pub(super) final_at: Option<u64>,
    /// How many jobs its agent holds when those that are over are taken from it.
    pub(super) sweep_at: usize,
    pub(super) began: AttoFil,
    pub(super) tally: Tally,
}

/// What happened to a party.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// What running jobs has cost it, in FIL.
    pub(super) cost: f64,
    pub(super) escrows: u64,
    pub(super) slashes: u64,
    pub(super) slashed: AttoFil,
    pub(super) settled: u64,
    /// What it was paid, in FIL.
    pub(super) paid: f64,
}

pub(super) enum Role {
    Client(Box<Client>),
    Provider(Box<Provider>),
    /// A further account of a client that bids against its own providers.
    Shill,
}

pub(super) struct Client {
    pub(super) strategy: Box<dyn ClientStrategy>,
    /// Tasks that it will want later.
    pub(super) to_come: u64,
    /// Tasks that it wants now and could not ask for yet: when it came to want each.
    pub(super) due: std::collections::VecDeque<VirtualTime>,
    pub(super) next_salt: u64,
    /// Jobs that are open or running, or on their way.
    pub(super) busy: u32,
    /// Escrow of jobs on their way.
    pub(super) committed: AttoFil,
    /// Its further accounts, if it bids against its own providers.
    pub(super) shills: Vec<u32>,
    /// It must keep what it has.
    pub(super) is_blocked: bool,
}

pub(super) struct Provider {
    pub(super) strategy: Box<dyn ProviderStrategy>,
    /// FIL a job.
    pub(super) cost: f64,
    /// FIL for 10^9 units of fuel.
    pub(super) cost_per_gigafuel: f64,
    /// 10^9 units of fuel a second.
    pub(super) speed: f64,
    /// How likely a run fails.
    pub(super) failure: f64,
}

impl Party {
    /// When its agent wants to be called.
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.agent.next_wake()
    }

    pub(super) fn client(&mut self) -> Option<&mut Client> {
        if let Role::Client(client) = &mut self.role { Some(client) } else { None }
    }

    /// Takes what is over from its agent, now and then: that is what the agent keeps its memory for.
    pub(super) fn sweep(&mut self) {
        if self.agent.len() >= self.sweep_at {
            drop(self.agent.take_changes());
            let kept = self.agent.len();
            self.sweep_at = (2 * kept).clamp(8, kept + 256);
        }
    }
}
