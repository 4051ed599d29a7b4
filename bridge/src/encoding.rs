//! Commands as bytes: canonical DAG-CBOR, for whatever signs, keeps or compares them.

use lota_market::{Address, AttoFil, Bytes, auction, model::Command};
use serde::{Deserialize, Serialize};

use crate::transport::{MAX_COMMAND, MAX_NESTING, SubmitError, is_payable};

/// How deep multicalls are nested in a command; 0 for any other command. Stops counting above [`MAX_NESTING`].
fn nesting(command: &Command, depth: usize) -> usize {
    match command {
        Command::Multicall { calls } if depth <= MAX_NESTING => {
            calls.iter().map(|call| 1 + nesting(call, depth + 1)).max().unwrap_or(1)
        }
        _ => 0,
    }
}

fn check_nesting(command: &Command) -> Result<(), SubmitError> {
    if nesting(command, 0) > MAX_NESTING {
        return Err(SubmitError::TooLarge(format!("its multicalls are nested more than {MAX_NESTING} deep")));
    }
    Ok(())
}

fn check_size(size: usize) -> Result<(), SubmitError> {
    if size > MAX_COMMAND {
        return Err(SubmitError::TooLarge(format!("it has {size} bytes; at most {MAX_COMMAND} are allowed")));
    }
    Ok(())
}

/// A command's bytes, after the checks that every transport makes before anything is signed.
///
/// # Errors
/// [`SubmitError::TooLarge`], [`SubmitError::NotPayable`].
pub fn encode(command: &Command, value: AttoFil) -> Result<Bytes, SubmitError> {
    check_nesting(command)?;
    if value != AttoFil::ZERO && !is_payable(command) {
        return Err(SubmitError::NotPayable { value });
    }
    let bytes = serde_ipld_dagcbor::to_vec(command)
        .map_err(|error| SubmitError::Failed(format!("the command cannot be encoded: {error}")))?;
    check_size(bytes.len())?;
    // Journals and chains keep it: without the room that the encoder took in advance.
    Ok(bytes.into_boxed_slice().into())
}

/// Reads a command that somebody else encoded, with the same checks.
///
/// # Errors
/// [`SubmitError::TooLarge`], [`SubmitError::NotPayable`], and [`SubmitError::Failed`] for what is no command.
pub fn decode(bytes: &[u8], value: AttoFil) -> Result<Command, SubmitError> {
    check_size(bytes.len())?;
    let command = serde_ipld_dagcbor::from_slice(bytes)
        .map_err(|error| SubmitError::Failed(format!("these bytes are no command: {error}")))?;
    check_nesting(&command)?;
    if value != AttoFil::ZERO && !is_payable(&command) {
        return Err(SubmitError::NotPayable { value });
    }
    Ok(command)
}

/// A command to the market, or to another contract, which is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directed {
    Market(Command),
    Auction { contract: Address, command: auction::Command },
}

/// How commands to other contracts are encoded: none of the market's commands has such a name.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    Auction { contract: Address, command: auction::Command },
}

/// The bytes of a command to an auction; otherwise as [`encode`].
///
/// # Errors
/// As [`encode`].
pub fn encode_for_auction(contract: Address, command: &auction::Command, value: AttoFil) -> Result<Bytes, SubmitError> {
    if value != AttoFil::ZERO && !command.is_payable() {
        return Err(SubmitError::NotPayable { value });
    }
    let bytes = serde_ipld_dagcbor::to_vec(&Named::Auction { contract, command: command.clone() })
        .map_err(|error| SubmitError::Failed(format!("the command cannot be encoded: {error}")))?;
    check_size(bytes.len())?;
    Ok(bytes.into_boxed_slice().into())
}

/// Reads a command to any contract that somebody else encoded, with the same checks.
///
/// # Errors
/// As [`decode`].
pub fn decode_directed(bytes: &[u8], value: AttoFil) -> Result<Directed, SubmitError> {
    check_size(bytes.len())?;
    let Ok(Named::Auction { contract, command }) = serde_ipld_dagcbor::from_slice(bytes) else {
        return decode(bytes, value).map(Directed::Market);
    };
    if value != AttoFil::ZERO && !command.is_payable() {
        return Err(SubmitError::NotPayable { value });
    }
    Ok(Directed::Auction { contract, command })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Command {
        (0..depth).fold(Command::Announce { url: "https://example.org".into() }, |inner, _| Command::Multicall {
            calls: vec![inner],
        })
    }

    #[test]
    fn a_command_reads_back_as_it_was_written() {
        for command in [nested(0), nested(MAX_NESTING), Command::Deposit { account: Address::repeat_byte(1) }] {
            let bytes = encode(&command, AttoFil::ZERO).expect("within limits");
            assert_eq!(decode(&bytes, AttoFil::ZERO), Ok(command));
        }
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_refused_both_ways() {
        for depth in [MAX_NESTING + 1, 60] {
            let deep = nested(depth);
            assert!(matches!(encode(&deep, AttoFil::ZERO), Err(SubmitError::TooLarge(_))), "{depth}");
            let bytes = serde_ipld_dagcbor::to_vec(&deep).expect("encodes");
            assert!(matches!(decode(&bytes, AttoFil::ZERO), Err(SubmitError::TooLarge(_))), "{depth}");
        }
        let large = Command::PublishSpec { spec: vec![0; MAX_COMMAND].into() };
        assert!(matches!(encode(&large, AttoFil::ZERO), Err(SubmitError::TooLarge(_))));
        assert!(matches!(decode(&[0; MAX_COMMAND + 1], AttoFil::ZERO), Err(SubmitError::TooLarge(_))));
        // Deep enough to overflow a stack, were it read without a limit.
        let bomb = vec![0x81; 100_000];
        assert!(matches!(decode(&bomb, AttoFil::ZERO), Err(SubmitError::Failed(_))));
    }

    #[test]
    fn a_command_to_an_auction_names_it_and_reads_back() {
        let contract = Address::repeat_byte(7);
        for (command, value) in [
            (auction::Command::Fund, AttoFil(5)),
            (auction::Command::Withdraw { to: contract, amount: AttoFil(1) }, AttoFil::ZERO),
        ] {
            let bytes = encode_for_auction(contract, &command, value).expect("within limits");
            assert!(decode(&bytes, AttoFil::ZERO).is_err(), "it is none of the market's");
            let again = decode_directed(&bytes, value);
            assert_eq!(again, Ok(Directed::Auction { contract, command: command.clone() }));
            let paid = decode_directed(&bytes, AttoFil(1));
            assert_eq!(paid.is_ok(), command.is_payable());
        }
        let withdraw = auction::Command::Withdraw { to: contract, amount: AttoFil(1) };
        let value = AttoFil(1);
        assert_eq!(encode_for_auction(contract, &withdraw, value), Err(SubmitError::NotPayable { value }));
        let bytes = encode(&nested(1), AttoFil::ZERO).expect("within limits");
        assert_eq!(decode_directed(&bytes, AttoFil::ZERO), Ok(Directed::Market(nested(1))));
        assert!(matches!(decode_directed(&[0x81; 100_000], AttoFil::ZERO), Err(SubmitError::Failed(_))));
        assert!(matches!(decode_directed(&[0; MAX_COMMAND + 1], AttoFil::ZERO), Err(SubmitError::TooLarge(_))));
    }

    #[test]
    fn value_goes_with_deposit_and_open_only() {
        let value = AttoFil(1);
        let deposit = Command::Deposit { account: Address::repeat_byte(1) };
        assert!(encode(&deposit, value).is_ok());
        assert_eq!(encode(&Command::Multicall { calls: vec![deposit] }, value), Err(SubmitError::NotPayable { value }));
        let bytes = encode(&nested(0), AttoFil::ZERO).expect("within limits");
        assert_eq!(decode(&bytes, value), Err(SubmitError::NotPayable { value }));
    }
}
