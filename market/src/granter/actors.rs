//! What granters ask of Filecoin's built-in actors: `BuiltinActors.sol` without the encoding of what is asked.

use alloy_primitives::{Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{DATACAP_BYTE, Rejection};

/// The actor was told something that it does not take; for the registry, more than the verifier may still give.
const ILLEGAL_ARGUMENT: i64 = 16;
const NOT_FOUND: i64 = 17;
const FORBIDDEN: i64 = 18;

/// A call of a built-in actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorRequest<'a> {
    /// `AddVerifiedClient` of the verified registry, f06.
    AddVerifiedClient {
        /// The bytes of a Filecoin address.
        client: &'a [u8],
        /// Bytes of DataCap.
        amount: U256,
    },
    /// `Balance` of the DataCap actor, f07.
    DataCapOf { client: &'a [u8] },
}

/// What a built-in actor answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ActorAnswer {
    /// 0: done. Positive: the actor's. Negative: the system's.
    pub exit_code: i64,
    /// What the method returned, in CBOR.
    pub returned: Bytes,
}

/// What the registry's answer comes to.
pub(super) fn registered(answer: Option<&ActorAnswer>, amount: U256) -> Result<(), Rejection> {
    let Some(answer) = answer else { return Err(Rejection::NoBuiltinActors) };
    Err(match answer.exit_code {
        0 => return Ok(()),
        ILLEGAL_ARGUMENT => Rejection::AmountRefused(amount),
        NOT_FOUND => Rejection::NotAVerifier,
        FORBIDDEN => Rejection::FilPlusEnded,
        other => Rejection::RegistryFailed(other),
    })
}

/// A balance of DataCap, in the token's units.
pub(super) fn balance(answer: Option<ActorAnswer>) -> Result<U256, Rejection> {
    let ActorAnswer { exit_code, returned } = answer.ok_or(Rejection::NoBuiltinActors)?;
    if exit_code != 0 {
        return Err(Rejection::BalanceUnknown(exit_code));
    }
    number(&returned).ok_or(Rejection::BadReturn(returned))
}

/// Bytes of DataCap that a client got between two balances.
pub(super) fn granted(before: U256, afterwards: U256) -> U256 {
    afterwards.saturating_sub(before) / U256::from(DATACAP_BYTE)
}

/// A CBOR byte string (RFC 8949, major type 2) of a number as Filecoin's actors give them: a sign, 00, and 1 to 32 big-endian bytes; of 0 it is
/// empty.
fn number(encoded: &[u8]) -> Option<U256> {
    let (told, content) = match encoded {
        [0x40] => return Some(U256::ZERO),
        [0x58, told, content @ ..] => (*told, content),
        [head, content @ ..] => (head ^ 0x40, content),
        [] => return None,
    };
    match content {
        [0, digits @ ..] if usize::from(told) == content.len() && (1..=32).contains(&digits.len()) => {
            U256::try_from_be_slice(digits)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_actors_write_them() {
        let most = [&[0x58, 33, 0][..], &[0xff; 32]].concat();
        let short = [&[0x57, 0][..], &[1; 22]].concat();
        for (encoded, number) in [
            (&[0x40][..], Some(U256::ZERO)),
            (&[0x42, 0, 7], Some(U256::from(7))),
            (&[0x43, 0, 1, 0], Some(U256::from(256))),
            (&[0x58, 2, 0, 7], Some(U256::from(7))),
            (&most, Some(U256::MAX)),
            (&short, U256::try_from_be_slice(&[1; 22])),
            (&[], None),
            (&[0x41, 0], None),
            (&[0x42, 1, 7], None),
            (&[0x42, 0, 7, 8], None),
            (&[0x43, 0, 7], None),
            (&[0x58, 2], None),
            (&[&[0x58, 34, 0][..], &[0; 33]].concat(), None),
            (&[0x82, 0, 7], None),
        ] {
            assert_eq!(super::number(encoded), number, "{encoded:?}");
        }
    }

    #[test]
    fn what_the_client_got_is_whole_bytes() {
        let byte = U256::from(DATACAP_BYTE);
        assert_eq!(granted(byte, byte * U256::from(3) - U256::from(1)), U256::from(1));
        assert_eq!(granted(byte, U256::ZERO), U256::ZERO, "less than before is nothing");
    }
}
