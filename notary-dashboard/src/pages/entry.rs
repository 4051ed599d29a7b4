//! Signing in with a wallet, signing out, and the sessions of an account.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use lota_market::{Address, Time};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    admission::{Onward, begin},
    check_token,
    decide::{self, signature as wallet_signature},
};
use crate::{
    page::{Answer, Failure, Page, Part},
    sessions::secret,
    sign_in::{Asked, SignInError},
    site::{Reader, Site, cookie},
    words,
};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

pub(crate) async fn form(Query(next): Query<Next>) -> Response {
    // What a link says was written, nobody wrote.
    begin(&Onward::to(&next.next), None)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Account {
    /// Empty: another is to be given.
    #[serde(default)]
    account: String,
    #[serde(flatten)]
    onward: Onward,
}

/// The second step: the message.
pub(crate) async fn message(State(site): State<Arc<Site>>, headers: HeaderMap, Form(form): Form<Account>) -> Answer {
    let onward = form.onward;
    if form.account.is_empty() {
        return Ok(begin(&onward, None));
    }
    let account: Address = match form.account.trim().parse() {
        Ok(account) => account,
        Err(_) => {
            let wrong = "That is no account: write 0x and 40 hex digits.";
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, begin(&onward, Some(wrong))).into_response());
        }
    };
    let about = site.about().await?;
    // A browser that asks twice keeps its secret, so that the message in its other tab stays good.
    let known = cookie(&headers, site.browser_cookie()).filter(|value| is_secret(value)).map(str::to_owned);
    let browser = known.unwrap_or_else(secret);
    let asked = asked(&site, about.blessing.chain_id, &browser);
    let text = site.nonces.message(account, &asked).to_string();
    let content = html! {
        h1 { "Sign in" }
        p { "Sign this message with " (words::account(account)) ". It is good for " (words::duration(site.settings.sign_in_for)) "." }
        pre.text #message tabindex="0" role="region" aria-label="The message to sign" { (text) }
        form.card method="post" action="/sign-in" data-wallet="sign-in" data-account=(account) {
            (onward.fields())
            input type="hidden" name="message" value=(hex::encode(&text));
            p.wallet hidden { button type="button" data-sign { "Sign with the wallet" } }
            p.failure role="alert" data-wrong hidden {}
            details data-by-hand open {
                summary { "Sign it elsewhere" }
                p.quiet { "For example with " code { "cast wallet sign" } ": the message as it stands above, without a line break at its end (EIP-191)." }
                label for="signature" { "Signature" }
                input #signature name="signature" type="text" required pattern="0x([0-9a-fA-F]{128}|[0-9a-fA-F]{130})" maxlength="132" autocomplete="off" spellcheck="false" placeholder="0x…";
                p { button.second type="submit" { "Sign in" } }
            }
        }
        form method="post" action="/sign-in/message" { (onward.fields()) p { button.plain type="submit" { "Another account" } } }
    };
    let set = site.cookie(site.browser_cookie(), &browser, site.settings.sign_in_for);
    let page = Page::new("Sign in", Part::Else).render(None, &content);
    Ok(([(header::SET_COOKIE, set)], page).into_response())
}

fn is_secret(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn asked<'a>(site: &'a Site, chain_id: u64, browser: &'a str) -> Asked<'a> {
    let origin = &site.settings.origin;
    Asked { domain: &origin.authority, uri: &origin.text, chain_id, browser, now: site.now() }
}

#[derive(Debug, Deserialize)]
pub(crate) struct SignIn {
    /// The message's bytes in hex: forms change line breaks.
    message: String,
    signature: String,
    #[serde(flatten)]
    onward: Onward,
}

/// The third step: the signature.
pub(crate) async fn sign_in(State(site): State<Arc<Site>>, headers: HeaderMap, Form(form): Form<SignIn>) -> Answer {
    let (token, reader) = match admit(&site, &headers, &form).await {
        Ok(admitted) => admitted,
        Err(wrong) => return Ok((wrong.status(), begin(&form.onward, Some(wrong.what()))).into_response()),
    };
    let cookies = AppendHeaders([
        (header::SET_COOKIE, site.cookie(site.session_cookie(), &token, site.settings.lifetime)),
        (header::SET_COOKIE, site.cookie(site.browser_cookie(), "", 0)),
    ]);
    if let Some((job, choice, text)) = form.onward.draft() {
        return Ok((cookies, decide::resume(&site, &reader, job, choice, text).await).into_response());
    }
    Ok((cookies, Redirect::to(form.onward.next())).into_response())
}

/// Opens a session for who signed: its secret, and who reads with it.
async fn admit(site: &Site, headers: &HeaderMap, form: &SignIn) -> Result<(String, Reader), Failure> {
    let refuse = |what: String| Failure::new(StatusCode::FORBIDDEN, "You are not signed in", words::visible(&what));
    let browser = cookie(headers, site.browser_cookie()).filter(|value| is_secret(value)).ok_or_else(|| {
        refuse("This browser did not ask for a message, or too long ago; cookies are needed for that.".into())
    })?;
    let message = hex::decode(&form.message).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let message = message.ok_or_else(|| refuse("There is no message.".into()))?;
    let signature = wallet_signature(&form.signature).map_err(refuse)?;
    let about = site.about().await?;
    let asked = asked(site, about.blessing.chain_id, browser);
    let refused = |error: SignInError| {
        tracing::info!(%error, "a sign-in was refused");
        refuse(error.to_string())
    };
    let signed = site.nonces.verify(&message, &signature, &asked).map_err(refused)?;
    let account = signed.account;
    if !site.may_sign_in(account) {
        return Err(refuse(format!("{account} is no notary of the present set, and nobody else signs in here.")));
    }
    site.nonces.use_up(signed, asked.now).map_err(refused)?;
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unnamed");
    // Whoever had this browser before is not signed in any more.
    if let Some(before) = cookie(headers, site.session_cookie()).and_then(|token| site.sessions.find(token, site.now()))
    {
        site.sessions.end(before.account, |session| session.number == before.number);
    }
    // No session without a trace.
    site.ask(site.desk.note(&account.to_string(), "signed in", "dashboard")).await?;
    let (token, session) = site.sessions.open(account, agent, site.now());
    let is_notary = site.is_notary(account);
    Ok((token, Reader { session: Some(session), is_notary, about: Ok(about) }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Token {
    token: String,
}

pub(crate) async fn sign_out(State(site): State<Arc<Site>>, reader: Reader, Form(form): Form<Token>) -> Answer {
    let account = check_token(&reader, &form.token)?;
    let number = reader.session.as_ref().map(|session| session.number);
    site.sessions.end(account, |session| Some(session.number) == number);
    // Who is signed out stays so, whether it can be noted or not.
    if let Err(error) = site.ask(site.desk.note(&account.to_string(), "signed out", "dashboard")).await {
        tracing::warn!(%error, %account, "a sign-out is not in the audit log");
    }
    let gone = [(header::SET_COOKIE, site.cookie(site.session_cookie(), "", 0))];
    Ok((gone, Redirect::to("/sign-in")).into_response())
}

/// Whether the browser that asks is signed in: what a page asks that was opened by another site's link, with which no cookie comes.
pub(crate) async fn is_signed_in(State(site): State<Arc<Site>>, headers: HeaderMap) -> &'static str {
    let session = cookie(&headers, site.session_cookie()).and_then(|token| site.sessions.find(token, site.now()));
    if session.is_some() { "yes" } else { "no" }
}

pub(crate) async fn sessions(State(site): State<Arc<Site>>, reader: Reader) -> Answer {
    let Some(mine) = &reader.session else { return Ok(begin(&Onward::to("/sessions"), None)) };
    let sessions = site.sessions.of(mine.account, site.now());
    let time = |at: jiff::Timestamp| Time(u64::try_from(at.as_second()).unwrap_or(0));
    let now = time(site.now());
    let end = |what: &str, name: &str, label: &str| -> Markup {
        html! {
            form method="post" action="/sessions/end" {
                input type="hidden" name="token" value=(mine.form_token);
                input type="hidden" name="which" value=(what);
                button.second type="submit" aria-label=(label) { (name) }
            }
        }
    };
    let content = html! {
        h1 { "Sessions" }
        p { "Signed in as " (words::account(mine.account)) ". A session lets read, and nothing else: votes need the wallet." }
        div.scroll tabindex="0" role="region" aria-label="Your sessions" {
            table {
                caption { (words::count(sessions.len() as u64, "session", "sessions")) }
                thead { tr { @for column in ["Browser", "Since", "Last used", "End"] { th scope="col" { (column) } } } }
                tbody {
                    @for session in &sessions { tr {
                        th scope="row" { (words::theirs(&session.agent)) @if session.number == mine.number { strong { " (this one)" } } }
                        td { (words::when_and_distance(time(session.since), now)) }
                        td { (words::how_far(time(session.seen), now)) }
                        td { (end(&session.number.to_string(), "End", &format!("End session {}", session.number))) }
                    } }
                }
            }
        }
        @if sessions.len() > 1 { (end("others", "End all others", "End all other sessions")) }
        p.quiet {
            "A session ends after " (words::duration(site.settings.idle)) " without use, and after " (words::duration(site.settings.lifetime)) " in any case."
        }
    };
    Ok(Page::new("Sessions", Part::Else).render(Some(&reader), &content))
}

#[derive(Debug, Deserialize)]
pub(crate) struct End {
    token: String,
    /// A session's number, or `others`.
    which: String,
}

pub(crate) async fn end_session(State(site): State<Arc<Site>>, reader: Reader, Form(form): Form<End>) -> Answer {
    let account = check_token(&reader, &form.token)?;
    let mine = reader.session.as_ref().map(|session| session.number);
    let number: Option<u64> = form.which.parse().ok();
    let ended = site.sessions.end(account, |session| match number {
        Some(number) => session.number == number,
        None => form.which == "others" && Some(session.number) != mine,
    });
    if ended > 0
        && let Err(error) = site.ask(site.desk.note(&account.to_string(), "ended sessions", &form.which)).await
    {
        tracing::warn!(%error, %account, "the end of a session is not in the audit log");
    }
    Ok(Redirect::to("/sessions").into_response())
}
