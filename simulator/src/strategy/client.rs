//! What clients do.

mod honest;
mod never_accepts;

use crate::scenario::ClientKind;

/// What becomes of a client's wish to verify an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// It is fetched, and is what the result says.
    Verified,
    /// It never ends: the review window passes.
    Never,
}

/// What a client does.
pub trait ClientStrategy: Send {
    /// It has a result before it.
    fn verify(&self) -> Verification;
}

/// The strategy of a kind. Shills and sybils verify like everybody else: what they do is how many they are.
#[must_use]
pub fn client(kind: ClientKind) -> Box<dyn ClientStrategy> {
    match kind {
        ClientKind::Honest | ClientKind::Shill | ClientKind::Sybil => Box::new(honest::Honest),
        ClientKind::NeverAccepts => Box::new(never_accepts::NeverAccepts),
    }
}
