//! A purse by itself, without jobs.

use alloy_primitives::B256;

use super::*;
use crate::money::FIL;

const ME: Address = Address::repeat_byte(0xA1);
const BOUNDS: Bounds = Bounds { limit: AttoFil(10 * FIL), bids: true };

fn job(number: u8) -> JobId {
    JobId(B256::repeat_byte(number))
}

fn need(amount: u128, waits: bool) -> Option<Need> {
    Some(Need { least: AttoFil(amount), most: AttoFil(amount), waits })
}

/// What it asks for, at a time.
fn asked(purse: &mut Purse, now: u64) -> Option<StepKey> {
    let mut effects = Vec::new();
    purse.advance(ME, Time(now), &BOUNDS, &mut effects);
    effects.into_iter().find_map(|effect| match effect {
        Effect::Do(key) => Some(key),
        _ => None,
    })
}

fn done(purse: &mut Purse, key: &StepKey, outcome: StepOutcome, now: u64) {
    purse.done(key, ME, &outcome, At { block: 7, time: Time(now) }, &Pace::INSTANT, &mut Vec::new());
}

fn amount(purse: &Purse, key: &StepKey) -> Option<(AttoFil, bool)> {
    let (submission, is_needed) = purse.submission(key, ME, &BOUNDS, Time(0))?;
    Some((submission.value, is_needed))
}

#[test]
fn only_what_is_missing_is_brought_by_one_transfer_at_a_time() {
    let mut purse = Purse::default();
    purse.set_need(job(1), need(3 * FIL, true));
    assert_eq!(asked(&mut purse, 0), None, "it does not know what is there");
    purse.holds(AttoFil(FIL));
    purse.set_need(job(2), need(FIL, true));
    assert_eq!((purse.covers(job(1)), purse.covers(job(2))), (false, false), "a new bid: it is asked again");
    purse.holds(AttoFil(FIL));
    assert_eq!((purse.covers(job(1)), purse.covers(job(2))), (false, true));
    let key = asked(&mut purse, 0).expect("something is missing");
    assert_eq!(amount(&purse, &key), Some((AttoFil(3 * FIL), true)));
    purse.set_need(job(3), need(20 * FIL, true));
    purse.holds(AttoFil(FIL));
    assert_eq!(asked(&mut purse, 0), None, "one is under way");
    done(&mut purse, &StepKey { attempt: 9, ..key }, StepOutcome::Ok, 0);
    assert_eq!(asked(&mut purse, 0), None, "that was another");
    done(&mut purse, &key, StepOutcome::Ok, 0);
    assert!(purse.is_to_be_weighed());
    purse.holds(AttoFil(4 * FIL));
    let next = asked(&mut purse, 0).expect("more is missing");
    assert_eq!(next.attempt, key.attempt + 1);
    assert_eq!(amount(&purse, &next), Some((AttoFil(6 * FIL), true)), "up to the limit");
    assert_eq!(amount(&purse, &key), None, "that one is over");
}

#[test]
fn what_may_have_been_sent_keeps_its_key_and_what_was_not_does_not() {
    let mut purse = Purse::default();
    purse.set_need(job(1), need(FIL, true));
    purse.holds(AttoFil::ZERO);
    let key = asked(&mut purse, 0).expect("money is missing");
    done(&mut purse, &key, StepOutcome::Err(Failure::Temporary("no answer".to_owned())), 0);
    purse.holds(AttoFil::ZERO);
    assert_eq!(asked(&mut purse, 0), None, "not at once");
    assert_eq!(purse.wake(), Some(Time(1)));
    assert_eq!(asked(&mut purse, 1), Some(key));
    let poor = Failure::Unaffordable { account: ME, wallet: AttoFil::ZERO, needed: AttoFil(FIL) };
    let err = |failure: &Failure| StepOutcome::Err(failure.clone());
    done(&mut purse, &key, err(&poor), 1);
    purse.holds(AttoFil::ZERO);
    assert_eq!(asked(&mut purse, 2), None, "the pauses grow");
    assert_eq!(asked(&mut purse, 3), Some(key), "it may be signed");
    assert_eq!(amount(&purse, &key), Some((AttoFil(FIL), false)), "it is sent only if that was begun");
    // It was, and there still is no money.
    done(&mut purse, &key, err(&poor), 3);
    purse.holds(AttoFil::ZERO);
    assert_eq!((asked(&mut purse, 6), asked(&mut purse, 7)), (None, Some(key)));
    // Nobody could say.
    done(&mut purse, &key, err(&Failure::Temporary("no answer".to_owned())), 7);
    purse.holds(AttoFil::ZERO);
    assert_eq!((asked(&mut purse, 14), asked(&mut purse, 15)), (None, Some(key)));
    assert_eq!(amount(&purse, &key), Some((AttoFil(FIL), false)));
    done(&mut purse, &key, err(&Failure::NeverSent), 15);
    purse.holds(AttoFil::ZERO);
    let next = asked(&mut purse, 15).expect("that one is over");
    assert_eq!((next.attempt, amount(&purse, &next)), (2, Some((AttoFil(FIL), true))));
    done(&mut purse, &next, err(&poor), 15);
    purse.holds(AttoFil::ZERO);
    assert_eq!((asked(&mut purse, 30), asked(&mut purse, 31)), (None, Some(next)), "no loop without pauses");
    // It was signed, and there is money now.
    done(&mut purse, &next, StepOutcome::Ok, 31);
    purse.holds(AttoFil(FIL));
    assert_eq!((asked(&mut purse, 31), purse.covers(job(1))), (None, true));
}

#[test]
fn who_has_not_enough_for_all_bids_brings_what_the_cheapest_needs() {
    let mut purse = Purse::default();
    for (number, amount) in [(1, 3 * FIL), (2, FIL), (3, 4 * FIL)] {
        purse.set_need(job(number), need(amount, true));
    }
    purse.set_need(job(4), need(FIL / 2, false));
    purse.holds(AttoFil::ZERO);
    let poor =
        || StepOutcome::Err(Failure::Unaffordable { account: ME, wallet: AttoFil(2 * FIL), needed: AttoFil::ZERO });
    let all = asked(&mut purse, 0).expect("money is missing");
    assert_eq!(amount(&purse, &all), Some((AttoFil(8 * FIL + FIL / 2), true)));
    done(&mut purse, &all, poor(), 0);
    purse.holds(AttoFil::ZERO);
    assert_eq!(asked(&mut purse, 1), Some(all));
    done(&mut purse, &all, StepOutcome::Err(Failure::NeverSent), 1);
    purse.holds(AttoFil::ZERO);
    let one = asked(&mut purse, 1).expect("one can be paid for");
    assert_eq!(amount(&purse, &one), Some((AttoFil(FIL + FIL / 2), true)));
    done(&mut purse, &one, StepOutcome::Ok, 1);
    purse.holds(AttoFil(FIL + FIL / 2));
    assert_eq!([1, 2, 3].map(|number| purse.covers(job(number))), [false, true, false]);
    // The others have their turn when that is sealed.
    purse.set_need(job(2), need(0, false));
    let rest = asked(&mut purse, 1).expect("money is missing");
    assert_eq!(amount(&purse, &rest), Some((AttoFil(6 * FIL), true)));
}

#[test]
fn what_a_reorganisation_undid_is_sent_again_under_its_key_and_what_is_deeper_is_not() {
    // Its receipt may have been read before the blocks up to its own were.
    for (block, is_again) in [(6, true), (7, true), (7 + AHEAD - 1, true), (7 + AHEAD, false)] {
        let mut purse = Purse::default();
        purse.set_need(job(1), need(FIL, true));
        purse.holds(AttoFil::ZERO);
        let key = asked(&mut purse, 0).expect("money is missing");
        done(&mut purse, &key, StepOutcome::Ok, 0);
        purse.rewind(block, &mut Vec::new());
        purse.holds(if is_again { AttoFil::ZERO } else { AttoFil(FIL) });
        assert_eq!(asked(&mut purse, 0), is_again.then_some(key));
    }
}

#[test]
fn what_landed_on_a_fork_that_went_meanwhile_is_asked_again() {
    let mut purse = Purse::default();
    purse.set_need(job(1), need(FIL, true));
    purse.holds(AttoFil::ZERO);
    let key = asked(&mut purse, 0).expect("money is missing");
    purse.rewind(5, &mut Vec::new());
    done(&mut purse, &key, StepOutcome::Ok, 0);
    purse.holds(AttoFil::ZERO);
    assert_eq!(asked(&mut purse, 0), Some(key), "nothing else is begun");
    done(&mut purse, &key, StepOutcome::Ok, 0);
    purse.holds(AttoFil(FIL));
    assert_eq!(asked(&mut purse, 0), None);
}

#[test]
fn a_command_under_way_may_have_taken_its_money_already() {
    let mut purse = Purse::default();
    let under_way = Need { least: AttoFil::ZERO, most: AttoFil(FIL), waits: false };
    purse.set_need(job(1), Some(under_way));
    purse.holds(AttoFil::ZERO);
    assert_eq!(asked(&mut purse, 0), None, "that is no reason to bring more");
    purse.set_need(job(2), need(FIL, true));
    purse.holds(AttoFil(FIL));
    assert!(!purse.covers(job(2)), "nor is what is there certain to be free");
    assert_eq!(asked(&mut purse, 0), None, "nor is it certain that it is not");
    // It was refused: then more is missing.
    purse.set_need(job(1), need(FIL, true));
    let key = asked(&mut purse, 0).expect("enough for both");
    assert_eq!(amount(&purse, &key), Some((AttoFil(FIL), true)));
}

#[test]
fn who_may_bid_no_more_does_not_wait_for_its_money() {
    for (bids, is_asked) in [(true, false), (false, true)] {
        let mut purse = Purse { keep_for: 500, ..Purse::default() };
        purse.set_need(job(1), need(FIL, true));
        purse.holds(AttoFil::ZERO);
        let key = asked(&mut purse, 0).expect("money is missing");
        done(&mut purse, &key, StepOutcome::Ok, 0);
        purse.set_need(job(1), None);
        purse.holds(AttoFil(FIL));
        let mut effects = Vec::new();
        purse.advance(ME, Time(9), &Bounds { bids, ..BOUNDS }, &mut effects);
        assert_eq!(effects.iter().any(|effect| matches!(effect, Effect::Do(_))), is_asked);
        assert_eq!(purse.wake().is_some(), !is_asked);
    }
}

#[test]
fn money_that_it_did_not_bring_is_left_alone() {
    let mut purse = Purse::default();
    purse.set_need(job(1), need(FIL, true));
    purse.holds(AttoFil(50 * FIL));
    assert_eq!(asked(&mut purse, 0), None);
    purse.set_need(job(1), None);
    assert_eq!((asked(&mut purse, 1_000_000), purse.wake(), purse.is_to_be_weighed()), (None, None, false));
}

#[test]
fn no_bid_counts_on_what_its_operator_takes_out_and_nothing_is_brought_in_its_place() {
    let mut purse = Purse::default();
    purse.set_need(job(1), need(FIL, false));
    purse.holds(AttoFil(4 * FIL));
    let money = purse.bid_money().expect("it is known");
    assert_eq!((money.held, money.bound, money.bids, money.free().0), (AttoFil(4 * FIL), AttoFil(FIL), 1, 3 * FIL));
    let mut effects = Vec::new();
    purse.take_out(AttoFil(2 * FIL), Filling::Stopped, &mut effects);
    assert_eq!(effects, [Effect::RememberPurse], "the next process must know");
    assert_eq!(purse.bid_money().expect("it is known").free(), AttoFil(FIL), "it is not taken twice");
    purse.set_need(job(2), need(2 * FIL, true));
    purse.holds(AttoFil(4 * FIL));
    assert_eq!((purse.covers(job(2)), asked(&mut purse, 0)), (false, None));
    assert_eq!([1, 2].map(|stake| purse.is_closed_to(AttoFil(stake * FIL))), [false, true]);
    // It has left.
    purse.set_leaving(AttoFil::ZERO);
    assert!(purse.is_to_be_weighed());
    purse.holds(AttoFil(2 * FIL));
    assert_eq!((purse.covers(job(2)), asked(&mut purse, 0)), (false, None), "and is not brought back");
    // What a sealed bid lacks is brought all the same: its deposit would be lost.
    purse.set_need(job(1), need(3 * FIL, false));
    let key = asked(&mut purse, 0).expect("it lacks something");
    assert_eq!(amount(&purse, &key), Some((AttoFil(FIL), true)));
    done(&mut purse, &key, StepOutcome::Ok, 0);
    purse.holds(AttoFil(3 * FIL));
    assert_eq!(asked(&mut purse, 0), None);
    purse.resume(&mut Vec::new());
    let key = asked(&mut purse, 0).expect("a bid waits");
    assert_eq!(amount(&purse, &key), Some((AttoFil(2 * FIL), true)));
}

#[test]
fn what_was_about_to_be_brought_is_not_when_its_operator_takes_money_out() {
    let mut purse = Purse::default();
    purse.set_need(job(1), need(FIL, true));
    purse.holds(AttoFil::ZERO);
    let key = asked(&mut purse, 0).expect("money is missing");
    purse.take_out(AttoFil::ZERO, Filling::Emptied, &mut Vec::new());
    assert_eq!(amount(&purse, &key), Some((AttoFil(FIL), false)), "unless it is on its way");
    // It was, and goes back.
    done(&mut purse, &key, StepOutcome::Ok, 0);
    purse.holds(AttoFil(FIL));
    let back = asked(&mut purse, 0).expect("it is to be emptied");
    assert_eq!(back.step, Step::WithdrawBid);
    assert_eq!(purse.bid_money().expect("it is known").free(), AttoFil::ZERO, "it goes back already");
}

#[test]
fn an_emptied_one_gives_back_what_no_sealed_bid_needs_whoever_brought_it() {
    let mut purse = Purse { keep_for: 500, ..Purse::default() };
    purse.holds(AttoFil(3 * FIL));
    assert_eq!(asked(&mut purse, 0), None, "it brought nothing");
    purse.set_need(job(1), need(FIL, false));
    purse.set_need(job(2), need(FIL, true));
    purse.holds(AttoFil(3 * FIL));
    purse.take_out(AttoFil(FIL), Filling::Emptied, &mut Vec::new());
    let back = asked(&mut purse, 0).expect("there is more than the sealed one needs");
    let (submission, is_needed) = purse.submission(&back, ME, &BOUNDS, Time(0)).expect("it is under way");
    assert_eq!((submission.command, is_needed), (Command::Withdraw { to: ME, amount: AttoFil(FIL) }, true));
}

#[test]
fn a_record_of_an_earlier_version_is_filled_as_needed() {
    let record: PurseRecord = serde_json::from_str(r#"{"begun":3,"last":null,"idle_since":7}"#).expect("it is read");
    assert!(record.filling.is_as_needed());
    let stopped = PurseRecord { filling: Filling::Stopped, ..record };
    let (here, there) = (Some(Address::repeat_byte(1)), Some(Address::repeat_byte(2)));
    assert_eq!(
        stopped.in_auction(here).in_auction(there).filling,
        Filling::Stopped,
        "what was said holds elsewhere, too"
    );
}
