//! How time passes on a network, and how much of it may be undone.

use serde::{Deserialize, Serialize};

use crate::AttoFil;

/// Blocks until a command that is sent now is seen to have landed: one until it is included, one more where a block is executed
/// with the next one (Lotus), and two null rounds.
const LANDING_BLOCKS: u64 = 4;
/// How long a job may be locked where blocks come at once, in seconds.
const LOCK_FOR: u64 = 120;
/// The same in multiples of the market's shortest window.
const LOCK_WINDOWS: u64 = 10;
/// Time to run beyond a job's wall limit where blocks come at once, in seconds: fetching and publication.
const RUN_MARGIN: u64 = 60;
/// How long a person waits for a job to be opened where blocks come at once, in seconds.
const PATIENCE: u64 = 120;
/// How long clients have bids sealed beyond what that needs on chain, in seconds: providers fetch what the job needs first.
const SEAL_FOR: u64 = 60;
/// How long clients have bids opened, and then awarded, at least, in seconds.
const AUCTION_PHASE: u64 = 30;
/// The longest pause between two attempts, in seconds; two epochs, if that is longer.
const MAX_BACKOFF: u64 = 60;
/// How long the event of a command that landed may stay away before the command is submitted again, in seconds; two epochs, if
/// that is longer.
const RECHECK: u64 = 30;

/// One policy for each network: what providers need to be safe, what clients offer, and how long everybody waits follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Seconds from one block to the next; 0: a block comes as soon as there is something to put into it.
    pub epoch: u64,
    /// How many blocks a reorganisation may undo while everybody still meets their deadlines.
    pub undo_depth: u64,
    /// Within how many blocks a block is expected to be final: a bidder waits for that before it opens a bid. That a block *is*
    /// final, the chain's node says (its `finalized` block); this only says how much time to ask for.
    pub final_blocks: u64,
    /// From this price on a result is sent only when its lock lies `undo_depth` blocks deep: who has seen the result and has it
    /// undone together with the lock could take the job, and the price, over.
    pub careful_from: Option<AttoFil>,
}

impl Pace {
    /// Blocks come at once, and none is undone: the market in memory, Anvil.
    pub const INSTANT: Self = Self { epoch: 0, undo_depth: 0, final_blocks: 0, careful_from: None };
    /// Filecoin's main and test network. More than five epochs are undone only when something is very wrong. F3 (FRC-0089) finalises a
    /// block within a few epochs; ten leave room for rounds that fail. While F3 stands still, nothing is final for 900 epochs: to wait
    /// for that, auctions would have to take eight hours.
    pub const FILECOIN: Self =
        Self { epoch: 30, undo_depth: 5, final_blocks: 10, careful_from: Some(AttoFil::from_gwei(10_000_000_000)) };

    /// Seconds until a command that is sent now is seen to have landed, however the rounds fall.
    #[must_use]
    pub const fn landing(&self) -> u64 {
        self.epoch.saturating_mul(LANDING_BLOCKS)
    }

    /// Seconds to see that what landed was undone, and to have landed it again.
    #[must_use]
    pub const fn landing_again(&self) -> u64 {
        self.epoch.saturating_mul(self.undo_depth.saturating_add(LANDING_BLOCKS))
    }

    /// The shortest window in which a party is safe, in seconds.
    #[must_use]
    pub fn min_window(&self) -> u32 {
        u32::try_from(self.landing_again()).unwrap_or(u32::MAX).max(1)
    }

    /// How long a job may be locked unless the client says otherwise, in seconds. `min_window`: the market's own.
    #[must_use]
    pub fn lock_for(&self, min_window: u32) -> u64 {
        let by_market = u64::from(min_window).saturating_mul(LOCK_WINDOWS);
        LOCK_FOR.max(by_market).max(self.landing_again().saturating_add(self.landing()))
    }

    /// What a run window has beyond the job's wall limit unless the client says otherwise, in seconds.
    #[must_use]
    pub const fn run_margin(&self) -> u64 {
        RUN_MARGIN.saturating_add(self.landing_again())
    }

    /// How long to wait for a command of a person to be seen on the market, in seconds.
    #[must_use]
    pub const fn patience(&self) -> u64 {
        PATIENCE.saturating_add(self.landing_again())
    }

    /// What the phase of an auction in which bids are sealed must have left for a bidder, in seconds: time to bring its money, and to
    /// see its bid undone and sealed again.
    #[must_use]
    pub const fn sealing(&self) -> u64 {
        at_least_a_second(self.landing().saturating_add(self.landing_again()))
    }

    /// The shortest phase in which a bidder can open its bid, in seconds: it waits until the last block of the phase before is
    /// final.
    #[must_use]
    pub const fn opening(&self) -> u64 {
        at_least_a_second(self.epoch.saturating_mul(self.final_blocks).saturating_add(self.landing_again()))
    }

    /// The shortest time to award a job, in seconds.
    #[must_use]
    pub const fn awarding(&self) -> u64 {
        at_least_a_second(self.landing_again())
    }

    /// How long a client has bids sealed, opened and awarded unless it says otherwise, in seconds. `min_reveal_period`: the
    /// auction's own.
    #[must_use]
    pub fn auction_phases(&self, min_reveal_period: u32) -> [u64; 3] {
        let opening = self.opening().max(AUCTION_PHASE).max(u64::from(min_reveal_period));
        [self.sealing().saturating_add(SEAL_FOR), opening, self.awarding().max(AUCTION_PHASE)]
    }

    /// Whether the result of a job with this price waits until its lock lies deep.
    #[must_use]
    pub fn is_careful(&self, price: AttoFil) -> bool {
        self.undo_depth > 0 && self.careful_from.is_some_and(|from| price >= from)
    }

    /// Seconds from a failed attempt to the next, after this many.
    pub(super) fn backoff(&self, attempts: u32) -> u64 {
        let first = (self.epoch / 4).max(1);
        let seconds = first.saturating_mul(1u64 << attempts.saturating_sub(1).min(6));
        seconds.min(MAX_BACKOFF.max(self.epoch.saturating_mul(2)))
    }

    /// Seconds until it is looked again whether the payer of an order can pay for it, after so many attempts.
    pub(super) fn unpaid(&self, attempts: u32) -> u64 {
        self.recheck().saturating_mul(1 << attempts.saturating_sub(1).min(6))
    }

    /// Seconds from a command that landed without its event to its repetition.
    pub(super) fn recheck(&self) -> u64 {
        RECHECK.max(self.epoch.saturating_mul(2))
    }
}

const fn at_least_a_second(seconds: u64) -> u64 {
    if seconds == 0 { 1 } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_blocks_come_at_once_the_terms_are_short() {
        let pace = Pace::INSTANT;
        assert_eq!((pace.lock_for(1), pace.run_margin(), pace.patience()), (120, 60, 120));
        assert_eq!((pace.min_window(), pace.landing_again(), pace.recheck()), (1, 0, 30));
        assert_eq!((1..=9).map(|n| pace.backoff(n)).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!pace.is_careful(AttoFil(u128::MAX)));
    }

    #[test]
    fn on_filecoin_a_result_can_be_landed_again_after_five_epochs_are_undone() {
        let pace = Pace::FILECOIN;
        assert_eq!((pace.landing(), pace.landing_again(), pace.min_window()), (120, 270, 270));
        assert_eq!((pace.lock_for(60), pace.run_margin(), pace.patience()), (600, 330, 390));
        assert_eq!((1..=5).map(|n| pace.backoff(n)).collect::<Vec<_>>(), [7, 14, 28, 56, 60]);
        // Ten epochs until the phase before is final, and nine to land.
        assert_eq!(pace.opening(), 570);
        assert_eq!(Pace { final_blocks: 900, ..pace }.opening(), 27_270);
        let from = pace.careful_from.expect("it has one");
        assert!(pace.is_careful(from) && !pace.is_careful(AttoFil(from.0 - 1)));
    }
}
