//! Salts: each lane of a client is a window of numbers that slides on as they are spent.

use alloy_primitives::{Address, U256, aliases::U192};
use serde::{Deserialize, Serialize};

use super::{Rejection, SALT_WINDOW, market::Checked};

/// The number of a lane: the highest 192 bits of its salts.
pub type Lane = U192;

/// The salt of a number in a lane.
#[must_use]
pub fn salt(lane: Lane, number: u64) -> U256 {
    (U256::from(lane) << 64) | U256::from(number)
}

/// The lane of a salt, and its number there.
#[must_use]
pub const fn lane_of(salt: U256) -> (Lane, u64) {
    let [number, low, middle, high] = salt.into_limbs();
    (Lane::from_limbs([low, middle, high]), number)
}

/// Which salts of a lane are spent: all below `next`, and of the [`SALT_WINDOW`] numbers from there on those whose bit is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Window {
    /// The lowest number that is not spent.
    pub(super) next: u64,
    /// Bit i: whether `next + i` is spent. The lowest is never set.
    spent: u64,
}

impl Window {
    pub(super) const UNUSED: Self = Self { next: 0, spent: 0 };

    pub(super) const fn is_spent(self, number: u64) -> bool {
        match number.checked_sub(self.next) {
            None => true,
            Some(ahead) => ahead < SALT_WINDOW && self.spent >> ahead & 1 == 1,
        }
    }

    /// Refuses a salt that cannot be spent.
    pub(super) fn check(self, client: Address, salt: U256) -> Checked {
        let (lane, number) = lane_of(salt);
        if self.is_spent(number) {
            return Err(Rejection::SaltSpent { client, salt });
        }
        if number - self.next >= SALT_WINDOW || number == u64::MAX {
            return Err(Rejection::SaltTooFar { client, salt, next: self::salt(lane, self.next) });
        }
        Ok(())
    }

    /// With a number spent that passed the [check](Self::check).
    pub(super) const fn with_spent(self, number: u64) -> Self {
        let ahead = number.saturating_sub(self.next);
        debug_assert!(ahead < SALT_WINDOW, "the number lies beyond the window");
        Self { next: self.next, spent: self.spent | 1 << (ahead % SALT_WINDOW) }.slid()
    }

    /// With all numbers below `up_to` spent.
    pub(super) const fn revoked(self, up_to: u64) -> Self {
        let Some(ahead) = up_to.checked_sub(self.next) else { return self };
        let spent = if ahead < SALT_WINDOW { self.spent >> ahead } else { 0 };
        Self { next: up_to, spent }.slid()
    }

    /// Past the numbers that are spent. The highest number is never spent, so `next` cannot overflow.
    const fn slid(self) -> Self {
        let past = self.spent.trailing_ones();
        let spent = if past < u64::BITS { self.spent >> past } else { 0 };
        Self { next: self.next.saturating_add(past as u64), spent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(window: Window, number: u64) -> Result<Window, Rejection> {
        window.check(Address::ZERO, U256::from(number)).map(|()| window.with_spent(number))
    }

    #[test]
    fn a_salt_is_its_lane_and_its_number() {
        for (lane, number) in [(Lane::ZERO, 0), (Lane::from(7), u64::MAX), (Lane::MAX, 1)] {
            assert_eq!(lane_of(salt(lane, number)), (lane, number));
        }
        assert_eq!(salt(Lane::from(1), 5), (U256::from(1) << 64) + U256::from(5));
        assert_eq!(lane_of(U256::MAX), (Lane::MAX, u64::MAX));
    }

    #[test]
    fn the_window_slides_past_what_is_spent() {
        let mut window = Window::UNUSED;
        for number in [1, 2, 63] {
            window = spend(window, number).expect("is within");
            assert_eq!(window.next, 0);
        }
        assert!(matches!(spend(window, 64), Err(Rejection::SaltTooFar { next, .. }) if next == U256::ZERO));
        window = spend(window, 0).expect("is free");
        assert_eq!(window.next, 3);
        for number in [0, 1, 2, 63] {
            assert!(matches!(spend(window, number), Err(Rejection::SaltSpent { .. })), "{number}");
        }
        assert!(spend(window, 66).is_ok() && spend(window, 67).is_err());
        // All 64 at once, the lowest last.
        let mut full = Window::UNUSED;
        for number in (0..64).rev() {
            full = spend(full, number).expect("is free");
        }
        assert_eq!(full, Window { next: 64, spent: 0 });
    }

    #[test]
    fn revoking_moves_the_window_and_keeps_what_is_spent_ahead() {
        let window = spend(spend(Window::UNUSED, 5).expect("is free"), 9).expect("is free");
        assert_eq!(window.revoked(0), window);
        assert_eq!(window.revoked(5).next, 6, "5 is spent");
        assert!(window.revoked(5).is_spent(9) && !window.revoked(5).is_spent(8));
        assert_eq!(window.revoked(100), Window { next: 100, spent: 0 });
        assert_eq!(window.revoked(100).revoked(50).next, 100, "it never moves back");
    }

    #[test]
    fn the_highest_number_of_a_lane_is_never_used() {
        let window = Window::UNUSED.revoked(u64::MAX - 1);
        assert!(matches!(spend(window, u64::MAX), Err(Rejection::SaltTooFar { .. })));
        let used_up = spend(window, u64::MAX - 1).expect("the last one");
        assert_eq!(used_up, Window { next: u64::MAX, spent: 0 });
        assert!(matches!(spend(used_up, u64::MAX), Err(Rejection::SaltTooFar { .. })));
        assert_eq!(Window::UNUSED.revoked(u64::MAX), used_up);
    }
}
