//! Selectors, call data and topics are compared with what Foundry's `cast` makes of the contract's signatures.

use alloy::primitives::{b256, hex, keccak256};
use lota_market::model;

use super::*;

fn order() -> Order {
    let account = Address::repeat_byte;
    let terms = Terms {
        client: account(1),
        salt: U256::from(2),
        spec: B256::repeat_byte(3),
        spec_codec: 4,
        min_price: AttoFil::ZERO,
        max_price: AttoFil::ZERO,
        ramp_start: Time(5),
        ramp_period: 6,
        lock_by: Time(7),
        run_for: 8,
        review_for: 9,
        rule_for: 10,
        collateral: AttoFil(11),
        matcher: account(1),
        arbiter: account(12),
        callback_gas: 13,
        keep_record: false,
    };
    let (min_price, max_price) = (U256::from(16), U256::from(19));
    Order { terms, payer: account(14), provider: account(15), min_price, max_price }
}

/// `cast sig`; and the whole of `cast calldata "take(…)"`.
#[test]
fn calls_are_those_of_the_contract() {
    let (spec, signature) = (lota_market::Bytes::new(), lota_market::Bytes::new());
    let (terms, to) = (order().terms, Address::ZERO);
    let receipt = Receipt { provider: to, price: AttoFil::ZERO, result: JobResult::default() };
    let all = [
        (Command::Open { order: order(), spec: spec.clone(), signature: signature.clone() }, hex!("f2468dc3")),
        (Command::Take { order: order() }, hex!("07c68a87")),
        (Command::OpenAndTake { order: order(), spec, signature }, hex!("8f9c1b53")),
        (Command::Cancel { order: order() }, hex!("6a67744c")),
        (Command::Accept { terms, receipt }, hex!("ea7a9f57")),
        (Command::Revoke { up_to: 1 }, hex!("a954d8e0")),
        (Command::Withdraw { to }, hex!("51cff8d9")),
        (Command::Pay { rails: vec![U256::from(1)] }, hex!("46e04e25")),
        (Command::Release { rail: U256::from(1) }, hex!("37bdc99b")),
        (Command::RenewRail { payee: to }, hex!("6242ce67")),
    ];
    for (command, selector) in all {
        assert_eq!(call_data(&command)[..4], selector, "{command:?}");
    }
    let take = call_data(&Command::Take { order: order() });
    assert_eq!(keccak256(take), b256!("0x1ad41e1e38ade3c2259e512af457a15b09c0573fa62b931ed3f2dc3c45f693c7"));
}

/// Topics by `cast sig-event`.
#[test]
fn events_are_those_of_the_contract() {
    let (payer, provider) = (Address::repeat_byte(2), Address::repeat_byte(3));
    let job = JobId(B256::repeat_byte(1));
    let word = |number: u8| B256::left_padding_from(&[number]);
    let (rail, price) = (U256::from(7), U256::from(8));
    let parties = [payer.into_word(), provider.into_word()];
    let of_job = [&[job.0][..], &parties].concat();
    let all = [
        (
            b256!("3dc92ec3ca08f3226ce9932328fafed190d90509a2dc59a4c20608a36ab9404c"),
            of_job.clone(),
            vec![word(8), word(9)],
            Event::OrderOpened { job, payer, provider, min_price: price, max_price: U256::from(9) },
        ),
        (
            b256!("c18a884ded33489d4ed37f2000ed9fc7fc56e506c5db845ade2548390d1d2b3b"),
            of_job,
            vec![word(7), word(8)],
            Event::OrderTaken { job, payer, provider, rail, price },
        ),
        (
            b256!("c95163b0ee681e7bd1733eb6ea1f73da2aac76d5c4f0dfde31cdde501d9494fa"),
            vec![job.0, word(7)],
            vec![word(8)],
            Event::PriceDue { job, rail, price },
        ),
        (
            b256!("d556381b483b2464664331b9ca2023d338e6c308c0f22b458784298adc3acb29"),
            vec![job.0, word(7)],
            vec![word(8), word(9)],
            Event::PriceFreed { job, rail, price, refund: AttoFil(9) },
        ),
        (
            b256!("21dc4f41446459462d8d7d58edcd6c5aec6b1ca33f79e3b4c3ba0712f961ee0c"),
            [&[word(7)][..], &parties].concat(),
            vec![],
            Event::RailOpened { rail, payer, payee: provider },
        ),
        (
            b256!("a2fd37303915001976ad797119cc0bbe203ddbae490e5a490f05b06df4803148"),
            vec![word(7)],
            vec![word(9)],
            Event::RailClosing { rail, end_epoch: U256::from(9) },
        ),
        (
            b256!("54896a7169224f994eb71b71413a3992e07cc37983eb481c3cc2828bd4041c9b"),
            vec![word(7)],
            vec![word(8)],
            Event::RailPaid { rail, amount: price },
        ),
    ];
    for (topic, indexed, data, event) in all {
        assert_eq!(decode(&[&[topic][..], &indexed].concat(), &data.concat()), Ok(event));
    }
}

#[test]
fn reverts_are_refusals_of_whoever_said_them() {
    let with = |rejection: &Rejection, words: &[B256]| [&rejection.selector()[..], &words.concat()].concat();
    let word = |number: u8| B256::left_padding_from(&[number]);
    let (payer, job) = (Address::repeat_byte(2), JobId(B256::repeat_byte(1)));
    let (three, four, five) = (U256::from(3), U256::from(4), U256::from(5));
    let payer_word = payer.into_word();
    let all = [
        (Rejection::BadOrder(OrderFault::Price), vec![word(7)]),
        (Rejection::NotOpen(job), vec![job.0]),
        (Rejection::WrongValue { sent: AttoFil(3), wanted: AttoFil(4) }, vec![word(3), word(4)]),
        (Rejection::NotEnoughFunds { payer, available: three, needed: four }, vec![payer_word, word(3), word(4)]),
        (Rejection::LockupPeriodTooLong { payer, allowed: three, needed: four }, vec![payer_word, word(3), word(4)]),
        (Rejection::RailTerminated(three), vec![word(3)]),
        (Rejection::RailInactiveOrSettled(three), vec![word(3)]),
        (
            Rejection::CannotModifyTerminatedRailBeyondEndEpoch { rail: three, end_epoch: four, epoch: five },
            vec![word(3), word(4), word(5)],
        ),
        (Rejection::Market(model::Rejection::Reentered), vec![]),
        (Rejection::Market(model::Rejection::TooEarly { time: Time(3), from: Time(4) }), vec![word(3), word(4)]),
        (Rejection::Market(model::Rejection::UnknownJob(job)), vec![job.0]),
    ];
    for (rejection, words) in all {
        assert_eq!(revert(&with(&rejection, &words)), Ok(rejection));
    }
    assert!(matches!(revert(&with(&Rejection::BadOrder(OrderFault::Client), &[word(8)])), Err(Revert::Unknown(_))));
    assert_eq!(deployment_fault(&keccak256("BadSettings()")[..4]), Some(DeploymentFault::Settings));
    assert_eq!(deployment_fault(&keccak256("BadRailSettings()")[..4]), Some(DeploymentFault::RailSettings));
    assert_eq!(deployment_fault(&keccak256("Reentered()")[..4]), None);
}
