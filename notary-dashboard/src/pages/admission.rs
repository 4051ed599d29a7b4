//! Who asks for a page, and what somebody is shown who has to sign in first.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use lota_market::{blessing::Choice, model::JobId};
use maud::{Markup, html};
use serde::Deserialize;

use super::{job_id, queue};
use crate::{
    page::{Failure, Page, Part},
    sessions::Session,
    settings::Readers,
    site::{Reader, Site, cookie},
};

/// Where a sign-in leads, with what somebody had written when its session was over.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Onward {
    #[serde(default)]
    next: String,
    #[serde(default)]
    choice: Option<Choice>,
    #[serde(default)]
    text: String,
}

impl Onward {
    pub(super) fn to(next: &str) -> Self {
        Self { next: next.to_owned(), ..Self::default() }
    }

    /// A path of this page; anything else is the beginning.
    pub(super) fn next(&self) -> &str {
        let next = &self.next;
        let is_path = next.starts_with('/') && !next.starts_with("//") && next.len() < 500;
        let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if is_path && is_plain && !next.starts_with("/sign-") { next } else { "/" }
    }

    /// On which job something was written, and what.
    pub(super) fn draft(&self) -> Option<(JobId, Choice, &str)> {
        let job = self.next.strip_prefix("/jobs/")?.strip_suffix("/decide")?;
        Some((job_id(job).ok()?, self.choice?, &self.text))
    }

    /// The fields of a form that carry it on.
    pub(super) fn fields(&self) -> Markup {
        html! {
            input type="hidden" name="next" value=(self.next());
            @if let Some((_, choice, text)) = self.draft() {
                input type="hidden" name="choice" value=(queue::choice(choice));
                input type="hidden" name="text" value=(text);
            }
        }
    }
}

/// Where a request leads once its sender is signed in: what was posted cannot be asked for, but the job that it was about.
fn onward(parts: &Parts) -> Onward {
    let asked = parts.extensions.get::<OriginalUri>().and_then(|uri| uri.0.path_and_query());
    let Some(asked) = asked else { return Onward::default() };
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Onward::to(asked.as_str());
    }
    let job = asked.path().strip_prefix("/jobs/").and_then(|rest| rest.split('/').next());
    job.filter(|job| job_id(job).is_ok()).map_or_else(Onward::default, |job| Onward::to(&format!("/jobs/{job}")))
}

fn session(parts: &Parts, site: &Site) -> Option<Session> {
    cookie(&parts.headers, site.session_cookie()).and_then(|token| site.sessions.find(token, site.now()))
}

impl FromRequestParts<Arc<Site>> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let session = session(parts, site);
        if session.is_none() && site.settings.readers != Readers::Everybody {
            // Nothing is asked of the desk for strangers.
            return Err((StatusCode::UNAUTHORIZED, begin(&onward(parts), None)).into_response());
        }
        let about = site.about().await;
        if let Some(session) = &session
            && !site.may_read(session.account)
        {
            site.sessions.end(session.account, |_| true);
            let what = format!("{} is no notary of the present set any more, and was signed out.", session.account);
            return Err(Failure::forbidden(what).on("/sign-in", "Sign in").into_response());
        }
        let is_notary = session.as_ref().is_some_and(|session| site.is_notary(session.account));
        Ok(Self { session, is_notary, about })
    }
}

/// Who posts something that was written: of one whose session is over it is kept.
pub(crate) enum Writer {
    Reader(Box<Reader>),
    SignedOut,
}

impl FromRequestParts<Arc<Site>> for Writer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        if session(parts, site).is_none() {
            return Ok(Self::SignedOut);
        }
        Reader::from_request_parts(parts, site).await.map(Box::new).map(Self::Reader)
    }
}

/// The sign-in that goes on with what was written.
pub(super) fn sign_in_again(job: JobId, choice: Choice, text: String) -> Response {
    let onward = Onward { next: format!("/jobs/{job}/decide"), choice: Some(choice), text };
    let wrong = "You are not signed in any more. What you wrote is kept: sign in, and go on with it.";
    (StatusCode::UNAUTHORIZED, begin(&onward, Some(wrong))).into_response()
}

/// The first step of a sign-in: which account.
pub(super) fn begin(onward: &Onward, wrong: Option<&str>) -> Response {
    let content = html! {
        h1 { "Sign in" }
        p { "Notaries sign in with their wallet: it signs a message that names this page. Nothing is sent to a chain, and no key leaves the wallet." }
        form.card #account-form method="post" action="/sign-in/message" data-wallet="account" {
            (onward.fields())
            @if let Some(wrong) = wrong { p.failure role="alert" { (wrong) } }
            p.wallet hidden { button type="button" data-sign { "Connect the wallet" } }
            p.failure role="alert" data-wrong hidden {}
            details data-by-hand open {
                summary { "Without a wallet in this browser" }
                label for="account" { "Account" }
                input #account name="account" type="text" required pattern="0x[0-9a-fA-F]{40}" maxlength="42" autocomplete="off" spellcheck="false" placeholder="0x…";
                p { button.second type="submit" { "Show the message to sign" } }
            }
        }
        @if onward.draft().is_none() {
            p.quiet data-next=(onward.next()) { "Came here by a link although you are signed in? " a href=(onward.next()) { "Go on" } "." }
        }
    };
    Page::new("Sign in", Part::Else).render(None, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_this_page_only() {
        for ours in ["/", "/history", "/jobs/0x00?after=1#votes", "/audit?from=3"] {
            assert_eq!(Onward::to(ours).next(), ours);
        }
        for others in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/a\r\nSet-Cookie: x",
            "javascript:x",
            "/sign-out",
        ] {
            assert_eq!(Onward::to(others).next(), "/", "{others}");
        }
    }
}
