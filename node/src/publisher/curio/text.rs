//! Names as Curio reads and writes them: Filecoin addresses, and identifiers of deals.

use lota_bridge::filecoin_address;
use lota_market::Address;
use sha2::{Digest as _, Sha256};

/// Filecoin's mainnet, whose addresses begin with f; those of all other networks with t.
const MAINNET: u64 = 314;
/// Crockford's base32, which ULIDs are written in.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The f410 address of an EVM account on a chain.
pub(super) fn f410(chain: u64, account: Address) -> String {
    let address = filecoin_address::f410(account); // in ASCII
    format!("{}{}", prefix(chain), &address[1..])
}

/// The address of an actor by its id.
pub(super) fn id(chain: u64, actor: u64) -> String {
    format!("{}0{actor}", prefix(chain))
}

fn prefix(chain: u64) -> char {
    if chain == MAINNET { 'f' } else { 't' }
}

/// Curio's identifier of a deal at a contract, a ULID: the same each time, so that handing a deal over again is handing over the same.
pub(super) fn ulid(market: Address, deal: u64) -> String {
    let digest = Sha256::digest([b"lota: curio deal".as_slice(), market.as_slice(), &deal.to_be_bytes()].concat());
    let mut number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let mut text = [b'0'; 26];
    for place in text.iter_mut().rev() {
        *place = CROCKFORD[(number & 31) as usize];
        number >>= 5;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_filecoin_writes_them() {
        // The example of FIP-0048 and of Filecoin's documentation.
        let account: Address = "0xd388ab098ed3e84c0d808776440b48f685198498".parse().expect("an address");
        assert_eq!(f410(314, account), "f410f2oekwcmo2pueydmaq53eic2i62crtbeyuzx2gmy");
        assert_eq!(f410(314_159, account), "t410f2oekwcmo2pueydmaq53eic2i62crtbeyuzx2gmy");
        assert_eq!((id(314, 1_000), id(1, 7)), ("f01000".to_owned(), "t07".to_owned()));
    }

    #[test]
    fn a_deal_has_one_ulid() {
        let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let first = ulid(one, 1);
        assert_eq!(first, ulid(one, 1));
        assert_ne!(first, ulid(one, 2));
        assert_ne!(first, ulid(two, 1));
        // 128 bits in 26 characters: the first has three of them (the ULID specification).
        for deal in 0..200 {
            let text = ulid(one, deal);
            assert_eq!(text.len(), 26);
            assert!(text.as_bytes()[0] <= b'7' && text.bytes().all(|c| CROCKFORD.contains(&c)), "{text}");
        }
    }
}
