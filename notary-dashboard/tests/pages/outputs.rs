//! What a job put out.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use lota_notary::desk::{OutputNode, Stage};
use tower::ServiceExt as _;

use crate::{
    browser::{HOST, Site},
    fake::{FakeDesk, jobs::large_png},
};

#[tokio::test]
async fn outputs_are_browsed_in_place() {
    let site = Site::public(FakeDesk::new());
    let mut browser = site.browser();
    let job = site.desk.job(Stage::Voting);
    let at = |path: &str| format!("/jobs/{job}/output?path={path}");
    let root = browser.get(&format!("/jobs/{job}/output")).await.text();
    for name in ["counts.csv", "log.txt", "parts", "plot.png", "directory"] {
        assert!(root.contains(name), "{name}: {root}");
    }
    let table = browser.get(&at("counts.csv")).await.text();
    assert!(table.contains("5 rows of 3 columns") && table.contains("<td><bdi>a, b</bdi></td>"), "{table}");
    assert!(table.contains("Formulas in it are not defused"), "{table}");
    let sums = browser.get(&at("sums.csv")).await.text();
    assert!(sums.contains("1 row of 2 columns") && sums.contains("<td><bdi>a;b</bdi></td>"), "{sums}");
    let other = browser.get(&at("latin-1.txt")).await.text();
    assert!(other.contains("Straße, café") && other.contains("Shown as Latin-1"), "{other}");
    assert!(browser.get(&format!("{}&plain=true", at("counts.csv"))).await.text().contains("word,count,share\nthe,"));
    assert!(browser.get(&at("log.txt")).await.text().contains("counted 3,009,441 words"));
    let image = browser.get(&at("plot.png")).await.text();
    assert!(image.contains("240 × 120 pixels") && image.contains("alt="), "{image}");
    let bytes = browser.get(&format!("/jobs/{job}/image?path=plot.png")).await;
    assert_eq!(bytes.header("content-type"), "image/png");
    assert!(browser.get(&at("index.bin")).await.text().contains("000010  10 11 12"));
    let parts = browser.get(&at("parts")).await.text();
    assert!(parts.contains("parts/part-1.txt") && parts.contains("and more on the next page"), "{parts}");
    assert!(parts.contains("symbolic link, not followed") && parts.contains("cannot be read now"), "{parts}");
    let next = format!("/jobs/{job}/output?path=parts&amp;after=part-3.txt");
    assert!(parts.contains(&next), "{next}: {parts}");
    let last = browser.get(&format!("/jobs/{job}/output?path=parts&after=part-1.txt")).await.text();
    assert!(
        !last.contains(">part-1.txt") && last.contains("part-2.txt") && last.contains("From the beginning"),
        "{last}"
    );
    assert!(browser.get(&at("parts/part-1.txt")).await.text().contains("part one"));
    assert_eq!(browser.get(&at("nothing")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get(&at(&"x".repeat(5_000))).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_is_larger_than_is_shown_at_once_is_seen_and_fetched_up_to_a_size() {
    let site = Site::public(FakeDesk::new());
    let mut browser = site.browser();
    let job = site.desk.job(Stage::Voting);
    let at = |what: &str| format!("/jobs/{job}/{what}?path=photo.png");
    let page = browser.get(&at("output")).await.text();
    assert!(page.contains("<img src=") && page.contains("Download"), "{page}");
    let image = browser.get(&at("image")).await;
    assert_eq!((image.header("content-type"), image.body == large_png()), ("image/png", true));
    assert_eq!(image.header("content-length"), large_png().len().to_string());
    let file = browser.get(&at("file")).await;
    assert_eq!((file.header("content-type"), file.body == large_png()), ("application/octet-stream", true));
    assert!(file.header("content-security-policy").contains("; sandbox;"));

    let resize = |to: u64| {
        let mut state = site.desk.state();
        let Some(OutputNode::File { size, .. }) = state.outputs.get_mut("photo.png") else { panic!("a file") };
        *size = to;
    };
    // Too large for an image, and then for all.
    resize((16 << 20) + 1);
    let page = browser.get(&at("output")).await.text();
    assert!(!page.contains("<img") && page.contains("240 × 120 pixels") && page.contains("Download"), "{page}");
    assert_eq!(browser.get(&at("image")).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    resize((32 << 20) + 1);
    let page = browser.get(&at("output")).await.text();
    assert!(!page.contains("Download") && page.contains("lota content get bafkreigh2a"), "{page}");
    let refused = browser.get(&at("file")).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.text().contains("at most 33554432") && refused.text().contains("lota content get bafk"));
    // Nobody has the rest.
    resize(300_000);
    assert_eq!(browser.get(&at("file")).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn few_files_are_handed_out_at_once() {
    let site = Site::public(FakeDesk::new());
    let job = site.desk.job(Stage::Voting);
    let ask = || {
        let request = Request::get(format!("/jobs/{job}/file?path=photo.png")).header(header::HOST, HOST);
        site.router.clone().oneshot(request.body(Body::empty()).expect("a request"))
    };
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let answer = ask().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        bodies.push(answer.into_body());
    }
    assert_eq!(ask().await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    let taken = axum::body::to_bytes(bodies.pop().expect("a body"), 1 << 20).await.expect("all of it");
    assert_eq!(taken.len(), large_png().len());
    // Its place is given back by a task that is about to end.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask().await.expect("an answer").status(), StatusCode::OK);
}
