//! Deals from order to payment, in figures.

use lota_market::{
    AttoFil, Bytes, U256,
    filecoin_pay::{self, BURN},
    filecoin_pay_deals::{Command, Event, Rejection},
    model::{self, Verdict},
    world::ContractEvent,
};

use crate::town::*;

fn dollars(amount: u64) -> U256 {
    U256::from(amount)
}

fn rail(town: &Town) -> U256 {
    town.deals().rails().rail_of(payer(0), provider(0)).expect("a deal was made")
}

#[test]
fn a_price_is_locked_due_and_paid_less_the_fee() {
    for in_dollars in [true, false] {
        let mut town = Town::new(1, 1, in_dollars);
        let order = order(payer(0), 0, START);
        // 14 hundredths of the ramp.
        town.env.now = START.after(14);
        town.take(&order, provider(0)).expect("it is there to be taken");
        assert_eq!(town.account(payer(0)), (dollars(FUNDS), dollars(1_140)));
        assert_eq!(town.market().balance(DEALS), AttoFil::ZERO);
        town.submit(&order, provider(0)).expect("in time");
        let accept = Command::Accept { terms: order.terms, receipt: receipt(provider(0)) };
        let wanted = payer(0);
        let rejection = town.refused(provider(0), AttoFil::ZERO, accept.clone());
        assert_eq!(rejection, model::Rejection::WrongSender { sender: provider(0), wanted }.into());
        town.ask(payer(0), accept).expect("the payer may");
        assert_eq!(town.account(payer(0)), (dollars(FUNDS), dollars(1_140)), "it is due, not paid");
        let coins = town.world.wallet(BURN);
        town.ask(STRANGER, Command::Pay { rails: vec![rail(&town)] }).expect("anybody may");
        // 5.7, rounded up.
        assert_eq!(town.account(payer(0)), (dollars(FUNDS - 1_140), U256::ZERO));
        assert_eq!(town.account(provider(0)), (dollars(1_134), U256::ZERO));
        let (to_pay, burned) = if in_dollars { (6, 0) } else { (0, 6) };
        assert_eq!(town.account(PAY), (dollars(to_pay), U256::ZERO));
        assert_eq!(town.world.wallet(BURN).0 - coins.0, burned);
        assert_eq!(town.world.wallet(provider(0)), PURSE.checked_sub(COLLATERAL).expect("it had more"));
        assert_eq!(town.market().balance(provider(0)), COLLATERAL);
        town.money_is_accounted_for();
    }
}

#[test]
fn a_slashed_providers_payer_gets_its_money_and_half_the_collateral() {
    let mut town = Town::new(1, 1, true);
    let order = order(payer(0), 0, START);
    town.take(&order, provider(0)).expect("it is there to be taken");
    town.submit(&order, provider(0)).expect("in time");
    let (terms, receipt) = (order.terms, receipt(provider(0)));
    town.ask(ARBITER, model::Command::Dispute { terms: terms.clone() }).expect("in time");
    town.ask(ARBITER, model::Command::Rule { terms, receipt, verdict: Verdict::Overturned }).expect("in time");
    assert_eq!(town.account(payer(0)), (dollars(FUNDS), dollars(1_000)), "until somebody has it released");
    town.ask(STRANGER, Command::Release { rail: rail(&town) }).expect("anybody may");
    assert_eq!(town.account(payer(0)), (dollars(FUNDS), U256::ZERO));
    assert_eq!(town.deals().owed(payer(0)), COLLATERAL.half());
    let before = town.world.wallet(payer(0));
    town.ask(payer(0), Command::Withdraw { to: payer(0) }).expect("it is owed");
    assert_eq!(town.world.wallet(payer(0)), before.checked_add(COLLATERAL.half()).expect("there is room"));
    town.money_is_accounted_for();
}

#[test]
fn a_payer_who_ends_a_rail_pays_what_is_promised_on_it_and_gets_no_other_unasked() {
    let mut town = Town::new(1, 1, true);
    let (first, second) = (order(payer(0), 0, START), order(payer(0), 1, START));
    town.take(&first, provider(0)).expect("it is there to be taken");
    let ended = rail(&town);
    town.ask(payer(0), filecoin_pay::Command::TerminateRail { rail: ended }).expect("the payer may");
    let closing = town.log.iter().filter_map(|log| log.event.of_filecoin_pay_deals());
    let end_epoch = U256::from(START.0 / EPOCH) + town.deals().rails().lockup_period(600 + 700 + 800);
    assert!(closing.clone().any(|event| *event == Event::RailClosing { rail: ended, end_epoch }));
    let open = Command::Open { order: second.clone(), spec: Bytes::new(), signature: Bytes::new() };
    town.ask(payer(0), open).expect("the payer may");
    let take = Command::Take { order: second.clone() };
    assert_eq!(town.refused(provider(0), COLLATERAL, take.clone()), Rejection::RailTerminated(ended));
    town.ask(payer(0), Command::RenewRail { payee: provider(0) }).expect("it has ended the rail");
    town.act(provider(0), COLLATERAL, take).expect("on a new rail");
    assert_ne!(rail(&town), ended);

    town.submit(&first, provider(0)).expect("in time");
    town.ask(payer(0), Command::Accept { terms: first.terms, receipt: receipt(provider(0)) }).expect("submitted");
    town.ask(STRANGER, Command::Pay { rails: vec![ended] }).expect("before its end");
    let paid = |event: &ContractEvent| *event == Event::RailPaid { rail: ended, amount: dollars(1_000) }.into();
    assert!(town.log.iter().any(|log| paid(&log.event)));
    town.money_is_accounted_for();
}
