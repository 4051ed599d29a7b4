//! An answer of the registry's for a person.

use lota_fil_plus::answer::{Answer, Certainty, CheckAnswer, Checked, ClaimEvidence, ClaimState, SourceState};

use crate::{
    terminal::{bad, bold, dim, good, printable, span},
    units::ByteSize,
};

/// With more CIDs than this, each has one line.
const DETAILED: usize = 20;

/// All of it.
pub(super) fn answer(answer: &CheckAnswer) -> String {
    let detailed = answer.answers.len() <= DETAILED;
    let mut text = String::new();
    for checked in &answer.answers {
        match checked {
            Checked::Answer(answer) => about(&mut text, answer, detailed),
            Checked::Malformed { cid, error } => {
                line(&mut text, 0, &format!("{}  {}: {}", bold(&printable(cid)), bad("no CID"), printable(error)))
            }
        }
    }
    for source in &answer.sources {
        line(&mut text, 0, &dim(&standing(source)));
    }
    text
}

fn line(text: &mut String, indent: usize, words: &str) {
    text.push_str(&" ".repeat(indent));
    text.push_str(words);
    text.push('\n');
}

fn certainty(certainty: Certainty, old: bool) -> String {
    match certainty {
        Certainty::Verified if !old => good(certainty.name()),
        Certainty::Contradicted => bad(certainty.name()),
        _ => certainty.name().to_owned(),
    }
}

fn about(text: &mut String, answer: &Answer, detailed: bool) {
    line(
        text,
        0,
        &format!(
            "{}  {}: {}",
            bold(&printable(&answer.cid)),
            certainty(answer.certainty, answer.old),
            printable(&answer.reason)
        ),
    );
    if !detailed {
        return;
    }
    for piece in answer.pieces.iter().filter(|piece| **piece != answer.cid) {
        line(text, 2, &format!("piece {}", printable(piece)));
    }
    for evidence in &answer.claims {
        line(text, 2, &claim(evidence));
    }
    if answer.more_claims {
        line(text, 2, "and more claims");
    }
    if answer.more_evidence {
        line(text, 2, "and more pieces, reports or contradictions");
    }
    for report in &answer.reports {
        let deal = if report.verified_deal { "in a verified deal" } else { "in no verified deal" };
        line(
            text,
            2,
            &format!(
                "{} on {}: {deal}, says {}",
                printable(&report.source),
                day(&report.seen),
                printable(&report.peer)
            ),
        );
    }
    for list in &answer.lists {
        let note = if list.note.is_empty() { String::new() } else { format!(": {}", printable(&list.note)) };
        line(text, 2, &format!("on the list {}, issued on {}{note}", printable(&list.list), day(&list.issued)));
    }
    for contradiction in &answer.contradictions {
        line(text, 2, &format!("{} {}", bad("contradiction:"), printable(contradiction)));
    }
    for caveat in &answer.caveats {
        line(text, 2, &format!("note: {}", printable(caveat)));
    }
}

fn claim(evidence: &ClaimEvidence) -> String {
    let ClaimEvidence { kind, id, state, size, provider, client, sources, as_of_epoch, .. } = evidence;
    let over = evidence.over_at_time.as_ref().map_or_else(|| format!("epoch {}", evidence.over_at), day);
    let state = match state {
        ClaimState::Active => format!("{} until {over}", good(state.name())),
        ClaimState::Expired => format!("{} since {over}", state.name()),
        state => state.name().to_owned(),
    };
    let [kind, provider, client, sources] = [kind, provider, client, &sources.join(", ")].map(|text| printable(text));
    format!(
        "{kind} {id}: {state}, provider {provider}, client {client}, {}, as of epoch {as_of_epoch} by {sources}",
        ByteSize(*size)
    )
}

fn day(time: &jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn standing(source: &SourceState) -> String {
    let reached = match (source.epoch, source.age) {
        (Some(epoch), Some(age)) => format!("epoch {epoch}, {} ago", span(age)),
        (None, Some(age)) => format!("{} ago", span(age)),
        _ => "nothing yet".to_owned(),
    };
    let stale = if source.stale { " (old)" } else { "" };
    let problem = source.problem.as_ref().map(|problem| format!("; {}", printable(problem))).unwrap_or_default();
    format!("source {}: {reached}{stale}{problem}", printable(&source.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_stays_in_its_line() {
        let answer = Answer {
            cid: "bafy".to_owned(),
            certainty: Certainty::Listed,
            reason: "a trusted list names it; no claim is known".to_owned(),
            as_of: None,
            age: None,
            old: false,
            pieces: Vec::new(),
            claims: Vec::new(),
            more_claims: false,
            more_evidence: false,
            reports: Vec::new(),
            lists: vec![lota_fil_plus::answer::ListEvidence {
                source: "list a".to_owned(),
                list: "A".to_owned(),
                issued: jiff::Timestamp::UNIX_EPOCH,
                note: "\u{1b}[31mx\nbafy  verified: 1 claim\u{1b}[2J".to_owned(),
            }],
            contradictions: Vec::new(),
            caveats: Vec::new(),
        };
        let mut text = String::new();
        console::set_colors_enabled(false);
        about(&mut text, &answer, true);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("listed: a trusted list") && !text.contains("\u{1b}["), "{text}");
    }
}
