//! What is done on the chain: nominations, grants, ends; undone, failing, killed.

use super::*;

/// So much later a granter that failed once is tried again.
const FIRST_RETRY: u64 = 31;

#[tokio::test]
async fn a_failing_granter_is_tried_again_until_its_time_is_over() {
    for recovers in [true, false] {
        let bench = Bench::new(settings()).await;
        let job = bench.twin.settle();
        bench.turn().await;
        bench.twin.granter_fails(true);
        bench.vote(job, Choice::Approve, 1).await.expect("taken");
        bench.vote(job, Choice::Approve, 2).await.expect("taken");
        bench.hear().await;
        bench.twin.pass(101);
        bench.turn().await;
        let about = bench.service.about().await.expect("read");
        assert!(about.problems.iter().any(|problem| problem.contains("0xdeadbeef")), "{:?}", about.problems);
        bench.turn().await;
        let failures = |dossier: crate::desk::Dossier| {
            dossier.happened.iter().filter(|happened| happened.what.contains("0xdeadbeef")).count()
        };
        assert_eq!(failures(bench.service.dossier(job).await.expect("known")), 1, "it waits before it tries again");
        bench.twin.pass(FIRST_RETRY);
        bench.turn().await;
        assert_eq!(failures(bench.service.dossier(job).await.expect("known")), 2);
        bench.twin.granter_fails(!recovers);
        if recovers {
            bench.twin.pass(2 * FIRST_RETRY);
            bench.turn().await;
            assert_eq!(bench.twin.phase(job), Phase::Granted);
        } else {
            bench.twin.pass(2_000);
            bench.turn().await;
            assert_eq!(bench.stage(job).await, Stage::Ended(End::Lapsed));
        }
        bench.turn().await;
        assert_eq!(bench.service.about().await.expect("read").problems, Vec::<String>::new());
        let ended = if recovers { AlertKind::Granted } else { AlertKind::Ended };
        assert!(bench.kinds().contains(&ended));
        assert_eq!(bench.kinds().iter().filter(|kind| **kind == AlertKind::GrantFailed).count(), 2);
    }
}

/// The job of a service whose granter fails with this error.
async fn fails_with(signature: &str, rejection: Option<lota_market::granter::Rejection>) -> (Bench, JobId) {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let hash = alloy::primitives::keccak256(signature);
    bench.twin.granter_says([hash[0], hash[1], hash[2], hash[3]], rejection);
    bench.twin.granter_fails(true);
    bench.vote(job, Choice::Approve, 1).await.expect("taken");
    bench.vote(job, Choice::Approve, 2).await.expect("taken");
    bench.hear().await;
    bench.twin.pass(101);
    bench.turn().await;
    bench.turn().await;
    (bench, job)
}

#[tokio::test]
async fn a_granter_s_error_is_named_with_its_fields_and_what_to_do() {
    use lota_market::granter::Rejection;
    let dry = Rejection::PoolEmpty { held: U256::from(5), amount: U256::from(100) };
    let empty = ["PoolEmpty", "holds 5", "bonus of 100", "funds the pool"];
    let cases = [
        ("PoolEmpty(uint256,uint256)", Some(dry), &empty[..]),
        ("FilPlusEnded()", None, &["FilPlusEnded", "exit code 18", "another granter"]),
        ("BadRecipient(bytes)", None, &["BadRecipient", "registers another recipient"]),
    ];
    for (signature, rejection, told) in cases {
        let (bench, job) = fails_with(signature, rejection).await;
        let problems = bench.service.about().await.expect("read").problems;
        let dossier = bench.service.dossier(job).await.expect("known");
        let happened: Vec<String> = dossier.happened.into_iter().map(|it| it.what).collect();
        let alerts = bench.told.alerts.lock().expect("alerts").clone();
        let alert = alerts.into_iter().find(|alert| alert.kind == AlertKind::GrantFailed).expect("told");
        assert_eq!(alert.details["error"], signature.split('(').next().expect("a name"));
        for text in [problems.join("; "), happened.join("; "), alert.text] {
            assert!(told.iter().all(|part| text.contains(part)), "{signature}: {text}");
        }
    }
}

#[tokio::test]
async fn what_nobody_decides_expires_and_is_not_nominated_again() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    bench.twin.pass(1_001);
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Ended(End::Expired));
    bench.twin.pass(10_000);
    bench.turn().await;
    assert_eq!((bench.twin.phase(job), bench.twin.submitted()), (Phase::None, 2));
    let over = bench.service.queue(&QueueFilter { open: false, ..all() }).await.expect("a page");
    assert_eq!(over.entries[0].stage, Stage::Ended(End::Expired));
}

#[tokio::test]
async fn the_policy_decides_what_is_nominated_and_the_dossier_says_why_not() {
    let risky = NominationPolicy { most_risk: Risk::Low, ..settings().nominate.expect("it nominates") };
    let none = NominationPolicy { per_day: 1, ..settings().nominate.expect("it nominates") };
    for (nominate, expected) in [
        (None, "by itself"),
        (Some(risky), "its risk is"),
        (Some(NominationPolicy { granter: BLESSING, ..none.clone() }), "registered no recipient"),
        (Some(NominationPolicy { bounty: AttoFil(u128::MAX / 4), ..none.clone() }), "fund it"),
        (Some(NominationPolicy { amount: Amount::PerByte(U256::from(1_000)), ..none.clone() }), "PerJob"),
    ] {
        let bench = Bench::new(Settings { nominate, ..settings() }).await;
        let job = bench.twin.settle();
        bench.turn().await;
        let dossier = bench.service.dossier(job).await.expect("known");
        assert_eq!((dossier.stage, bench.twin.submitted()), (Stage::NotNominated, 0));
        let why = dossier.not_nominated.expect("a reason");
        assert!(why.contains(expected), "{why}");
    }
    let bench = Bench::new(Settings { nominate: Some(none), ..settings() }).await;
    bench.twin.settle();
    let second = bench.twin.settle();
    bench.turn().await;
    assert_eq!(bench.twin.submitted(), 1, "one a day");
    bench.twin.pass(24 * 60 * 60 + 1);
    bench.turn().await;
    assert_eq!(bench.stage(second).await, Stage::Voting, "the next day");
}

#[tokio::test]
async fn a_granter_s_limits_are_shown_and_wait_for_the_next_period() {
    let bench = Bench::new(settings()).await;
    let few = U256::from(100);
    bench.twin.admit(Limits { per_job: few, per_provider: few, per_period: few });
    let jobs = [bench.twin.settle(), bench.twin.settle()];
    bench.turn().await;
    for job in jobs {
        bench.vote(job, Choice::Approve, 1).await.expect("taken");
        bench.vote(job, Choice::Approve, 2).await.expect("taken");
    }
    bench.hear().await;
    bench.twin.pass(101);
    bench.turn().await;
    let granted = jobs.iter().filter(|job| bench.twin.phase(**job) == Phase::Granted).count();
    assert_eq!(granted, 1);
    let about = bench.service.about().await.expect("read");
    assert_eq!(about.granters[0].granted, few);
    assert!(about.problems.iter().any(|problem| problem.contains("PerProvider")), "{:?}", about.problems);
}

#[tokio::test]
async fn what_somebody_else_has_settled_is_no_problem_any_more_and_jobs_hide_nothing() {
    let bench = Bench::new(settings()).await;
    let few = U256::from(100);
    bench.twin.admit(Limits { per_job: few, per_provider: few, per_period: few });
    let jobs = [bench.twin.settle(), bench.twin.settle()];
    bench.turn().await;
    for job in jobs {
        bench.vote(job, Choice::Approve, 1).await.expect("taken");
        bench.vote(job, Choice::Approve, 2).await.expect("taken");
    }
    bench.hear().await;
    bench.twin.pass(101);
    bench.turn().await;
    bench.service.problem("zzz", Some("of nobody's job".into()));
    let problems = bench.service.about().await.expect("read").problems;
    assert_eq!((problems.len(), problems[0].as_str()), (2, "zzz: of nobody's job"), "{problems:?}");
    assert!(problems[1].starts_with("the grant of 0x"), "{problems:?}");
    // Anybody may have it granted.
    let open = jobs.into_iter().find(|job| bench.twin.phase(*job) == Phase::Blessed).expect("one waits");
    let nomination = bench.service.dossier(open).await.expect("known").nomination.expect("it runs");
    let much = U256::from(1_000);
    bench.twin.admit(Limits { per_job: much, per_provider: much, per_period: much });
    let grant = lota_market::blessing::Command::Grant { nomination: Box::new(nomination) };
    bench.twin.bless(PROVIDER, AttoFil::ZERO, grant);
    bench.hear().await;
    bench.service.grant_due().await.expect("looked at");
    assert_eq!(bench.twin.submitted(), 7, "two nominations, four votes, one grant: the other was somebody else's");
    assert_eq!(bench.service.about().await.expect("read").problems, ["zzz: of nobody's job"]);
}

#[tokio::test]
async fn what_lasts_is_told_once_and_missing_votes_are_asked_for() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let broken = |text: &str| bench.service.problem("the registry", Some(text.into()));
    broken("is away");
    bench.twin.pass(200);
    bench.work().await;
    assert_eq!(bench.kinds(), [AlertKind::Nominated], "it may pass");
    bench.service.problem("the registry", None);
    broken("is away");
    bench.twin.pass(299);
    bench.work().await;
    assert_eq!(bench.kinds(), [AlertKind::Nominated], "it did, and came again");
    broken("is away still");
    for seconds in [1, 100, 300] {
        bench.twin.pass(seconds);
        bench.work().await;
        let told = bench.told.alerts.lock().expect("alerts").clone();
        let problems: Vec<_> = told.iter().filter(|alert| alert.kind == AlertKind::Problem).collect();
        assert_eq!(problems.len(), 1, "{told:?}");
        assert_eq!(problems[0].text, "the registry: is away still");
        let missing = told.iter().filter(|alert| alert.kind == AlertKind::NeedsVote && alert.job == Some(job)).count();
        assert_eq!(missing, 1, "half of the thousand seconds is over: {told:?}");
    }
}

/// What `sender` asks for a settled job.
pub(super) async fn nominate(bench: &Bench, sender: lota_market::Address, job: JobId, amount: u64) {
    use lota_market::{blessing, model::Receipt};
    let kept = bench.service.history.settled_job(job).await.expect("read").expect("settled");
    bench.twin.bless(sender, AttoFil(10 * twin::DEPOSIT.0), blessing::Command::Fund);
    let request = blessing::Request {
        granter: GRANTER,
        amount: U256::from(amount),
        piece: B256::repeat_byte(9),
        piece_size: 128,
        bounty: AttoFil::ZERO,
        min_share: AttoFil::ZERO,
    };
    let receipt = Receipt { provider: PROVIDER, price: kept.job.price, result: kept.result.clone() };
    let (terms, receipt) = (Box::new(kept.terms), Box::new(receipt));
    bench.twin.bless(sender, AttoFil::ZERO, blessing::Command::Nominate { terms, receipt, request });
}

#[tokio::test]
async fn a_stranger_s_tiny_nomination_takes_nothing_from_the_provider() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.hear().await;
    nominate(&bench, twin::CLIENT, job, 1).await;
    bench.turn().await;
    let dossier = bench.service.dossier(job).await.expect("known");
    assert_eq!((dossier.stage, bench.twin.submitted()), (Stage::Voting, 0));
    assert_eq!(dossier.policy_amount, Some(U256::from(100)), "its own policy asks for more");
    bench.twin.pass(1_001);
    for _ in 0..4 {
        bench.turn().await;
    }
    let dossier = bench.service.dossier(job).await.expect("known");
    let nomination = dossier.nomination.expect("it is nominated again");
    assert_eq!((nomination.round, nomination.amount, dossier.policy_amount), (2, U256::from(100), None));
    assert_eq!(bench.twin.submitted(), 2, "the end of the stranger's, and its own");

    // Its own one that nobody decided on is not repeated.
    bench.twin.pass(1_001);
    for _ in 0..4 {
        bench.turn().await;
    }
    bench.twin.pass(10_000);
    bench.turn().await;
    assert_eq!((bench.stage(job).await, bench.twin.submitted()), (Stage::Ended(End::Expired), 3));
}

#[tokio::test]
async fn what_the_notaries_refused_is_not_nominated_again() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.hear().await;
    nominate(&bench, twin::CLIENT, job, 1).await;
    bench.turn().await;
    for number in [1, 2] {
        bench.vote(job, Choice::Reject, number).await.expect("taken");
    }
    for _ in 0..3 {
        bench.turn().await;
        bench.twin.pass(1_000);
    }
    assert_eq!((bench.stage(job).await, bench.twin.submitted()), (Stage::Ended(End::Refused), 2), "two votes");
}

#[tokio::test]
async fn what_was_undone_is_done_again_and_nothing_leaves_before_it_is_final() {
    let mut bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Voting);
    // From here on nothing is final.
    bench.depth = 1_000;
    let before = bench.twin.block();
    bench.vote(job, Choice::Approve, 1).await.expect("taken");
    bench.vote(job, Choice::Approve, 2).await.expect("taken");
    bench.hear().await;
    assert_eq!(bench.stage(job).await, Stage::Blessed);
    bench.twin.undo(before);
    bench.hear().await;
    assert_eq!((bench.stage(job).await, bench.twin.phase(job)), (Stage::Voting, Phase::Nominated));
    bench.twin.pass(RETRY_AFTER + 1);
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Blessed, "the votes were sent again");
    bench.twin.pass(101);
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Due);
    assert_eq!(bench.twin.phase(job), Phase::Blessed, "the blessing is not final: nothing is granted");
    assert_eq!(bench.kinds(), [AlertKind::Nominated]);
    assert!(bench.service.attestation(job).await.is_err());
    bench.depth = 0;
    bench.turn().await;
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Granted);
    assert!(bench.service.attestation(job).await.is_ok());
}

#[tokio::test]
async fn an_undone_nomination_is_made_again() {
    let mut bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.hear().await;
    let before = bench.twin.block();
    bench.depth = 1_000;
    bench.work().await;
    bench.hear().await;
    assert_eq!(bench.twin.phase(job), Phase::Nominated);
    bench.twin.undo(before);
    bench.turn().await;
    assert_eq!((bench.twin.phase(job), bench.stage(job).await), (Phase::Nominated, Stage::Voting));
}

#[tokio::test]
async fn killed_after_each_step_it_does_everything_once() {
    let mut bench = Bench::new(Settings { two_approvals_from: Some(U256::from(100)), ..settings() }).await;
    let job = bench.twin.settle();
    let mut voted = 0;
    for step in 0..80 {
        match step % 8 {
            0 => bench.hear().await,
            1 => bench.service.import().await.expect("taken over"),
            2 => {
                let now = bench.service.clock();
                for (job, _) in bench.service.store.to_gather(now, 100).await.expect("read") {
                    bench.service.gather(job).await.expect("gathered");
                }
            }
            3 => {
                bench.service.nominate_due().await.expect("nominated");
            }
            4 if voted < 2 && bench.service.store.course(job).await.expect("read").phase() == Phase::Nominated => {
                bench.vote(job, Choice::Approve, voted + 1).await.expect("taken");
                voted += 1;
            }
            5 => bench.service.votes_due().await.expect("sent"),
            6 => bench.service.grant_due().await.expect("granted"),
            _ => {
                bench.service.tell_due().await.expect("told");
                bench.twin.pass(21);
            }
        }
        bench.kill().await;
    }
    assert_eq!(bench.twin.phase(job), Phase::Granted);
    assert_eq!(bench.twin.submitted(), 4, "a nomination, two votes, a grant");
    let mut actions = BTreeMap::<String, u32>::new();
    let log = bench.log().await;
    audit_log::verify(&log[..], |entry| *actions.entry(entry.action).or_default() += 1).expect("linked");
    for (action, count) in [("nominated", 1), ("signed", 2), ("approved", 2), ("blessed", 1), ("granted", 1)] {
        assert_eq!(actions.get(action), Some(&count), "{action} in {actions:?}");
    }
    assert_eq!(bench.kinds(), [AlertKind::Nominated, AlertKind::NeedsVote, AlertKind::Blessed, AlertKind::Granted]);
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_is_refused() {
    let bench = Bench::new(settings()).await;
    bench.turn().await;
    bench.service.note("0x01", "signed in", "session").await.expect("noted");
    let path = bench.folder.path().join(crate::audit_file::FILE);
    let whole = std::fs::read_to_string(&path).expect("text");
    let cut: String = whole.lines().take(whole.lines().count() - 1).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, cut).expect("written");
    let parts = Parts {
        market: twin::market_ref(),
        asset: Asset::coin(),
        blessing: Arc::new(bench.twin.clone()),
        sources: Arc::clone(&bench.sources) as Arc<dyn Sources>,
        other_notary: None,
        payer: None,
        deliveries: vec![],
        key: key(),
        clock: Arc::new(|| Time(0)),
        settings: settings(),
    };
    let history =
        Service::open_history(bench.folder.path(), &parts.market, settings().max_size).await.expect("a database");
    let opened = Service::open(bench.folder.path(), history, parts).await;
    assert!(matches!(opened, Err(ServiceError::AuditCut { .. })));
}

/// No node has answered that never will, however short one waits.
fn impatient() -> Settings {
    let patience = Duration::from_millis(1);
    Settings { chain_patience: ChainPatience { page: patience, decision: patience }, ..settings() }
}

#[tokio::test]
async fn a_node_that_never_answers_leaves_what_was_read_before_with_its_age() {
    let bench = Bench::new(impatient()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let before = bench.service.about().await.expect("read");
    assert_eq!(before.problems, Vec::<String>::new());
    bench.twin.answers(false);
    bench.twin.pass(70);
    bench.twin.settle();
    bench.hear().await;
    for _ in 0..2 {
        let about = bench.service.about().await.expect("what is known");
        assert_eq!((&about.notaries, about.block, about.now), (&before.notaries, before.block, before.now));
        let [problem] = &about.problems[..] else { panic!("{:?}", about.problems) };
        let said = ["did not answer within 0.001 s", "70 s ago", &format!("block {}", before.block)];
        assert!(said.iter().all(|part| problem.contains(part)), "{problem}");
    }
    assert!(bench.service.dossier(job).await.is_ok() && bench.service.queue(&all()).await.is_ok());

    // What must be asked now says that it cannot be.
    let paper = bench.sign(job, Choice::Approve, &notary(1)).await;
    assert!(matches!(&paper, Err(DeskError::Unavailable(why)) if why.contains("did not answer")), "{paper:?}");
    bench.twin.answers(true);
    bench.twin.stall(|_| true);
    let paper = bench.sign(job, Choice::Approve, &notary(1)).await;
    assert!(matches!(&paper, Err(DeskError::Unavailable(why)) if why.contains("did not answer")), "{paper:?}");

    // With the next block it is read again, even if the set of notaries changed meanwhile.
    bench.twin.answers(false);
    bench.twin.set_notaries(&[1, 2, 4]);
    bench.hear().await;
    assert_eq!(bench.service.about().await.expect("what is known").notaries, before.notaries);
    bench.twin.answers(true);
    bench.twin.settle();
    bench.hear().await;
    let after = bench.service.about().await.expect("read");
    assert!(after.notaries.contains(&notary(4).address()) && after.block > before.block);
    assert_eq!(after.problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_node_that_never_answered_says_so() {
    let bench = Bench::new(impatient()).await;
    bench.twin.answers(false);
    bench.hear().await;
    let about = bench.service.about().await;
    assert!(matches!(&about, Err(DeskError::Unavailable(why)) if why.contains("did not answer")), "{about:?}");
}
