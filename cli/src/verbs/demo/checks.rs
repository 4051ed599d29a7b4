//! What must be true at the end.

use lota_market::model::{Reason, Status};
use serde::Serialize;

use super::{accounts::Money, output::Output, plan::Job, question::Asked};

/// Something that must be true.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    /// What, in words.
    pub(super) what: String,
    /// Whether it is.
    pub(super) ok: bool,
}

/// All checks.
pub(super) fn all(jobs: &[Job], outputs: &[Option<Output>], asked: Option<&Asked>, money: &Money) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |what: String, ok: bool| checks.push(Check { what, ok });
    for (job, output) in jobs.iter().zip(outputs) {
        let summary = &job.detail.summary;
        let name = format!("{}'s job ({})", job.client, job.what);
        let Some(expected) = &job.expected else {
            let slashed = summary.status == Status::Slashed && summary.reason == Reason::NotSubmitted;
            check(format!("{name} cost the slow provider its collateral"), slashed);
            let money = &job.detail.money;
            let half = job.detail.terms.collateral.half();
            check(
                format!("{name} cost nothing and brought half the collateral as compensation"),
                money.returned_to_client == summary.max_price && money.compensation == half,
            );
            continue;
        };
        check(
            format!("{name} was settled by its result"),
            summary.status == Status::Settled && summary.reason == Reason::Unreviewed,
        );
        // A contract looks at nothing.
        if expected.answer.is_none() {
            check(format!("{name} has an output that the client fetched and verified"), summary.output_verified);
        }
        check(format!("{name} ended with exit code 0"), summary.exit_code == Some(0));
        check(
            format!("{name} has an output that its provider serves, every block of which matches its CID"),
            output.as_ref().is_some_and(|output| Some(&output.cid) == summary.output.as_ref()),
        );
        check(
            format!("{name} counted the words as the demo did"),
            output.as_ref().is_some_and(|output| {
                let told = match &expected.answer {
                    Some(answer) => output.stdout == *answer,
                    None => output.stdout.lines().any(|line| line == format!("words\t{}", expected.words)),
                };
                output.counts == expected.counts && told && output.exit_code == "0"
            }),
        );
    }
    if let Some(asked) = asked {
        check(
            "the market called the contract back with the answer, and the contract keeps it".to_owned(),
            asked.answered && asked.answer == asked.expected && asked.exit_code == 0,
        );
    }
    check("all money is accounted for".to_owned(), money.accounted);
    checks
}
