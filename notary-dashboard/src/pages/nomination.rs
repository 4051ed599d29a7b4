//! What is voted on, field by field.

use lota_market::{Address, Time, blessing::Nomination};
use lota_notary::desk::About;
use maud::{Markup, html};

use super::queue::asked_for;
use crate::words;

/// All fields of a nomination, in words and in full: what a wallet shows is compared with it.
pub(super) fn fields(nomination: &Nomination, about: &About, me: Option<Address>, now: Time) -> Markup {
    let granter = about.granters.iter().find(|granter| granter.granter == nomination.granter);
    let party = |account: Address| {
        html! {
            @if account.is_zero() { "nobody" } @else { (words::account(account)) }
            @if me == Some(account) { strong { " (you)" } }
        }
    };
    html! {
        dl.fields {
            (field("Job", &html! { code.hex.whole { (nomination.job) } ", round " (nomination.round) }))
            (field("Asked for", &html! { strong { (asked_for(nomination.amount, granter)) } }))
            (field("Granter", &html! {
                (words::account(nomination.granter))
                @match granter {
                    Some(granter) => { " " (words::theirs(&granter.name)) }
                    None => strong { " (not among the admitted ones)" },
                }
            }))
            (field("Recipient", &recipient(nomination)))
            (field("Piece", &html! { (words::digest(nomination.piece)) }))
            (field("Piece's size", &html! { (words::amount(alloy::primitives::U256::from(nomination.piece_size), 0, "bytes")) }))
            (field("Client's share", &html! { (about.asset.show(nomination.share)) }))
            (field("Bounty", &html! { (about.asset.show(nomination.bounty)) }))
            (field("Voted on until", &html! { (words::when_and_distance(nomination.expires, now)) }))
            (field("Client", &party(nomination.client)))
            (field("Provider", &party(nomination.provider)))
            (field("Matcher", &party(nomination.matcher)))
            (field("Arbiter", &party(nomination.arbiter)))
            (field("Nominator", &party(nomination.nominator)))
        }
    }
}

/// A line of a list of fields.
pub(super) fn field(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// To whom is granted: an EVM address, Filecoin's name of one (f410), or other bytes.
fn recipient(nomination: &Nomination) -> Markup {
    let bytes = &nomination.recipient;
    let evm = match bytes.len() {
        20 => Some(Address::from_slice(bytes)),
        22 => bytes.strip_prefix(&[4, 10]).map(Address::from_slice),
        _ => None,
    };
    html! {
        @match evm {
            Some(address) => {
                (words::account(address))
                @if bytes.len() == 22 { " (as Filecoin's f410)" }
                @if address == nomination.provider { " (the provider)" }
            }
            None => { code.hex.whole { (bytes) } " (bytes of a Filecoin address)" }
        }
    }
}
