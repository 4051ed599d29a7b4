//! Filecoin addresses as text and as bytes (<https://spec.filecoin.io/appendix/address>): f0 (an actor's id), f1 (secp256k1), f2 (an actor),
//! f3 (BLS), and of the delegated ones f410 (an EVM address).

use data_encoding::BASE32_NOPAD;
use lota_market::{Address, Bytes, filecoin_address::FilecoinAddress};

/// The namespace of EVM addresses among delegated ones.
const EVM: u8 = 10;
const CHECKSUM: usize = 4;
/// The longest text of an address that is looked at, in characters; f3 has 86.
const MAX_TEXT: usize = 128;

/// Why something is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it does not begin with f0, f1, f2, f3 or f410f (or t instead of f), nor with 0x")]
    Unknown,
    #[error("it has {found} bytes; one of this kind has {wanted}")]
    Size { found: usize, wanted: usize },
    #[error("behind the kind there must be a number below 2^63, without zeros before it")]
    Id,
    #[error("it has characters that are not in base32 (a to z, 2 to 7), or too many or too few")]
    Base32,
    #[error("its checksum is another: it was mistyped")]
    Checksum,
}

/// The bytes of an address: of Filecoin, or `0x` and the 40 hex digits of an EVM address, which are 20 bytes.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Bytes, AddressError> {
    if text.starts_with("0x") {
        let address: Address = text.parse().map_err(|_| AddressError::Size {
            found: text.len().saturating_sub(2) / 2,
            wanted: Address::len_bytes(),
        })?;
        return Ok(Bytes::copy_from_slice(address.as_slice()));
    }
    let rest = text.strip_prefix(['f', 't']).ok_or(AddressError::Unknown)?;
    if text.len() > MAX_TEXT || !text.is_ascii() {
        return Err(AddressError::Base32);
    }
    if let Some(rest) = rest.strip_prefix("410f") {
        return checked(&[4, EVM], rest, Address::len_bytes());
    }
    match rest.split_at_checked(1) {
        Some(("0", id)) => {
            let is_number = !id.is_empty() && id.bytes().all(|digit| digit.is_ascii_digit());
            if !is_number || (id.len() > 1 && id.starts_with('0')) {
                return Err(AddressError::Id);
            }
            let mut left: u64 = id.parse().map_err(|_| AddressError::Id)?;
            if left >= 1 << 63 {
                return Err(AddressError::Id);
            }
            let mut bytes = vec![0];
            loop {
                let low = (left & 0x7f) as u8;
                left >>= 7;
                bytes.push(if left == 0 { low } else { low | 0x80 });
                if left == 0 {
                    return Ok(bytes.into());
                }
            }
        }
        Some(("1", rest)) => checked(&[1], rest, 20),
        Some(("2", rest)) => checked(&[2], rest, 20),
        Some(("3", rest)) => checked(&[3], rest, 48),
        _ => Err(AddressError::Unknown),
    }
}

/// What people know an address by, if these are the bytes of one of the main network; 20 bytes are an EVM address.
#[must_use]
pub fn show(bytes: &[u8]) -> Option<String> {
    Some(match FilecoinAddress::read(bytes)? {
        FilecoinAddress::Evm(address) => address.to_string(),
        FilecoinAddress::Id(number) => format!("f0{number}"),
        FilecoinAddress::Hash(protocol, rest) => format!("f{protocol}{}", written(bytes, rest)),
        FilecoinAddress::Delegated(address) => f410(address),
    })
}

/// The bytes of an EVM account's f410 address (FIP-0048): protocol 4, its namespace, and its 20 bytes.
#[must_use]
pub fn f410_bytes(account: Address) -> [u8; 22] {
    let mut bytes = [0; 22];
    bytes[..2].copy_from_slice(&[4, EVM]);
    bytes[2..].copy_from_slice(account.as_slice());
    bytes
}

/// An EVM account's f410 address on the main network; on others a `t` stands for the `f` that it begins with.
#[must_use]
pub fn f410(account: Address) -> String {
    format!("f410f{}", written(&f410_bytes(account), account.as_slice()))
}

/// The bytes of an address of this kind, of which `size` bytes and a checksum are written behind it.
fn checked(kind: &[u8], text: &str, size: usize) -> Result<Bytes, AddressError> {
    // Written in lower case only.
    if text.bytes().any(|character| character.is_ascii_uppercase()) {
        return Err(AddressError::Base32);
    }
    let decoded = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| AddressError::Base32)?;
    let found = decoded.len().saturating_sub(CHECKSUM);
    match decoded.split_at_checked(size) {
        Some((payload, told)) if told.len() == CHECKSUM => {
            let bytes = [kind, payload].concat();
            if checksum(&bytes) == told { Ok(bytes.into()) } else { Err(AddressError::Checksum) }
        }
        _ => Err(AddressError::Size { found, wanted: size }),
    }
}

fn written(bytes: &[u8], payload: &[u8]) -> String {
    BASE32_NOPAD.encode(&[payload, &checksum(bytes)].concat()).to_ascii_lowercase()
}

fn checksum(bytes: &[u8]) -> Vec<u8> {
    blake2b_simd::Params::new().hash_length(CHECKSUM).hash(bytes).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_as_others_do() {
        // Written by @glif/filecoin-address; see the script beside it.
        let vectors = include_str!("../../contracts/test/vectors/add-verified-client.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).expect("JSON");
        let texts = |name: &str| -> Vec<String> { serde_json::from_value(vectors[name].clone()).expect("texts") };
        let (clients, recipients) = (texts("clients"), texts("recipients"));
        assert_eq!(clients.len(), 110);
        for (client, recipient) in clients.iter().zip(&recipients) {
            let bytes: Bytes = recipient.parse().expect("hex");
            if bytes.len() == 20 {
                // The same as f410 of it.
                let delegated = [&[4, EVM], &bytes[..]].concat();
                assert_eq!((parse(client), show(&delegated)), (Ok(delegated.into()), Some(client.clone())));
                assert_eq!(parse(&show(&bytes).expect("shown")), Ok(bytes));
            } else {
                assert_eq!((parse(client), show(&bytes)), (Ok(bytes.clone()), Some(client.clone())));
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let good = "f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryy";
        assert!(parse(good).is_ok());
        let long = format!("f3{}", "a".repeat(1_000));
        for (text, error) in [
            ("", AddressError::Unknown),
            ("f", AddressError::Unknown),
            ("f5abc", AddressError::Unknown),
            ("f4", AddressError::Unknown),
            ("é", AddressError::Unknown),
            ("fé", AddressError::Base32),
            ("f0", AddressError::Id),
            ("f0x", AddressError::Id),
            ("f001", AddressError::Id),
            ("f0+1", AddressError::Id),
            ("f09223372036854775808", AddressError::Id),
            ("f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryq", AddressError::Checksum),
            // Its last bits are none of the address.
            ("f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryx", AddressError::Base32),
            ("f27uoq6tp427uzv7fztkbsnn64iwotfrristwpryy", AddressError::Checksum),
            ("f1aaa", AddressError::Base32),
            ("f1aaaaa", AddressError::Size { found: 0, wanted: 20 }),
            ("f1!", AddressError::Base32),
            ("f17UOQ6TP427UZV7FZTKBSNN64IWOTFRRISTWPRYY", AddressError::Base32),
            ("0x12", AddressError::Size { found: 1, wanted: 20 }),
            (&long, AddressError::Base32),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        for bytes in [&[][..], &[0], &[0, 0x80], &[0, 0x80, 0], &[1, 2], &[4, 11, 0], &[9; 30], &[0xff; 21]] {
            assert_eq!(show(bytes), None, "{bytes:?}");
        }
    }
}
