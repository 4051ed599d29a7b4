//! The contract and this crate say the same.

use lota_bridge::{
    conformance::{Harness, Party},
    eip712,
    evm::bindings,
};
use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    model::{Command, Event, JobResult, Reason, Receipt, Terms},
    money::FIL,
};
use serde_json::json;

use crate::harness::{OnChain, Via};

/// What a view of the contract returns.
async fn view<T>(chain: &OnChain, view: bindings::View<T>) -> T {
    let returned = chain.anvil.call("eth_call", json!([{ "to": chain.market, "data": view.data }, "latest"])).await;
    let returned: Bytes = serde_json::from_value(returned).expect("bytes");
    view.read(&returned).expect("it is what the view returns")
}

#[tokio::test]
async fn ids_and_digests_are_those_of_the_contract() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    let plain = party.terms(0).await;
    let full = Terms {
        salt: U256::MAX,
        spec: B256::repeat_byte(0xab),
        spec_codec: u16::MAX,
        min_price: AttoFil(u128::MAX),
        max_price: AttoFil(u128::MAX - 1),
        ramp_period: u64::MAX,
        run_for: u32::MAX,
        review_for: u32::MAX - 1,
        rule_for: u32::MAX - 2,
        collateral: AttoFil(1 << 100),
        matcher: Address::repeat_byte(0xcd),
        arbiter: Address::repeat_byte(0xef),
        callback_gas: u32::MAX,
        keep_record: true,
        ..plain.clone()
    };
    let jobs = [&plain, &full].map(|terms| party.transport.job_id(terms));
    for terms in [plain, full] {
        assert_eq!(view(&chain, bindings::job_id_of(&terms)).await, party.transport.job_id(&terms));
    }
    for receipt in [
        Receipt::default(),
        Receipt {
            provider: Address::repeat_byte(1),
            price: AttoFil(u128::MAX),
            result: JobResult {
                output: B256::repeat_byte(2),
                exit_code: u32::MAX,
                fuel_used: u64::MAX,
                inline_data: vec![0xee; 1_024].into(),
            },
        },
    ] {
        for job in jobs {
            let found = view(&chain, bindings::receipt_digest(job, &receipt)).await;
            assert_eq!(found, eip712::receipt_digest(job, &receipt));
        }
    }
}

/// Code that answers every call with the word that ERC-1271 wants.
const AGREEABLE: [u8; 15] = [0x63, 0x16, 0x26, 0xba, 0x7e, 0x60, 0xe0, 0x1b, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3, 0x00];

pub(crate) async fn deploy_wallet(chain: &OnChain) -> Address {
    // Copies what follows these eleven bytes into memory and returns it.
    let mut code = vec![0x60, AGREEABLE.len() as u8, 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3, 0x00];
    code.extend(AGREEABLE);
    chain.anvil.deploy(&code).await
}

#[tokio::test]
async fn a_contract_as_client_is_asked_for_its_signature_and_called_back_with_the_gas_it_was_promised() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let wallet = deploy_wallet(&chain).await;
    let provider = Party::with_deposit(&chain, "provider").await;
    provider.pay(Command::Deposit { account: wallet }, AttoFil(10 * FIL)).await;
    let callback_gas = 900_000;
    let terms = provider.disputable_terms(0, provider.address()).await;
    let terms = Terms { client: wallet, callback_gas, review_for: 60, ..terms };
    let job = provider.transport.job_id(&terms);
    let signature: Bytes = b"the wallet takes anything".to_vec().into();
    let opened = provider.send(Command::OpenSigned { terms: terms.clone(), spec: Bytes::new(), signature }).await;
    assert_eq!(opened.events.len(), 1);
    let gas = gas_limit(&chain, opened.transaction).await;
    assert!(gas >= 100_000 * 64 / 63 + 50_000, "a wallet is promised 100,000 beside the reserve: {gas}");

    let receipt = provider.run(&terms).await;
    chain.advance(100).await;
    let settled = provider.send(Command::Settle { terms, receipt: receipt.clone() }).await;
    let event =
        Event::JobSettled { job, provider: provider.address(), price: receipt.price, reason: Reason::Unchallenged };
    assert_eq!(settled.events, [event, Event::CallbackDelivered { job }]);
    let gas = gas_limit(&chain, settled.transaction).await;
    assert!(gas >= u64::from(callback_gas) * 64 / 63 + 50_000, "the callback is promised {callback_gas}: {gas}");
}

async fn gas_limit(chain: &OnChain, transaction: B256) -> u64 {
    crate::anvil::number(&chain.anvil.call("eth_getTransactionByHash", json!([transaction])).await["gas"])
}
