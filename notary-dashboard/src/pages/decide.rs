//! A decision: chosen and given reasons for, looked at as it will be sent, signed by the notary's wallet.

mod form;
mod paper;

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect},
};
use lota_bridge::eip712::recover;
use lota_market::{Address, B256, blessing::Choice, model::JobId};
use lota_notary::desk::SignedVote;
use maud::html;
use serde::Deserialize;

pub(super) use paper::signature;

use super::{
    admission::{self, Writer},
    check_token,
    job::evidence,
    job_id, nomination, queue,
};
use crate::{
    page::{Answer, Failure, Page, Part},
    site::{Reader, Site},
    words,
};
use form::Written;
use paper::{normalized, paper};

/// A choice with its reason, as a form has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Draft {
    token: String,
    choice: Choice,
    text: String,
    /// It is to be changed, not looked at.
    change: Option<String>,
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

/// The notary that decides.
fn notary(reader: &Reader) -> Result<Address, Failure> {
    match reader.account() {
        Some(account) if reader.is_notary => Ok(account),
        Some(_) => Err(Failure::forbidden("Only notaries of the present set vote; your account is none.")),
        None => Err(Failure::forbidden("Sign in first: only notaries vote.").on("/sign-in", "Sign in")),
    }
}

pub(crate) async fn form(State(site): State<Arc<Site>>, reader: Reader, Path(id): Path<String>) -> Answer {
    write(&site, &reader, job_id(&id)?, Written::default()).await
}

async fn write(site: &Site, reader: &Reader, job: JobId, written: Written<'_>) -> Answer {
    let notary = notary(reader)?;
    let dossier = site.ask(site.desk.dossier(job)).await?;
    form::form(reader, notary, &dossier, written)
}

/// The form with what was written, for who signed in again meanwhile.
pub(super) async fn resume(site: &Site, reader: &Reader, job: JobId, choice: Choice, text: &str) -> Answer {
    let written = Written { choice: Some(choice), text, wrong: None };
    let failed = |failure: Failure| failure.on(format!("/jobs/{job}"), "Back to the job").keeping(text);
    write(site, reader, job, written).await.map_err(failed)
}

/// The same, and what is wrong; where nothing is to be decided any more, that is told beside what was written.
async fn again(site: &Site, reader: &Reader, job: JobId, (choice, text): (Choice, &str), wrong: Failure) -> Answer {
    let written = Written { choice: Some(choice), text, wrong: Some(&wrong) };
    match write(site, reader, job, written).await {
        Ok(page) => Ok(page),
        Err(_) => Err(wrong.on(format!("/jobs/{job}"), "Back to the job").keeping(text)),
    }
}

pub(crate) async fn preview(
    State(site): State<Arc<Site>>,
    writer: Writer,
    Path(id): Path<String>,
    Form(draft): Form<Draft>,
) -> Answer {
    let job = job_id(&id)?;
    let Writer::Reader(reader) = writer else { return Ok(admission::sign_in_again(job, draft.choice, draft.text)) };
    if draft.change.is_some() {
        return resume(&site, &reader, job, draft.choice, &draft.text).await;
    }
    match sign(&site, &reader, job, &draft).await {
        Ok(page) => Ok(page),
        Err(wrong) => again(&site, &reader, job, (draft.choice, &draft.text), wrong).await,
    }
}

/// All that will be signed.
async fn sign(site: &Site, reader: &Reader, job: JobId, draft: &Draft) -> Answer {
    let account = notary(reader)?;
    check_token(reader, &draft.token)?;
    let about = reader.about.clone()?;
    let text = normalized(&draft.text).map_err(Failure::invalid)?;
    let paper = paper(site, &about, job, draft.choice, &text, account).await?;
    let typed_data = serde_json::to_string(&paper.typed_data).map_err(|error| Failure::invalid(error.to_string()))?;
    let name = queue::choice(paper.choice);
    let kept = html! {
        input type="hidden" name="token" value=(draft.token);
        input type="hidden" name="choice" value=(name);
        input type="hidden" name="text" value=(text);
    };
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
            (nomination::fields(&paper.nomination, None, &about, Some(account), about.now))
            @if !paper.decoded.is_empty() {
                // The same once more, in the service's words: for who compares the two.
                details { summary { "The call that is sent with it, as the service words it" } (evidence(&paper.decoded)) }
            }
            details {
                summary { "Typed data (EIP-712), as your wallet gets it" }
                // As it is, byte for byte: the script hands it to the wallet.
                pre.text #typed-data tabindex="0" role="region" aria-label="Typed data as JSON" { (typed_data) }
            }
        }
        form.card #cast method="post" action={ "/jobs/" (job) "/vote" } data-wallet="vote" data-account=(account) data-chain=(about.blessing.chain_id) {
            h2 { "Sign it" }
            (kept)
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
        form #change method="post" action={ "/jobs/" (job) "/decide" } {
            (kept)
            p { button.plain type="submit" name="change" value="yes" { "Change what I wrote" } }
        }
    };
    let page = Page { stale: true, ..Page::new("Sign", Part::Queue).live(format!("job {job}")) };
    Ok(page.render(Some(reader), &content))
}

pub(crate) async fn vote(
    State(site): State<Arc<Site>>,
    writer: Writer,
    Path(id): Path<String>,
    Form(cast): Form<Cast>,
) -> Answer {
    let job = job_id(&id)?;
    let Writer::Reader(reader) = writer else { return Ok(admission::sign_in_again(job, cast.choice, cast.text)) };
    match send(&site, &reader, job, &cast).await {
        Ok(()) => Ok(Redirect::to(&format!("/jobs/{job}#votes")).into_response()),
        Err(wrong) => again(&site, &reader, job, (cast.choice, &cast.text), wrong).await,
    }
}

async fn send(site: &Site, reader: &Reader, job: JobId, cast: &Cast) -> Result<(), Failure> {
    let account = notary(reader)?;
    check_token(reader, &cast.token)?;
    let about = reader.about.clone()?;
    let text = normalized(&cast.text).map_err(Failure::invalid)?;
    let signature = signature(&cast.signature).map_err(Failure::invalid)?;
    let paper = paper(site, &about, job, cast.choice, &text, account).await?;
    if paper.digest != cast.digest {
        let what =
            "The nomination or the set of notaries changed since you looked at it. Nothing was sent; look again.";
        return Err(Failure::new(StatusCode::CONFLICT, "It changed meanwhile", what));
    }
    match recover(&paper.digest, &signature) {
        Some(signer) if signer == account => {}
        Some(signer) => {
            let what = format!("The signature is by {signer}, or over something else; you are signed in as {account}.");
            return Err(Failure::invalid(what));
        }
        None => return Err(Failure::invalid("The signature is nobody's: it has a form that the contract refuses.")),
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
        let what = "It is not known what became of the vote: look at the job before you vote again.";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "It is not known what became of the vote", what)
    })?;
    sent?;
    Ok(())
}
