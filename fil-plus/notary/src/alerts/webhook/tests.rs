use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use lota_market::{B256, model::JobId};

use super::*;
use crate::testing::{nobody, serve};

/// Of the standard's libraries: secret, id, time, body, signature.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNED: (&str, u64, &str, &str) = (
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1_614_265_330,
    r#"{"test": 2432232314}"#,
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
);
const NOW: Time = Time(1_700_000_000);

fn secret() -> Secret {
    SECRET.parse().expect("a secret")
}

fn alert() -> Alert {
    Alert {
        id: "needs-vote:1".to_owned(),
        at: Time(1_699_999_999),
        kind: AlertKind::NeedsVote,
        job: Some(JobId(B256::repeat_byte(7))),
        text: "two notaries have not voted <b>\r\nX-Evil: 1".to_owned(),
        details: json!({ "missing": 2 }),
    }
}

type Got = Arc<Mutex<Vec<(HeaderMap, Vec<u8>)>>>;

/// A receiver that verifies as the standard says, and answers so.
async fn receiver(status: u16) -> (String, Got) {
    let got = Got::default();
    let take = move |State(got): State<Got>, headers: HeaderMap, body: Bytes| async move {
        let text = |name: &str| headers[name].to_str().expect("text").to_owned();
        let (id, at) = (text("webhook-id"), text("webhook-timestamp"));
        let at: u64 = at.parse().expect("seconds");
        let signed = secret().sign(&id, at, &body).expect("signed");
        if at.abs_diff(NOW.0) > 300 || !text("webhook-signature").split(' ').any(|one| one == signed) {
            return StatusCode::UNAUTHORIZED;
        }
        got.lock().expect("the lock").push((headers, body.to_vec()));
        StatusCode::from_u16(status).expect("a status")
    };
    let router = Router::new().route("/hook", post(take)).with_state(got.clone());
    (format!("http://{}/hook", serve(router).await), got)
}

fn webhook(url: &str, secrets: Vec<Secret>) -> Webhook {
    Webhook::with_clock("ops", url, secrets, Duration::from_secs(5), || NOW).expect("a webhook")
}

#[test]
fn messages_are_signed_as_the_standard_s_libraries_sign_them() {
    let (id, at, body, signature) = SIGNED;
    assert_eq!(secret().sign(id, at, body.as_bytes()).expect("signed"), signature);
}

#[test]
fn a_secret_is_what_the_standard_says() {
    let long = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
    for good in [SECRET.to_owned(), format!("  {SECRET}\n"), long(24), long(64)] {
        assert!(good.parse::<Secret>().is_ok(), "{good}");
    }
    for bad in [String::new(), "whsec_".to_owned(), SECRET[6..].to_owned(), long(23), long(65), "whsec_???".to_owned()]
    {
        assert_eq!(bad.parse::<Secret>().expect_err("refused"), WebhookError::Secret, "{bad}");
    }
    let file = format!("# the new one\n{}\n\n{SECRET}\n", long(32));
    assert_eq!(Secret::parse_all(&file).expect("two").len(), 2);
    assert_eq!(Secret::parse_all("# none\n").expect_err("none"), WebhookError::Secrets { count: 0 });
    assert!(!format!("{:?}", secret()).contains("MfKQ"));
}

#[tokio::test]
async fn a_receiver_verifies_what_it_gets_and_gets_the_same_again() {
    let (url, got) = receiver(204).await;
    let webhook = webhook(&url, vec![secret()]);
    for _ in 0..2 {
        webhook.deliver(&alert()).await.expect("delivered");
    }
    let got = got.lock().expect("the lock");
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].0["webhook-id"], "needs-vote:1");
    assert_eq!((&got[0].0["webhook-id"], &got[0].1), (&got[1].0["webhook-id"], &got[1].1));
    let body: Value = serde_json::from_slice(&got[0].1).expect("JSON");
    assert_eq!(body["type"], "notary.needs_vote");
    assert_eq!(body["timestamp"], "2023-11-14T22:13:19Z");
    assert_eq!(body["data"]["job"], JobId(B256::repeat_byte(7)).to_string());
    assert_eq!(body["data"]["text"], alert().text);
    assert_eq!(body["data"]["details"]["missing"], 2);
}

#[tokio::test]
async fn while_a_secret_is_replaced_either_is_enough_and_another_s_is_not() {
    let (url, got) = receiver(200).await;
    let other: Secret = format!("whsec_{}", STANDARD.encode([9; 32])).parse().expect("a secret");
    webhook(&url, vec![other.clone(), secret()]).deliver(&alert()).await.expect("one of them is the receiver's");
    let error = webhook(&url, vec![other]).deliver(&alert()).await.expect_err("none is");
    assert!(matches!(&error, DeliverError::Temporary(why) if why.contains("401")), "{error:?}");
    assert_eq!(got.lock().expect("the lock").len(), 1);
}

#[tokio::test]
async fn failures_are_final_or_not() {
    for (status, is_final) in
        [(410, true), (400, true), (422, true), (302, false), (404, false), (429, false), (500, false), (503, false)]
    {
        let (url, _) = receiver(status).await;
        let error = webhook(&url, vec![secret()]).deliver(&alert()).await.expect_err("refused");
        assert_eq!(matches!(error, DeliverError::Permanent(_)), is_final, "{status}: {error}");
    }
    let url = format!("http://{}/secret-path", nobody().await);
    let error = webhook(&url, vec![secret()]).deliver(&alert()).await.expect_err("nobody is there");
    assert!(matches!(&error, DeliverError::Temporary(why) if !why.contains("secret-path")), "{error:?}");
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let (elsewhere, got) = receiver(200).await;
    let lead = move || {
        let elsewhere = elsewhere.clone();
        async move { axum::response::Redirect::temporary(&elsewhere) }
    };
    let url = format!("http://{}/hook", serve(Router::new().route("/hook", post(lead))).await);
    let error = webhook(&url, vec![secret()]).deliver(&alert()).await.expect_err("a redirect");
    assert!(error.to_string().contains("redirects are not followed"), "{error}");
    assert!(got.lock().expect("the lock").is_empty());
}

#[tokio::test]
async fn a_receiver_that_hangs_or_babbles_holds_nobody_up() {
    let hang = || async { std::future::pending::<()>().await };
    let url = format!("http://{}/hook", serve(Router::new().route("/hook", post(hang))).await);
    let hasty =
        Webhook::with_clock("ops", &url, vec![secret()], Duration::from_millis(300), || NOW).expect("a webhook");
    assert!(matches!(hasty.deliver(&alert()).await, Err(DeliverError::Temporary(_))));

    let babble = || async {
        axum::body::Body::from_stream(futures::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 4_096]))
        }))
    };
    let url = format!("http://{}/hook", serve(Router::new().route("/hook", post(babble))).await);
    let error = webhook(&url, vec![secret()]).deliver(&alert()).await.expect_err("it never ends");
    assert!(error.to_string().contains("more than"), "{error}");
}

#[test]
fn ids_fit_a_header_and_long_messages_are_cut() {
    for plain in ["needs-vote:0xab_1", "314/0x00ab/4622129/3"] {
        assert_eq!(message_id(plain), plain);
    }
    for odd in ["", "a.b", "a b", "a\r\nx: y", "ü", &"x".repeat(200)] {
        let id = message_id(odd);
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{odd:?}: {id}");
    }
    assert_ne!(message_id("a.b"), message_id("a.c"));
    let long = Alert { text: "é".repeat(100_000), details: json!("x".repeat(100_000)), ..alert() };
    let body = body(&long).expect("JSON");
    assert!(body.len() <= MAX_BODY, "{}", body.len());
    assert!(serde_json::from_slice::<Value>(&body).expect("JSON")["data"]["details"]["left_out"].is_string());
}

#[test]
fn only_receivers_on_this_machine_are_told_in_the_clear() {
    let make = |url: &str| Webhook::new("ops", url, vec![secret()]);
    assert!(make("https://hooks.example/x").is_ok());
    assert!(make("http://127.0.0.1:9/x").is_ok());
    assert!(matches!(make("http://hooks.example/x"), Err(WebhookError::Url(UrlError::Insecure { .. }))));
    assert!(matches!(Webhook::new("ops", "https://a.example", vec![]), Err(WebhookError::Secrets { count: 0 })));
}
