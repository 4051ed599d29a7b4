//! Deciding: what is shown is what is signed, and only a notary's own wallet casts its vote.

use axum::http::StatusCode;
use lota_bridge::PrivateKeySigner;
use lota_market::{B256, U256, blessing::Choice, model::JobId};
use lota_notary::desk::{DeskError, MAX_REASON, Stage, Vote, VoteState};

use crate::{
    browser::{Browser, Page, Site, sign_digest, sign_message, unescaped},
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
    assert!(form.contains(" of 11 passed. "), "{form}");
    assert!(form.contains("Too few blessings to say."), "what did not pass: {form}");
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
    assert!(!page.contains("/decide"), "who has voted is not asked to: {page}");
    assert_eq!(notary.get(&format!("/jobs/{job}/decide")).await.status, StatusCode::CONFLICT);
    // Once more is refused, and said.
    let again = preview(&mut notary, job, "approve", "again").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text().contains("has voted"), "{}", again.text());
    assert!(again.text().contains(">again</pre>"), "what was written is told: {}", again.text());
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
        assert!(page.text().contains(">fine</textarea>"), "{at}: what was written is kept");
    }
    // What goes to the wallet is of the page's own making: a service that hands out other typed data is not heard.
    site.desk.state().forge = Some(|paper| {
        paper.typed_data["message"]["nomination"]["amount"] = "1".into();
        paper.typed_data["domain"]["verifyingContract"] = "0x0000000000000000000000000000000000000bad".into();
    });
    let page = preview(&mut notary, job, "approve", "fine").await;
    assert_eq!(page.status, StatusCode::OK);
    let text = unescaped(&page.text());
    let typed = text.split("id=\"typed-data\"").nth(1).and_then(|rest| rest.split_once('>')).expect("typed data").1;
    let typed: serde_json::Value =
        serde_json::Deserializer::from_str(typed).into_iter().next().expect("JSON").expect("JSON");
    let (amount, contract) = {
        let state = site.desk.state();
        let nomination = state.jobs[&job].nomination.clone().expect("it is nominated");
        (nomination.amount.to_string(), state.about.blessing.contract.to_string())
    };
    assert_eq!(typed["message"]["nomination"]["amount"], amount);
    let signed_for = typed["domain"]["verifyingContract"].as_str().expect("a contract");
    assert!(signed_for.eq_ignore_ascii_case(&contract), "{signed_for}");
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

/// What stands in the form of a decision.
fn assert_written(page: &Page, choice: &str, text: &str) {
    let html = unescaped(&page.text());
    assert!(html.contains(&format!("value=\"{choice}\" required checked")), "{choice}: {html}");
    assert!(html.contains(&format!(">{text}</textarea>")), "{text}: {html}");
}

#[tokio::test]
async fn what_was_written_is_there_again_after_a_change_of_mind_and_after_each_error() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let mut notary = site.signed_in(&key(1)).await;
    let written = "I read <all> of it.\nTwice.";
    let page = preview(&mut notary, job, "reject", written).await;
    let [token, choice, text] = ["token", "choice", "text"].map(|name| page.field(name));
    let draft = [("token", &*token), ("choice", &*choice), ("text", &*text)];
    let path = format!("/jobs/{job}/decide");
    let changing = notary.post(&path, &[&draft[..], &[("change", "yes")]].concat()).await;
    assert_eq!(changing.status, StatusCode::OK);
    assert_written(&changing, "reject", written);
    // A signature of another account, and a set that changed.
    let wrong = cast(&mut notary, job, &page, &sign_digest(&digest(&page), &key(2))).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("The signature is by"), "{}", wrong.text());
    assert_written(&wrong, "reject", written);
    // Signed in anew, in another tab: the form is of a session that is over.
    notary.sign_in(&key(1)).await;
    let other = notary.post(&path, &draft).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    assert_written(&other, "reject", written);
    assert_ne!(other.field("token"), token);
    // Somebody else decided meanwhile: no form is left.
    site.desk.state().jobs.get_mut(&job).expect("there").stage = Stage::Granted;
    let token = notary.token().await;
    let over = notary.post(&path, &[("token", &*token), ("choice", "reject"), ("text", written)]).await;
    assert_eq!(over.status, StatusCode::CONFLICT);
    assert!(unescaped(&over.text()).contains(&format!(">{written}</pre>")), "{}", over.text());
}

#[tokio::test]
async fn a_session_that_ended_while_somebody_wrote_takes_nothing_away() {
    let site = site();
    let job = site.desk.job(Stage::Voting);
    let written = "It took me\nan hour \"to\" <write>.";
    let mut notary = site.signed_in(&key(1)).await;
    let page = preview(&mut notary, job, "approve", written).await;
    let [token, choice, text] = ["token", "choice", "text"].map(|name| page.field(name));
    let signature = sign_digest(&digest(&page), &key(1));
    for what in ["decide", "vote"] {
        notary.cookies.clear();
        let shown = page.field("digest");
        let fields = [
            ("token", &*token),
            ("choice", &*choice),
            ("text", &*text),
            ("digest", &*shown),
            ("signature", &*signature),
        ];
        let asked = notary.post(&format!("/jobs/{job}/{what}"), &fields).await;
        assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "{what}");
        let carried = |page: &Page| ["next", "choice", "text"].map(|name| page.field(name));
        assert_eq!(carried(&asked), [format!("/jobs/{job}/decide"), "approve".into(), written.into()], "{what}");
        let [next, choice, text] = carried(&asked);
        let onward = [("next", &*next), ("choice", &*choice), ("text", &*text)];
        let account = key(1).address().to_string();
        let message = notary.post("/sign-in/message", &[&[("account", &*account)][..], &onward].concat()).await;
        assert_eq!(carried(&message), carried(&asked), "{what}");
        let message = message.field("message");
        let sign = async |notary: &mut Browser<'_>, key: &PrivateKeySigner| {
            let signature = sign_message(&message, key);
            notary
                .post("/sign-in", &[&[("message", &*message), ("signature", &*signature)][..], &onward].concat())
                .await
        };
        // Signed with another account first: that is refused, and takes nothing away.
        let refused = sign(&mut notary, &key(2)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{what}");
        assert_eq!(carried(&refused), carried(&asked), "{what}");
        let form = sign(&mut notary, &key(1)).await;
        assert_eq!(form.status, StatusCode::OK, "{what}: {}", form.text());
        assert_written(&form, "approve", written);
        let token = form.field("token");
        let on = notary.post(&next, &[("token", &*token), ("choice", &*choice), ("text", &*text)]).await;
        assert_eq!(on.status, StatusCode::OK, "{what}");
    }
    // Of what else is posted, the page that it was about is where one goes on; a link that says what was written is not believed.
    notary.cookies.clear();
    assert_eq!(notary.post("/sessions/end", &[]).await.field("next"), "/");
    let link = format!("/sign-in?next=/jobs/{job}/decide&choice=approve&text=fine");
    let page = notary.get(&link).await.text();
    assert!(!page.contains("name=\"text\""), "{page}");
}

#[tokio::test]
async fn who_has_a_vote_under_way_is_not_asked_for_another() {
    let site = site();
    let job = site.desk.settle_another();
    let mut notary = site.signed_in(&key(1)).await;
    for (state, offered) in [
        (VoteState::Sending, None),
        (VoteState::Held, Some("Vote otherwise…")),
        (VoteState::Refused { why: "too late".into() }, Some("Decide…")),
        // A new set of notaries made it void.
        (VoteState::Landed { transaction: None, is_final: true }, Some("Decide…")),
    ] {
        {
            let mut desk = site.desk.state();
            let dossier = desk.jobs.get_mut(&job).expect("there");
            let (notary, reasons) = (key(1).address(), B256::ZERO);
            let (choice, at) = (Choice::Approve, lota_market::Time(0));
            dossier.votes = vec![Vote { round: 1, notary, choice, reasons, text: None, at, state: state.clone() }];
        }
        let page = notary.get(&format!("/jobs/{job}")).await.text();
        assert_eq!(page.contains("/decide\""), offered.is_some(), "{state:?}");
        assert!(offered.is_none_or(|offered| page.contains(offered)), "{state:?}: {page}");
        let form = notary.get(&format!("/jobs/{job}/decide")).await;
        assert_eq!(form.status == StatusCode::OK, offered.is_some(), "{state:?}");
        if state == VoteState::Held {
            assert!(form.text().contains("a new one takes its place"), "{}", form.text());
        }
    }
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
