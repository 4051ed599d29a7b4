//! What the pages tell.

use axum::http::StatusCode;
use lota_market::blessing::End;
use lota_notary::{
    audit_log,
    desk::{Decision, DeskError, OtherAnswer, Stage},
};

use crate::{
    browser::Site,
    fake::{FakeDesk, NOW, jobs::asked, key},
};

#[tokio::test]
async fn the_queue_tells_what_a_notary_sorts_by() {
    let site = Site::public(FakeDesk::new());
    let mut notary = site.signed_in(&key(2)).await;
    let page = notary.get("/?view=all").await.text();
    for told in [
        "7 jobs",
        "wasm <bdi",
        ">bafkreifzj…f36n5e<",
        ", 2 inputs",
        "project=corpus",
        "1 failure, 2 warnings",
        "title=\"32 GiB (34,359,738,368 bytes)\">32 GiB<",
        "7.5 FIL",
        "1 of 2 for",
        ">2 for, 0 of 2 to revoke<",
        "you voted",
        "needs two approvals",
        "not nominated",
        "being looked into",
        "1 d 6 h ago",
        "in 5 d 18 h",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let (high, low) = (page.find("high").expect("high"), page.find(" low<").expect("low"));
    assert!(high < low, "the riskier first");
    let over = notary.get("/history").await.text();
    for told in ["2 jobs over", "granted", "refused", ">2 for<", ">0 for, 2 against<"] {
        assert!(over.contains(told), "{told}: {over}");
    }
    assert!(!over.contains("notaries vote"));
}

#[tokio::test]
async fn the_queue_begins_with_what_this_notary_can_decide() {
    let site = Site::public(FakeDesk::new());
    let jobs = |page: &str| -> Vec<String> {
        let rows = page.split("<tr role=\"row\" id=\"job-").skip(1);
        rows.map(|row| row[..66].to_owned()).collect()
    };
    let stages =
        |page: &str| (page.matches("being looked into</div>").count(), page.matches("not nominated</div>").count());
    let mut notary = site.signed_in(&key(2)).await;
    let page = notary.get("/").await.text();
    assert!(page.contains("4 jobs to decide") && stages(&page) == (0, 0), "{page}");
    for tab in ["To decide (4)", "I voted (1)", "Not nominated (1)", "Being looked into (1)", "All (7)"] {
        assert!(page.contains(tab), "{tab}: {page}");
    }
    assert!(page.contains("aria-current=\"page\">To decide"), "{page}");
    let mut all: Vec<String> = Vec::new();
    for (view, count) in [("to-decide", 4), ("voted", 1), ("not-nominated", 1), ("gathering", 1)] {
        let found = jobs(&notary.get(&format!("/?view={view}")).await.text());
        assert_eq!(found.len(), count, "{view}");
        all.extend(found);
    }
    all.sort();
    let mut every = jobs(&notary.get("/?view=all").await.text());
    every.sort();
    assert_eq!(all, every, "each is in one of them");
    // Who is no notary has no votes.
    let anybody = site.browser().get("/").await.text();
    assert!(anybody.contains("To decide (5)") && !anybody.contains("I voted"), "{anybody}");
    // What waits for one's decision comes one after the other.
    let next = notary.get("/next").await;
    assert_eq!(next.header("location"), format!("/jobs/{}", jobs(&page)[0]));
    let voted = jobs(&notary.get("/?view=voted").await.text()).remove(0);
    assert!(notary.get(&format!("/jobs/{voted}")).await.text().contains("href=\"/next\""));
    site.desk.state().jobs.clear();
    assert_eq!(notary.get("/next").await.header("location"), "/");
}

#[tokio::test]
async fn jobs_are_found_by_their_id_and_their_parties() {
    let site = Site::public(FakeDesk::new());
    let mut browser = site.browser();
    let id = site.desk.job(Stage::Gathering);
    let job = site.desk.state().jobs[&id].job.clone();
    let rows = |page: &str| page.matches("<tr role=\"row\" id=\"job-").count();
    for wanted in
        [job.job.to_string(), job.client.to_string(), format!("{:#x}", job.provider), job.job.to_string()[..20].into()]
    {
        let page = browser.get(&format!("/?view=all&q={wanted}")).await.text();
        assert_eq!(rows(&page), 1, "{wanted}: {page}");
        assert!(page.contains(&format!("id=\"job-{}\"", job.job)) && page.contains("All (1)"), "{wanted}: {page}");
        assert!(page.contains("Show all"), "{wanted}");
        let tab = format!("/?view=gathering&amp;q={wanted}");
        assert!(page.contains(&tab), "a tab keeps what is searched for: {tab}: {page}");
    }
    let none = browser.get("/?q=%22%3E%3Cscript%3E").await.text();
    assert!(
        none.contains("Nothing that was searched for waits") && none.contains("value=\"&quot;&gt;&lt;script&gt;\""),
        "{none}"
    );
    assert_eq!(browser.get(&format!("/?q={}", "a".repeat(81))).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let over = site.desk.job(Stage::Granted);
    assert_eq!(rows(&browser.get(&format!("/history?q={over}")).await.text()), 1);
}

#[tokio::test]
async fn a_job_that_is_decided_tells_what_was_asked_for_and_who_voted() {
    let site = Site::public(FakeDesk::new());
    let mut notary = site.signed_in(&key(3)).await;
    for (stage, tally, vote) in [
        (Stage::Granted, "32 GiB (34,359,738,368 bytes) · 2 for", "Your vote: approve"),
        (Stage::Ended(End::Refused), "64 GiB (68,719,476,736 bytes) · 0 for, 2 against", "Your vote: reject"),
    ] {
        let id = site.desk.job(stage);
        let page = notary.get(&format!("/jobs/{id}")).await.text();
        for told in [tally, vote, "What was asked for", "(the provider)", "DataCap", "Piece's size"] {
            assert!(page.contains(told), "{stage:?}: {told}: {page}");
        }
        for not_now in ["/decide", "What is asked for", "votes until"] {
            assert!(!page.contains(not_now), "{stage:?}: {not_now}");
        }
    }
    let page = notary.get(&format!("/jobs/{}", site.desk.job(Stage::Blessed))).await.text();
    assert!(page.contains("2 for, 0 of 2 to revoke") && page.contains("Revoke…"), "{page}");
}

#[tokio::test]
async fn a_long_queue_is_read_page_by_page() {
    let site = Site::public(FakeDesk::new());
    for _ in 0..60 {
        site.desk.settle_another();
    }
    let mut browser = site.browser();
    let rows = |page: &str| page.matches("<tr role=\"row\" id=\"job-").count();
    let first = browser.get("/").await.text();
    assert!(first.contains("65 jobs to decide"), "{first}");
    assert_eq!(rows(&first), 50);
    let at = first.find("?after=").expect("a next page");
    let next = &first[at..at + 7 + 66];
    let second = browser.get(&format!("/{next}")).await.text();
    assert_eq!(rows(&second), 15);
    assert!(!second.contains("The next ones") && second.contains("From the beginning"));
}

#[tokio::test]
async fn a_job_is_told_with_all_its_evidence() {
    let site = Site::public(FakeDesk::new());
    let mut browser = site.browser();
    let job = site.desk.state().jobs.values().find(|dossier| dossier.approvals == 1).expect("one").clone();
    let page = browser.get(&format!("/jobs/{}", job.job.job)).await.text();
    for check in &job.checks {
        assert!(page.contains(check.question.text()), "{:?}", check.question);
        assert!(page.contains(&check.answer), "{}", check.answer);
        for line in &check.evidence {
            // What is said of an input stands below it.
            let label = line.label == "because" || page.contains(&line.label);
            assert!(label && page.contains(&line.value), "{line:?}");
        }
    }
    for told in [
        "Claims checked on two nodes, output read.\nThe re-run agrees.",
        "as Filecoin's f410",
        "bafkzcibe4wleef7l26",
        "(the provider)",
        "0.12 FIL",
        "bafybeihkoviema7g3gxyt6la7vd5ho32ictqbilu3wnlo3rs7ewhnp7lly",
        "nominated by this service",
        "14 of 14 periods",
        "--language",
        "/out",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let nomination = job.nomination.expect("it is nominated");
    for account in [nomination.client, nomination.provider, nomination.nominator, nomination.granter] {
        assert!(page.contains(&account.to_string()), "{account} in full");
    }
    assert_eq!(browser.get(&format!("/jobs/0x{}", "0".repeat(64))).await.status, StatusCode::NOT_FOUND);
    let upper = job.job.job.to_string().to_uppercase().replace("0X", "0x");
    assert_eq!(browser.get(&format!("/jobs/{upper}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_age_of_what_is_known_and_another_notary_s_answer_are_told() {
    let site = Site::public(FakeDesk::new());
    let mut browser = site.browser();
    let id = site.desk.state().jobs.values().find(|dossier| dossier.approvals == 1).expect("one").job.job;
    let path = format!("/jobs/{id}");
    let section = |page: &str, id: &str| {
        let from = page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
        let rest = &page[from..];
        rest[..rest.find("</section>").expect("it ends")].to_owned()
    };
    let page = browser.get(&path).await.text();
    let proofs = section(&page, "availability");
    assert!(proofs.contains("As of ") && proofs.contains("4 min ago"), "{proofs}");
    let checks = section(&page, "checks");
    assert_eq!(checks.matches("Looked at ").count(), 2, "inputs and output; it was not run again: {checks}");
    assert!(!page.contains("Another notary") && !page.contains("policy"), "{page}");

    site.desk.state().jobs.get_mut(&id).expect("it is there").asked = Some(asked(None));
    let waiting = section(&browser.get(&path).await.text(), "other-notary");
    for told in ["notary.example:8443", "2 h ago", "does not have the request yet", "has not answered", "in 1 d"] {
        assert!(waiting.contains(told), "{told}: {waiting}");
    }
    let answer = OtherAnswer {
        key: "did:key:z6Mkother".into(),
        decision: Decision::Granted,
        amount: Some(lota_market::U256::from(5)),
        reason: "read it\nand ran it <again>".into(),
        transaction: Some("bafy2bza".into()),
        at: lota_market::Time(NOW.0 - 3_600),
    };
    {
        let mut state = site.desk.state();
        let dossier = state.jobs.get_mut(&id).expect("it is there");
        dossier.asked.as_mut().expect("asked").answer = Some(answer);
        dossier.policy_amount = Some(lota_market::U256::from(1_u64 << 40));
    }
    let page = browser.get(&path).await.text();
    let answered = section(&page, "other-notary");
    for told in [
        "granted",
        ": 5 of its own unit",
        "1 h ago",
        "did:key:z6Mkother",
        "bafy2bza",
        "read it\nand ran it &lt;again&gt;",
    ] {
        assert!(answered.contains(told), "{told}: {answered}");
    }
    let summary = section(&page, "summary");
    assert!(summary.contains("Less is asked for") && summary.contains("1 TiB"), "{summary}");
}

#[tokio::test]
async fn allowances_are_told_in_the_granter_s_unit() {
    let site = Site::public(FakeDesk::new());
    let page = site.browser().get("/allowance").await.text();
    for told in [
        "some 1.31 TiB (1,447,403,978,752 bytes)",
        "2 TiB",
        "34 %",
        "value=\"34\"",
        "DataCap",
        "Filecoin Pay",
        "in 5 d",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let mut site = site;
    {
        let mut state = site.desk.state();
        let granter = &mut state.about.granters[0];
        granter.granted = lota_market::U256::MAX;
        granter.limits.per_period = lota_market::U256::ZERO;
    }
    let page = site.browser().get("/allowance").await.text();
    assert!(page.contains("0 bytes"), "{page}");
    site = Site::public(FakeDesk::new());
    site.desk.state().about.granters[0].limits.per_period = lota_market::U256::MAX;
    let page = site.browser().get("/allowance").await.text();
    assert!(page.contains("value=\"1\""), "a little is not nothing: {page}");
}

#[tokio::test]
async fn what_does_not_work_is_told_on_every_page() {
    let site = Site::public(FakeDesk::new());
    site.desk.state().about.problems = vec!["the registry is 3 h behind".into()];
    for path in ["/", "/history", "/allowance", "/about", "/audit"] {
        assert!(site.browser().get(path).await.text().contains("the registry is 3 h behind"), "{path}");
    }
    site.desk.state().fails = Some(DeskError::Unavailable("the chain was not read yet".into()));
    let page = site.browser().get("/").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text().contains("the chain was not read yet"));
}

#[tokio::test]
async fn the_audit_log_is_read_checked_and_exported() {
    let site = Site::public(FakeDesk::new());
    let mut browser = site.browser();
    let page = browser.get("/audit").await.text();
    assert!(page.contains("nominated") && page.contains("not checked"), "{page}");
    let head = site.desk.state().head;
    assert!(page.contains(&head.digest.to_string()));
    assert_eq!(browser.get("/audit/check").await.status, StatusCode::SEE_OTHER);
    assert!(browser.get("/audit").await.text().contains("whole</span>"));
    let export = browser.get("/audit/export").await;
    assert_eq!(audit_log::verify(&export.body[..], |_| ()).expect("whole"), head);
    assert!(export.header("content-disposition").starts_with("attachment"));
    // A notary signs in: the check is of before.
    site.signed_in(&key(1)).await;
    assert!(browser.get("/audit").await.text().contains(&format!("whole up to {}", head.entries)));
    // Somebody changes a line.
    {
        let mut state = site.desk.state();
        state.log[0] = state.log[1].clone();
    }
    browser.get("/audit/check").await;
    let page = browser.get("/audit").await.text();
    assert!(page.contains(" broken</span>") && page.contains("line 1 of the audit log has number 2"), "{page}");
}

#[tokio::test]
async fn lines_that_were_cut_off_the_end_are_missed() {
    let site = Site::public(FakeDesk::new());
    let mut browser = site.browser();
    site.desk.state().log.pop();
    browser.get("/audit/check").await;
    let page = browser.get("/audit").await.text();
    assert!(page.contains(" broken</span>") && page.contains("The lines end at entry"), "{page}");
}

#[tokio::test]
async fn a_decision_that_is_final_has_an_attestation() {
    let site = Site::public(FakeDesk::new());
    let mut browser = site.browser();
    let answer = browser.get(&format!("/jobs/{}/attestation", site.desk.job(Stage::Granted))).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let trusted = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
    let statement = lota_notary::attestation::verify::<serde_json::Value>(&answer.body, &[trusted]).expect("signed");
    assert_eq!(statement.subject[0].name, site.desk.job(Stage::Granted).to_string());
    let answer = browser.get(&format!("/jobs/{}/attestation", site.desk.job(Stage::Voting))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().contains("not final yet"));
}
