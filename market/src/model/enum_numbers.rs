//! Enums as the contract numbers them.

use super::{Reason, SettingsFault, Status, TermsFault, Verdict};

/// A number that names no variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} is no {kind}: they are numbered from 0 to {last}")]
pub struct UnknownNumber {
    /// What the number should have named.
    pub kind: &'static str,
    pub found: u8,
    /// The highest number that names something.
    pub last: u8,
}

/// `From` and `TryFrom` between an enum and the numbers of its variants in the contract, from the list of them in order; a variant that is
/// missing here does not compile.
macro_rules! numbered {
    ($kind:ident: $($variant:ident),+) => {
        impl $kind {
            /// All variants, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl From<$kind> for u8 {
            fn from(value: $kind) -> Self {
                match value { $($kind::$variant => $kind::$variant as Self),+ }
            }
        }

        impl TryFrom<u8> for $kind {
            type Error = UnknownNumber;

            fn try_from(found: u8) -> Result<Self, Self::Error> {
                Self::ALL.get(usize::from(found)).copied().ok_or(UnknownNumber {
                    kind: stringify!($kind),
                    found,
                    last: (Self::ALL.len() - 1) as u8,
                })
            }
        }
    };
}

numbered!(Status: None, Open, Locked, Submitted, Disputed, Settled, Cancelled, Slashed, Void);
numbered!(
    Reason: None, Accepted, Unchallenged, Upheld, Unreviewed, Withdrawn, NotLocked, NotSubmitted, Overturned, Undecided,
    NotRuled
);
numbered!(Verdict: Upheld, Overturned, Void);
numbered!(
    TermsFault: ZeroClient, MaskedId, SpecCodec, NotWholeQuanta, AmountTooLarge, PriceOrder, ZeroRampPeriod, RampStart, RunFor,
    ReviewFor, RuleFor, CallbackGas, KeepRecord
);
numbered!(SettingsFault: Asset, Quantum, MinWindow, CallbackReserve, SignatureGas);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_is_its_own_number_and_the_next_number_is_refused() {
        fn check<T: Copy + PartialEq + core::fmt::Debug + Into<u8> + TryFrom<u8, Error = UnknownNumber>>(all: &[T]) {
            for (number, variant) in all.iter().enumerate() {
                assert_eq!(usize::from((*variant).into()), number, "{variant:?}");
                assert_eq!(T::try_from(number as u8), Ok(*variant));
            }
            let error = T::try_from(all.len() as u8).expect_err("one past the last");
            assert_eq!(usize::from(error.last) + 1, all.len());
        }
        check(Status::ALL);
        check(Reason::ALL);
        check(Verdict::ALL);
        check(TermsFault::ALL);
        check(SettingsFault::ALL);
        assert_eq!(
            Status::try_from(9).expect_err("nine states").to_string(),
            "9 is no Status: they are numbered from 0 to 8"
        );
    }
}
