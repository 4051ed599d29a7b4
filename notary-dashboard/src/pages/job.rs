//! All that is known of a job.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::header,
    response::IntoResponse as _,
};
use lota_market::{
    Address, Time,
    blessing::{Choice, Phase},
};
use lota_notary::{
    desk::{About, Asked, Decision, Dossier, LookedAt, Stage, Vote, VoteState},
    review::{Check, Evidence, Outcome, Question},
};
use maud::{Markup, html};

use super::{job_id, nomination, queue, spec};
use crate::{
    page::{Answer, Failure, Page, Part},
    site::{Reader, Site},
    words,
};

/// The most lines of evidence of a check, and of what happened.
const MAX_LINES: usize = 200;

pub(crate) async fn job(State(site): State<Arc<Site>>, reader: Reader, Path(id): Path<String>) -> Answer {
    let about = reader.about.clone()?;
    let job = job_id(&id)?;
    let dossier = site.ask(site.desk.dossier(job)).await?;
    if reader.is_notary {
        site.desk.opened(job);
    }
    let now = reader.now(&site);
    let part = match dossier.stage {
        Stage::Granted | Stage::Ended(_) => Part::History,
        _ => Part::Queue,
    };
    let title = format!("Job {}", words::shortened(&id));
    let content = html! {
        h1 { "Job " code.hex title=(id) { (words::shortened(&id)) } }
        (summary(&dossier, &about, &reader, now))
        (votes(&dossier, &reader))
        (checks(&dossier.checks, &dossier.looked_at, now))
        (reads(&dossier))
        @if let Some(nomination) = &dossier.nomination {
            section.card #nomination aria-labelledby="nomination-title" {
                h2 #nomination-title { @if part == Part::History { "What was asked for" } @else { "What is asked for" } }
                (nomination::fields(nomination, dossier.piece.as_deref(), &about, reader.account(), now))
            }
        }
        (settled(&dossier, &about, now))
        section.card #availability aria-labelledby="availability-title" {
            h2 #availability-title { "Proofs of storage" }
            @if dossier.availability.is_empty() { p.quiet { "No proof of storage is known of its output." } }
            @else {
                @if let Some(at) = dossier.looked_at.proofs { p.quiet { "As of " (words::when_and_distance(at, now)) "." } }
                (evidence(&dossier.availability))
            }
        }
        @if let Some(asked) = &dossier.asked { (other_notary(asked, now)) }
        (happened(&dossier, now))
    };
    Ok(Page::new(&title, part).live(format!("job {id}")).render(Some(&reader), &content))
}

fn summary(dossier: &Dossier, about: &About, reader: &Reader, now: Time) -> Markup {
    let id = dossier.job.job;
    let nomination = dossier.nomination.as_ref();
    let can_vote = matches!(dossier.stage, Stage::Voting | Stage::Blessed);
    let is_party = reader.account().is_some_and(|account| nomination.is_some_and(|it| it.is_party(account)));
    let round = nomination.map_or(0, |nomination| nomination.round);
    let mine = dossier.votes.iter().rfind(|vote| Some(vote.notary) == reader.account() && vote.round == round);
    html! {
        section.card.summary #summary aria-label="Where it stands" {
            p {
                (queue::risk(dossier.risk)) " risk · " strong { (queue::stage(dossier.stage)) }
                @if let Some(nomination) = nomination {
                    " · "
                    @let granter = about.granters.iter().find(|known| known.granter == nomination.granter);
                    (queue::asked_for(nomination.amount, granter))
                    " · " (tally(dossier, about))
                    @if dossier.stage == Stage::Voting { " · votes until " (words::when_and_distance(nomination.expires, now)) }
                }
            }
            @if let (Some(policy), Some(nomination)) = (dossier.policy_amount, nomination) {
                p.failure {
                    "Less is asked for than this service's policy does: "
                    @let granter = about.granters.iter().find(|known| known.granter == nomination.granter);
                    (queue::asked_for(policy, granter))
                    ". It was nominated by " (words::account(nomination.nominator))
                    "; if nobody decides on it, the service may nominate the job itself."
                }
            }
            @if let Some(why) = &dossier.not_nominated { p { "It was not nominated: " (words::theirs(why)) } }
            @if let Some(vote) = mine { p { strong { "Your vote: " (queue::choice(vote.choice)) } ", " (state(&vote.state)) } }
            p.actions {
                @if can_vote && reader.is_notary && !is_party {
                    @match reader.account().and_then(|account| own_vote(dossier, account)).map(|vote| &vote.state) {
                        None => a.button href={ "/jobs/" (id) "/decide" } { @if dossier.stage == Stage::Blessed { "Revoke…" } @else { "Decide…" } },
                        Some(VoteState::Held) => a.button.second href={ "/jobs/" (id) "/decide" } { "Vote otherwise…" },
                        Some(_) => {}
                    }
                }
                @if mine.is_some() { a.button href="/next" { "Next job" } }
                a.button.second href={ "/jobs/" (id) "/output" } { "Look at the output" }
                @if dossier.phase == Phase::Granted || matches!(dossier.stage, Stage::Ended(_) | Stage::Blessed | Stage::Due) {
                    a.button.second href={ "/jobs/" (id) "/attestation" } { "Attestation" }
                }
            }
            @if can_vote && is_party { p { "You are a party of this job: you may not vote on it." } }
            @if can_vote && !reader.is_notary { p.quiet { "Only notaries of the present set vote." } }
        }
    }
}

/// A notary's vote on what is decided now, if it counts, is on its way, or is held: of these it may cast only the last one anew.
pub(super) fn own_vote(dossier: &Dossier, notary: Address) -> Option<&Vote> {
    let round = dossier.nomination.as_ref()?.round;
    let revokes = dossier.stage == Stage::Blessed;
    let is_own = |vote: &&Vote| (vote.notary, vote.round, vote.choice == Choice::Revoke) == (notary, round, revokes);
    dossier.votes.iter().rfind(is_own).filter(|vote| match vote.state {
        VoteState::Held | VoteState::Sending => true,
        // A new set of notaries makes votes void.
        VoteState::Landed { .. } => dossier.voters.contains(&notary),
        VoteState::Refused { .. } => false,
    })
}

/// How the votes of a job's round stand.
pub(super) fn tally(dossier: &Dossier, about: &About) -> Markup {
    queue::tally(dossier.stage, [dossier.approvals, dossier.against, dossier.revocations], about.quorum)
}

fn votes(dossier: &Dossier, reader: &Reader) -> Markup {
    html! {
        section.card #votes aria-labelledby="votes-title" {
            h2 #votes-title { "Votes" }
            @if dossier.votes.is_empty() { p.quiet { "Nobody has voted." } }
            @else {
                ol.votes { @for cast in dossier.votes.iter().take(MAX_LINES) { li { (vote(cast, reader)) } } }
            }
        }
    }
}

fn vote(vote: &Vote, reader: &Reader) -> Markup {
    html! {
        p {
            strong { (queue::choice(vote.choice)) } " by " (words::account(vote.notary))
            @if Some(vote.notary) == reader.account() { " (you)" }
            ", round " (vote.round) ", " (words::when(vote.at)) ": " (state(&vote.state))
        }
        @match &vote.text {
            Some(text) => blockquote { bdi.lines { (words::visible_lines(text)) } },
            None => p.quiet { "Its reasons are not known here; their digest is " (words::digest(vote.reasons)) },
        }
    }
}

/// How far a vote got, in words.
pub(super) fn state(state: &VoteState) -> Markup {
    html! {
        @match state {
            VoteState::Held => "held until another notary has signed",
            VoteState::Sending => "being sent",
            VoteState::Landed { transaction, is_final } => {
                @if *is_final { "final" } @else { "in a block, not final yet" }
                @if let Some(transaction) = transaction { ", transaction " (words::digest(*transaction)) }
            }
            VoteState::Refused { why } => { "refused: " (words::theirs(why)) }
        }
    }
}

/// When what a check rests on was found out, if it is not the chain alone.
fn found_out(question: Question, looked_at: &LookedAt) -> Option<Time> {
    match question {
        Question::FilPlusData => looked_at.inputs,
        Question::OutputRetrievable => looked_at.output,
        Question::ReExecution => looked_at.re_execution,
        _ => None,
    }
}

/// What another notary was asked for what was granted, and its answer.
fn other_notary(asked: &Asked, now: Time) -> Markup {
    html! {
        section.card #other-notary aria-labelledby="other-notary-title" {
            h2 #other-notary-title { "Another notary" }
            p {
                "Asked at " (words::theirs(&asked.server)) ", " (words::when_and_distance(asked.at, now))
                @if !asked.is_sent { "; its server does not have the request yet" }
                "."
            }
            @match &asked.answer {
                None => p.quiet { "It has not answered; until " (words::when_and_distance(asked.answer_by, now)) " its answer is taken." },
                Some(answer) => {
                    dl.fields {
                        (nomination::field("Its answer", &html! {
                            strong { @match answer.decision { Decision::Granted => "granted", Decision::Refused => "refused" } }
                            @if let Some(amount) = answer.amount { ": " (amount) " of its own unit" }
                        }))
                        (nomination::field("Given", &words::when_and_distance(answer.at, now)))
                        (nomination::field("Signed by", &html! {
                            @if answer.key.is_empty() { "a key that is no longer trusted" }
                            @else { code.hex.whole { (words::visible(&answer.key)) } }
                        }))
                        @if let Some(transaction) = &answer.transaction {
                            (nomination::field("Transaction, as it says", &html! { (words::theirs(transaction)) }))
                        }
                    }
                    @if !answer.reason.is_empty() {
                        blockquote { bdi.lines { (words::visible_short_lines(&answer.reason)) } }
                    }
                }
            }
        }
    }
}

fn checks(checks: &[Check], looked_at: &LookedAt, now: Time) -> Markup {
    html! {
        section.card #checks aria-labelledby="checks-title" {
            h2 #checks-title { "Checks" }
            @if checks.is_empty() { p.quiet { "Nothing was looked into yet." } }
            ul.checks {
                @for check in checks { li {
                    @let worries = matches!(check.outcome, Outcome::Failed | Outcome::Warning);
                    (queue::outcome(check.outcome))
                    div {
                    h3 { (check.question.text()) }
                    p { (words::theirs(&check.answer)) }
                    @if let Some(at) = found_out(check.question, looked_at) {
                        p.quiet { "Looked at " (words::when_and_distance(at, now)) "." }
                    }
                    @if !check.evidence.is_empty() && check.question != Question::FilPlusData {
                        details id={ "evidence-" (number(check.question)) } open[worries] {
                            summary { "Evidence" span.visually-hidden { ": " (check.question.text()) } }
                            (evidence(&check.evidence))
                        }
                    }
                    @if check.question == Question::FilPlusData { p { a href="#reads" { "What it reads, with the evidence" } } }
                    }
                } }
            }
        }
    }
}

fn number(question: Question) -> usize {
    Question::ALL.iter().position(|other| *other == question).unwrap_or_default()
}

/// Facts, each with its name.
pub(super) fn evidence(lines: &[Evidence]) -> Markup {
    html! {
        dl.fields {
            @for line in lines.iter().take(MAX_LINES) {
                div { dt { (words::theirs(&line.label)) } dd { bdi.theirs { (words::visible(&line.value)) } } }
            }
        }
        @if lines.len() > MAX_LINES { p.quiet { "and " (lines.len() - MAX_LINES) " lines more" } }
    }
}

/// The inputs: what follows one as `because` is what is said of it.
fn inputs(lines: &[Evidence]) -> Markup {
    let mut inputs: Vec<(Option<&Evidence>, Vec<&Evidence>)> = vec![];
    for line in lines.iter().take(MAX_LINES) {
        match inputs.last_mut().filter(|_| line.label == "because") {
            Some((_, because)) => because.push(line),
            None if line.label == "because" => inputs.push((None, vec![line])),
            None => inputs.push((Some(line), vec![])),
        }
    }
    html! {
        ul.inputs {
            @for (input, because) in inputs { li {
                @if let Some(input) = input { p { (words::theirs(&input.label)) ": " strong { (words::theirs(&input.value)) } } }
                @if !because.is_empty() { ul { @for line in because { li { (words::theirs(&line.value)) } } } }
            } }
        }
        @if lines.len() > MAX_LINES { p.quiet { "and " (lines.len() - MAX_LINES) " lines more" } }
    }
}

/// Its inputs with what is said of each, and the whole spec.
fn reads(dossier: &Dossier) -> Markup {
    let data = dossier.checks.iter().find(|check| check.question == Question::FilPlusData);
    html! {
        section.card #reads aria-labelledby="reads-title" {
            h2 #reads-title { "What it reads and does" }
            @if let Some(data) = data {
                h3 { "Inputs" }
                p { (queue::outcome(data.outcome)) " " (words::theirs(&data.answer)) }
                @if !data.evidence.is_empty() { (inputs(&data.evidence)) }
            }
            h3 { "Spec" }
            @match &dossier.spec {
                Some(of) => (spec::spec(of)),
                None => p { "The spec's bytes are not known: they were in no event." },
            }
        }
    }
}

fn settled(dossier: &Dossier, about: &About, now: Time) -> Markup {
    let job = &dossier.job;
    html! {
        section.card #settled aria-labelledby="settled-title" {
            h2 #settled-title { "How it was settled" }
            dl.fields {
                (nomination::field("Job", &html! { code.hex.whole { (job.job) } }))
                (nomination::field("Settled", &words::when_and_distance(job.settled_at, now)))
                (nomination::field("Price", &html! { (about.asset.show(job.price)) }))
                (nomination::field("Client", &words::account(job.client)))
                (nomination::field("Provider", &words::account(job.provider)))
                (nomination::field("Exit code", &html! { (job.exit_code) }))
                (nomination::field("Output", &html! { code.hex.whole { (words::visible(&dossier.output)) } }))
                (nomination::field("Spec's digest", &words::digest(job.spec)))
            }
        }
    }
}

fn happened(dossier: &Dossier, now: Time) -> Markup {
    let skipped = dossier.happened.len().saturating_sub(MAX_LINES);
    html! {
        section.card #happened aria-labelledby="happened-title" {
            h2 #happened-title { "What happened" }
            @if skipped > 0 { p.quiet { (skipped) " earlier things are in the audit log." } }
            ol.happened {
                @for it in dossier.happened.iter().skip(skipped) { li {
                    (words::when_and_distance(it.at, now)) ": " (words::theirs(&it.what))
                    @if !it.is_final { " (not final yet)" }
                    @if let Some(transaction) = it.transaction { div.quiet { "transaction " (words::digest(transaction)) } }
                } }
            }
        }
    }
}

pub(crate) async fn attestation(State(site): State<Arc<Site>>, _: Reader, Path(id): Path<String>) -> Answer {
    let job = job_id(&id)?;
    let envelope = site
        .ask(site.desk.attestation(job))
        .await
        .map_err(|error| Failure::from(error).on(format!("/jobs/{id}"), "Back to the job"))?;
    let bytes = serde_json::to_vec_pretty(&envelope).map_err(|error| Failure::invalid(error.to_string()))?;
    let name = format!("attachment; filename=\"attestation-{}.json\"", &id[..18]);
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, bytes).into_response())
}
