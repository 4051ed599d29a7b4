//! Signing in, sessions, and attacks on both.

use axum::http::StatusCode;
use lota_notary_dashboard::Readers;

use crate::{
    browser::{Site, sign_message},
    fake::{FakeDesk, key},
};

fn notaries_only() -> Site {
    Site::new(FakeDesk::new(), |_| ())
}

#[tokio::test]
async fn a_notary_signs_in_reads_and_signs_out() {
    let site = notaries_only();
    let mut browser = site.browser();
    let page = browser.get("/history").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!(page.field("next"), "/history");
    assert_eq!(site.desk.state().asked, 0, "a stranger makes the service do nothing");
    let page = browser.sign_in(&key(1)).await;
    assert_eq!((page.status, page.header("location")), (StatusCode::SEE_OTHER, "/history"));
    let cookie = page.headers.get_all("set-cookie").iter().next().unwrap().to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-lota-session="), "{cookie}");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure", "; Max-Age=43200"] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains(&key(1).address().to_string()));
    let token = browser.token().await;
    let kept = browser.clone();
    let page = browser.post("/sign-out", &[("token", &token)]).await;
    assert_eq!(page.header("location"), "/sign-in");
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
    // The cookie that somebody copied is worth nothing now.
    let mut copied = kept;
    assert_eq!(copied.get("/").await.status, StatusCode::UNAUTHORIZED);
    let log = site.desk.state().log.join("\n");
    assert!(log.contains("signed in") && log.contains("signed out"), "{log}");
}

#[tokio::test]
async fn only_notaries_and_named_readers_are_let_in_and_only_notaries_decide() {
    let site = notaries_only();
    let mut browser = site.browser();
    let page = browser.sign_in(&key(9)).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text().contains("no notary"), "{}", page.text());
    assert_eq!(browser.get("/").await.status, StatusCode::UNAUTHORIZED);

    let site = Site::new(FakeDesk::new(), |settings| settings.readers = Readers::Accounts(vec![key(9).address()]));
    let job = site.desk.job(lota_notary::desk::Stage::Voting);
    let mut reader = site.signed_in(&key(9)).await;
    let page = reader.get(&format!("/jobs/{job}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text().contains("/decide"), "a reader is offered no decision");
    assert_eq!(reader.get(&format!("/jobs/{job}/decide")).await.status, StatusCode::FORBIDDEN);
    let token = reader.token().await;
    let page =
        reader.post(&format!("/jobs/{job}/decide"), &[("token", &token), ("choice", "approve"), ("text", "x")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn strangers_use_up_no_place_for_sign_ins() {
    let site = notaries_only();
    let mut stranger = site.browser();
    let message = stranger.message(key(9).address()).await;
    let signature = sign_message(&message, &key(9));
    let fields = [("message", message.as_str()), ("signature", signature.as_str())];
    for _ in 0..2 {
        let page = stranger.post("/sign-in", &fields).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(page.text().contains("no notary"), "{}", page.text());
    }
    // Nothing was kept of that: once it is a notary, the same message is good, and good once.
    site.desk.state().about.notaries.push(key(9).address());
    let mut before = stranger.clone();
    assert_eq!(stranger.post("/sign-in", &fields).await.status, StatusCode::SEE_OTHER);
    let page = before.post("/sign-in", &fields).await;
    assert!(page.status == StatusCode::FORBIDDEN && page.text().contains("was used"), "{}", page.text());
    // Where everybody reads, strangers need no session, and take none.
    let site = Site::public(FakeDesk::new());
    assert_eq!(site.browser().get("/").await.status, StatusCode::OK);
    assert_eq!(site.browser().sign_in(&key(9)).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_notary_that_was_removed_is_signed_out_at_once() {
    let site = notaries_only();
    let mut browser = site.signed_in(&key(3)).await;
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    site.desk.state().about.notaries.retain(|notary| *notary != key(3).address());
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(!page.text().contains("worries"));
    site.desk.state().about.notaries.push(key(3).address());
    assert_eq!(browser.get("/").await.status, StatusCode::UNAUTHORIZED, "it signs in anew");
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_after_its_lifetime() {
    let site = notaries_only();
    let mut browser = site.signed_in(&key(1)).await;
    for _ in 0..11 {
        site.wait(3_599);
        assert_eq!(browser.get("/").await.status, StatusCode::OK);
    }
    site.wait(3_599);
    site.wait(12);
    assert_eq!(browser.get("/").await.status, StatusCode::UNAUTHORIZED, "twelve hours are over");
    let mut browser = site.signed_in(&key(1)).await;
    site.wait(3_600);
    assert_eq!(browser.get("/").await.status, StatusCode::UNAUTHORIZED, "an hour without use");
}

#[tokio::test]
async fn a_signed_message_is_good_once_in_its_own_browser_and_for_a_while() {
    let site = notaries_only();
    let mut mine = site.browser();
    let message = mine.message(key(1).address()).await;
    let signature = sign_message(&message, &key(1));
    let fields = [("message", message.as_str()), ("signature", signature.as_str())];
    // Whoever got hold of it (a page that relays it, a log) has another browser.
    let mut thief = site.browser();
    assert_eq!(thief.post("/sign-in", &fields).await.status, StatusCode::FORBIDDEN);
    thief.message(key(1).address()).await;
    assert_eq!(thief.post("/sign-in", &fields).await.status, StatusCode::FORBIDDEN);
    assert_eq!(thief.get("/").await.status, StatusCode::UNAUTHORIZED);
    let before = mine.clone();
    assert_eq!(mine.post("/sign-in", &fields).await.status, StatusCode::SEE_OTHER);
    let mut again = before;
    assert_eq!(again.post("/sign-in", &fields).await.status, StatusCode::FORBIDDEN, "it was used");
    // Another's signature, and one that came too late.
    let mut late = site.browser();
    let message = late.message(key(1).address()).await;
    let page = late.post("/sign-in", &[("message", &message), ("signature", &sign_message(&message, &key(2)))]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    site.wait(300);
    let page = late.post("/sign-in", &[("message", &message), ("signature", &sign_message(&message, &key(1)))]).await;
    assert!(page.text().contains("time is over"), "{}", page.text());
}

#[tokio::test]
async fn the_message_names_this_page_and_this_chain() {
    let site = notaries_only();
    let mut browser = site.browser();
    let bytes = hex::decode(browser.message(key(1).address()).await).expect("hex");
    let message = String::from_utf8(bytes).expect("UTF-8");
    let mut lines = message.lines();
    assert_eq!(lines.next(), Some("notary.example wants you to sign in with your Ethereum account:"));
    assert_eq!(lines.next(), Some(key(1).address().to_string().as_str()));
    assert!(message.contains("\nURI: https://notary.example\nVersion: 1\nChain ID: 31337\nNonce: "), "{message}");
    // A message for another page, signed by the notary, is refused here.
    let foreign = hex::encode(message.replace("notary.example", "evil.example"));
    let page =
        browser.post("/sign-in", &[("message", &foreign), ("signature", &sign_message(&foreign, &key(1)))]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text().contains("domain is &quot;evil.example&quot;"), "{}", page.text());
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_own_account_only() {
    let site = notaries_only();
    let mut one = site.signed_in(&key(1)).await;
    let mut two = site.signed_in(&key(1)).await;
    let mut other = site.signed_in(&key(2)).await;
    let page = two.get("/sessions").await.text();
    assert!(page.contains("2 sessions") && page.contains("End session 1") && page.contains("End session 2"), "{page}");
    assert!(!page.contains("End session 3"), "another's session");
    let token = other.token().await;
    other.post("/sessions/end", &[("token", &token), ("which", "1")]).await;
    assert_eq!(one.get("/").await.status, StatusCode::OK);
    let token = two.token().await;
    assert_eq!(
        two.post("/sessions/end", &[("token", &token), ("which", "others")]).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(one.get("/").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(two.get("/").await.status, StatusCode::OK);
    assert_eq!(other.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_that_somebody_plants_or_doubles_is_none() {
    let site = notaries_only();
    let mut victim = site.signed_in(&key(1)).await;
    let name = "__Host-lota-session".to_owned();
    let good = victim.cookies[&name].clone();
    for planted in [
        "",
        "0",
        &"0".repeat(64),
        &good.to_uppercase(),
        &good[..63],
        &format!("{good}0"),
        &format!("{good}; {name}={good}"),
    ] {
        victim.cookies.insert(name.clone(), planted.to_owned());
        assert_eq!(victim.get("/").await.status, StatusCode::UNAUTHORIZED, "{planted}");
    }
    // Without TLS' prefix it is another cookie.
    victim.cookies = [("lota-session".to_owned(), good.clone())].into();
    assert_eq!(victim.get("/").await.status, StatusCode::UNAUTHORIZED);
    // A sign-in gives a new secret, and the old one is void: nobody keeps a session that he planted before.
    victim.cookies = [(name.clone(), good.clone())].into();
    victim.sign_in(&key(1)).await;
    assert_ne!(victim.cookies[&name], good);
    victim.cookies = [(name, good)].into();
    assert_eq!(victim.get("/").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_is_signed_in_without_a_trace() {
    let site = notaries_only();
    let mut browser = site.browser();
    let message = browser.message(key(1).address()).await;
    site.desk.state().fails = Some(lota_notary::desk::DeskError::Unavailable("the disk is full".into()));
    let page =
        browser.post("/sign-in", &[("message", &message), ("signature", &sign_message(&message, &key(1)))]).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!browser.cookies.contains_key("__Host-lota-session"));
}
