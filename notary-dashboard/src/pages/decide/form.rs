//! The form of a decision, beside what it is about.

use axum::{http::StatusCode, response::IntoResponse as _};
use lota_market::{
    Address,
    blessing::{Choice, Nomination},
};
use lota_notary::{
    desk::{About, Dossier, MAX_REASON, Stage, VoteState},
    review::Outcome,
};
use maud::{Markup, html};

use crate::{
    page::{Answer, Failure, Page, Part},
    pages::{job, nomination, queue},
    site::Reader,
    words,
};

/// What a notary wrote, and what is wrong with it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written<'a> {
    pub(super) choice: Option<Choice>,
    pub(super) text: &'a str,
    pub(super) wrong: Option<&'a Failure>,
}

fn choices(stage: Stage) -> &'static [Choice] {
    match stage {
        Stage::Voting => &[Choice::Approve, Choice::Reject],
        Stage::Blessed => &[Choice::Revoke],
        _ => &[],
    }
}

pub(super) fn form(reader: &Reader, notary: Address, dossier: &Dossier, written: Written<'_>) -> Answer {
    let about = reader.about.clone()?;
    let id = dossier.job.job;
    let back = format!("/jobs/{id}");
    let choices = choices(dossier.stage);
    let Some(nomination) = dossier.nomination.as_ref().filter(|_| !choices.is_empty()) else {
        let what = format!("There is nothing to decide of this job now: {}.", queue::stage(dossier.stage));
        return Err(Failure::new(StatusCode::CONFLICT, "Nothing to decide", what).on(back, "Back to the job"));
    };
    let own = job::own_vote(dossier, notary);
    if let Some(own) = own.filter(|own| own.state != VoteState::Held) {
        let what = format!("You have voted on this job: {}. A vote cannot be changed.", queue::choice(own.choice));
        return Err(Failure::new(StatusCode::CONFLICT, "You have voted", what).on(back, "Back to the job"));
    }
    let token = reader.session.as_ref().map(|session| session.form_token.as_str()).unwrap_or_default();
    let content = html! {
        h1 { "Decide on job " code.hex title=(id) { (words::shortened(&id.to_string())) } }
        p { a href=(back) { "Back to the job" } }
        section.card aria-labelledby="asked-title" {
            h2 #asked-title { "What is asked for" }
            p { (queue::risk(dossier.risk)) " risk · " (job::tally(dossier, &about)) }
            (nomination::fields(nomination, dossier.piece.as_deref(), &about, Some(notary), about.now))
        }
        (checks(dossier))
        form.card method="post" action={ "/jobs/" (id) "/decide" } {
            @if let Some(wrong) = written.wrong { p.failure role="alert" #wrong { (wrong.what()) } }
            @if let Some(own) = own {
                p { "Your vote to " (queue::choice(own.choice)) " is held until another notary has signed; a new one takes its place." }
            }
            input type="hidden" name="token" value=(token);
            fieldset {
                legend { "Your decision" }
                @for choice in choices {
                    @let name = queue::choice(*choice);
                    label.choice {
                        input type="radio" name="choice" value=(name) required checked[written.choice == Some(*choice) || choices.len() == 1];
                        " " (explained(*choice, &about, nomination))
                    }
                }
            }
            label for="text" { "Why" }
            p.quiet #text-help {
                "It is kept in the audit log, its digest is in what you sign. At most " (MAX_REASON) " bytes. Everybody may read it."
            }
            textarea #text name="text" rows="6" required maxlength=(MAX_REASON) aria-describedby="text-help" aria-invalid=[written.wrong.map(|_| "true")] { (written.text) }
            p { button type="submit" { "Look at what will be signed" } }
            p.quiet { "Nothing is signed or sent by this." }
        }
    };
    let page = Page { stale: true, ..Page::new("Decide", Part::Queue).live(format!("job {id}")) };
    let page = page.render(Some(reader), &content);
    Ok(match written.wrong {
        Some(wrong) => (wrong.status(), page).into_response(),
        None => page,
    })
}

/// The checks that did not pass; a link to the others opens beside the form, which would lose what is written.
fn checks(dossier: &Dossier) -> Markup {
    let all = dossier.checks.len();
    let passed = dossier.checks.iter().filter(|check| check.outcome == Outcome::Passed).count();
    html! {
        section.card aria-labelledby="checks-title" {
            h2 #checks-title { "Checks" }
            @if all == 0 { p.quiet { "Nothing was looked into yet." } }
            ul.checks {
                @for check in dossier.checks.iter().filter(|check| check.outcome != Outcome::Passed) { li {
                    (queue::outcome(check.outcome))
                    div { h3 { (check.question.text()) } p { (words::theirs(&check.answer)) } }
                } }
            }
            p {
                (passed) " of " (all) " passed. "
                a href={ "/jobs/" (dossier.job.job) "#checks" } target="_blank" rel="noopener" { "All of them with their evidence (in a new tab)" }
            }
        }
    }
}

fn explained(choice: Choice, about: &About, nomination: &Nomination) -> Markup {
    let granter = about.granters.iter().find(|known| known.granter == nomination.granter);
    let two = if queue::needs_two(about, nomination.amount, granter) {
        " The amount is one for which two notaries sign before anything is sent: yours may be held until then."
    } else {
        ""
    };
    html! {
        @match choice {
            Choice::Approve => { strong { "Approve" } span.quiet { " With " (about.quorum) " approvals it is blessed, and the granter grants after the time to revoke." (two) } }
            Choice::Reject => { strong { "Reject" } span.quiet { " When it can no longer reach " (about.quorum) " approvals it is refused, and the nominator's deposit is burned." } }
            Choice::Revoke => { strong { "Revoke" } span.quiet { " With " (about.quorum) " revocations the blessing ends without a grant, and the nominator's deposit is burned." } }
        }
    }
}
