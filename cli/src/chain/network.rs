//! Networks by name, and with what settings a market is deployed on them.

use alloy::primitives::address;
use lota_bridge::evm::Network;
use lota_market::{Address, agent::Offer, model::Settings};

/// The network of this name, for clap.
pub(crate) fn parse_network(name: &str) -> Result<Network, String> {
    let wanted = if name == "anvil" { Network::DEVELOPMENT.name } else { name };
    Network::named(wanted).ok_or_else(|| {
        let names = Network::ALL.map(|network| network.name).join(", ");
        format!("there is no such network; there are {names} (or anvil, the same as development)")
    })
}

/// The settings of a market on this network, unless others are asked for.
///
/// On development chains they are those of docs/contracts.md for Ethereum's gas, with windows from 1 s; on Filecoin a window
/// is at least two epochs, and the amounts are in FEVM's gas, of which a call costs some hundred times as much.
///
/// On FEVM what follows a callback took up to 5.6 M gas with 20,000 deals stored, and the largest wallet's check of a signature that
/// was measured 29 M.
pub(crate) const fn default_settings(network: &Network) -> Settings {
    if network.chain_id == Network::DEVELOPMENT.chain_id {
        return Settings {
            min_window: 1,
            max_callback_gas: 5_000_000,
            callback_reserve: 20_000,
            signature_gas: 200_000,
            ..Settings::COIN
        };
    }
    Settings {
        min_window: 60,
        max_callback_gas: 1_000_000_000,
        callback_reserve: 25_000_000,
        signature_gas: 60_000_000,
        ..Settings::COIN
    }
}

/// Where the published Filecoin Pay (v1.0.0) is on this network, if that is known: FilOzone's deployments.
pub(crate) const fn known_filecoin_pay(network: &Network) -> Option<Address> {
    match network.chain_id {
        id if id == Network::FILECOIN.chain_id => Some(address!("0x23b1e018F08BB982348b15a86ee926eEBf7F4DAa")),
        id if id == Network::CALIBRATION.chain_id => Some(address!("0x09a0fDc2723fAd1A7b8e3e00eE5DF73841df55a0")),
        _ => None,
    }
}

/// The shortest time to reveal bids in, in seconds, of an auction on this network, unless another one is asked for: for so long somebody
/// would have to keep all reveals out of the chain. On Filecoin 20 epochs.
pub(crate) const fn default_reveal_period(network: &Network) -> u32 {
    if network.chain_id == Network::DEVELOPMENT.chain_id { 10 } else { 600 }
}

/// What amounts in an asset of so many decimals are multiples of, unless something else is asked for: so that there are nine decimals at
/// most, and terms can hold some 280,000 of what has nine or more.
pub(crate) const fn default_quantum(decimals: u8) -> u64 {
    match 10_u64.checked_pow(decimals.saturating_sub(9) as u32) {
        Some(quantum) => quantum,
        None => u64::MAX,
    }
}

/// The most gas of a client's callback that a provider accepts on this network, unless its owner says otherwise: on development
/// chains what an offer says by itself, in FEVM's gas a hundred times that.
pub(crate) fn default_callback_gas(network: &Network) -> u32 {
    let usual = Offer::default().max_callback_gas;
    if Network::is_filecoin_id(network.chain_id) { usual.saturating_mul(100) } else { usual }
}

#[cfg(test)]
mod tests {
    use lota_market::agent::Pace;

    use super::*;

    #[test]
    fn a_quantum_leaves_nine_decimals_at_most() {
        assert_eq!([0, 6, 9, 10, 18].map(default_quantum), [1, 1, 1, 10, 1_000_000_000]);
        assert_eq!(default_quantum(255), u64::MAX);
    }

    #[test]
    fn networks_have_names_and_settings() {
        assert_eq!(parse_network("anvil"), Ok(Network::DEVELOPMENT));
        assert_eq!(parse_network("filecoin"), Ok(Network::FILECOIN));
        assert!(parse_network("mainnet").expect_err("unknown").contains("filecoin, calibration, filecoin-local"));
        assert_eq!(default_settings(&Network::FILECOIN).min_window, 60);
        assert_eq!(default_settings(&Network::DEVELOPMENT).min_window, 1);
        for network in Network::ALL {
            let (accepted, allowed) = (default_callback_gas(&network), default_settings(&network).max_callback_gas);
            assert!(accepted > 0 && accepted < allowed, "{}", network.name);
            assert_eq!(default_settings(&network).fault(false), None, "{}", network.name);
            // Where blocks take time, bids are opened when their sealing is final.
            let least = if network.block_time.is_zero() { Pace::INSTANT } else { Pace::FILECOIN }.opening();
            assert!(u64::from(default_reveal_period(&network)) >= least, "{}", network.name);
        }
    }
}
