//! Takes the result and never accepts it: the provider waits for its money until the review window has passed.

use super::{ClientStrategy, Verification};

pub(super) struct NeverAccepts;

impl ClientStrategy for NeverAccepts {
    fn verify(&self) -> Verification {
        Verification::Never
    }
}
