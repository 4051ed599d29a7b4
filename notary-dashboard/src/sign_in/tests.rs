use lota_bridge::{PrivateKeySigner, eip712::sign};

use super::*;

/// The first example of EIP-4361, "Informal Message Template" filled in, with an account whose checksum is right.
const EXAMPLE: &str = "example.com wants you to sign in with your Ethereum account:\n\
    0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n\
    I accept the ExampleOrg Terms of Service: https://example.com/tos\n\n\
    URI: https://example.com/login\nVersion: 1\nChain ID: 1\nNonce: 32891756\nIssued At: 2021-09-30T16:25:24Z\n\
    Resources:\n- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n- https://example.com/my-web2-claim.json";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn key(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&[number; 32]).expect("a key")
}

fn asked(browser: &str, now: i64) -> Asked<'_> {
    Asked { domain: "127.0.0.1:8086", uri: "http://127.0.0.1:8086", chain_id: 314, browser, now: at(now) }
}

fn signed(text: &str, key: &PrivateKeySigner) -> Vec<u8> {
    sign(key, &eip191_hash_message(text.as_bytes())).expect("a signature").to_vec()
}

#[test]
fn the_standard_s_own_example_is_read_and_written_as_it_is() {
    let message = Message::parse(EXAMPLE).expect("the example");
    assert_eq!(message.domain, "example.com");
    assert_eq!(message.statement.as_deref(), Some("I accept the ExampleOrg Terms of Service: https://example.com/tos"));
    assert_eq!(message.resources.len(), 2);
    assert_eq!(message.to_string(), EXAMPLE);
    // Without a statement two empty lines follow the address (the grammar of the ABNF).
    let none = EXAMPLE.replace("I accept the ExampleOrg Terms of Service: https://example.com/tos\n", "");
    let read = Message::parse(&none).expect("no statement");
    assert_eq!((read.statement.as_ref(), read.to_string()), (None, none));
    let all = EXAMPLE.replace(
        "Resources:",
        "Expiration Time: 2021-10-01T16:25:24Z\nNot Before: 2021-09-30T16:25:24Z\nRequest ID: some-id\nResources:",
    );
    assert_eq!(Message::parse(&all).expect("all fields").to_string(), all);
}

#[test]
fn what_is_only_like_a_message_is_none() {
    for (from, to) in [
        ("example.com wants", " wants"),
        ("wants you to sign in", "wants you to sign-in"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n", "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n"),
        ("tos\n\nURI", "tos\nURI"),
        ("tos\n\nURI", "tos\nmore\n\nURI"),
        ("URI: https://example.com/login", "URI: login"),
        ("URI: ", "uri: "),
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1", "Chain ID: +1"),
        ("Chain ID: 1", "Chain ID: 18446744073709551616"),
        ("Nonce: 32891756", "Nonce: 3289175"),
        ("Nonce: 32891756", "Nonce: 3289-1756"),
        ("Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1"),
        ("2021-09-30T16:25:24Z", "2021-09-30 16:25:24Z"),
        ("2021-09-30T16:25:24Z", "2021-09-30"),
        ("\nResources:", "\r\nResources:"),
        ("- https", "* https"),
        ("claim.json", "claim.json\n"),
        ("claim.json", "claim.json\nNonce: 11111111"),
    ] {
        let wrong = EXAMPLE.replacen(from, to, 1);
        assert_ne!(wrong, EXAMPLE, "{from}");
        assert!(Message::parse(&wrong).is_err(), "{from} -> {to}");
    }
    assert!(Message::parse("").is_err());
    assert!(Message::parse(&EXAMPLE.replace("I accept", &"x".repeat(MAX_MESSAGE))).is_err());
}

fn sign_in(nonces: &Nonces, text: &str, signature: &[u8], asked: &Asked<'_>) -> Result<Address, SignInError> {
    nonces.use_up(nonces.verify(text, signature, asked)?, asked.now)
}

#[test]
fn a_signed_message_signs_in_once() {
    let nonces = Nonces::new(300);
    let (key, browser) = (key(1), "browser");
    let text = nonces.message(key.address(), &asked(browser, 1_000)).to_string();
    let signature = signed(&text, &key);
    assert_eq!(sign_in(&nonces, &text, &signature, &asked(browser, 1_299)), Ok(key.address()));
    let again = sign_in(&nonces, &text, &signature, &asked(browser, 1_299));
    assert_eq!(again, Err(SignInError::Nonce("was used")));
    assert_eq!(sign_in(&nonces, &text, &signature, &asked(browser, 1_300)), Err(SignInError::Expired));
    assert!(nonces.used.lock().expect("whole").len() == 1);
    // What is over is forgotten, since it is refused for its time.
    let text = nonces.message(key.address(), &asked(browser, 2_000)).to_string();
    assert!(sign_in(&nonces, &text, &signed(&text, &key), &asked(browser, 2_000)).is_ok());
    assert_eq!(nonces.used.lock().expect("whole").len(), 1);
}

#[test]
fn nobody_signs_in_with_what_was_meant_for_elsewhere() {
    let nonces = Nonces::new(300);
    let key = key(1);
    let text = nonces.message(key.address(), &asked("browser", 1_000)).to_string();
    let signature = signed(&text, &key);
    let refused = |asked: &Asked<'_>| sign_in(&nonces, &text, &signature, asked).expect_err("refused");
    let here = || asked("browser", 1_000);
    assert!(matches!(refused(&Asked { domain: "evil.example", ..here() }), SignInError::Field { field: "domain", .. }));
    assert!(matches!(refused(&Asked { uri: "http://127.0.0.1:1", ..here() }), SignInError::Field { field: "URI", .. }));
    assert!(matches!(refused(&Asked { chain_id: 1, ..here() }), SignInError::Field { field: "chain id", .. }));
    assert!(matches!(refused(&asked("another browser", 1_000)), SignInError::Nonce(_)));
    // Another instance, or one after a restart, has another key.
    let other = sign_in(&Nonces::new(300), &text, &signature, &here());
    assert!(matches!(other, Err(SignInError::Nonce(_))));
    // None of that used it up.
    assert_eq!(sign_in(&nonces, &text, &signature, &here()), Ok(key.address()));
}

#[test]
fn a_message_that_was_changed_or_signed_by_another_is_refused() {
    let nonces = Nonces::new(300);
    let (key, other) = (key(1), key(2));
    let text = nonces.message(key.address(), &asked("browser", 1_000)).to_string();
    let verify = |text: &str, signature: &[u8]| sign_in(&nonces, text, signature, &asked("browser", 1_000));
    assert_eq!(verify(&text, &signed(&text, &other)), Err(SignInError::Signature));
    assert_eq!(verify(&text, &[0; 65]), Err(SignInError::Signature));
    assert_eq!(verify(&text, &[]), Err(SignInError::Signature));
    // Another account's message with a nonce that was made for the first.
    let stolen = text.replace(&key.address().to_string(), &other.address().to_string());
    assert!(matches!(verify(&stolen, &signed(&stolen, &other)), Err(SignInError::Nonce(_))));
    for (from, to) in [
        ("casts no vote", "casts all votes"),
        ("Expiration Time: 1970-01-01T00:21:40Z", "Expiration Time: 2970-01-01T00:21:40Z"),
        ("Issued At: 1970-01-01T00:16:40Z", "Issued At: 1970-01-01T01:16:40Z"),
        ("Issued At: 1970-01-01T00:16:40Z", "Issued At: 1969-01-01T01:16:40Z"),
        ("\nExpiration Time: 1970-01-01T00:21:40Z", ""),
        ("\nExpiration Time", "\nNot Before: 1970-01-01T00:16:40Z\nExpiration Time"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}: {text}");
        assert!(verify(&changed, &signed(&changed, &key)).is_err(), "{to}");
    }
    let resources = format!("{text}\nResources:\n- https://example.com");
    assert!(verify(&resources, &signed(&resources, &key)).is_err());
    // The nonce in another spelling is not another nonce.
    let nonce = Message::parse(&text).expect("ours").nonce;
    let spelled = text.replace(&nonce, &nonce.to_uppercase());
    assert!(nonce == nonce.to_uppercase() || verify(&spelled, &signed(&spelled, &key)).is_err());
    assert_eq!(verify(&text, &signed(&text, &key)), Ok(key.address()));
}

#[test]
fn the_malleable_twin_of_a_signature_is_refused() {
    let nonces = Nonces::new(300);
    let key = key(1);
    let text = nonces.message(key.address(), &asked("browser", 1_000)).to_string();
    let low = alloy::primitives::Signature::from_raw(&signed(&text, &key)).expect("ours");
    let order = alloy::primitives::U256::from_be_slice(
        &hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").expect("hex"),
    );
    let high = alloy::primitives::Signature::new(low.r(), order - low.s(), !low.v());
    let refused = sign_in(&nonces, &text, &high.as_bytes(), &asked("browser", 1_000));
    assert_eq!(refused, Err(SignInError::Signature));
}
