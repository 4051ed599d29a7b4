//! What nodes mean by refusing a transaction.

use crate::evm::chain::Refusal;

/// What a node means by refusing a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// It has it.
    Known,
    /// Its nonce is used: the next look finds out by what.
    NonceUsed,
    /// It must offer more.
    Cheap,
    /// The account cannot pay.
    Funds,
    /// Something else.
    Other,
}

pub(super) fn objection(refusal: &Refusal) -> Objection {
    let text = refusal.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["already known", "known transaction", "already imported", "already in mpool", "already exists"]) {
        Objection::Known
    } else if says(&["nonce too low", "nonce is too low", "minimum expected nonce"]) {
        Objection::NonceUsed
    } else if says(&[
        "underpriced",
        "rbf",
        "replace by fee",
        "gas premium too low",
        "fee too low",
        "less than block base fee",
    ]) {
        Objection::Cheap
    } else if says(&["insufficient funds", "not enough funds", "insufficient balance"]) {
        Objection::Funds
    } else {
        Objection::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_mean_by_refusing_a_transaction_is_understood() {
        for (text, meaning) in [
            // geth
            ("already known", Objection::Known),
            ("nonce too low: next nonce 5, tx nonce 4", Objection::NonceUsed),
            ("replacement transaction underpriced", Objection::Cheap),
            ("transaction underpriced: gas tip cap 0, minimum needed 1", Objection::Cheap),
            ("insufficient funds for gas * price + value: balance 1, tx cost 2, overshot 1", Objection::Funds),
            ("txpool is full", Objection::Other),
            // Anvil
            ("transaction already imported", Objection::Known),
            ("nonce too low", Objection::NonceUsed),
            ("Insufficient funds for gas * price + value", Objection::Funds),
            ("max fee per gas less than block base fee", Objection::Cheap),
            // Lotus
            ("message with nonce 3 already in mpool, minimum expected nonce is 4", Objection::Known),
            ("minimum expected nonce is 7: message nonce too low", Objection::NonceUsed),
            ("mpool push: not enough funds: 1 < 2", Objection::Funds),
            ("replace by fee has too low GasPremium: 100 < 126", Objection::Cheap),
            ("message will not be included in a block", Objection::Other),
        ] {
            let refusal = Refusal { code: -32_000, message: text.to_owned(), data: None };
            assert_eq!(objection(&refusal), meaning, "{text}");
        }
    }
}
