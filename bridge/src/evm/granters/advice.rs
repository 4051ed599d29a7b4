//! What a granter's error says in words, and what to do about it: docs/granters.md in short.

use alloy::primitives::FixedBytes;
use lota_market::granter::Rejection;

use super::error_name;

/// What has to be done before a grant that ended in the error of this name can succeed. `None`: no grant ends in it.
#[must_use]
pub fn advice(name: &str) -> Option<&'static str> {
    Some(match name {
        "OperatorNotApproved" => "the sponsor approves the granter at Filecoin Pay (setOperatorApproval)",
        "LockupPeriodTooLong" => {
            "the sponsor allows the granter a longer lockup period at Filecoin Pay (setOperatorApproval)"
        }
        "AllowanceTooSmall" => {
            "whoever pays allows the granter more: the sponsor at Filecoin Pay (setOperatorApproval), or the MetaAllocator's owner"
        }
        "NotEnoughFunds" | "PayerInDebt" => "somebody deposits for the sponsor at Filecoin Pay",
        "RailTerminated" => "the sponsor calls renewRail(payee), if it wants to pay this provider again",
        "NoRail" | "RailRuns" | "BadRailSettings" => "look at the granter's rail at Filecoin Pay",
        "OverLimit" => "wait for the next period; a limit for one job stays: nominate it for less",
        "PoolEmpty" => "somebody funds the pool (fund of its contract, or fundToken)",
        "PoolClosed" => "nothing: this pool pays no more; nominate for another granter",
        "AmountRefused" => {
            "exit code 16: give the granter a larger allowance at the registry; or the recipient is a verifier itself"
        }
        "NotAVerifier" => {
            "exit code 17: make the granter a verifier; or the recipient is an f0 address of no actor: the provider registers another"
        }
        "FilPlusEnded" => "exit code 18: nominate for another granter; docs/fip-0118.md says what ended",
        "RegistryFailed" => {
            "exit code 23: an f2 address that no actor has, 33: a contract that takes no DataCap: the provider registers another recipient; others are the system's"
        }
        "NotGranted" => {
            "the MetaAllocator did not look at the registry's exit code: its owner must; nothing was granted"
        }
        "AllocatorRefused" => "see the reason; if it is empty or the registry's, FIL+ may have ended",
        "BalanceUnknown" | "BadReturn" => {
            "see what the DataCap actor answered; it may be another version than the granter knows"
        }
        "NoBuiltinActors" => "this is no Filecoin chain: nominate for another granter",
        "BadRecipient" => {
            "the provider registers another recipient (lota blessing register), and the job is nominated again"
        }
        "InvalidRecipient" => "the provider registers another recipient than a contract of this market",
        "TransferFailed" | "TransferMismatch" => {
            "the recipient or the token does not take the payment: the provider registers another recipient"
        }
        "BadPair" => "the sponsor pays nobody from its own account to itself: the provider registers another recipient",
        "NoAmount" | "AmountTooSmall" | "AmountOutOfRange" => {
            "nominate for another amount: of DataCap at least 1 MiB (1,048,576), over Filecoin Pay below 2^128 with what is promised there"
        }
        "NotTheBlessing" => {
            "the granter was deployed for another blessing: deploy one for this (lota chain deploy-granter)"
        }
        "Reentered" => "the recipient calls back into the pool: the provider registers another",
        _ => return None,
    })
}

/// An error by its selector, in words: its name, what that means, and what to do.
#[must_use]
pub fn failure(why: FixedBytes<4>) -> String {
    if why.is_zero() {
        return "it said nothing: it ran out of gas (the blessing's granterGas), or is no granter".to_owned();
    }
    match error_name(why) {
        Some(name) => with_advice(name, name),
        None => format!("error {why}, which is of no granter that is known here"),
    }
}

/// The same with the error's fields, if they are of that error.
#[must_use]
pub fn failure_with(why: FixedBytes<4>, rejection: &Rejection) -> String {
    match error_name(why) {
        Some(name) => with_advice(name, &format!("{name}: {rejection}")),
        None => failure(why),
    }
}

fn with_advice(name: &str, said: &str) -> String {
    advice(name).map_or_else(|| said.to_owned(), |advice| format!("{said} (what to do: {advice})"))
}

#[cfg(test)]
mod tests {
    use alloy::{primitives::keccak256, sol_types::SolInterface};

    use super::*;
    use crate::evm::granters::{
        BonusGranterErrors, FilecoinPayGranterErrors, MetaAllocatorGranterErrors, RequestOnlyGranterErrors,
        VerifregGranterErrors,
    };

    /// Errors of deployments, and of calls that are no grants.
    const ELSEWHERE: [&str; 9] = [
        "BadSettings",
        "NoAllocator",
        "NoBlessing",
        "NoSponsor",
        "NotEntitled",
        "NotFilecoinPay",
        "PoolOpen",
        "WrongAsset",
        "SafeERC20FailedOperation",
    ];

    #[test]
    fn each_error_of_a_grant_has_words_and_advice() {
        let selectors = RequestOnlyGranterErrors::selectors()
            .chain(VerifregGranterErrors::selectors())
            .chain(MetaAllocatorGranterErrors::selectors())
            .chain(BonusGranterErrors::selectors())
            .chain(FilecoinPayGranterErrors::selectors());
        for selector in selectors.map(FixedBytes::from) {
            let name = error_name(selector).expect("its name");
            assert!(advice(name).is_some() || ELSEWHERE.contains(&name), "{name}");
            assert!(failure(selector).starts_with(name), "{name}");
        }
    }

    #[test]
    fn fields_are_told_and_strangers_errors_are_told_apart() {
        let selector = |signature: &str| FixedBytes::from_slice(&keccak256(signature)[..4]);
        let ended = failure(selector("FilPlusEnded()"));
        assert!(ended.contains("FilPlusEnded") && ended.contains("exit code 18"), "{ended}");
        let empty =
            Rejection::PoolEmpty { held: 5_u64.try_into().expect("small"), amount: 9_u64.try_into().expect("small") };
        let told = failure_with(selector("PoolEmpty(uint256,uint256)"), &empty);
        assert!(["PoolEmpty", "holds 5", "bonus of 9", "what to do"].iter().all(|part| told.contains(part)), "{told}");
        assert!(failure(selector("Unheard()")).contains("no granter that is known"));
        assert!(failure(FixedBytes::ZERO).contains("gas"));
    }
}
