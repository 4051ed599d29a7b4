//! A decision: chosen and given reasons for, looked at as it will be sent, signed by the notary's wallet.

use std::sync::Arc;

use alloy::primitives::Bytes;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect},
};
use lota_bridge::eip712::recover;
use lota_market::{
    Address, B256,
    blessing::{Choice, Nomination, Signed},
    model::JobId,
};
use lota_notary::desk::{About, BallotPaper, Dossier, MAX_REASON, SignedVote, Stage};
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{check_token, job::evidence, job_id, nomination, queue};
use crate::{
    page::{Answer, Failure, Page, Part},
    site::{Reader, Site},
    words,
};

/// A choice with its reason, as a form has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Draft {
    token: String,
    choice: Choice,
    text: String,
}

/// A draft with what was signed.
#[derive(Debug, Deserialize)]
pub(crate) struct Cast {
    token: String,
    choice: Choice,
    text: String,
    /// The digest that the page showed.
    digest: B256,
    signature: String,
}

/// A reason as it is signed: browsers send line breaks as two characters.
fn normalized(text: &str) -> Result<String, String> {
    let text = text.replace("\r\n", "\n").trim().to_owned();
    if text.is_empty() {
        return Err("Write why: others will want to know in a year.".into());
    }
    if text.len() > MAX_REASON {
        return Err(format!("The reason has {} bytes; at most {MAX_REASON} are kept. Shorten it.", text.len()));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("The reason holds control characters; take them out.".into());
    }
    Ok(text)
}

/// The notary that decides.
fn notary(reader: &Reader) -> Result<Address, Failure> {
    match reader.account() {
        Some(account) if reader.is_notary => Ok(account),
        Some(_) => Err(Failure::forbidden("Only notaries of the present set vote; your account is none.")),
        None => Err(Failure::forbidden("Sign in first: only notaries vote.").on("/sign-in", "Sign in")),
    }
}

fn choices(stage: Stage) -> &'static [Choice] {
    match stage {
        Stage::Voting => &[Choice::Approve, Choice::Reject],
        Stage::Blessed => &[Choice::Revoke],
        _ => &[],
    }
}

pub(crate) async fn form(State(site): State<Arc<Site>>, reader: Reader, Path(id): Path<String>) -> Answer {
    notary(&reader)?;
    let dossier = site.ask(site.desk.dossier(job_id(&id)?)).await?;
    write(&reader, &dossier, None, "", None)
}

/// The form, with what was written already.
fn write(reader: &Reader, dossier: &Dossier, chosen: Option<Choice>, text: &str, wrong: Option<&str>) -> Answer {
    let about = reader.about.clone()?;
    let id = dossier.job.job;
    let back = format!("/jobs/{id}");
    let choices = choices(dossier.stage);
    let Some(nomination) = dossier.nomination.as_ref().filter(|_| !choices.is_empty()) else {
        let what = format!("There is nothing to decide of this job now: {}.", queue::stage(dossier.stage));
        return Err(Failure::new(StatusCode::CONFLICT, "Nothing to decide", what).on(back, "Back to the job"));
    };
    let token = reader.session.as_ref().map(|session| session.form_token.as_str()).unwrap_or_default();
    let content = html! {
        h1 { "Decide on job " code.hex title=(id) { (words::shortened(&id.to_string())) } }
        p { a href=(back) { "Back to the job" } }
        section.card aria-labelledby="asked-title" {
            h2 #asked-title { "What is asked for" }
            p { (queue::risk(dossier.risk)) " risk · " (queue::tally(dossier.approvals, dossier.against, about.quorum)) }
            (nomination::fields(nomination, &about, reader.account(), about.now))
        }
        form.card method="post" action={ "/jobs/" (id) "/decide" } {
            @if let Some(wrong) = wrong { p.failure role="alert" #wrong { (wrong) } }
            input type="hidden" name="token" value=(token);
            fieldset {
                legend { "Your decision" }
                @for choice in choices {
                    @let name = queue::choice(*choice);
                    label.choice {
                        input type="radio" name="choice" value=(name) required checked[chosen == Some(*choice) || choices.len() == 1];
                        " " (explained(*choice, &about, nomination))
                    }
                }
            }
            label for="text" { "Why" }
            p.quiet #text-help {
                "It is kept in the audit log, its digest is in what you sign. At most " (MAX_REASON) " bytes. Everybody may read it."
            }
            textarea #text name="text" rows="6" required maxlength=(MAX_REASON) aria-describedby="text-help" aria-invalid=[wrong.map(|_| "true")] { (text) }
            p { button type="submit" { "Look at what will be signed" } }
            p.quiet { "Nothing is signed or sent by this." }
        }
    };
    let page = Page { stale: true, ..Page::new("Decide", Part::Queue).live(format!("job {id}")) };
    let page = page.render(Some(reader), &content);
    Ok(if wrong.is_some() { (StatusCode::UNPROCESSABLE_ENTITY, page).into_response() } else { page })
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

pub(crate) async fn preview(
    State(site): State<Arc<Site>>,
    reader: Reader,
    Path(id): Path<String>,
    Form(draft): Form<Draft>,
) -> Answer {
    let account = notary(&reader)?;
    check_token(&reader, &draft.token)?;
    let about = reader.about.clone()?;
    let job = job_id(&id)?;
    let text = match normalized(&draft.text) {
        Ok(text) => text,
        Err(wrong) => {
            let dossier = site.ask(site.desk.dossier(job)).await?;
            return write(&reader, &dossier, Some(draft.choice), &draft.text, Some(&wrong));
        }
    };
    let paper = paper(&site, &about, job, draft.choice, &text, account).await?;
    let typed_data = serde_json::to_string(&paper.typed_data).map_err(|error| Failure::invalid(error.to_string()))?;
    let name = queue::choice(paper.choice);
    let content = html! {
        h1 { "Sign: " (name) }
        p { "This is what your wallet will show. Compare the digest and the fields; nothing is sent before you sign." }
        section.card aria-labelledby="call-title" {
            h2 #call-title { "What you sign" }
            dl.fields {
                (nomination::field("Decision", &html! { strong { (name) } }))
                (nomination::field("In the domain", &html! {
                    (lota_bridge::blessing::DOMAIN_NAME) " " (lota_bridge::blessing::DOMAIN_VERSION) ", chain " (about.blessing.chain_id)
                    ", contract " (words::account(about.blessing.contract))
                }))
                (nomination::field("Set of notaries", &html! { "version " (paper.version) }))
                (nomination::field("Your reason", &html! { bdi.lines { (words::visible_lines(&text)) } }))
                (nomination::field("Its digest", &html! { (words::digest(paper.reasons)) " (sha2-256)" }))
                (nomination::field("Digest to sign", &html! { strong #digest { (words::digest(paper.digest)) } }))
            }
            h3 { "The nomination" }
            (nomination::fields(&paper.nomination, &about, Some(account), about.now))
            @if !paper.decoded.is_empty() { h3 { "The call that is sent with it" } (evidence(&paper.decoded)) }
            details {
                summary { "Typed data (EIP-712), as your wallet gets it" }
                // As it is, byte for byte: the script hands it to the wallet.
                pre.text #typed-data tabindex="0" role="region" aria-label="Typed data as JSON" { (typed_data) }
            }
        }
        form.card #cast method="post" action={ "/jobs/" (id) "/vote" } data-wallet="vote" data-account=(account) data-chain=(about.blessing.chain_id) {
            h2 { "Sign it" }
            input type="hidden" name="token" value=(draft.token);
            input type="hidden" name="choice" value=(name);
            input type="hidden" name="text" value=(text);
            input type="hidden" name="digest" value=(paper.digest);
            p.wallet hidden { button type="button" data-sign { "Sign with the wallet and send" } }
            p.failure role="alert" data-wrong hidden {}
            details data-by-hand open {
                summary { "Sign it elsewhere" }
                p.quiet { "Sign the typed data with the account " (words::account(account)) " by any tool that knows EIP-712, and put the signature here." }
                label for="signature" { "Signature" }
                input #signature name="signature" type="text" required pattern="0x([0-9a-fA-F]{128}|[0-9a-fA-F]{130})" maxlength="132" autocomplete="off" spellcheck="false" placeholder="0x…";
                p { button.second type="submit" { "Send" } }
            }
        }
        form method="get" action={ "/jobs/" (id) "/decide" } { p { button.plain type="submit" { "Start again" } } }
    };
    let page = Page { stale: true, ..Page::new("Sign", Part::Queue).live(format!("job {id}")) };
    Ok(page.render(Some(&reader), &content))
}

/// The ballot paper, if it is one of what was asked for: its digest is computed here again, so that no fault of the service lets a notary
/// sign something else than the page shows.
async fn paper(
    site: &Site,
    about: &About,
    job: JobId,
    choice: Choice,
    text: &str,
    notary: Address,
) -> Result<BallotPaper, Failure> {
    let failed = |failure: Failure| failure.on(format!("/jobs/{job}"), "Back to the job");
    let paper = site
        .ask(site.desk.ballot_paper(job, choice, text, notary))
        .await
        .map_err(|error| failed(Failure::from(error)))?;
    let reasons = B256::from_slice(&Sha256::digest(text.as_bytes()));
    let signed = Signed::Vote { nomination: &paper.nomination, choice, reasons, version: paper.version };
    let digest = lota_bridge::blessing::signed_digest(&about.blessing, &signed);
    let is_asked_for = paper.choice == choice && paper.reasons == reasons && paper.nomination.job == job;
    if !is_asked_for || paper.digest != digest {
        tracing::error!(%job, told = %paper.digest, computed = %digest, "a ballot paper that is not of what was asked for");
        let what =
            "What the service wants to be signed is not what this page shows. Sign nothing, and tell who runs it.";
        return Err(failed(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Do not sign", what)));
    }
    Ok(paper)
}

pub(crate) async fn vote(
    State(site): State<Arc<Site>>,
    reader: Reader,
    Path(id): Path<String>,
    Form(cast): Form<Cast>,
) -> Answer {
    let account = notary(&reader)?;
    check_token(&reader, &cast.token)?;
    let about = reader.about.clone()?;
    let job = job_id(&id)?;
    let back = |failure: Failure| failure.on(format!("/jobs/{id}/decide"), "Decide again");
    let text = normalized(&cast.text).map_err(|wrong| back(Failure::invalid(wrong)))?;
    let signature = signature(&cast.signature).map_err(|wrong| back(Failure::invalid(wrong)))?;
    let paper = paper(&site, &about, job, cast.choice, &text, account).await?;
    if paper.digest != cast.digest {
        let what =
            "The nomination or the set of notaries changed since you looked at it. Nothing was sent; look again.";
        return Err(back(Failure::new(StatusCode::CONFLICT, "It changed meanwhile", what)));
    }
    match recover(&paper.digest, &signature) {
        Some(signer) if signer == account => {}
        Some(signer) => {
            let what = format!("The signature is by {signer}, or over something else; you are signed in as {account}.");
            return Err(back(Failure::invalid(what)));
        }
        None => {
            return Err(back(Failure::invalid("The signature is nobody's: it has a form that the contract refuses.")));
        }
    }
    let (choice, round, version) = (cast.choice, paper.nomination.round, paper.version);
    let vote = SignedVote { job, round, choice, notary: account, text, version, signature };
    // Goes on when the browser goes away: what was signed is sent.
    let sending = tokio::spawn({
        let desk = site.desk.clone();
        async move { desk.vote(&vote).await }
    });
    let sent = sending.await.map_err(|error| {
        tracing::error!(%error, %job, "the service ended while it took a vote");
        back(Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "It is not known what became of the vote",
            "Look at the job.",
        ))
    })?;
    sent.map_err(|error| back(Failure::from(error)))?;
    Ok(Redirect::to(&format!("/jobs/{id}#votes")).into_response())
}

/// A signature as wallets write it; some count the recovery id from 0.
pub(super) fn signature(text: &str) -> Result<Bytes, String> {
    let digits = text.trim().strip_prefix("0x").filter(|digits| digits.len() == 130 || digits.len() == 128);
    let bytes = digits.and_then(|digits| hex::decode(digits).ok());
    let mut bytes = bytes.ok_or("The signature is not 0x and 130 (or, as EIP-2098 has it, 128) hex digits.")?;
    if let [.., v @ (0 | 1)] = bytes.as_mut_slice()
        && digits.is_some_and(|digits| digits.len() == 130)
    {
        *v += 27;
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_what_was_written_and_not_how_a_browser_sent_it() {
        assert_eq!(normalized("  one\r\ntwo \r\n"), Ok("one\ntwo".into()));
        assert!(normalized(" \r\n").is_err());
        assert!(normalized("a\u{1b}[2J").is_err());
        assert!(normalized(&"x".repeat(MAX_REASON)).is_ok());
        assert!(normalized(&"x".repeat(MAX_REASON + 1)).is_err_and(|wrong| wrong.contains("4097 bytes")));
    }

    #[test]
    fn signatures_are_read_in_the_forms_that_wallets_write() {
        let written = |last: &str| format!("0x{}{last}", "11".repeat(64));
        assert_eq!(signature(&written("1b")).expect("v 27").last(), Some(&27));
        assert_eq!(signature(&written("01")).expect("v 1").last(), Some(&28));
        assert_eq!(signature(&written("")).expect("EIP-2098").len(), 64);
        for wrong in ["", "0x", "11", &written("1"), &written("1b1b"), &written("zz")] {
            assert!(signature(wrong).is_err(), "{wrong}");
        }
    }
}
