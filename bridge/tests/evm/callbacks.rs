//! Clients that are contracts and mean harm: the provider is paid whatever their callbacks do, and what that costs is bounded.

use lota_bridge::{
    SubmitError, Transport as _,
    conformance::{Harness, Party},
    evm::bindings,
};
use lota_market::{
    Address, AttoFil, Bytes,
    agent::EffectKey,
    model::{Command, Event, JobId, Reason, Receipt, Rejection, Terms},
    money::FIL,
};
use serde_json::json;

use crate::{
    anvil::number,
    contract::deploy_wallet,
    harness::{OnChain, Via},
};

/// The callback's gas: enough to return or revert with half a megabyte.
const CALLBACK_GAS: u32 = 700_000;
/// Half a megabyte, as the operand of PUSH3.
const HALF_MEGABYTE: [u8; 4] = [0x62, 0x08, 0x00, 0x00];

/// Code that calls the market with `data`, and reverts if the market lets it in.
fn reenters(data: &Bytes) -> Vec<u8> {
    let length = u8::try_from(data.len()).expect("a short call");
    let (stop, begin) = (22, 24);
    let copy = [0x60, length, 0x60, begin, 0x5f, 0x39];
    let call = [0x5f, 0x5f, 0x60, length, 0x5f, 0x5f, 0x33, 0x5a, 0xf1];
    let revert_unless_refused = [0x15, 0x60, stop, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00];
    [&copy[..], &call, &revert_unless_refused, data].concat()
}

async fn set_code(chain: &OnChain, account: Address, code: &[u8]) {
    chain.anvil.call("anvil_setCode", json!([account, Bytes::copy_from_slice(code)])).await;
}

#[tokio::test]
async fn a_hostile_callback_costs_no_more_than_was_agreed_and_keeps_nobody_from_being_paid() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let wallet = deploy_wallet(&chain).await;
    let agreeable: Bytes =
        serde_json::from_value(chain.anvil.call("eth_getCode", json!([wallet, "latest"])).await).expect("bytes");
    let provider = Party::with_deposit(&chain, "provider").await;
    provider.pay(Command::Deposit { account: wallet }, AttoFil(100 * FIL)).await;
    let withdrawal = bindings::call_data(&Command::Withdraw { to: Address::repeat_byte(0x66), amount: AttoFil(1) });
    let hostile = [
        ("reverts", vec![0x5f, 0x5f, 0xfd], false),
        ("burns all its gas", vec![0x5b, 0x5f, 0x56], false),
        ("is invalid", vec![0xfe], false),
        ("returns half a megabyte", [&HALF_MEGABYTE[..], &[0x5f, 0xf3]].concat(), true),
        ("reverts with half a megabyte", [&HALF_MEGABYTE[..], &[0x5f, 0xfd]].concat(), false),
        ("re-enters the market, and minds when it is let in", reenters(&withdrawal), true),
    ];
    for (salt, (name, code, delivered)) in hostile.into_iter().enumerate() {
        set_code(&chain, wallet, &agreeable).await;
        let terms = provider.disputable_terms(salt as u64, provider.address()).await;
        let terms = Terms { client: wallet, callback_gas: CALLBACK_GAS, review_for: 60, ..terms };
        let job = provider.transport.job_id(&terms);
        let signature: Bytes = b"the wallet takes anything".to_vec().into();
        provider.send(Command::OpenSigned { terms: terms.clone(), spec: Bytes::new(), signature }).await;
        let receipt = provider.run(&terms).await;
        chain.advance(100).await;

        set_code(&chain, wallet, &code).await;
        let before = provider.transport.balance(provider.address()).await.expect("it reads");
        let settled = provider.send(Command::Settle { terms: terms.clone(), receipt: receipt.clone() }).await;
        let paid =
            Event::JobSettled { job, provider: provider.address(), price: receipt.price, reason: Reason::Unchallenged };
        let told = if delivered { Event::CallbackDelivered { job } } else { Event::CallbackFailed { job } };
        assert_eq!(settled.events, [paid, told], "{name}");
        let after = provider.transport.balance(provider.address()).await.expect("it reads");
        assert_eq!(after.0 - before.0, receipt.price.0 + terms.collateral.0, "{name}");
        let found = chain.anvil.call("eth_getTransactionReceipt", json!([settled.transaction])).await;
        let gas = number(&found["gasUsed"]);
        let agreed = u64::from(CALLBACK_GAS) * 64 / 63 + 50_000;
        assert!(gas <= agreed + 60_000, "{name} costs {gas} gas; {agreed} were agreed, beside the settlement");
        let sent = chain.anvil.call("eth_getTransactionByHash", json!([settled.transaction])).await;
        let limit = number(&sent["gas"]);
        assert!(limit <= 3 * agreed, "{name} could have cost {limit} gas");

        if !delivered {
            set_code(&chain, wallet, &agreeable).await;
            let retry = provider.send(Command::RetryCallback { terms, receipt }).await;
            assert_eq!(retry.events, [Event::CallbackDelivered { job }], "{name}");
        }
    }
}

/// A deal of a wallet that has ended, whose callback failed because the wallet's code was this one.
async fn failed_callback(chain: &OnChain, code: &[u8]) -> (Terms, Receipt, JobId) {
    let wallet = deploy_wallet(chain).await;
    let provider = Party::with_deposit(chain, "provider").await;
    provider.pay(Command::Deposit { account: wallet }, AttoFil(100 * FIL)).await;
    let terms = provider.disputable_terms(0, provider.address()).await;
    let terms = Terms { client: wallet, callback_gas: CALLBACK_GAS, review_for: 60, ..terms };
    let signature: Bytes = b"the wallet takes anything".to_vec().into();
    provider.send(Command::OpenSigned { terms: terms.clone(), spec: Bytes::new(), signature }).await;
    let receipt = provider.run(&terms).await;
    chain.advance(100).await;
    set_code(chain, wallet, &[0x5f, 0x5f, 0xfd]).await;
    let job = provider.transport.job_id(&terms);
    let settled = provider.send(Command::Settle { terms: terms.clone(), receipt: receipt.clone() }).await;
    assert!(settled.events.contains(&Event::CallbackFailed { job }));
    set_code(chain, wallet, code).await;
    (terms, receipt, job)
}

#[tokio::test]
async fn an_answer_that_needs_more_than_was_promised_is_retried_with_more_up_to_the_cap() {
    let chain = OnChain::begin(Via::Websocket, 0).await;
    // Reverts with less than 1,500,000 gas.
    let greedy = [0x62, 0x16, 0xe3, 0x60, 0x5a, 0x10, 0x60, 0x0a, 0x57, 0x00, 0x5b, 0x5f, 0x5f, 0xfd];
    let (terms, receipt, job) = failed_callback(&chain, &greedy).await;
    chain.fund("helper").await;
    let helper = chain.connect_with("helper", chain.config()).await.with_max_retry_gas(5_000_000);
    let retry = Command::RetryCallback { terms, receipt };
    let key = |name| EffectKey::named(name);
    let careful = chain.connect_with("careful", chain.config()).await.with_max_retry_gas(1_000_000);
    chain.fund("careful").await;
    let refused = careful.submit(&key("retry"), &retry, AttoFil::ZERO).await.expect_err("it is more than the cap");
    let SubmitError::TooMuchGas { needed, most } = refused else { panic!("{refused:?}") };
    assert!(needed > 1_500_000 && most == 1_000_000, "{needed} of {most}");
    let count = chain.anvil.call("eth_getTransactionCount", json!([careful.party(), "latest"])).await;
    assert_eq!(number(&count), 0, "nothing was sent");
    let landed = helper.submit(&key("retry"), &retry, AttoFil::ZERO).await.expect("it has enough");
    assert_eq!(landed.events, [Event::CallbackDelivered { job }]);
}

#[tokio::test]
async fn a_retry_that_would_fail_is_not_sent_and_one_that_fails_in_a_block_is_told_apart() {
    let chain = OnChain::begin(Via::Websocket, 0).await;
    let (terms, receipt, _) = failed_callback(&chain, &[0x00]).await;
    chain.fund("helper").await;
    let helper = chain.connect_with("helper", chain.config()).await;
    let count =
        async |at: &str| number(&chain.anvil.call("eth_getTransactionCount", json!([helper.party(), at])).await);
    let wallet = terms.client;
    let retry = Command::RetryCallback { terms, receipt };
    // It works when it is tried out; before it is in a block, the client is another.
    chain.anvil.call("evm_setAutomine", json!([false])).await;
    let key = EffectKey::named("retry/1");
    let changes_its_mind = async {
        while count("pending").await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        set_code(&chain, wallet, &[0x5f, 0x5f, 0xfd]).await;
        chain.anvil.call("evm_setAutomine", json!([true])).await;
        chain.anvil.mine(1).await;
    };
    let (outcome, ()) = tokio::join!(helper.submit(&key, &retry, AttoFil::ZERO), changes_its_mind);
    assert!(matches!(outcome, Err(SubmitError::CallbackFailed { .. })), "{outcome:?}");
    assert_eq!(count("latest").await, 1, "it was paid for");

    let outcome = helper.submit(&EffectKey::named("retry/2"), &retry, AttoFil::ZERO).await;
    let Err(SubmitError::Rejected { rejection: Rejection::CallbackReverted(_), .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(count("latest").await, 1, "nothing was sent");
}
