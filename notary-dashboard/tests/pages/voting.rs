//! Deciding: what is shown is what is signed, and only a notary's own wallet casts its vote.

use axum::http::StatusCode;
use lota_bridge::PrivateKeySigner;
use lota_market::{B256, U256, blessing::Choice, model::JobId};
use lota_notary::desk::{DeskError, MAX_REASON, Stage};

use crate::{
    browser::{Browser, Page, Site, sign_digest},
    fake::{FakeDesk, key},
};

fn site() -> Site {
    Site::new(FakeDesk::new(), |settings| settings.reads_at_once = 1_000)
}

async fn preview(browser: &mut Browser<'_>, job: JobId, choice: &str, text: &str) -> Page {
    let token = browser.token().await;
    browser.post(&format!("/jobs/{job}/decide"), &[("token", &token), ("choice", choice), ("text", text)]).await
}

async fn cast(browser: &mut Browser<'_>, job: JobId, preview: &Page, signature: &str) -> Page {
    let [token, choice, text, digest] = ["token", "choice", "text", "digest"].map(|name| preview.field(name));
    let fields =
        [("token", &*token), ("choice", &*choice), ("text", &*text), ("digest", &*digest), ("signature", signature)];
    browser.post(&format!("/jobs/{job}/vote"), &fields).await
}

fn digest(page: &Page) -> B256 {
    page.field("digest").parse().expect("a digest")
}

/// Casts a vote with a key, from the first page to the last.
async fn vote(browser: &mut Browser<'_>, job: JobId, choice: &str, text: &str, key: &PrivateKeySigner) -> Page {
    let page = preview(browser, job, choice, text).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let signature = sign_digest(&digest(&page), key);
    cast(browser, job, &page, &signature).await
}

#[tokio::test]
async fn a_notary_looks_signs_and_sees_its_vote() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let mut notary = site.signed_in(&key(1)).await;
    let form = notary.get(&format!("/jobs/{job}/decide")).await.text();
    assert!(
        form.contains("value=\"approve\"") && form.contains("value=\"reject\"") && !form.contains("value=\"revoke\"")
    );
    let page = preview(&mut notary, job, "approve", "  It is fine.\r\nI ran it. ").await;
    let text = page.text();
    for told in ["Sign: approve", "It is fine.\nI ran it.", "LotaBlessing 1, chain 31337", "version 4", "voteSigned"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(site.desk.state().votes.is_empty(), "nothing is sent before it is signed");
    let signature = sign_digest(&digest(&page), &key(1));
    let answer = cast(&mut notary, job, &page, &signature).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, &*format!("/jobs/{job}#votes")),
        "{}",
        answer.text()
    );
    let votes = site.desk.state().votes.clone();
    let [sent] = &votes[..] else { panic!("{votes:?}") };
    assert_eq!(
        (sent.notary, sent.choice, sent.version, sent.text.as_str()),
        (key(1).address(), Choice::Approve, 4, "It is fine.\nI ran it.")
    );
    let page = notary.get(&format!("/jobs/{job}")).await.text();
    assert!(page.contains("Your vote: approve") && page.contains("in a block, not final yet"), "{page}");
    // Once more is refused, and said.
    let again = preview(&mut notary, job, "approve", "again").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text().contains("has voted"), "{}", again.text());
}

#[tokio::test]
async fn a_stolen_session_does_nothing_but_read() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let victim = site.signed_in(&key(1)).await;
    // All that a thief has: the cookie, and with it every form.
    let mut thief = victim.clone();
    let page = preview(&mut thief, job, "approve", "mine now").await;
    assert_eq!(page.status, StatusCode::OK);
    let own = sign_digest(&digest(&page), &key(66));
    let others = sign_digest(&digest(&page), &key(2));
    let elsewhere = sign_digest(&B256::repeat_byte(1), &key(1));
    for signature in
        [own, others, elsewhere, "0x".into(), format!("0x{}", "00".repeat(65)), format!("0x{}", "ff".repeat(65))]
    {
        let answer = cast(&mut thief, job, &page, &signature).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{signature}");
    }
    assert!(site.desk.state().votes.is_empty());
    assert!(site.desk.state().log.iter().all(|line| !line.contains("mine now")));
}

#[tokio::test]
async fn a_signature_is_for_one_choice_one_reason_and_one_job() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let other = site.desk.settle_another();
    let mut notary = site.signed_in(&key(1)).await;
    let page = preview(&mut notary, job, "reject", "no").await;
    let signature = sign_digest(&digest(&page), &key(1));
    let token = page.field("token");
    let digest = page.field("digest");
    for (at, choice, text) in [(job, "approve", "no"), (job, "reject", "no!"), (other, "reject", "no")] {
        let fields =
            [("token", &*token), ("choice", choice), ("text", text), ("digest", &*digest), ("signature", &*signature)];
        let answer = notary.post(&format!("/jobs/{at}/vote"), &fields).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{choice} {text}");
    }
    assert!(site.desk.state().votes.is_empty());
    assert_eq!(cast(&mut notary, job, &page, &signature).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_changed_between_looking_and_signing_is_not_sent() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let mut notary = site.signed_in(&key(1)).await;
    let page = preview(&mut notary, job, "approve", "fine").await;
    let signature = sign_digest(&digest(&page), &key(1));
    site.desk.state().about.version = 5;
    let answer = cast(&mut notary, job, &page, &signature).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text().contains("changed since you looked"), "{}", answer.text());
    // Removed meanwhile, it is no notary any more.
    site.desk.state().about.notaries.retain(|notary| *notary != key(1).address());
    assert_eq!(cast(&mut notary, job, &page, &signature).await.status, StatusCode::FORBIDDEN);
    assert!(site.desk.state().votes.is_empty());
}

#[tokio::test]
async fn a_service_that_wants_another_thing_signed_is_found_out() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let mut notary = site.signed_in(&key(1)).await;
    type Forge = fn(&mut lota_notary::desk::BallotPaper);
    let forgeries: [Forge; 5] = [
        |paper| paper.digest = B256::repeat_byte(9),
        |paper| paper.nomination.amount += U256::from(1),
        |paper| paper.nomination.job = JobId(B256::repeat_byte(9)),
        |paper| paper.choice = Choice::Reject,
        |paper| paper.reasons = B256::ZERO,
    ];
    for (at, forge) in forgeries.into_iter().enumerate() {
        site.desk.state().forge = Some(forge);
        let page = preview(&mut notary, job, "approve", "fine").await;
        assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{at}");
        assert!(page.text().contains("Sign nothing"), "{at}");
        assert!(!page.text().contains("typed-data"), "{at}");
    }
}

#[tokio::test]
async fn a_reason_is_needed_and_kept_when_something_is_wrong_with_it() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let mut notary = site.signed_in(&key(1)).await;
    assert_eq!(preview(&mut notary, job, "approve", "  ").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let long = format!("<b>{}", "ü".repeat(MAX_REASON / 2));
    let page = preview(&mut notary, job, "reject", &long).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = page.text();
    assert!(text.contains("4099 bytes") && text.contains("&lt;b&gt;üü"), "{text}");
    assert!(text.contains("value=\"reject\" required checked"), "what was chosen stays chosen");
    let unknown = preview(&mut notary, job, "bless", "x").await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(site.desk.state().votes.is_empty());
}

#[tokio::test]
async fn a_party_of_the_job_is_told_that_it_may_not_vote() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let mut notary = site.signed_in(&key(1)).await;
    site.desk.state().jobs.get_mut(&job).unwrap().nomination.as_mut().unwrap().arbiter = key(1).address();
    let page = notary.get(&format!("/jobs/{job}")).await.text();
    assert!(page.contains("You are a party of this job") && !page.contains("/decide\""), "{page}");
    assert_eq!(preview(&mut notary, job, "approve", "me").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn two_notaries_bless_and_what_was_blessed_can_only_be_revoked() {
    let site = site();
    let job = site.desk.settle_another();
    let (mut one, mut two) = (site.signed_in(&key(1)).await, site.signed_in(&key(2)).await);
    assert_eq!(vote(&mut one, job, "approve", "good", &key(1)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(vote(&mut two, job, "approve", "good, too", &key(2)).await.status, StatusCode::SEE_OTHER);
    let page = one.get(&format!("/jobs/{job}")).await.text();
    assert!(page.contains("blessed, may be revoked") && page.contains("good, too"), "{page}");
    assert!(page.contains("2 for, 0 of 2 to revoke"), "{page}");
    let form = one.get(&format!("/jobs/{job}/decide")).await.text();
    assert!(form.contains("value=\"revoke\"") && !form.contains("value=\"approve\""));
    for (notary, key) in [(&mut one, key(1)), (&mut two, key(2))] {
        assert_eq!(vote(notary, job, "revoke", "no", &key).await.status, StatusCode::SEE_OTHER);
    }
    let page = one.get(&format!("/jobs/{job}")).await.text();
    assert!(page.contains("revoked</strong>") && page.contains("2 for, 2 to revoke"), "{page}");
    let over = site.desk.job(Stage::Granted);
    let page = one.get(&format!("/jobs/{over}/decide")).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text().contains("granted"));
}

#[tokio::test]
async fn a_vote_that_the_service_cannot_take_is_told_with_its_reason() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let mut notary = site.signed_in(&key(1)).await;
    let page = preview(&mut notary, job, "approve", "fine").await;
    let signature = sign_digest(&digest(&page), &key(1));
    site.desk.state().fails = Some(DeskError::Unavailable("no chain node answers".into()));
    let answer = cast(&mut notary, job, &page, &signature).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().contains("no chain node answers"));
    site.desk.state().fails = None;
    assert_eq!(
        cast(&mut notary, job, &page, &signature).await.status,
        StatusCode::SEE_OTHER,
        "the same may be sent again"
    );
}
