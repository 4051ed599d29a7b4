//! The life of a nomination, as the specification has it; refusals are compared with the contract's by the differential test.

use lota_market::{
    AttoFil, B256, Bytes, Time,
    blessing::{Choice, Command, Limit, Limits, Notaries, NotariesFault, Phase, Rejection, Request},
    model,
    world::{Call, DeployError, End, Script, ScriptedCall},
};

use crate::town::*;

#[test]
fn a_blessed_job_is_granted_once_and_the_client_gets_its_share() {
    let mut town = Town::new(false);
    let job = town.settled(1, PROVIDER);
    let nomination = town.nominate(&job);
    // A tenth of 5,000 would be more than the provider's most.
    assert_eq!((nomination.share, nomination.round), (gwei(400), 1));
    town.vote(&nomination, 2, Choice::Reject);
    town.vote(&nomination, 0, Choice::Approve);
    town.vote(&nomination, 1, Choice::Approve);
    let early = town.refused(STRANGER, grant(&nomination));
    assert_eq!(early, model::Rejection::TooEarly { time: START, from: START.after(51) }.into());
    town.env.now = START.after(51);
    town.log.clear();
    town.act(STRANGER, grant(&nomination)).expect("anybody may");
    assert_eq!(town.news(), ["JobGranted"]);
    assert_eq!(town.env.granted, [nomination.grant(B256::repeat_byte(9))]);
    let blessing = town.blessing();
    assert_eq!(blessing.balance(CLIENT), AttoFil(ACCOUNT.0 + gwei(470).0));
    assert_eq!(blessing.balance(NOMINATOR), AttoFil(ACCOUNT.0 - gwei(70).0));
    assert_eq!(blessing.pool(PROVIDER), AttoFil(gwei(50_000).0 - gwei(400).0));
    assert_eq!((blessing.escrowed(), blessing.burned()), (AttoFil::ZERO, AttoFil::ZERO));
    assert_eq!(town.refused(STRANGER, grant(&nomination)), Rejection::UnknownNomination(nomination.job));
    let again = town.refused(NOMINATOR, nominate(&job.0, &job.1));
    assert_eq!(again, Rejection::AlreadyGranted(nomination.job));
}

#[test]
fn a_granter_that_fails_blocks_nothing_and_may_be_tried_again() {
    let mut town = Town::new(true);
    let job = town.settled(1, PROVIDER);
    let nomination = town.blessed(&job);
    for end in [End::Revert, End::OutOfGas] {
        let before = town.world.clone();
        town.env.scripts = [Script::ending(end)].into();
        town.log.clear();
        town.act(STRANGER, grant(&nomination)).expect("the failure is said, not passed on");
        assert_eq!(town.news(), ["GrantFailed"]);
        assert_eq!(town.world, before);
    }
    let mut lapsed = town.clone();
    lapsed.env.now = Time(town.env.now.0 + 200);
    lapsed.act(STRANGER, expire(&nomination)).expect("its time is over");
    assert_eq!(lapsed.blessing().balance(NOMINATOR), ACCOUNT);
    assert_eq!(lapsed.nominate(&job).round, 2);
    lapsed.money_is_accounted_for();
    town.act(STRANGER, grant(&nomination)).expect("anybody may");
    assert_eq!(town.blessing().phase(nomination.job), Phase::Granted);
    town.money_is_accounted_for();
}

#[test]
fn a_granter_gets_in_nowhere() {
    let mut town = Town::new(false);
    let job = town.settled(1, PROVIDER);
    let nomination = town.blessed(&job);
    let commands = [
        grant(&nomination),
        expire(&nomination),
        Command::Withdraw { to: GRANTER, amount: AttoFil::ZERO },
        Command::SetAside { amount: AttoFil::ZERO },
        Command::Sweep { granter: GRANTER, providers: Vec::new() },
        nominate(&job.0, &job.1),
    ];
    for command in commands {
        let call = Call { sender: GRANTER, contract: BLESSING, value: AttoFil::ZERO, command: command.into() };
        let calls = vec![ScriptedCall { call, may_fail: false }];
        town.env.scripts = [Script { calls, end: End::Return }].into();
        town.log.clear();
        town.act(STRANGER, grant(&nomination)).expect("the failure is said, not passed on");
        assert_eq!(town.news(), ["GrantFailed"], "it was let in");
    }
    // It is closed to the granter alone while it is called, not for ever.
    town.act(STRANGER, grant(&nomination)).expect("anybody may");
}

#[test]
fn a_refused_nomination_burns_its_deposit_and_may_be_made_again() {
    let mut town = Town::new(false);
    let job = town.settled(1, PROVIDER);
    for round in 1..3 {
        let nomination = town.nominate(&job);
        assert_eq!(nomination.round, round);
        town.vote(&nomination, 0, Choice::Reject);
        let twice = town.refused(notary(0), vote(&nomination, Choice::Approve));
        assert_eq!(twice, Rejection::AlreadyVoted { job: nomination.job, notary: notary(0) });
        town.vote(&nomination, 2, Choice::Reject);
        let burned = AttoFil(gwei(1_000).0 * u128::from(round));
        assert_eq!(town.blessing().burned(), burned);
        assert_eq!(town.blessing().balance(NOMINATOR).0, ACCOUNT.0 - burned.0);
        assert_eq!(town.blessing().pool(PROVIDER), gwei(50_000));
    }
    let nomination = town.blessed(&job);
    town.env.now = Time(town.env.now.0 - 1);
    town.vote(&nomination, 0, Choice::Revoke);
    town.vote(&nomination, 2, Choice::Revoke);
    assert_eq!(town.blessing().phase(nomination.job), Phase::None);
    assert_eq!(town.blessing().burned(), gwei(3_000));
}

#[test]
fn a_new_set_of_notaries_decides_anew() {
    let mut town = Town::new(false);
    let job = town.settled(1, PROVIDER);
    let nomination = town.nominate(&job);
    town.vote(&nomination, 1, Choice::Approve);
    let change = |list: Vec<u64>, quorum, by: Vec<u64>| Command::SetNotaries {
        notaries: list.into_iter().map(notary).collect(),
        quorum,
        until: START,
        ballots: ballots(by),
    };
    let fault = |town: &mut Town, list, quorum| town.refused(STRANGER, change(list, quorum, vec![0, 1]));
    assert_eq!(fault(&mut town, vec![], 0), Rejection::BadNotaries(NotariesFault::Count));
    assert_eq!(fault(&mut town, (0..33).collect(), 1), Rejection::BadNotaries(NotariesFault::Count));
    assert_eq!(fault(&mut town, vec![0], 2), Rejection::BadNotaries(NotariesFault::Quorum));
    assert_eq!(fault(&mut town, vec![0, 0], 2), Rejection::BadNotaries(NotariesFault::Repeated));
    let few = town.refused(STRANGER, change(vec![0], 1, vec![0]));
    assert_eq!(few, Rejection::QuorumNotReached { ballots: 1, quorum: 2 });
    let repeated = town.refused(STRANGER, change(vec![0], 1, vec![0, 0]));
    assert_eq!(repeated, Rejection::RepeatedBallot(notary(0)));
    town.act(STRANGER, change(vec![0, 4], 2, vec![2, 0])).expect("a quorum signed");
    let expected = Notaries { list: vec![notary(0), notary(4)], quorum: 2, version: 2, decisions: 2 };
    assert_eq!(town.blessing().notaries(), &expected);
    assert_eq!(town.blessing().votes(nomination.job), (0, 0));
    let gone = town.refused(notary(1), vote(&nomination, Choice::Approve));
    assert_eq!(gone, Rejection::NotNotary(notary(1)));
    town.vote(&nomination, 0, Choice::Approve);
    assert_eq!(town.blessing().votes(nomination.job), (1, 0));
    town.vote(&nomination, 4, Choice::Approve);
    assert_eq!(town.blessing().phase(nomination.job), Phase::Blessed);
}

#[test]
fn limits_hold_when_the_grant_is_made_and_pass_with_their_period() {
    let mut town = Town::new(false);
    let jobs: Vec<_> = (0..4).map(|salt| town.settled(salt, PROVIDER)).collect();
    let nominations: Vec<_> = jobs.iter().map(|job| town.nominate(job)).collect();
    for nomination in &nominations {
        town.vote(nomination, 0, Choice::Approve);
        town.vote(nomination, 1, Choice::Approve);
    }
    town.env.now = START.after(51);
    for nomination in &nominations[..3] {
        town.act(STRANGER, grant(nomination)).expect("within the limits");
    }
    let over = |limit, left| Rejection::OverLimit { granter: GRANTER, limit, amount: unit(AMOUNT), left: unit(left) };
    assert_eq!(town.refused(STRANGER, grant(&nominations[3])), over(Limit::PerProvider, 0));
    let mut later = town.clone();
    later.env.now = START.after(u64::from(SETTINGS.limit_period) - 1);
    assert_eq!(later.refused(STRANGER, grant(&nominations[3])), over(Limit::PerProvider, 0));
    later.env.now = START.after(SETTINGS.limit_period.into());
    later.act(STRANGER, grant(&nominations[3])).expect("the next period begins before its time is over");
    let other = Limits { per_provider: unit(4 * AMOUNT - 1), ..limits() };
    town.act(STRANGER, admit(other)).expect("a quorum signed");
    assert_eq!(town.refused(STRANGER, grant(&nominations[3])), over(Limit::PerProvider, AMOUNT - 1));
    town.act(STRANGER, admit(Limits::default())).expect("a quorum signed");
    assert_eq!(town.refused(STRANGER, grant(&nominations[3])), Rejection::UnknownGranter(GRANTER));
}

#[test]
fn a_provider_that_gets_in_first_with_a_smaller_share_is_not_nominated() {
    let mut town = Town::new(false);
    let (terms, receipt) = town.settled(1, PROVIDER);
    let wanted = |least: u64| {
        let request = Request { min_share: gwei(least), ..request(AMOUNT) };
        Command::Nominate { terms: Box::new(terms.clone()), receipt: Box::new(receipt.clone()), request }
    };
    let too_small = |share, least| Rejection::ShareTooSmall { share: gwei(share), min_share: gwei(least) };
    assert_eq!(town.refused(NOMINATOR, wanted(401)), too_small(400, 401));
    let nothing = Command::Register {
        granter: GRANTER,
        recipient: Bytes::from_static(b"f1"),
        share_rate: Default::default(),
        max_share: AttoFil::ZERO,
    };
    town.act(PROVIDER, nothing).expect("it may change that at any time");
    assert_eq!(town.refused(NOMINATOR, wanted(400)), too_small(0, 400));
    town.act(PROVIDER, register(Bytes::from_static(b"f1"))).expect("registers");
    town.act(NOMINATOR, wanted(400)).expect("it is as much as was asked for");
}

#[test]
fn who_is_a_party_or_named_as_recipient_may_not_vote() {
    let mut town = Town::new(false);
    for (salt, recipient) in [notary(0)[..].to_vec(), [&[4, 10], &notary(0)[..]].concat()].into_iter().enumerate() {
        town.act(PROVIDER, register(Bytes::from(recipient))).expect("registers");
        let job = town.settled(salt as u64, PROVIDER);
        let nomination = town.nominate(&job);
        let conflict = town.refused(notary(0), vote(&nomination, Choice::Reject));
        assert_eq!(conflict, Rejection::ConflictOfInterest { job: nomination.job, notary: notary(0) });
        town.vote(&nomination, 1, Choice::Reject);
    }
}

#[test]
fn a_blessing_needs_a_market_and_sound_settings() {
    let mut town = Town::new(false);
    let at = lota_market::Address::repeat_byte(0xee);
    let list = vec![notary(0)];
    let nowhere = town.world.deploy_blessing(at, at, SETTINGS, list.clone(), 1);
    assert!(matches!(nowhere, Err(DeployError::BadBlessing { .. })), "{nowhere:?}");
    for spoil in 0..6 {
        let mut settings = SETTINGS;
        match spoil {
            0 => settings.vote_for = 0,
            1 => settings.revoke_for = 0,
            2 => settings.grant_for = 365 * 86_400 + 1,
            3 => settings.limit_period = 0,
            4 => settings.limit_period = settings.grant_for,
            _ => settings.granter_gas = 0,
        }
        let spoiled = town.world.deploy_blessing(at, MARKET, settings, list.clone(), 1);
        assert!(matches!(spoiled, Err(DeployError::BadBlessing { .. })), "{spoil}: {spoiled:?}");
    }
    let nobody = town.world.deploy_blessing(at, MARKET, SETTINGS, Vec::new(), 0);
    assert_eq!(nobody, Err(DeployError::BadNotaries(NotariesFault::Count)));
    assert_eq!(town.world.deploy_blessing(at, MARKET, SETTINGS, list, 1), Ok(()));
}
