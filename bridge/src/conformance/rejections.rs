//! Refusals: typed, with the fields that the protocol names.

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    model::{
        BatchEntry, Command, JobResult, Lane, MAX_BATCH, MAX_INLINE_DATA, MAX_SPEC, MAX_URL, Receipt, Rejection,
        SALT_WINDOW, Status, Terms, TermsFault, Verdict,
    },
    money::FIL,
};

use super::{
    Harness, Party,
    party::{COLLATERAL, PRICE, WINDOW, announcement, result},
};
use crate::SubmitError;

fn rejection(error: SubmitError) -> Rejection {
    match error {
        SubmitError::Rejected { rejection, .. } => rejection,
        other => panic!("not the market's refusal: {other}"),
    }
}

async fn refused(party: &Party, command: Command) -> Rejection {
    rejection(party.send_in_vain(command).await)
}

/// sha2-256 of nothing but zeros, eight bytes of them.
const ZEROS: B256 =
    B256::new(alloy::primitives::hex!("af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc"));

/// One command for each refusal that does not depend on the time.
pub async fn refusals_are_typed(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let provider = Party::with_deposit(harness, "provider").await;
    let poor = Party::connect(harness, "poor").await;
    let arbiter = Party::connect(harness, "arbiter").await.address();
    let terms = Terms { keep_record: true, ..client.disputable_terms(0, arbiter).await };
    let open = |terms: &Terms| Command::Open { terms: terms.clone(), spec: Bytes::new() };
    let spec: Bytes = vec![0; 8].into();

    // asset
    let token = Command::DepositToken { account: client.address(), amount: AttoFil(1) };
    assert_eq!(refused(&client, token).await, Rejection::WrongAsset(Address::ZERO));
    // terms
    let zero_period = Terms { ramp_period: 0, ..terms.clone() };
    assert_eq!(refused(&client, open(&zero_period)).await, Rejection::BadTerms(TermsFault::ZeroRampPeriod));
    let short = Terms { run_for: 0, ..terms.clone() };
    assert_eq!(refused(&client, open(&short)).await, Rejection::BadTerms(TermsFault::RunFor));
    for reviewed in [Terms { review_for: WINDOW, ..client.terms(0).await }, Terms { review_for: 0, ..terms.clone() }] {
        assert_eq!(refused(&client, open(&reviewed)).await, Rejection::BadTerms(TermsFault::ReviewFor));
    }
    let job = client.transport.job_id(&terms);
    assert_eq!(refused(&provider, Command::Lock { terms: terms.clone() }).await, Rejection::UnknownJob(job));
    // sender
    let (sender, wanted) = (provider.address(), client.address());
    assert_eq!(refused(&provider, open(&terms)).await, Rejection::WrongSender { sender, wanted });
    // arguments
    let with_spec = Command::Open { terms: terms.clone(), spec: spec.clone() };
    assert_eq!(refused(&client, with_spec).await, Rejection::SpecMismatch { found: ZEROS, wanted: terms.spec });
    let large: Bytes = vec![0; MAX_SPEC + 1].into();
    let published = Command::PublishSpec { spec: large };
    assert_eq!(refused(&client, published).await, Rejection::SpecTooLarge(MAX_SPEC as u64 + 1));
    let url = "x".repeat(MAX_URL + 1);
    assert_eq!(refused(&client, announcement(&url)).await, Rejection::UrlTooLarge(MAX_URL as u64 + 1));
    let calls = vec![Command::Revoke { lane: Lane::ZERO, up_to: 0 }; MAX_BATCH + 1];
    assert_eq!(refused(&client, Command::Multicall { calls }).await, Rejection::TooMany(MAX_BATCH as u64 + 1));
    let nobody = Command::Withdraw { to: Address::ZERO, amount: AttoFil(1) };
    assert_eq!(refused(&client, nobody).await, Rejection::InvalidRecipient);
    // money
    let (account, needed) = (poor.address(), AttoFil(3 * FIL));
    let withdraw = Command::Withdraw { to: account, amount: needed };
    let broke = Rejection::InsufficientBalance { account, balance: AttoFil::ZERO, needed };
    assert_eq!(refused(&poor, withdraw).await, broke);

    // a life
    client.open(&terms).await;
    let client_spent = Rejection::SaltSpent { client: client.address(), salt: U256::ZERO };
    let same_salt = Terms { run_for: WINDOW + 1, ..terms.clone() };
    assert_eq!(refused(&client, open(&same_salt)).await, client_spent);
    let far = Terms { salt: U256::from(SALT_WINDOW + 1), ..terms.clone() };
    let too_far = Rejection::SaltTooFar { client: client.address(), salt: far.salt, next: U256::from(1) };
    assert_eq!(refused(&client, open(&far)).await, too_far);
    let lock = Command::Lock { terms: terms.clone() };
    let no_collateral = Rejection::InsufficientBalance { account, balance: AttoFil::ZERO, needed: COLLATERAL };
    assert_eq!(refused(&poor, lock.clone()).await, no_collateral);
    let give_up = Command::GiveUp { terms: terms.clone() };
    assert_eq!(refused(&client, give_up).await, Rejection::WrongState { job, found: Status::Open });
    let receipt = provider.run(&terms).await;
    assert_eq!(refused(&provider, lock).await, Rejection::WrongState { job, found: Status::Submitted });
    let wrong = Receipt { price: AttoFil(PRICE.0 + 1), ..receipt.clone() };
    let accept = Command::Accept { terms: terms.clone(), receipt: wrong };
    assert_eq!(refused(&client, accept).await, Rejection::ReceiptMismatch(job));
    let dispute = Command::Dispute { terms: terms.clone() };
    let (sender, wanted) = (client.address(), arbiter);
    assert_eq!(refused(&client, dispute).await, Rejection::WrongSender { sender, wanted });
    let rule = Command::Rule { terms: terms.clone(), receipt: receipt.clone(), verdict: Verdict::Void };
    assert_eq!(refused(&client, rule).await, Rejection::WrongState { job, found: Status::Submitted });
    client.send(Command::Accept { terms: terms.clone(), receipt: receipt.clone() }).await;
    let retry = Command::RetryCallback { terms, receipt };
    assert_eq!(refused(&client, retry).await, Rejection::WrongState { job, found: Status::Settled });

    // a matcher's job
    let terms = Terms { matcher: provider.address(), ..client.terms(1).await };
    let job = client.open(&terms).await;
    let (sender, wanted) = (poor.address(), provider.address());
    let lock = Command::Lock { terms: terms.clone() };
    assert_eq!(refused(&poor, lock).await, Rejection::WrongSender { sender, wanted });
    let award = |provider, price| Command::Award { terms: terms.clone(), provider, price };
    assert_eq!(refused(&provider, award(Address::ZERO, PRICE)).await, Rejection::InvalidProvider);
    let price = AttoFil(PRICE.0 + 1);
    let out_of_range = Rejection::PriceOutOfRange { price, min_price: PRICE, max_price: PRICE };
    assert_eq!(refused(&provider, award(provider.address(), price)).await, out_of_range);
    provider.send(award(provider.address(), PRICE)).await;
    let inline_data: Bytes = vec![0; MAX_INLINE_DATA + 1].into();
    let submit = Command::SubmitResult { terms, result: JobResult { inline_data, ..result() } };
    assert_eq!(refused(&provider, submit).await, Rejection::InlineTooLarge(MAX_INLINE_DATA as u64 + 1));
    assert_eq!(client.transport.deal(job).await.expect("the market can be reached").status, Status::Locked);

    // signatures
    let terms = client.terms(2).await;
    let by_nobody = Command::OpenSigned { terms, spec: Bytes::new(), signature: Bytes::new() };
    assert_eq!(refused(&provider, by_nobody).await, Rejection::BadSignature(client.address()));
    let entry = BatchEntry {
        terms: client.terms(3).await,
        receipt: Receipt::default(),
        until: Time(u64::MAX),
        signature: Bytes::new(),
    };
    let entries = vec![entry; MAX_BATCH + 1];
    assert_eq!(refused(&provider, Command::SettleBatch { entries }).await, Rejection::TooMany(MAX_BATCH as u64 + 1));
}

/// A refusal uses no key up, and leaves nothing behind.
pub async fn a_refused_command_may_be_tried_again(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let key = EffectKey::named("open");
    let terms = party.terms(0).await;
    let open = Command::Open { terms, spec: Bytes::new() };
    for _ in 0..2 {
        let error = party.transport.submit(&key, &open, AttoFil::ZERO).await.expect_err("there is no money");
        let (account, balance) = (party.address(), AttoFil::ZERO);
        assert_eq!(rejection(error), Rejection::InsufficientBalance { account, balance, needed: PRICE });
    }
    party.pay(Command::Deposit { account: party.address() }, PRICE).await;
    let landed = party.transport.submit(&key, &open, AttoFil::ZERO).await.expect("there is money now");
    assert_eq!(party.transport.submit(&key, &open, AttoFil::ZERO).await, Ok(landed.clone()));
    let mut log = party.whole_log();
    log.read_to(landed.cursor).await;
    assert_eq!(log.lines.len(), 2);
}

/// A refusal names the block in whose state it was given: who has read further knows that it may be out of date.
pub async fn a_refusal_names_its_block(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let provider = Party::with_deposit(harness, "provider").await;
    let terms = client.terms(0).await;
    client.open(&terms).await;
    let spent = Rejection::SaltSpent { client: client.address(), salt: terms.salt };
    let cancelled = client.send(Command::Cancel { terms: terms.clone() }).await.cursor.block;
    let refused = provider.send_in_vain(Command::Lock { terms }).await;
    let newest = provider.transport.head().await.expect("the market can be reached").block;
    let SubmitError::Rejected { rejection, block: Some(block) } = refused else { panic!("{refused:?}") };
    assert_eq!(rejection, spent);
    assert!((cancelled..=newest).contains(&block), "{block} is not from {cancelled} to {newest}");
}

/// Deadlines come with the time and the limit.
pub async fn what_is_too_late_or_too_early_says_when(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let provider = Party::with_deposit(harness, "provider").await;
    let now = client.now().await;
    let terms = Terms { ramp_start: now.after(1_000), lock_by: now.after(2_000), ..client.terms(0).await };
    client.open(&terms).await;
    let lock = Command::Lock { terms: terms.clone() };
    let Rejection::TooEarly { time, from } = refused(&provider, lock.clone()).await else { panic!("not too early") };
    assert_eq!(from, terms.ramp_start);
    assert!(time >= now && time < from, "{time}");
    let expire = Command::Expire { terms: terms.clone() };
    let Rejection::TooEarly { from, .. } = refused(&provider, expire).await else { panic!("not too early") };
    assert_eq!(from, terms.lock_by.after(1));

    harness.advance(3_000).await;
    let Rejection::TooLate { time, until } = refused(&provider, lock).await else { panic!("not too late") };
    assert_eq!(until, terms.lock_by);
    assert!(time > until, "{time}");
    let open = Command::Open { terms: Terms { salt: U256::from(1), ..terms }, spec: Bytes::new() };
    assert!(matches!(refused(&client, open).await, Rejection::TooLate { .. }));
}
