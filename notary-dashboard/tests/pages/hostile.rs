//! What strangers wrote is text, wherever it stands.

use axum::http::StatusCode;
use lota_notary::desk::Stage;

use crate::{
    browser::{Page, Site},
    fake::{FakeDesk, key},
};

/// Nothing in a page is a stranger's but its text: no tag, no attribute, no character that moves others.
fn assert_inert(path: &str, page: &Page) {
    let text = page.text();
    assert!(page.header("content-type").starts_with("text/html"), "{path}: {}", page.header("content-type"));
    for attack in ["<script>", "<img src=x", "<svg", "</title></script>", "<base", "<!--", "\"' onmouseover"] {
        assert!(!text.contains(attack), "{path}: {attack}");
    }
    for c in text.chars() {
        assert!(!c.is_control() || c == '\n' || c == '\t', "{path}: {c:?}");
        assert!(
            !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'),
            "{path}: {c:?}"
        );
    }
    // Attributes are ours: what is between a tag's quotes never holds the attack's own quotes.
    let scripts: Vec<_> = text.match_indices("<script").collect();
    assert_eq!(scripts.len(), 1, "{path}");
}

#[tokio::test]
async fn no_page_runs_what_strangers_wrote() {
    let site = Site::public(FakeDesk::hostile());
    let mut notary = site.signed_in(&key(1)).await;
    let jobs: Vec<_> = site.desk.state().jobs.keys().copied().collect();
    let mut paths: Vec<String> =
        ["/", "/history", "/allowance", "/about", "/audit", "/sessions"].map(str::to_owned).into();
    for job in &jobs {
        paths.push(format!("/jobs/{job}"));
    }
    paths.push(format!("/jobs/{}/decide", site.desk.job(Stage::Voting)));
    for path in paths {
        let page = notary.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_inert(&path, &page);
        if path != "/sessions" {
            assert!(page.text().contains("&lt;script&gt;alert(1)"), "{path} shows it as text");
            assert!(page.text().contains("⟨U+202E⟩"), "{path} shows what would not be seen");
        }
        // A hundred levels of a spec and five hundred events are cut off.
        assert!(page.body.len() < 1024 * 1024, "{path}: {}", page.body.len());
    }
}

#[tokio::test]
async fn an_output_is_never_served_as_what_it_wants_to_be() {
    let site = Site::public(FakeDesk::hostile());
    let mut browser = site.browser();
    let job = site.desk.job(Stage::Voting);
    let names: Vec<String> = site.desk.state().outputs.keys().cloned().collect();
    for name in &names {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("path", name).finish();
        let page = browser.get(&format!("/jobs/{job}/output?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
        assert_inert(name, &page);
        assert!(page.body.len() < 6 * 1024 * 1024, "{name}: {}", page.body.len());
        for raw in ["image", "file"] {
            let answer = browser.get(&format!("/jobs/{job}/{raw}?{query}")).await;
            if answer.status != StatusCode::OK {
                assert_inert(name, &answer);
                continue;
            }
            let kind = answer.header("content-type");
            assert!(
                if raw == "file" { kind == "application/octet-stream" } else { kind == "image/png" },
                "{name}: {kind}"
            );
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert!(answer.header("content-security-policy").contains("; sandbox;"), "{name}");
            let disposition = answer.header("content-disposition");
            assert!(disposition.starts_with("attachment; filename=\""), "{disposition}");
            let file = &disposition["attachment; filename=\"".len()..disposition.len() - 1];
            assert!(file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{disposition}");
            assert!(!file.ends_with("html") && !file.ends_with("svg") && !file.ends_with("js"), "{disposition}");
        }
    }
    let shown = |name: &str| format!("/jobs/{job}/output?path={name}");
    // An SVG with an image's name is text; an image of four billion pixels is not decoded; one with a script in it is an image.
    for text in ["image.svg", "image.png"] {
        assert!(!browser.get(&shown(text)).await.text().contains("<img"), "{text}");
        assert_eq!(
            browser.get(&format!("/jobs/{job}/image?path={text}")).await.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
    }
    assert!(!browser.get(&shown("bomb.png")).await.text().contains("<img"));
    assert!(browser.get(&shown("polyglot.html")).await.text().contains("<img"));
    assert_eq!(browser.get(&format!("/jobs/{job}/image?path=polyglot.html")).await.header("content-type"), "image/png");
    assert_eq!(browser.get(&format!("/jobs/{job}/file?path=huge.txt")).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(browser.get(&shown("cut.txt")).await.text().contains(">a</pre>"));
}

#[tokio::test]
async fn what_comes_with_a_request_is_text_too() {
    let site = Site::public(FakeDesk::new());
    let mut notary = site.signed_in(&key(1)).await;
    let token = notary.token().await;
    let job = site.desk.job(Stage::Voting);
    let attack = "\"><script>alert(1)</script>\u{202e}";
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("path", attack).finish();
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", attack).finish();
    let pages = [
        notary.get(&format!("/jobs/{job}/output?{query}")).await,
        notary.get(&format!("/sign-in?{next}")).await,
        notary.get("/jobs/%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await,
        notary.get("/audit?from=18446744073709551615").await,
        notary.post("/sign-in/message", &[("account", attack), ("next", attack)]).await,
        notary.post("/sign-in", &[("message", &hex::encode(attack)), ("signature", attack), ("next", attack)]).await,
        notary
            .post(
                &format!("/jobs/{job}/decide"),
                &[("token", &token), ("choice", "approve"), ("text", &"\"'><script>x".repeat(1_000))],
            )
            .await,
        notary
            .post(
                &format!("/jobs/{job}/vote"),
                &[
                    ("token", &token),
                    ("choice", "approve"),
                    ("text", "x"),
                    ("digest", &format!("0x{}", "0".repeat(64))),
                    ("signature", attack),
                ],
            )
            .await,
    ];
    for (at, page) in pages.iter().enumerate() {
        assert_inert(&at.to_string(), page);
    }
}
