//! Payers that cannot pay, those that take back what their orders rest on, and those that have many orders.

use super::*;

#[test]
fn nothing_is_fetched_for_an_order_whose_payer_cannot_pay_and_it_is_looked_at_again() {
    let mut provider = Provider::new();
    let terms = Terms { lock_by: Time(START + 100_000), ..order_terms(0) };
    let order = opened(id_of(&terms), Address::ZERO, LOW, HIGH);
    let job = provider.see(&terms, Some(&order));
    let steps = |provider: &Provider| provider.asked.iter().map(|key| key.step).collect::<Vec<_>>();
    assert_eq!(steps(&provider), [Step::TryOrder]);
    let (tried, price) = provider.agent.job(job).and_then(|job| job.order_to_try(Step::TryOrder)).expect("an order");
    assert_eq!(tried.price_at(Time(START + 61)), price, "at the price at which it is worth it: {price}");
    // Looks are further and further apart, and come to an end.
    let mut looks = Vec::new();
    for second in 0..10_000 {
        provider.at(second);
        if let Some(key) = provider.take_asked(Step::TryOrder) {
            looks.push(second);
            provider.refuses(key, without_money(PAYER));
            assert_eq!(provider.lock(), None);
        }
    }
    assert_eq!(looks, [0, 30, 90, 210, 450, 930, 1_890, 3_810]);
    assert_eq!((provider.decision(job), steps(&provider)), (Some(unpaid(PAYER)), vec![]));

    // One that brings money is served.
    let mut provider = Provider::new();
    let job = provider.see(&terms, Some(&order));
    let key = provider.take_asked(Step::TryOrder).expect("it is looked at");
    provider.refuses(key, without_money(PAYER));
    provider.at(100);
    let key = provider.take_asked(Step::TryOrder).expect("it is looked at again");
    provider.tell(Input::Done { key, outcome: StepOutcome::Ok });
    let key = provider.take_asked(Step::FetchInputs).expect("now it is fetched");
    provider.tell(Input::Done { key, outcome: StepOutcome::Ok });
    assert!(provider.lock().is_some());
    assert_eq!(provider.decision(job), Some(Decision::Wanted));
}

#[test]
fn the_payer_is_looked_at_before_the_spec_is_fetched_and_again_when_the_price_is_known() {
    let mut provider = Provider::new();
    let terms = order_terms(0);
    let job = id_of(&terms);
    provider.hear(&Event::JobOpened { job, terms: terms.clone(), spec: Bytes::new() });
    provider.hear_of_order(&opened(job, Address::ZERO, LOW, HIGH));
    let price = |provider: &Provider| {
        provider.agent.job(job).and_then(|job| job.order_to_try(Step::TryOrder)).map(|(_, price)| price)
    };
    assert_eq!(price(&provider), Some(U256::from(LOW)), "nobody knows what it costs");
    for (step, outcome) in [
        (Step::TryOrder, StepOutcome::Ok),
        (Step::FetchSpec, StepOutcome::Spec(spec(1_000_000))),
        (Step::TryOrder, StepOutcome::Ok),
        (Step::FetchInputs, StepOutcome::Ok),
    ] {
        assert_eq!(provider.asked.iter().map(|key| key.step).collect::<Vec<_>>(), [step]);
        let key = provider.take_asked(step).expect("it is asked for");
        provider.tell(Input::Done { key, outcome });
    }
    assert!(price(&provider) > Some(U256::from(LOW)));
    assert_eq!(provider.decision(job), Some(Decision::Wanted));
}

#[test]
fn a_payer_whose_orders_fail_at_the_providers_cost_is_remembered_and_the_others_are_served() {
    let mut provider = Provider::new();
    let long = |payer, number| Terms { lock_by: Time(START + 100_000), ..order_terms_of(payer, number) };
    let order = |payer: Address, terms: &Terms| Said::OrderOpened {
        job: id_of(terms),
        payer,
        provider: Address::ZERO,
        min_price: U256::from(HIGH),
        max_price: U256::from(HIGH),
    };
    let other = Address::repeat_byte(0xFB);
    let [first, raced, waiting, late] = [0, 1, 2, 3].map(|number| long(PAYER, number));
    let job = provider.meet(&first, Some(&order(PAYER, &first)));
    provider.at(10);
    let key = provider.lock().expect("it is worth it");
    provider.fails(key, PAYER);
    assert_eq!((provider.lock(), provider.decision(job)), (None, Some(Decision::Wanted)), "once may be bad luck");
    let second = provider.meet(&raced, Some(&order(PAYER, &raced)));
    let key = provider.lock().expect("others of this payer are taken");
    // It is not the payer's doing that somebody else was first.
    provider.refuses(key, Rejection::NotOpen(second));
    assert_eq!(provider.agent.costly_payers().dropped(PAYER), None);
    let second = provider.meet(&waiting, Some(&opened(id_of(&waiting), Address::ZERO, LOW, HIGH)));
    assert_eq!(provider.decision(second), Some(Decision::Wanted), "its price rises");
    provider.at(41);
    let key = provider.take_asked(Step::Lock).expect("it is tried again");
    provider.fails(key, PAYER);
    let refusal = Decision::Refused(Refusal::CostlyPayer { payer: PAYER, times: 2 });
    assert_eq!(provider.decision(job), Some(refusal.clone()));
    // What waits is let go of, and nothing is looked at any more.
    provider.at(1_000);
    assert_eq!(provider.decision(second), Some(refusal.clone()));
    provider.asked.clear();
    let third = provider.see(&late, Some(&order(PAYER, &late)));
    assert_eq!((provider.decision(third), provider.asked.len()), (Some(refusal.clone()), 0));
    let served = long(other, 0);
    provider.meet(&served, Some(&order(other, &served)));
    assert!(provider.lock().is_some(), "the contract is the same, and the payer another");

    // A restart does not make it forget that.
    let remembered = provider.agent.costly_payers().clone();
    let stored = serde_json::to_string(&remembered).expect("it is stored");
    let mut again = Provider::new();
    again.agent.recall_costly_payers(serde_json::from_str(&stored).expect("and read"));
    let job = again.see(&late, Some(&order(PAYER, &late)));
    assert_eq!(again.decision(job), Some(refusal));
}

#[test]
fn the_places_of_a_provider_are_shared_out_by_payer_and_orders_without_money_have_few_of_them() {
    let mut provider = Provider::new();
    let far = |payer, number| Terms { lock_by: Time(START + 100_000), ..order_terms_of(payer, number) };
    let payer = |number: usize| Address::left_padding_from(&(number + 1).to_be_bytes());
    let open = |provider: &mut Provider, who: usize, number: u64| {
        let terms = far(payer(who), number);
        let order = Said::OrderOpened {
            job: id_of(&terms),
            payer: payer(who),
            provider: Address::ZERO,
            min_price: U256::from(HIGH),
            max_price: U256::from(HIGH),
        };
        provider.see(&terms, Some(&order))
    };
    // Those without money wait beside: 32 of a payer, and 512 in all.
    let mut aside = 0;
    for who in 0..20 {
        for number in 0..40 {
            let job = open(&mut provider, who, number);
            let key = provider.take_asked(Step::TryOrder).expect("it is looked at");
            provider.refuses(key, without_money(payer(who)));
            aside += usize::from(provider.decision(job) == Some(Decision::Considering));
            assert!(
                provider.decision(job) == Some(Decision::Considering)
                    || provider.decision(job) == Some(unpaid(payer(who)))
            );
        }
        assert_eq!(aside, (32 * (who + 1)).min(512));
        let _ = provider.agent.take_changes();
    }
    assert_eq!(provider.agent.len(), 512);
    // All places are there for others: half of them for one payer, of whom nobody knows yet whether it pays.
    let is_busy =
        |provider: &Provider, job| matches!(provider.decision(job), Some(Decision::Refused(Refusal::Busy(_))));
    let crowd: Vec<_> = (0..MAX_CONSIDERED as u64 / 2 + 100).map(|number| open(&mut provider, 30, number)).collect();
    assert_eq!(crowd.iter().filter(|job| !is_busy(&provider, **job)).count(), MAX_CONSIDERED / 2);
    let _ = provider.agent.take_changes();
    // And then an eighth for each of the others.
    let next: Vec<_> = (0..600).map(|number| open(&mut provider, 31, number)).collect();
    assert_eq!(next.iter().filter(|job| !is_busy(&provider, **job)).count(), MAX_CONSIDERED / 8);
}
