//! The answers, from the facts.

use lota_api::rfc3339;
use lota_fil_plus::answer::Certainty;
use lota_market::{AttoFil, Time, asset::Asset};

use super::{Check, Evidence, Facts, Outcome, PartyHistory, Policy, Question, ReExecution, Retrieval, Share};

/// The answer to each question, in their order; prices are in the market's asset.
#[must_use]
pub fn checks(facts: &Facts, policy: &Policy, asset: &Asset, now: Time) -> Vec<Check> {
    Question::ALL
        .into_iter()
        .map(|question| {
            let (outcome, answer, evidence) = match question {
                Question::FilPlusData => data(facts),
                Question::ExitCode => ending(facts.job.exit_code),
                Question::OutputRetrievable => output(facts),
                Question::ReExecution => re_execution(facts),
                Question::Duplicate => duplicate(facts),
                Question::SameParty => same_party(facts),
                Question::Circle => circle(facts, policy, asset),
                Question::ProviderShare => share(facts, policy, facts.blessed.to_provider, "provider"),
                Question::ClientShare => share(facts, policy, facts.blessed.for_client, "client"),
                Question::PairVolume => pair(facts, asset),
                Question::Age => age(facts, policy, now),
            };
            Check { question, outcome, answer, evidence }
        })
        .collect()
}

type Answer = (Outcome, String, Vec<Evidence>);

fn data(facts: &Facts) -> Answer {
    let Some(inputs) = &facts.inputs else {
        return (Outcome::Unknown, "Its spec was in no event, so it is not known what it reads.".into(), vec![]);
    };
    let evidence = inputs
        .iter()
        .flat_map(|input| {
            let place =
                if input.cid.is_empty() { input.path.clone() } else { format!("{} ({})", input.path, input.cid) };
            let standing = input.certainty.map_or("nobody was asked", Certainty::name);
            let because = input.because.iter().map(|line| Evidence::new("because", line));
            std::iter::once(Evidence::new(place, standing)).chain(because).collect::<Vec<_>>()
        })
        .collect();
    let of = inputs.len();
    let with = |certainty| inputs.iter().filter(|input| input.certainty == certainty).count();
    let verified = with(Some(Certainty::Verified));
    let contradicted = with(Some(Certainty::Contradicted));
    if of == 0 {
        (Outcome::Failed, "It reads nothing.".into(), evidence)
    } else if contradicted > 0 {
        (Outcome::Failed, format!("What is said of {contradicted} of {of} inputs contradicts itself."), evidence)
    } else if with(None) > 0 {
        (Outcome::Unknown, format!("Of {} of {of} inputs nothing is known that counts.", with(None)), evidence)
    } else if verified == of {
        (Outcome::Passed, format!("All of it ({of} inputs) is verified by claims on chain."), evidence)
    } else if verified > 0 {
        (Outcome::Warning, format!("{verified} of {of} inputs are verified by claims on chain."), evidence)
    } else if with(Some(Certainty::Unknown)) == of {
        (Outcome::Failed, "No source knows any of its inputs.".into(), evidence)
    } else {
        (Outcome::Warning, "No input is verified by a claim; some are said to be FIL+ data.".into(), evidence)
    }
}

fn ending(exit_code: u32) -> Answer {
    let evidence = vec![Evidence::new("exit code", exit_code)];
    if exit_code == 0 {
        (Outcome::Passed, "It ended with exit code 0.".into(), evidence)
    } else {
        (Outcome::Warning, format!("It failed: it ended with exit code {exit_code}."), evidence)
    }
}

fn output(facts: &Facts) -> Answer {
    match &facts.retrieval {
        Retrieval::Verified { bytes } => (
            Outcome::Passed,
            "All of it was fetched, and each block is what its CID says.".into(),
            vec![Evidence::new("bytes", bytes)],
        ),
        Retrieval::Unavailable { why } => {
            (Outcome::Failed, "It could not be fetched.".into(), vec![Evidence::new("because", why)])
        }
        Retrieval::Pending => (Outcome::Unknown, "It was not fetched yet.".into(), vec![]),
    }
}

fn re_execution(facts: &Facts) -> Answer {
    match &facts.re_execution {
        ReExecution::Agrees { fuel } => (
            Outcome::Passed,
            "Another run gave the same output, exit code and fuel.".into(),
            vec![Evidence::new("fuel", fuel)],
        ),
        ReExecution::Differs { what } => {
            (Outcome::Failed, "Another run gave something else.".into(), vec![Evidence::new("different", what)])
        }
        ReExecution::NotReproducible => (
            Outcome::Unknown,
            "Its engine's output cannot be reproduced: nothing follows from another run.".into(),
            vec![],
        ),
        ReExecution::Impossible { why } => {
            (Outcome::Unknown, "It could not be run again.".into(), vec![Evidence::new("because", why)])
        }
        ReExecution::NotNow { why } => {
            (Outcome::Unknown, "It could not be run again so far.".into(), vec![Evidence::new("because", why)])
        }
        ReExecution::Pending => (Outcome::Unknown, "It was not run again yet.".into(), vec![]),
    }
}

fn duplicate(facts: &Facts) -> Answer {
    let evidence: Vec<_> =
        facts.earlier.iter().map(|earlier| Evidence::new(format!("the same {}", earlier.same), earlier.job)).collect();
    if facts.earlier.iter().any(|earlier| earlier.blessed) {
        (Outcome::Failed, "Yes: another job with the same work was blessed.".into(), evidence)
    } else if facts.earlier.is_empty() {
        (Outcome::Passed, "No.".into(), evidence)
    } else {
        (Outcome::Warning, "Not that is known; but an earlier settled job had the same.".into(), evidence)
    }
}

fn same_party(facts: &Facts) -> Answer {
    let evidence = vec![Evidence::new("client", facts.job.client), Evidence::new("provider", facts.job.provider)];
    if facts.job.client == facts.job.provider {
        (Outcome::Failed, "They are one account.".into(), evidence)
    } else {
        (
            Outcome::Passed,
            "They are two accounts. Whether one person holds both keys no chain can tell.".into(),
            evidence,
        )
    }
}

fn circle(facts: &Facts, policy: &Policy, asset: &Asset) -> Answer {
    let Some(way) = &facts.way_back else {
        return if facts.all_ways {
            (Outcome::Passed, "None that the market saw.".into(), vec![])
        } else {
            (
                Outcome::Unknown,
                "None was found, but the provider deals with more parties than were looked at.".into(),
                vec![],
            )
        };
    };
    // Split, money comes back on many ways, of which none is wide.
    let back = facts.back.max(way.amount).min(facts.pair.volume);
    let share = Share::of(back, facts.pair.volume).unwrap_or_default();
    let parties = way.parties.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ");
    let evidence = vec![
        Evidence::new("the widest way", parties),
        Evidence::new("at most on it", asset.show(way.amount)),
        Evidence::new("at most on all ways", asset.show(back)),
        Evidence::new("the pair's volume", asset.show(facts.pair.volume)),
        Evidence::new("share", share),
    ];
    let outcome = if share >= policy.circle_failure {
        Outcome::Failed
    } else if share >= policy.circle_warning {
        Outcome::Warning
    } else if facts.all_ways {
        Outcome::Passed
    } else {
        Outcome::Unknown
    };
    (outcome, format!("Up to {share} of what the client paid can have come back to it."), evidence)
}

fn share(facts: &Facts, policy: &Policy, part: AttoFil, whose: &str) -> Answer {
    let evidence = vec![
        Evidence::new("blessings in the period", facts.blessed.count),
        Evidence::new("amount, in the granter's unit", facts.blessed.amount.0),
        Evidence::new(format!("of this {whose}"), part.0),
    ];
    match Share::of(part, facts.blessed.amount) {
        Some(share) if facts.blessed.count >= policy.share_from_blessings => {
            let outcome = if share >= policy.share_warning { Outcome::Warning } else { Outcome::Passed };
            (outcome, format!("{share}."), evidence)
        }
        _ => (
            Outcome::Noted,
            format!("Fewer than {} blessings in the period: a share says nothing.", policy.share_from_blessings),
            evidence,
        ),
    }
}

fn pair(facts: &Facts, asset: &Asset) -> Answer {
    let pair = &facts.pair;
    let evidence = vec![
        Evidence::new("jobs", pair.jobs),
        Evidence::new("volume", asset.show(pair.volume)),
        Evidence::new("first settled", rfc3339(pair.first)),
        Evidence::new("last settled", rfc3339(pair.last)),
    ];
    let jobs = if pair.jobs == 1 { "one job".into() } else { format!("{} jobs", pair.jobs) };
    (Outcome::Noted, format!("{} for {jobs}.", asset.show(pair.volume)), evidence)
}

fn age(facts: &Facts, policy: &Policy, now: Time) -> Answer {
    let known = |who: &str, history: &PartyHistory| {
        let since = history.since.map_or_else(|| "not yet".into(), |since| rfc3339(since).to_string());
        vec![
            Evidence::new(format!("the {who} is known since"), since),
            Evidence::new(format!("the {who}'s settled jobs"), history.settled),
            Evidence::new(format!("the {who}'s lost collaterals"), history.slashed),
        ]
    };
    let young = |history: &PartyHistory| history.since.is_none_or(|since| now.since(since) < policy.young);
    let evidence = [known("client", &facts.client), known("provider", &facts.provider)].concat();
    let answer = match (young(&facts.client), young(&facts.provider)) {
        (false, false) => return (Outcome::Passed, "Both are older than a newcomer.".into(), evidence),
        (true, true) => "Both are newcomers.",
        (true, false) => "The client is a newcomer.",
        (false, true) => "The provider is a newcomer.",
    };
    (Outcome::Warning, answer.into(), evidence)
}

#[cfg(test)]
mod tests {
    use lota_market::{Address, B256, model::JobId};

    use super::*;
    use crate::review::{Blessed, EarlierJob, InputEvidence, Pair, Risk, SettledJob, Way};

    const NOW: Time = Time(2_000_000);

    fn known() -> PartyHistory {
        PartyHistory { since: Some(Time(1_000_000)), settled: 9, slashed: 0 }
    }

    fn input(certainty: Certainty) -> InputEvidence {
        InputEvidence {
            path: "/in".into(),
            cid: "bafy".into(),
            certainty: Some(certainty),
            because: vec!["claim 7".into()],
        }
    }

    fn good() -> Facts {
        let (client, provider) = (Address::with_last_byte(1), Address::with_last_byte(2));
        Facts {
            job: SettledJob {
                job: JobId(B256::with_last_byte(1)),
                client,
                provider,
                price: AttoFil(100),
                settled_at: Time(1_900_000),
                spec: B256::with_last_byte(2),
                output: B256::with_last_byte(3),
                exit_code: 0,
            },
            inputs: Some(vec![input(Certainty::Verified)]),
            retrieval: Retrieval::Verified { bytes: 12 },
            re_execution: ReExecution::Agrees { fuel: 5 },
            earlier: vec![],
            pair: Pair { jobs: 2, volume: AttoFil(200), first: Time(1_000_000), last: Time(1_900_000) },
            back: AttoFil::ZERO,
            way_back: None,
            all_ways: true,
            client: known(),
            provider: known(),
            blessed: Blessed { count: 10, amount: AttoFil(1_000), to_provider: AttoFil(100), for_client: AttoFil(100) },
        }
    }

    fn outcome(facts: &Facts, question: Question) -> Outcome {
        let all = checks(facts, &Policy::default(), &Asset::coin(), NOW);
        assert_eq!(all.iter().map(|check| check.question).collect::<Vec<_>>(), Question::ALL);
        all.into_iter().find(|check| check.question == question).expect("each question has an answer").outcome
    }

    #[test]
    fn a_good_job_passes_all() {
        let all = checks(&good(), &Policy::default(), &Asset::coin(), NOW);
        let bad: Vec<_> = all.iter().filter(|check| check.outcome > Outcome::Noted).collect();
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(Risk::of(&all), Risk::Low);
    }

    #[test]
    fn inputs_are_as_sure_as_their_worst() {
        for (inputs, expected) in [
            (vec![], Outcome::Failed),
            (vec![Certainty::Unknown], Outcome::Failed),
            (vec![Certainty::Listed], Outcome::Warning),
            (vec![Certainty::Ended], Outcome::Warning),
            (vec![Certainty::SelfReported, Certainty::Unknown], Outcome::Warning),
            (vec![Certainty::Verified, Certainty::Unknown], Outcome::Warning),
            (vec![Certainty::Verified, Certainty::Verified], Outcome::Passed),
            (vec![Certainty::Verified, Certainty::Contradicted], Outcome::Failed),
        ] {
            let facts = Facts { inputs: Some(inputs.iter().copied().map(input).collect()), ..good() };
            assert_eq!(outcome(&facts, Question::FilPlusData), expected, "{inputs:?}");
        }
    }

    #[test]
    fn a_program_that_failed_worries() {
        let ended = |exit_code| Facts { job: SettledJob { exit_code, ..good().job }, ..good() };
        assert_eq!(outcome(&ended(0), Question::ExitCode), Outcome::Passed);
        for code in [1, 137, u32::MAX] {
            let all = checks(&ended(code), &Policy::default(), &Asset::coin(), NOW);
            let found = all.iter().find(|check| check.question == Question::ExitCode).expect("asked");
            assert!(found.outcome == Outcome::Warning && found.answer.contains(&code.to_string()), "{found:?}");
            assert_eq!(found.evidence, [Evidence::new("exit code", code)]);
            assert_eq!(Risk::of(&all), Risk::Medium);
        }
    }

    #[test]
    fn what_nobody_was_asked_about_is_unknown_and_speaks_against_nobody() {
        let asked = input(Certainty::Verified);
        let not_asked = InputEvidence { certainty: None, ..asked.clone() };
        for inputs in [None, Some(vec![not_asked.clone()]), Some(vec![asked, not_asked])] {
            assert_eq!(outcome(&Facts { inputs, ..good() }, Question::FilPlusData), Outcome::Unknown);
        }
    }

    #[test]
    fn money_that_comes_back_worries_from_the_policy_s_limits_on() {
        let back = |amount| {
            let parties = vec![Address::with_last_byte(2), Address::with_last_byte(9), Address::with_last_byte(1)];
            let way_back = Some(Way { parties, amount: AttoFil(amount) });
            Facts { back: AttoFil(amount), way_back, ..good() }
        };
        assert_eq!(outcome(&back(19), Question::Circle), Outcome::Passed);
        assert_eq!(outcome(&back(20), Question::Circle), Outcome::Warning);
        assert_eq!(outcome(&back(99), Question::Circle), Outcome::Warning);
        assert_eq!(outcome(&back(100), Question::Circle), Outcome::Failed);
        assert_eq!(outcome(&back(u128::MAX), Question::Circle), Outcome::Failed);
        assert_eq!(outcome(&Facts { all_ways: false, ..good() }, Question::Circle), Outcome::Unknown);
        assert_eq!(outcome(&Facts { all_ways: false, ..back(1) }, Question::Circle), Outcome::Unknown);
        let split = |amount| Facts { back: AttoFil(amount), ..back(1) };
        assert_eq!(outcome(&split(20), Question::Circle), Outcome::Warning);
        assert_eq!(outcome(&split(100), Question::Circle), Outcome::Failed);
    }

    #[test]
    fn one_account_on_both_sides_fails() {
        let mut facts = good();
        facts.job.client = facts.job.provider;
        assert_eq!(outcome(&facts, Question::SameParty), Outcome::Failed);
        assert_eq!(Risk::of(&checks(&facts, &Policy::default(), &Asset::coin(), NOW)), Risk::High);
    }

    #[test]
    fn what_was_blessed_before_is_not_blessed_again() {
        let earlier = |blessed| EarlierJob { job: JobId(B256::with_last_byte(8)), same: "output".into(), blessed };
        assert_eq!(outcome(&Facts { earlier: vec![earlier(false)], ..good() }, Question::Duplicate), Outcome::Warning);
        assert_eq!(
            outcome(&Facts { earlier: vec![earlier(false), earlier(true)], ..good() }, Question::Duplicate),
            Outcome::Failed
        );
    }

    #[test]
    fn shares_count_from_a_few_blessings_on() {
        let blessed = |count| Blessed { count, amount: AttoFil(10), to_provider: AttoFil(5), for_client: AttoFil(4) };
        let few = Facts { blessed: blessed(4), ..good() };
        assert_eq!(outcome(&few, Question::ProviderShare), Outcome::Noted);
        let many = Facts { blessed: blessed(5), ..good() };
        assert_eq!(outcome(&many, Question::ProviderShare), Outcome::Warning);
        assert_eq!(outcome(&many, Question::ClientShare), Outcome::Passed);
        let none = Facts { blessed: Blessed::default(), ..good() };
        assert_eq!(outcome(&none, Question::ClientShare), Outcome::Noted);
    }

    #[test]
    fn newcomers_are_told_and_unknown_things_are_medium() {
        let facts = Facts { client: PartyHistory::default(), re_execution: ReExecution::NotReproducible, ..good() };
        assert_eq!(outcome(&facts, Question::Age), Outcome::Warning);
        assert_eq!(outcome(&facts, Question::ReExecution), Outcome::Unknown);
        assert_eq!(Risk::of(&checks(&facts, &Policy::default(), &Asset::coin(), NOW)), Risk::Medium);
    }
}
