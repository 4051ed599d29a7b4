//! What is around each page, and pages that say what is wrong.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use lota_notary::desk::DeskError;
use maud::{DOCTYPE, Markup, html};

use crate::{assets, site::Reader, words};

/// The parts of the page that the navigation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Queue,
    History,
    Allowance,
    Audit,
    About,
    /// None of them.
    Else,
}

const NAVIGATION: [(Part, &str, &str); 5] = [
    (Part::Queue, "/", "Queue"),
    (Part::History, "/history", "History"),
    (Part::Allowance, "/allowance", "Allowance"),
    (Part::Audit, "/audit", "Audit log"),
    (Part::About, "/about", "About"),
];

/// What a page is.
#[derive(Clone, Debug)]
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    pub(crate) part: Part,
    /// Which changes it is brought up to date after: `queue`, `about`, or `job 0x…`.
    pub(crate) live: Option<String>,
    /// What to tell of such a change instead, where somebody is writing.
    pub(crate) stale: bool,
}

impl<'a> Page<'a> {
    pub(crate) const fn new(title: &'a str, part: Part) -> Self {
        Self { title, part, live: None, stale: false }
    }

    pub(crate) fn live(self, live: impl Into<String>) -> Self {
        Self { live: Some(live.into()), ..self }
    }

    pub(crate) fn render(self, reader: Option<&Reader>, content: &Markup) -> Response {
        Html(self.markup(reader, content).into_string()).into_response()
    }

    fn markup(&self, reader: Option<&Reader>, content: &Markup) -> Markup {
        let about = reader.map(|reader| reader.about.as_ref());
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · notary's desk" }
                    link rel="icon" type="image/svg+xml" href=(assets::path("icon.svg"));
                    link rel="stylesheet" href=(assets::path("page.css"));
                    script defer src=(assets::path("page.js")) {}
                }
                body data-live=[self.live.as_deref()] data-stale[self.stale] {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        p.brand { a href="/" { "Lota " span { "notary's desk" } } }
                        nav aria-label="Pages" {
                            ul {
                                @for (part, path, name) in NAVIGATION {
                                    li { a href=(path) aria-current=[(part == self.part).then_some("page")] { (name) } }
                                }
                            }
                        }
                        (who(reader))
                    }
                    main #main tabindex="-1" {
                        @if let Some(problems) = problems(about) { (problems) }
                        // Said to screen readers, and to everybody, when a page changes under their eyes.
                        p #said .said role="status" {}
                        (content)
                    }
                    footer.bottom {
                        @if let Some(Ok(about)) = about {
                            p #foot {
                                "Chain " (about.blessing.chain_id) " at block " (about.block) ", final up to " (about.finalized)
                                ", " (words::when(about.now)) "."
                            }
                        }
                        @if self.live.is_some() {
                            p #connection .quiet { "This page does not change by itself; load it again to see what is new." }
                        }
                    }
                }
            }
        }
    }
}

fn who(reader: Option<&Reader>) -> Markup {
    let session = reader.and_then(|reader| reader.session.as_ref().map(|session| (reader.is_notary, session)));
    html! {
        div.who {
            @match session {
                Some((is_notary, session)) => {
                    a href="/sessions" {
                        span.visually-hidden { "Signed in as " }
                        (words::short_account(session.account))
                        @if is_notary { " notary" } @else { " reader" }
                    }
                    form method="post" action="/sign-out" {
                        input type="hidden" name="token" value=(session.form_token);
                        button.plain type="submit" { "Sign out" }
                    }
                }
                None if reader.is_some() => a href="/sign-in" { "Sign in" },
                None => {}
            }
        }
    }
}

/// What does not work now, on every page: nobody should decide by what is stale.
fn problems(about: Option<Result<&lota_notary::desk::About, &DeskError>>) -> Option<Markup> {
    let lines = match about? {
        Ok(about) if about.problems.is_empty() => return None,
        Ok(about) => about.problems.iter().take(8).map(|line| words::visible(line)).collect(),
        Err(error) => vec![words::visible(&error.to_string())],
    };
    Some(html! {
        section.problems aria-labelledby="problems-title" {
            h2 #problems-title { "What does not work now" }
            ul { @for line in lines { li { (line) } } }
        }
    })
}

/// What is wrong, as a page.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    title: &'static str,
    what: String,
    /// Where to go on, and what that is called.
    on: Option<(String, &'static str)>,
    /// What somebody wrote in vain.
    kept: Option<String>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, title: &'static str, what: impl Into<String>) -> Self {
        Self { status, title, what: what.into(), on: None, kept: None }
    }

    pub(crate) fn on(self, path: impl Into<String>, name: &'static str) -> Self {
        Self { on: Some((path.into(), name)), ..self }
    }

    /// With what somebody wrote, which would be gone otherwise.
    pub(crate) fn keeping(self, text: &str) -> Self {
        Self { kept: Some(text.to_owned()), ..self }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such page", what)
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "What was sent is wrong", what)
    }

    pub(crate) fn forbidden(what: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "That is not yours to do", what)
    }
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Self {
        let what = words::visible(&error.to_string());
        match error {
            DeskError::NotFound(_) => Self::not_found(what),
            DeskError::Invalid(_) => Self::invalid(what),
            DeskError::Refused(_) => Self::new(StatusCode::CONFLICT, "It was refused", what),
            DeskError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "It is too large", what),
            DeskError::Unavailable(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "It cannot be done now", what),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { (self.title) }
            p.failure { (self.what) }
            @if let Some(kept) = &self.kept {
                h2 { "What you wrote" }
                pre.text tabindex="0" role="region" aria-label="What you wrote" { (words::visible_lines(kept)) }
            }
            p {
                @if let Some((path, name)) = &self.on { a href=(path) { (name) } " · " }
                a href="/" { "To the queue" }
            }
        };
        let page = Page::new(self.title, Part::Else).render(None, &content);
        (self.status, page).into_response()
    }
}

/// The answer of a page.
pub(crate) type Answer = Result<Response, Failure>;
