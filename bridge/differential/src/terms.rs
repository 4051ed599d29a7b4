//! Terms that are made up, most of them such that may be opened.

use lota_market::{
    Address, AttoFil, B256, Time, U256,
    model::{Lane, MAX_LOCK_AHEAD, MAX_WINDOW, SALT_WINDOW, Terms, lane_of, salt},
};
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::{
    chain::SETTINGS,
    comparison::Comparison,
    generator::{Generator, gwei},
    party::{Behaviour, GAUGE_GAS, Party, REENTRANT_GAS, REENTRANT_MIN, VERBOSE_GAS},
};

/// Amounts of callback gas about which it is known what every client does with them, the bounds of each among them. Those of
/// the recorder follow from its data's size: with 68 bytes of `onJobFailed`, 13 + 375 + 8 * 68 + 6 * 3 gas.
const CALLBACK_GAS: [u32; 17] = [
    1,
    15,
    16,
    17,
    18,
    21,
    22,
    25,
    REENTRANT_MIN,
    REENTRANT_GAS,
    GAUGE_GAS - 1,
    GAUGE_GAS,
    GAUGE_GAS + 1,
    100_000,
    VERBOSE_GAS - 1,
    VERBOSE_GAS,
    SETTINGS.max_callback_gas,
];
/// Only of the recorder: the reentrant client's own needs are not known that well.
const RECORDER_GAS: [u32; 2] = [949, 950];

impl Generator {
    /// Mostly the one that costs no slot of its own.
    pub(crate) fn lane(&mut self) -> Lane {
        self.pick(&[Lane::ZERO, Lane::ZERO, Lane::ZERO, Lane::ZERO, Lane::from(1), Lane::MAX])
    }

    /// A free salt, mostly among the lowest.
    fn free_salt(&mut self, both: &Comparison<'_>, client: Address) -> U256 {
        let lane = self.lane();
        let market = both.market();
        let (_, next) = lane_of(market.next_salt(client, lane));
        let ahead = if self.chance(15) { self.rng.random_range(0..SALT_WINDOW) } else { self.rng.random_range(0..3) };
        let mut number = next.saturating_add(ahead);
        let is_taken = |salt| market.is_spent(client, salt) || self.drafted.contains(&(client, salt));
        while is_taken(salt(lane, number)) && number < u64::MAX {
            number += 1;
        }
        let found = salt(lane, number);
        self.drafted.push((client, found));
        found
    }

    /// A salt that is spent, at the end of the window, or beyond it.
    pub(crate) fn odd_salt(&mut self, both: &Comparison<'_>, client: Address) -> U256 {
        let lane = self.lane();
        let (_, next) = lane_of(both.market().next_salt(client, lane));
        match self.rng.random_range(0..8) {
            0 => salt(lane, u64::MAX),
            1 => U256::MAX,
            2 => salt(lane, next.saturating_sub(1)),
            3 => salt(lane, self.rng.random()),
            _ => salt(lane, next.saturating_add(self.pick(&[0, 1, SALT_WINDOW - 1, SALT_WINDOW, SALT_WINDOW + 1]))),
        }
    }

    pub(crate) fn terms(&mut self, both: &Comparison<'_>, at: Time, client: &Party) -> Terms {
        let salt =
            if self.chance(88) { self.free_salt(both, client.address) } else { self.odd_salt(both, client.address) };
        let max = self.rng.random_range(0..2_000);
        let arbiter = if self.chance(35) { Address::ZERO } else { self.party(both).address };
        let min_window = SETTINGS.min_window;
        let longest = u32::try_from(MAX_WINDOW).unwrap_or(u32::MAX);
        let window = |generator: &mut Self| match generator.rng.random_range(0..20) {
            0 => longest,
            1..5 => min_window,
            _ => generator.rng.random_range(min_window..200),
        };
        let reviewed = !arbiter.is_zero() || self.chance(2);
        let lock_by = match self.rng.random_range(0..30) {
            0 => at.after(MAX_LOCK_AHEAD),
            1 => at.after(MAX_LOCK_AHEAD + 1),
            2 => at,
            _ => at.after(self.rng.random_range(1..200)),
        };
        Terms {
            client: client.address,
            salt,
            spec: B256::from_slice(&Sha256::digest(self.spec_bytes())),
            spec_codec: self.pick(&[0x71, 0x55]),
            min_price: gwei(self.rng.random_range(0..=max)),
            max_price: gwei(max),
            ramp_start: if self.chance(85) {
                Time(at.0.saturating_sub(self.rng.random_range(0..60)))
            } else {
                at.after(self.rng.random_range(0..30)).min(lock_by)
            },
            ramp_period: if self.chance(5) { u64::MAX } else { self.rng.random_range(1..100) },
            lock_by,
            run_for: window(self),
            review_for: if reviewed { window(self) } else { 0 },
            rule_for: if reviewed { window(self) } else { 0 },
            collateral: if self.chance(20) { AttoFil::ZERO } else { gwei(self.rng.random_range(0..500)) },
            matcher: if self.chance(65) { Address::ZERO } else { self.party(both).address },
            arbiter,
            callback_gas: self.callback_gas(client),
            keep_record: self.chance(20),
        }
    }

    fn callback_gas(&mut self, client: &Party) -> u32 {
        // Calls of accounts without code are all the same.
        if self.chance(if client.behaviour.is_some() { 20 } else { 70 }) {
            return 0;
        }
        // Running for long takes the EVM long, too.
        let dear = matches!(client.behaviour, Some(Behaviour::Looping));
        if client.behaviour == Some(Behaviour::Recorder) && self.chance(40) {
            return self.pick(&RECORDER_GAS);
        }
        if client.behaviour == Some(Behaviour::Scripted) && self.chance(85) {
            return SETTINGS.max_callback_gas;
        }
        let gas = self.pick(&CALLBACK_GAS);
        if dear { gas.min(100_000) } else { gas }
    }

    /// The bytes of the spec that goes with all terms that are made up here.
    pub(crate) const fn spec_bytes(&self) -> &'static [u8] {
        b"{\"a spec\": \"of some job\"}"
    }
}
