//! What providers decided, those who said the same together.

use lota_api::{Decision, JobDetail, Verdict};

use crate::terminal::{brief, plural, short_address};

/// The longest name of a provider that is shown, in characters.
const MAX_NAME: usize = 40;
/// The longest reason that is shown, in characters.
const MAX_REASON: usize = 1_000;
/// How many names are told.
const MAX_NAMES: usize = 4;
/// How many different reasons are told in one line.
const MAX_REASONS: usize = 3;

/// Providers who decided the same for the same reason. All of it can be shown.
pub(super) struct Group {
    /// Who, at least one; with the address if it is one alone.
    pub(super) who: String,
    /// How many.
    pub(super) count: usize,
    /// What.
    pub(super) decision: Verdict,
    /// Why.
    pub(super) reason: String,
}

/// All decisions, in the order of each group's first.
pub(super) fn grouped<'a>(decisions: impl IntoIterator<Item = &'a Decision>) -> Vec<Group> {
    let mut groups: Vec<Vec<&Decision>> = Vec::new();
    for decision in decisions {
        let same = |group: &&mut Vec<&Decision>| {
            group.first().is_some_and(|one| one.decision == decision.decision && one.reason == decision.reason)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(decision),
            None => groups.push(vec![decision]),
        }
    }
    let group = |members: Vec<&Decision>| {
        let one = members.first()?;
        Some(Group {
            who: who(&members),
            count: members.len(),
            decision: one.decision,
            reason: brief(&one.reason, MAX_REASON),
        })
    };
    groups.into_iter().filter_map(group).collect()
}

fn who(members: &[&Decision]) -> String {
    if let [one] = members {
        return name(one);
    }
    let short = |decision: &&Decision| match &decision.name {
        Some(name) => brief(name, MAX_NAME),
        None => short_address(decision.provider),
    };
    let mut names: Vec<String> = members.iter().take(MAX_NAMES).map(short).collect();
    let more = members.len() - names.len();
    let last = if more > 0 { Some(format!("{more} more")) } else { names.pop() };
    format!("{} and {}", names.join(", "), last.unwrap_or_default())
}

/// A provider, alone: its name and the ends of its address, or all of its address.
pub(crate) fn name(decision: &Decision) -> String {
    match &decision.name {
        Some(name) => format!("{} ({})", brief(name, MAX_NAME), short_address(decision.provider)),
        None => decision.provider.to_string(),
    }
}

/// Who refused the job and why, one reason after another; none: nobody did.
pub(crate) fn refusals(job: &JobDetail) -> Option<String> {
    let groups = grouped(job.decisions.iter().filter(|decision| decision.decision == Verdict::Refused));
    let told = groups.iter().take(MAX_REASONS).map(|group| format!("{}: {}", group.who, group.reason));
    let mut text = told.collect::<Vec<_>>().join("; ");
    let more: usize = groups.iter().skip(MAX_REASONS).map(|group| group.count).sum();
    if more > 0 {
        text.push_str(&format!("; and {} for other reasons", plural(more as u64, "provider")));
    }
    (!groups.is_empty()).then_some(text)
}

/// How many providers refused the job, and why, in a few words; none: nobody did.
pub(crate) fn refusals_in_short(job: &JobDetail) -> Option<String> {
    let groups = grouped(job.decisions.iter().filter(|decision| decision.decision == Verdict::Refused));
    let count: usize = groups.iter().map(|group| group.count).sum();
    let mut text = groups.iter().take(MAX_REASONS).map(|group| group.reason.as_str()).collect::<Vec<_>>().join("; ");
    let more = groups.len().saturating_sub(MAX_REASONS);
    if more > 0 {
        text.push_str(&format!("; and for {}", plural(more as u64, "other reason")));
    }
    (count > 0).then(|| format!("{} refused: {text}", plural(count as u64, "provider")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(decisions: &[(&str, &str)]) -> JobDetail {
        let mut job: JobDetail = serde_json::from_str(include_str!("../../../tests/fixtures/job.json")).expect("a job");
        let one = job.decisions[1].clone();
        let decision = |(name, reason): &(&str, &str)| Decision {
            name: (!name.is_empty()).then(|| (*name).to_owned()),
            reason: (*reason).to_owned(),
            ..one.clone()
        };
        job.decisions = decisions.iter().map(decision).collect();
        job
    }

    #[test]
    fn one_reason_is_told_once_with_all_who_have_it() {
        let job = job(&[("ann", "too large"), ("bob", "too slow"), ("carl", "too large"), ("", "too large")]);
        let told = refusals(&job).expect("refused");
        assert_eq!(told, "ann, carl and 0xde70…fb77: too large; bob (0xde70…fb77): too slow");
        let short = refusals_in_short(&job).expect("refused");
        assert_eq!(short, "4 providers refused: too large; too slow");
    }

    #[test]
    fn neither_many_providers_nor_many_reasons_make_a_long_line() {
        let many: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
        let same: Vec<_> = many.iter().map(|name| (name.as_str(), "no")).collect();
        assert_eq!(refusals(&job(&same)).expect("refused"), "p0, p1, p2, p3 and 36 more: no");
        let each: Vec<_> = many.iter().map(|name| ("x", name.as_str())).collect();
        let told = refusals(&job(&each)).expect("refused");
        assert!(told.ends_with("p2; and 37 providers for other reasons"), "{told}");
        let short = refusals_in_short(&job(&each)).expect("refused");
        assert_eq!(short, "40 providers refused: p0; p1; p2; and for 37 other reasons");
        let (name, reason) = ("n".repeat(9_000), "r".repeat(9_000));
        assert!(refusals(&job(&[(&name, &reason)])).expect("refused").len() < 1_200);
    }

    #[test]
    fn nobody_refuses_an_empty_market_or_for_others() {
        let mut job = job(&[]);
        assert!(refusals(&job).is_none() && refusals_in_short(&job).is_none());
        job = self::job(&[("ann", "no"), ("bob", "asks more")]);
        job.decisions[1].decision = Verdict::Waiting;
        assert_eq!(refusals(&job).expect("one did"), "ann (0xde70…fb77): no");
    }

    #[test]
    fn what_strangers_say_is_shown_and_not_obeyed() {
        let job = job(&[("\x1b]0;x\x07", "a\nb\u{202e}")]);
        let told = refusals(&job).expect("refused");
        assert!(told.starts_with("\\u{1b}]0;x\\u{7} (") && told.ends_with(": a\\nb\\u{202e}"), "{told}");
    }
}
