//! The service: its notaries, its granters and what their limits leave, what does not work.

use std::sync::Arc;

use axum::extract::State;
use lota_market::U256;
use lota_notary::desk::{About, Granter};
use maud::{Markup, html};

use super::nomination::field;
use crate::{
    page::{Answer, Page, Part},
    site::{Reader, Site},
    words,
};

pub(crate) async fn allowance(State(_): State<Arc<Site>>, reader: Reader) -> Answer {
    let about = reader.about.clone()?;
    let content = html! {
        h1 { "Allowance" }
        p.quiet { "What the granters may still grant in this period. A grant beyond it waits for the next one." }
        @if about.granters.is_empty() { p.empty { "No granter is admitted: nothing can be nominated." } }
        @for (at, granter) in about.granters.iter().enumerate() { (left(granter, &about, at)) }
    };
    Ok(Page::new("Allowance", Part::Allowance).live("about").render(Some(&reader), &content))
}

/// What part of a limit is used, in hundredths: 0 and 100 only if it is nothing and all.
fn used(granted: U256, limit: U256) -> u32 {
    if granted >= limit {
        return 100;
    }
    // Above 2^248, the lowest bits do not matter to a hundredth.
    let shift: usize = if limit.bit_len() > 248 { 8 } else { 0 };
    let (part, whole): (U256, U256) = (granted >> shift, limit >> shift);
    let hundredths = part.saturating_mul(U256::from(100)) / whole.max(U256::from(1));
    let some = u32::from(!granted.is_zero());
    hundredths.min(U256::from(99)).to::<u32>().max(some)
}

fn left(granter: &Granter, about: &About, at: usize) -> Markup {
    let show = |amount| words::amount(amount, granter.decimals, &granter.unit);
    let limit = granter.limits.per_period;
    let left = limit.saturating_sub(granter.granted);
    let used = used(granter.granted, limit);
    let id = format!("granter-{at}");
    html! {
        section.card id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { @if granter.name.is_empty() { "Granter" } @else { (words::theirs(&granter.name)) } }
            p { strong { (show(left)) } " left until " (words::when_and_distance(granter.period_ends, about.now)) }
            p {
                meter min="0" max="100" high="80" optimum="0" value=(used) aria-label={ "Used of this period: " (used) " %" } { (used) " %" }
                span.quiet { " " (used) " % of " (show(limit)) " used" }
            }
            dl.fields {
                (field("Granted in this period", &html! { (show(granter.granted)) }))
                @if let Some(two) = granter.two_approvals_from { (field("Two notaries sign from", &html! { (show(two)) })) }
                (field("Most for one job", &html! { (show(granter.limits.per_job)) }))
                (field("Most to one provider in a period", &html! { (show(granter.limits.per_provider)) }))
                (field("Most in a period", &html! { (show(limit)) }))
                (field("Contract", &words::account(granter.granter)))
            }
        }
    }
}

pub(crate) async fn about(State(_): State<Arc<Site>>, reader: Reader) -> Answer {
    let about = reader.about.clone()?;
    let two = about.two_approvals_from;
    let content = html! {
        h1 { "About" }
        section.card #chain aria-labelledby="chain-title" {
            h2 #chain-title { "The blessing" }
            dl.fields {
                (field("Chain", &html! { (about.blessing.chain_id) }))
                (field("Contract", &words::account(about.blessing.contract)))
                (field("Market", &words::account(about.market)))
                (field("Amounts of the market", &html! { (about.asset.symbol()) }))
                (field("Newest block", &html! { (about.block) }))
                (field("Final up to", &html! { (about.finalized) }))
                (field("The market's time", &words::when(about.now)))
                @if let Some(two) = two {
                    (field("Two notaries sign from", &html! { (two) " of the granter's smallest unit, unless its own is in the allowance" }))
                }
            }
        }
        section.card #notaries aria-labelledby="notaries-title" {
            h2 #notaries-title { "Notaries" }
            p { (about.quorum) " of " (about.notaries.len()) " decide. This is version " (about.version) " of the set: votes are signed for it, and void in another." }
            ul { @for notary in &about.notaries { li { (words::account(*notary)) @if reader.account() == Some(*notary) { strong { " (you)" } } } } }
        }
        section.card #problems aria-labelledby="problems-here" {
            h2 #problems-here { "Problems" }
            @if about.problems.is_empty() { p { "None is known." } }
            @else { ul { @for problem in about.problems.iter().take(100) { li { (words::theirs(problem)) } } } }
        }
        section.card #signs-as aria-labelledby="signs-as-title" {
            h2 #signs-as-title { "What this service signs" }
            p { "Attestations are signed with this key; with it anybody verifies them: " }
            p { code.hex { (words::visible(&about.signs_as)) } }
            pre.text tabindex="0" role="region" aria-label="The command that verifies" { "lota notary verify FILE --key " (words::visible(&about.signs_as)) }
        }
        section.card #page-about aria-labelledby="page-title" {
            h2 #page-title { "This page" }
            p { "Nothing is loaded from elsewhere, and no key is here: your wallet signs. " a href="/audit" { "The audit log" } " tells what was done; what is final has a signed attestation at its job." }
        }
    };
    Ok(Page::new("About", Part::About).live("about").render(Some(&reader), &content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nothing_is_nothing_and_only_all_is_all() {
        let number = U256::from;
        let cases = [
            (0_u64, 100_u64, 0),
            (1, 1_000_000, 1),
            (35, 100, 35),
            (999_999, 1_000_000, 99),
            (7, 7, 100),
            (8, 7, 100),
            (0, 0, 100),
        ];
        for (granted, limit, percent) in cases {
            assert_eq!(used(number(granted), number(limit)), percent, "{granted} of {limit}");
        }
        assert_eq!(used(U256::MAX / U256::from(2), U256::MAX), 49);
        assert_eq!(used(U256::from(1), U256::MAX), 1);
    }
}
