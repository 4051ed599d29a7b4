//! What a person is told about the price of a job, when it is opened.

use lota_api::{JobSummary, OpenedJob, Verification};
use lota_market::{AttoFil, asset::Asset};

use crate::{
    flags::Format,
    terminal::{self, printable},
};

/// Tells what the price may have been meant otherwise for, and what money moved.
pub(crate) fn tell(opened: &OpenedJob, asset: &Asset, format: Format) {
    for line in lines(opened, asset) {
        terminal::tell(&line);
    }
    // In JSON it is a field.
    if let (Some(note), false) = (note(opened), format.json) {
        terminal::tell(&note);
    }
}

/// Whom one trusts, in a sentence; none of a job that was opened before.
fn note(opened: &OpenedJob) -> Option<String> {
    let trusted = opened.offer.as_ref().and_then(|_| trusted(&opened.job))?;
    Some(format!("{trusted}; nobody looks at the result before it is paid for."))
}

/// Whom one trusts who asks for this job; none: nobody alone.
pub(super) fn trusted(job: &JobSummary) -> Option<String> {
    (job.verification == Verification::Unverified).then(|| match job.directed_to {
        Some(provider) => format!("unverified: {provider} is trusted"),
        None => Verification::Unverified.to_string(),
    })
}

fn lines(opened: &OpenedJob, asset: &Asset) -> Vec<String> {
    let Some(offer) = &opened.offer else { return Vec::new() };
    let mut lines: Vec<String> =
        offer.warnings.iter().map(|warning| format!("{} {}", terminal::bad("warning:"), printable(warning))).collect();
    if offer.from_wallet != AttoFil::ZERO {
        lines.push(format!(
            "{} moved from the account into the market, which holds {} for the job; what is not paid stays in the market as free balance.",
            asset.show(offer.from_wallet),
            asset.show(offer.max_price)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use lota_api::JobOffer;

    use super::*;

    #[test]
    fn money_that_moves_and_odd_prices_are_told() {
        console::set_colors_enabled(false);
        let job = serde_json::from_str(include_str!("../../../tests/fixtures/job.json")).expect("the fixture is a job");
        let job = JobSummary { verification: Verification::Arbiter, directed_to: None, ..job };
        let offer = JobOffer {
            limit: AttoFil(20),
            min_price: AttoFil(1),
            max_price: AttoFil(8),
            ramp_period: 90,
            providers: 1,
            lowest_ask: Some(AttoFil(1)),
            highest_ask: Some(AttoFil(1)),
            from_wallet: AttoFil::ZERO,
            warnings: Vec::new(),
        };
        let mut opened = OpenedJob { job, offer: None };
        assert_eq!(lines(&opened, &Asset::coin()), [""; 0]);
        opened.offer = Some(offer.clone());
        assert_eq!(lines(&opened, &Asset::coin()), [""; 0]);
        opened.job.verification = Verification::Unverified;
        let note = "; nobody looks at the result before it is paid for.";
        assert_eq!(super::note(&opened), Some(format!("unverified: any provider is trusted{note}")));
        opened.job.directed_to = Some(lota_market::Address::repeat_byte(7));
        let named = "unverified: 0x0707070707070707070707070707070707070707 is trusted";
        assert_eq!(super::note(&opened), Some(format!("{named}{note}")));
        assert_eq!(super::note(&OpenedJob { offer: None, ..opened.clone() }), None, "it was said before");
        opened.offer =
            Some(JobOffer { from_wallet: AttoFil(7), warnings: vec!["far\u{1b}[31m above".to_owned()], ..offer });
        let told = lines(&opened, &Asset::coin());
        assert!(told[0].starts_with("warning: far") && !told[0].contains('\u{1b}'), "{told:?}");
        assert!(told[1].starts_with("0.000000000000000007 FIL moved") && told[1].contains("0.000000000000000008 FIL"));
    }
}
