//! What a deployment fixes for ever.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{MAX_WINDOW, MIN_CALLBACK_RESERVE};
use crate::money::GWEI;

/// Settings of a deployment: `ILotaMarket.Settings`, field by field. Gas amounts are in the chain's own gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// What deals are paid in: zero for the chain's coin, else an ERC-20.
    pub asset: Address,
    /// What all amounts of terms are multiples of, in the asset's smallest unit.
    pub quantum: u64,
    /// The shortest run, review and ruling window, in seconds.
    pub min_window: u32,
    /// The largest `callback_gas` that terms may ask for.
    pub max_callback_gas: u32,
    /// Gas that must remain beside a callback, or a wallet's check of a signature.
    pub callback_reserve: u32,
    /// Gas given to a wallet to check a signature (ERC-1271).
    pub signature_gas: u32,
}

impl Settings {
    /// A market for the chain's coin, counted in gwei, whose windows may be as short as a minute, without callbacks; the gas
    /// amounts are Ethereum's.
    pub const COIN: Self = Self {
        asset: Address::ZERO,
        quantum: GWEI as u64,
        min_window: 60,
        max_callback_gas: 0,
        callback_reserve: 50_000,
        signature_gas: 100_000,
    };

    /// The first thing that is wrong with these settings; `None` when a market may be deployed with them.
    #[must_use]
    pub fn fault(&self, asset_has_code: bool) -> Option<SettingsFault> {
        if !self.asset.is_zero() && !asset_has_code {
            return Some(SettingsFault::Asset);
        }
        if self.quantum == 0 {
            return Some(SettingsFault::Quantum);
        }
        if self.min_window == 0 || u64::from(self.min_window) > MAX_WINDOW {
            return Some(SettingsFault::MinWindow);
        }
        if self.callback_reserve < MIN_CALLBACK_RESERVE {
            return Some(SettingsFault::CallbackReserve);
        }
        if self.signature_gas == 0 {
            return Some(SettingsFault::SignatureGas);
        }
        None
    }

    /// Whether a window of this many seconds is neither too short nor too long.
    pub(super) const fn allows_window(&self, seconds: u32) -> bool {
        self.min_window <= seconds && seconds as u64 <= MAX_WINDOW
    }

    /// Whether deals are paid in a token, not in the chain's coin.
    #[must_use]
    pub fn is_token(&self) -> bool {
        !self.asset.is_zero()
    }
}

/// What is wrong with settings, in the order in which it is checked; numbered as in `ILotaMarket.SettingsFault`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[repr(u8)]
pub enum SettingsFault {
    /// `asset` is neither zero nor a contract.
    #[error("the asset is neither the zero address (the chain's coin) nor a contract")]
    Asset,
    /// `quantum` is 0.
    #[error("the quantum is 0")]
    Quantum,
    /// `min_window` is out of bounds.
    #[error("the shortest window is 0 seconds, or longer than 90 days")]
    MinWindow,
    /// `callback_reserve` is below [`MIN_CALLBACK_RESERVE`].
    #[error("the callback reserve is below {min} gas, and could not cover what follows a callback", min = MIN_CALLBACK_RESERVE)]
    CallbackReserve,
    /// `signature_gas` is 0.
    #[error("wallets are given no gas to check signatures")]
    SignatureGas,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_refused_for_their_first_fault() {
        type Spoil = fn(&mut Settings);
        let token = Address::repeat_byte(1);
        let faults: [(SettingsFault, Spoil); 5] = [
            (SettingsFault::Asset, |settings| settings.asset = Address::repeat_byte(1)),
            (SettingsFault::Quantum, |settings| settings.quantum = 0),
            (SettingsFault::MinWindow, |settings| settings.min_window = 0),
            (SettingsFault::CallbackReserve, |settings| settings.callback_reserve = MIN_CALLBACK_RESERVE - 1),
            (SettingsFault::SignatureGas, |settings| settings.signature_gas = 0),
        ];
        for (number, (fault, spoil)) in faults.iter().enumerate() {
            let mut settings = Settings::COIN;
            spoil(&mut settings);
            assert_eq!(settings.fault(false), Some(*fault));
            faults[number..].iter().for_each(|(_, spoil)| spoil(&mut settings));
            assert_eq!(settings.fault(false), Some(*fault), "the first one is named");
        }
        let least =
            Settings { asset: token, quantum: 1, min_window: 90 * 86_400, callback_reserve: 20_000, ..Settings::COIN };
        assert_eq!((Settings::COIN.fault(false), least.fault(true)), (None, None));
        assert_eq!(Settings { min_window: 90 * 86_400 + 1, ..least }.fault(true), Some(SettingsFault::MinWindow));
    }
}
