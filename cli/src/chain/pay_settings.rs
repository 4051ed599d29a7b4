//! What a `FilecoinPayDeals` was deployed with, and whether a provider could lose its pay by that: its code is the same whatever that is.

use alloy::primitives::address;
use lota_bridge::evm::{FilecoinPayDeals, Network, filecoin_pay_deals::Deployment};
use lota_market::Address;

use crate::units::Seconds;

/// FilecoinPayV1 v1.0.0, which nobody can change, on mainnet and on Calibration.
const FILECOIN_PAY: Address = address!("23b1e018F08BB982348b15a86ee926eEBf7F4DAa");
const FILECOIN_PAY_ON_CALIBRATION: Address = address!("09a0fDc2723fAd1A7b8e3e00eE5DF73841df55a0");

/// The shortest time between two blocks on this network, in seconds.
pub(crate) const fn epoch_seconds(network: &Network) -> u64 {
    if Network::is_filecoin_id(network.chain_id) { 30 } else { 1 }
}

/// The Filecoin Pay of this network, if it is known which one that is.
fn filecoin_pay(network: &Network) -> Option<Address> {
    match network.chain_id {
        id if id == Network::FILECOIN.chain_id => Some(FILECOIN_PAY),
        id if id == Network::CALIBRATION.chain_id => Some(FILECOIN_PAY_ON_CALIBRATION),
        _ => None,
    }
}

/// The least grace, in seconds: time to see a settled job's block final, to have its price paid, and to have that mended if it fails.
/// Where only this computer's users are nothing is undone.
const fn least_grace(network: &Network) -> u64 {
    if network.is_public() { 86_400 } else { 3_600 }
}

/// The least gas that its callbacks were seen to get by with. A callback that fails leaves the price of a settled job locked, not due.
const fn least_callback_gas(network: &Network) -> u32 {
    if Network::is_filecoin_id(network.chain_id) { 34_000_000 } else { 60_000 }
}

/// What it was deployed with that matters to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PaySettings {
    filecoin_pay: Address,
    epoch_seconds: u64,
    grace: u64,
    callback_gas: u32,
}

/// What would let a provider lose its pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayFault {
    #[error(
        "its EPOCH_SECONDS are {found}, and a block may come after {most} s here: prices would be unlocked before they can be paid; at most {most} are needed"
    )]
    EpochSeconds { found: u64, most: u64 },
    #[error(
        "its GRACE is {}, and whoever pays could end a rail before a settled job is paid; at least {} is needed",
        Seconds(*found),
        Seconds(*least)
    )]
    Grace { found: u64, least: u64 },
    #[error(
        "its callbackGas is {found}, too little for its callback, without which a settled job is not paid; at least {least} is needed"
    )]
    CallbackGas { found: u32, least: u32 },
    #[error("its FILECOIN_PAY is {found}, and Filecoin Pay is at {wanted} here: anybody may have written the other")]
    FilecoinPay { found: Address, wanted: Address },
    #[error("its FILECOIN_PAY is {found}, where there is no contract: nothing could ever be paid")]
    NoFilecoinPay { found: Address },
}

impl From<&FilecoinPayDeals> for PaySettings {
    fn from(deals: &FilecoinPayDeals) -> Self {
        let reference = deals.reference();
        Self {
            filecoin_pay: reference.filecoin_pay,
            epoch_seconds: deals.epoch_seconds(),
            grace: deals.grace(),
            callback_gas: reference.callback_gas,
        }
    }
}

impl From<&Deployment> for PaySettings {
    fn from(wanted: &Deployment) -> Self {
        let Deployment { callback_gas, filecoin_pay, epoch_seconds, grace, .. } = *wanted;
        Self { filecoin_pay, epoch_seconds, grace, callback_gas }
    }
}

impl PaySettings {
    /// What is wrong with them on this network. `has_filecoin_pay`: whether there is a contract where they say.
    ///
    /// # Errors
    /// The first thing.
    pub(crate) fn check(&self, network: &Network, has_filecoin_pay: bool) -> Result<(), PayFault> {
        let Self { filecoin_pay: found, epoch_seconds: epoch, grace, callback_gas } = *self;
        if let Some(wanted) = filecoin_pay(network).filter(|wanted| *wanted != found) {
            return Err(PayFault::FilecoinPay { found, wanted });
        }
        if !has_filecoin_pay {
            return Err(PayFault::NoFilecoinPay { found });
        }
        let (most, least) = (epoch_seconds(network), least_grace(network));
        if epoch > most {
            return Err(PayFault::EpochSeconds { found: epoch, most });
        }
        if grace < least {
            return Err(PayFault::Grace { found: grace, least });
        }
        let least = least_callback_gas(network);
        if callback_gas < least {
            return Err(PayFault::CallbackGas { found: callback_gas, least });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_let_a_provider_lose_its_pay_is_refused_on_each_network() {
        for network in Network::ALL {
            let (epoch_seconds, callback_gas) = (epoch_seconds(&network), least_callback_gas(&network));
            let (most, least) = (epoch_seconds, least_grace(&network));
            let other = Address::repeat_byte(7);
            let known = filecoin_pay(&network);
            assert_eq!(known.is_some(), network.is_public(), "{}", network.name);
            let good = PaySettings { filecoin_pay: known.unwrap_or(other), epoch_seconds, grace: least, callback_gas };
            assert_eq!(good.check(&network, true), Ok(()));
            for shorter in 1..most {
                assert_eq!(PaySettings { epoch_seconds: shorter, ..good }.check(&network, true), Ok(()));
            }
            let faults = [
                (PaySettings { epoch_seconds: most + 1, ..good }, PayFault::EpochSeconds { found: most + 1, most }),
                (PaySettings { epoch_seconds: u64::MAX, ..good }, PayFault::EpochSeconds { found: u64::MAX, most }),
                (PaySettings { grace: least - 1, ..good }, PayFault::Grace { found: least - 1, least }),
                (PaySettings { grace: 0, ..good }, PayFault::Grace { found: 0, least }),
                (
                    PaySettings { callback_gas: callback_gas - 1, ..good },
                    PayFault::CallbackGas { found: callback_gas - 1, least: callback_gas },
                ),
            ];
            for (settings, fault) in faults {
                assert_eq!(settings.check(&network, true), Err(fault));
            }
            let found = good.filecoin_pay;
            assert_eq!(good.check(&network, false), Err(PayFault::NoFilecoinPay { found }));
            let elsewhere = PaySettings { filecoin_pay: other, ..good }.check(&network, true);
            assert_eq!(elsewhere.err(), known.map(|wanted| PayFault::FilecoinPay { found: other, wanted }));
        }
    }

    #[test]
    fn errors_say_which_setting_which_value_and_what_is_needed() {
        for (fault, parts) in [
            (PayFault::Grace { found: 0, least: 86_400 }, ["GRACE is 0", "at least 1d"]),
            (PayFault::EpochSeconds { found: 60, most: 30 }, ["EPOCH_SECONDS are 60", "at most 30"]),
            (PayFault::CallbackGas { found: 1, least: 60_000 }, ["callbackGas is 1", "at least 60000"]),
        ] {
            let text = fault.to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }
}
