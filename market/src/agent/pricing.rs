//! A provider's cost model: what a job's limits cost it.

use alloy_primitives::U512;
use serde::{Deserialize, Serialize};

use super::Resources;
use crate::{
    AttoFil,
    model::Settings,
    spec::{Engine, ValidatedSpec},
};

/// Units of fuel that [`Pricing::per_gigafuel`] is for.
const GIGAFUEL: u64 = 1_000_000_000;
/// Units of gas that [`Pricing::per_megagas`] is for.
const MEGAGAS: u64 = 1_000_000;
const HOUR: u64 = 3_600;
/// Thousandths of a processor times seconds.
const CPU_HOUR: u64 = 1_000 * HOUR;
const GIB: u64 = 1 << 30;
/// A multiple of all that rates are divided by, so that a sum of shares is exact: 2^34 3^2 5^9.
const COMMON: u64 = (1 << 34) * 9 * 1_953_125;
const _: () = assert!(
    COMMON.is_multiple_of(GIGAFUEL)
        && COMMON.is_multiple_of(MEGAGAS)
        && COMMON.is_multiple_of(CPU_HOUR)
        && COMMON.is_multiple_of(GIB * HOUR)
);

/// By how many GiB of memory one processor is outweighed when the cost of a machine is shared out: what clouds ask for the one and
/// the other differs by about so much.
const GIB_OF_A_CPU: u64 = 8;
/// The same of a graphics processor: sixteen processors.
const GIB_OF_A_GPU: u64 = 16 * GIB_OF_A_CPU;

/// A provider's cost model: how it computes what a job costs it, and so what it asks for it and bids for it, from the limits that the
/// spec names. Time is what the job may take at most ([`Usage::seconds`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pricing {
    /// For every job.
    pub base: AttoFil,
    /// For each 10^9 units of fuel that the job may use: the processor's time of an engine that counts fuel.
    pub per_gigafuel: AttoFil,
    /// For a processor that it has for an hour, of an engine that counts no fuel.
    pub per_cpu_hour: AttoFil,
    /// For a GiB of memory that it may use for an hour.
    pub per_gib_hour: AttoFil,
    /// For each GiB of output that it may write: it is kept, and sent to the client.
    pub per_gib_output: AttoFil,
    /// For a graphics processor that it has for an hour.
    pub per_gpu_hour: AttoFil,
    /// For each 10^6 units of gas that whoever ends the deal must have ready for the client's callback: that is this provider,
    /// whether the callback uses them or not. Nodes keep it at what gas costs on the market's chain, with a margin.
    pub per_megagas: AttoFil,
    /// What is added to all of this but the gas, in percent.
    pub margin: u32,
}

impl Default for Pricing {
    /// 0.001 FIL a job and small change for what it uses.
    fn default() -> Self {
        Self {
            base: AttoFil::from_gwei(1_000_000),
            per_gigafuel: AttoFil::from_gwei(10_000),
            per_cpu_hour: AttoFil::from_gwei(4_000_000),
            per_gib_hour: AttoFil::from_gwei(500_000),
            per_gib_output: AttoFil::from_gwei(100_000),
            per_gpu_hour: AttoFil::from_gwei(64_000_000),
            ..Self::flat(AttoFil::ZERO)
        }
    }
}

/// What a job may use of a provider's machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Units of fuel, of an engine that counts it.
    pub fuel: u64,
    /// Thousandths of a processor, of an engine that counts no fuel; 0 of one that does.
    pub cpu_millis: u64,
    /// Bytes.
    pub memory: u64,
    /// Bytes.
    pub output: u64,
    /// Whole graphics processors.
    pub gpus: u32,
    /// How long it may take: until its fuel is burned at the machine's rate, and no longer than its wall limit.
    pub seconds: u64,
}

impl Usage {
    /// What a spec allows its job. `fuel_per_second`: the machine's rate; 0: not known, so that the wall limit counts.
    #[must_use]
    pub fn of(spec: &ValidatedSpec, fuel_per_second: u64) -> Self {
        let limits = spec.limits();
        let Resources { cpu_millis, memory_bytes, gpus, .. } = Resources::of(spec);
        let (fuel, cpu_millis, seconds) = match spec.engine() {
            Engine::Wasm { .. } => {
                let burning = if fuel_per_second == 0 { limits.wall } else { limits.fuel.div_ceil(fuel_per_second) };
                (limits.fuel, 0, burning.min(limits.wall))
            }
            // Its fuel is processor time, which is paid for as such.
            Engine::Docker { .. } => (0, cpu_millis, limits.wall),
        };
        Self { fuel, cpu_millis, memory: memory_bytes, output: limits.output, gpus, seconds }
    }
}

impl Pricing {
    /// The same price for every job.
    #[must_use]
    pub const fn flat(base: AttoFil) -> Self {
        Self {
            base,
            per_gigafuel: AttoFil::ZERO,
            per_cpu_hour: AttoFil::ZERO,
            per_gib_hour: AttoFil::ZERO,
            per_gib_output: AttoFil::ZERO,
            per_gpu_hour: AttoFil::ZERO,
            per_megagas: AttoFil::ZERO,
            margin: 0,
        }
    }

    /// The same with each rate, but not the margin, replaced by what `rate` makes of it.
    #[must_use]
    pub fn map(self, rate: impl Fn(AttoFil) -> AttoFil) -> Self {
        Self {
            base: rate(self.base),
            per_gigafuel: rate(self.per_gigafuel),
            per_cpu_hour: rate(self.per_cpu_hour),
            per_gib_hour: rate(self.per_gib_hour),
            per_gib_output: rate(self.per_gib_output),
            per_gpu_hour: rate(self.per_gpu_hour),
            per_megagas: rate(self.per_megagas),
            margin: self.margin,
        }
    }

    /// The same for a machine that costs so much an hour: who sells all that it has for jobs, `machine`, for an hour gets that. The
    /// cost is shared out among processors, memory and graphics processors by what clouds ask for them (a processor is worth 8 GiB
    /// of memory, a graphics processor 16 processors). `fuel_per_second`: of one processor; 0: not known, and the price of
    /// fuel stays.
    #[must_use]
    pub fn covering(self, per_hour: AttoFil, machine: &Resources, fuel_per_second: u64) -> Self {
        // In 1,000ths of a byte of memory, so that nothing is lost.
        let wide = U512::from::<u64>;
        let gib = wide(1_000) * wide(GIB);
        let whole = wide(GIB_OF_A_CPU) * wide(machine.cpu_millis) * wide(GIB)
            + wide(1_000) * wide(machine.memory_bytes)
            + wide(GIB_OF_A_GPU) * wide(machine.gpus.into()) * gib;
        if whole.is_zero() {
            return self;
        }
        let share = |weight: u64| narrow((U512::from(per_hour.0) * wide(weight) * gib).div_ceil(whole));
        let per_cpu_hour = share(GIB_OF_A_CPU);
        let an_hour = U512::from(fuel_per_second) * wide(HOUR);
        let per_gigafuel = if an_hour.is_zero() {
            self.per_gigafuel
        } else {
            narrow((U512::from(per_cpu_hour.0) * wide(GIGAFUEL)).div_ceil(an_hour))
        };
        Self { per_gigafuel, per_cpu_hour, per_gib_hour: share(1), per_gpu_hour: share(GIB_OF_A_GPU), ..self }
    }

    /// What a job costs, with the margin and the gas of its callback: rounded once, up to a whole quantum; what no amount can be is
    /// the largest one, which nobody pays. `callback_gas`: what the job's terms promise to the client.
    #[must_use]
    pub fn asking(&self, settings: &Settings, usage: &Usage, callback_gas: u32) -> AttoFil {
        let Usage { fuel, cpu_millis, memory, output, gpus, seconds } = *usage;
        // Amounts have 128 bits, each count 64, the common denominator 59, the margin 33: nothing exceeds 512.
        let share = |rate: AttoFil, amount: u64, time: u64, unit: u64| {
            U512::from(rate.0) * U512::from(amount) * U512::from(time) * U512::from(COMMON / unit)
        };
        let machine = share(self.base, 1, 1, 1)
            + share(self.per_gigafuel, fuel, 1, GIGAFUEL)
            + share(self.per_cpu_hour, cpu_millis, seconds, CPU_HOUR)
            + share(self.per_gib_hour, memory, seconds, GIB * HOUR)
            + share(self.per_gib_output, output, 1, GIB)
            + share(self.per_gpu_hour, gpus.into(), seconds, HOUR);
        let gas = share(self.per_megagas, gas_ready(settings, callback_gas), 1, MEGAGAS);
        let hundredths = machine * U512::from(100 + u64::from(self.margin)) + gas * U512::from(100);
        let quantum = U512::from(settings.quantum.max(1));
        let quanta = hundredths.div_ceil(U512::from(COMMON) * U512::from(100) * quantum);
        // The largest amount may be no whole number of quanta: it is none that anybody offers.
        narrow(quanta * quantum)
    }
}

fn narrow(amount: U512) -> AttoFil {
    AttoFil(amount.try_into().unwrap_or(u128::MAX))
}

/// The gas that must be left when a callback is made, so that it gets what it was promised: 63/64 of it are passed on (EIP-150), and
/// what follows needs the market's reserve.
fn gas_ready(settings: &Settings, callback_gas: u32) -> u64 {
    match u64::from(callback_gas) {
        0 => 0,
        gas => gas + gas / 63 + 1 + u64::from(settings.callback_reserve),
    }
}

#[cfg(test)]
mod tests;
