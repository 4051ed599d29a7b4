//! What is voted on, field by field.

use lota_bridge::filecoin_address;
use lota_content::piece::PieceRoot;
use lota_market::{Address, Time, blessing::Nomination};
use lota_notary::desk::About;
use maud::{Markup, html};

use super::queue::asked_for;
use crate::words;

/// All fields of a nomination, in words and in full: what a wallet shows is compared with it.
/// The piece's CID is one that the service computed itself.
pub(super) fn fields(
    nomination: &Nomination,
    piece_cid: Option<&str>,
    about: &About,
    me: Option<Address>,
    now: Time,
) -> Markup {
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
            (field("Piece", &piece(nomination, piece_cid)))
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

/// To whom is granted, as wallets and explorers write it, and the bytes that are signed.
fn recipient(nomination: &Nomination) -> Markup {
    let bytes = &nomination.recipient;
    let evm = match bytes.len() {
        20 => Some(Address::from_slice(bytes)),
        22 => bytes.strip_prefix(&[4, 10]).map(Address::from_slice),
        _ => None,
    };
    html! {
        @match filecoin_address::show(bytes) {
            Some(address) => code.hex.whole { (address) },
            None => "no address that is known here",
        }
        @if let Some(address) = evm {
            @if bytes.len() == 22 { " (as Filecoin's f410), of " (words::account(address)) }
            @if address == nomination.provider { " (the provider)" }
        }
        div.quiet { "in bytes " code.hex.whole { (bytes) } }
    }
}

/// The piece as others name it, and its digest, which is signed.
fn piece(nomination: &Nomination, cid: Option<&str>) -> Markup {
    html! {
        @match (cid, PieceRoot::new(nomination.piece.0)) {
            (Some(cid), _) => { code.hex.whole { (words::visible(cid)) } " (version 2: as this service found it)" }
            (None, Some(root)) => { code.hex.whole { (root.v1()) } " (version 1: the size stands below)" }
            (None, None) => "no piece",
        }
        div.quiet { "its digest " (words::digest(nomination.piece)) }
    }
}

#[cfg(test)]
mod tests {
    use lota_market::Bytes;

    use super::*;

    #[test]
    fn recipients_and_pieces_are_named_as_others_name_them() {
        let nomination =
            |recipient: &[u8]| Nomination { recipient: Bytes::copy_from_slice(recipient), ..nomination_of(9) };
        let shown = |recipient: &[u8]| super::recipient(&nomination(recipient)).into_string();
        let secp = filecoin_address::parse("f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryy").expect("an address");
        let text = shown(&secp);
        assert!(
            text.contains(">f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryy<") && text.contains(&secp.to_string()),
            "{text}"
        );
        let account = Address::repeat_byte(2);
        let text = shown(&filecoin_address::f410_bytes(account));
        for told in [&*filecoin_address::f410(account), &account.to_string(), "as Filecoin's f410", "(the provider)"] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert!(shown(&[9; 7]).contains("no address that is known here"), "the bytes alone");

        let text = super::piece(&nomination_of(9), None).into_string();
        assert!(text.contains(">baga6ea4seaq") && text.contains(&"09".repeat(32)), "{text}");
        let text = super::piece(&nomination_of(9), Some("bafkzcibexample")).into_string();
        assert!(text.contains(">bafkzcibexample<") && text.contains("version 2"), "{text}");
    }

    fn nomination_of(piece: u8) -> Nomination {
        let party = Address::repeat_byte;
        Nomination {
            job: Default::default(),
            round: 1,
            client: party(1),
            provider: party(2),
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            nominator: party(3),
            granter: party(4),
            recipient: Bytes::new(),
            amount: lota_market::U256::ZERO,
            piece: [piece; 32].into(),
            piece_size: 128,
            share: lota_market::AttoFil(0),
            bounty: lota_market::AttoFil(0),
            expires: Time(0),
        }
    }
}
