//! Having paid what was granted over rails.

use std::collections::{BTreeMap, BTreeSet};

use lota_market::agent::EffectKey;

use super::*;
use crate::payments::{Landed, Locked, PayError, PaymentState, RailDue};

/// What [`settings`] grants.
const GROSS: u64 = 100;

/// Rails of a granter, in one process.
#[derive(Debug, Default)]
pub(super) struct RailsDouble(Mutex<Rails>);

#[derive(Debug, Default)]
struct Rails {
    /// Each grant has a rail of its own, unless all have this one.
    all_on: Option<u64>,
    rails: BTreeMap<JobId, U256>,
    due: BTreeMap<U256, u64>,
    /// What is due at a block that is final.
    due_finally: BTreeMap<U256, u64>,
    ended: BTreeSet<U256>,
    /// They seem to pay, and do not.
    refuse: BTreeSet<U256>,
    sent: BTreeMap<String, (Vec<U256>, Landed)>,
    /// In the order in which they were sent.
    batches: Vec<usize>,
    is_on: bool,
    /// What is sent lands, and nobody says so.
    mute: bool,
    block: u64,
}

impl RailsDouble {
    fn inner(&self) -> MutexGuard<'_, Rails> {
        self.0.lock().expect("nobody panicked")
    }
}

#[async_trait]
impl Payer for RailsDouble {
    async fn locked(&self, granter: Address, job: JobId, _: B256) -> Result<Option<Locked>, PayError> {
        assert_eq!(granter, GRANTER);
        let mut inner = self.inner();
        if !inner.is_on {
            return Ok(None);
        }
        let next = inner.all_on.unwrap_or(inner.rails.len() as u64 + 1);
        let is_new = !inner.rails.contains_key(&job);
        let rail = *inner.rails.entry(job).or_insert(U256::from(next));
        if is_new {
            *inner.due.entry(rail).or_default() += GROSS;
            *inner.due_finally.entry(rail).or_default() += GROSS;
        }
        Ok(Some(Locked { rail, amount: U256::from(GROSS) }))
    }

    async fn rail(&self, _: Address, rail: U256, block: Option<u64>) -> Result<RailDue, PayError> {
        let inner = self.inner();
        let due = if block.is_some() { &inner.due_finally } else { &inner.due };
        let payee = (!inner.ended.contains(&rail)).then_some(PROVIDER);
        Ok(RailDue { due: U256::from(due.get(&rail).copied().unwrap_or_default()), payee, end: None })
    }

    async fn pay(&self, key: &EffectKey, _: Address, rails: &[U256]) -> Result<Landed, PayError> {
        let mut inner = self.inner();
        let key = key.to_string();
        if let Some((before, landed)) = inner.sent.get(&key) {
            assert_eq!(before, rails, "a key is of one call");
            return Ok(*landed);
        }
        if let Some(rail) = rails.iter().find(|rail| inner.refuse.contains(*rail)) {
            return Err(PayError::Refused(format!("rail {rail} is settled")));
        }
        for rail in rails {
            inner.due.insert(*rail, 0);
        }
        let landed = Landed { transaction: B256::repeat_byte(0x7a), block: inner.block, time: lota_market::Time(7) };
        inner.sent.insert(key, (rails.to_vec(), landed));
        inner.batches.push(rails.len());
        if inner.mute { Err(PayError::Later("the cable is cut".into())) } else { Ok(landed) }
    }
}

fn over_rails() -> Settings {
    let mut settings = Settings { pay_after: 0, ..settings() };
    if let Some(policy) = &mut settings.nominate {
        (policy.most_risk, policy.per_day) = (Risk::High, 1_000);
    }
    settings
}

/// So many jobs, granted for good.
async fn granted(settings: Settings, count: usize) -> (Bench, Vec<JobId>) {
    granted_on(settings, count, None).await
}

async fn granted_on(settings: Settings, count: usize, rail: Option<u64>) -> (Bench, Vec<JobId>) {
    let bench = Bench::new(settings).await;
    {
        let mut rails = bench.rails.inner();
        (rails.is_on, rails.all_on) = (true, rail);
    }
    let mut jobs = Vec::new();
    for _ in 0..count {
        jobs.push(bench.twin.settle());
    }
    // So many are nominated in one turn.
    for _ in 0..=count / 4 {
        bench.turn().await;
    }
    for job in &jobs {
        bench.vote(*job, Choice::Approve, 1).await.expect("taken");
        bench.vote(*job, Choice::Approve, 2).await.expect("taken");
    }
    bench.hear().await;
    bench.twin.pass(101);
    bench.turn().await;
    (bench, jobs)
}

impl Bench {
    async fn payment(&self, job: JobId) -> Option<PaymentState> {
        self.service.dossier(job).await.expect("known").payment.map(|payment| payment.state)
    }

    fn batches(&self) -> Vec<usize> {
        self.rails.inner().batches.clone()
    }

    fn told(&self, kind: AlertKind) -> Vec<String> {
        let alerts = self.told.alerts.lock().expect("alerts");
        alerts.iter().filter(|alert| alert.kind == kind).map(|alert| alert.text.clone()).collect()
    }
}

const PAID: Option<PaymentState> = Some(PaymentState::Paid { transaction: Some(B256::repeat_byte(0x7a)) });

#[tokio::test]
async fn a_grant_is_paid_once_it_is_final_and_once() {
    let (mut bench, jobs) = granted(over_rails(), 1).await;
    let job = jobs[0];
    assert_eq!((bench.stage(job).await, bench.batches()), (Stage::Granted, vec![]), "it is not final for the service");
    bench.work().await;
    assert_eq!(bench.batches(), [1]);
    bench.work().await;
    assert_eq!(bench.payment(job).await, PAID);
    let dossier = bench.service.dossier(job).await.expect("known");
    let last = dossier.happened.last().expect("it was paid");
    assert!(
        last.what.contains("paid: 100 bytes of DataCap") && last.what.contains("rail 1") && last.is_final,
        "{last:?}"
    );
    bench.work().await;
    assert_eq!(bench.told(AlertKind::Paid).len(), 1);
    assert!(String::from_utf8(bench.log().await).expect("text").contains("\"paid\""));
    for _ in 0..3 {
        bench.kill().await;
        bench.twin.pass(1_000);
        bench.turn().await;
    }
    assert_eq!((bench.batches(), bench.told(AlertKind::Paid).len()), (vec![1], 1));
}

#[tokio::test]
async fn nothing_is_paid_of_a_grant_that_may_be_undone() {
    let (mut bench, jobs) = granted(over_rails(), 0).await;
    assert!(jobs.is_empty());
    bench.depth = 3;
    let job = bench.twin.settle();
    for _ in 0..4 {
        bench.twin.bless(twin::SERVICE, AttoFil(twin::GWEI), lota_market::blessing::Command::Fund);
    }
    bench.turn().await;
    bench.vote(job, Choice::Approve, 1).await.expect("taken");
    bench.vote(job, Choice::Approve, 2).await.expect("taken");
    for _ in 0..4 {
        bench.twin.bless(twin::SERVICE, AttoFil(twin::GWEI), lota_market::blessing::Command::Fund);
    }
    bench.twin.pass(101);
    bench.turn().await;
    assert_eq!((bench.stage(job).await, bench.batches()), (Stage::Granted, vec![]));
    bench.work().await;
    assert_eq!((bench.payment(job).await, bench.batches()), (None, vec![]));
    for _ in 0..4 {
        bench.twin.bless(twin::SERVICE, AttoFil(twin::GWEI), lota_market::blessing::Command::Fund);
    }
    bench.turn().await;
    bench.work().await;
    assert_eq!((bench.payment(job).await, bench.batches()), (PAID, vec![1]));
}

#[tokio::test]
async fn payments_wait_for_each_other_and_go_in_batches() {
    let (bench, jobs) = granted(Settings { pay_after: 300, ..over_rails() }, 3).await;
    bench.work().await;
    assert_eq!((bench.batches(), bench.payment(jobs[0]).await), (vec![], Some(PaymentState::Due { why: None })));
    bench.twin.pass(299);
    bench.turn().await;
    assert!(bench.batches().is_empty());
    bench.twin.pass(2);
    bench.turn().await;
    assert_eq!(bench.batches(), [3]);

    // So many are a full one, which does not wait.
    let (bench, _) = granted(Settings { pay_after: 300, ..over_rails() }, 34).await;
    bench.work().await;
    assert_eq!(bench.batches(), [32, 2]);
}

#[tokio::test]
async fn what_is_due_on_one_rail_is_one_payment() {
    let (bench, jobs) = granted_on(over_rails(), 2, Some(5)).await;
    bench.work().await;
    bench.work().await;
    assert_eq!(bench.batches(), [1]);
    assert_eq!([bench.payment(jobs[0]).await, bench.payment(jobs[1]).await], [PAID, PAID]);
}

#[tokio::test]
async fn a_service_that_was_killed_after_it_sent_does_not_send_again() {
    let (mut bench, jobs) = granted(over_rails(), 2).await;
    bench.rails.inner().mute = true;
    bench.work().await;
    assert_eq!(
        (bench.batches(), bench.payment(jobs[0]).await),
        (vec![2], Some(PaymentState::Sent { transaction: None }))
    );
    let about = bench.service.about().await.expect("read");
    assert!(about.problems.iter().any(|problem| problem.contains("the cable is cut")), "{:?}", about.problems);
    bench.kill().await;
    bench.rails.inner().mute = false;
    bench.turn().await;
    assert_eq!((bench.batches(), bench.payment(jobs[1]).await), (vec![2], PAID));
}

#[tokio::test]
async fn a_rail_that_refuses_is_told_and_holds_up_no_other() {
    let (bench, jobs) = granted(over_rails(), 2).await;
    bench.rails.inner().refuse.insert(U256::from(1));
    bench.work().await;
    assert!(bench.batches().is_empty(), "nothing that would revert is sent");
    let about = bench.service.about().await.expect("read");
    assert!(about.problems.iter().any(|problem| problem.contains("rail 1 is settled")), "{:?}", about.problems);
    bench.work().await;
    assert!(bench.batches().is_empty(), "it waits before it tries again");
    bench.twin.pass(31);
    bench.turn().await;
    assert_eq!(bench.batches(), [1], "each alone");
    let mut states = [bench.payment(jobs[0]).await, bench.payment(jobs[1]).await];
    states.sort_by_key(|state| *state == PAID);
    assert!(
        matches!(&states[0], Some(PaymentState::Due { why: Some(why) }) if why.contains("is settled")),
        "{states:?}"
    );
    assert_eq!(states[1], PAID);
    bench.twin.pass(400);
    bench.turn().await;
    assert_eq!(bench.told(AlertKind::Problem).len(), 1, "once");
    bench.rails.inner().refuse.clear();
    bench.twin.pass(4_000);
    bench.turn().await;
    bench.work().await;
    assert_eq!(bench.batches(), [1, 1]);
    assert_eq!(bench.service.about().await.expect("read").problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_rail_that_has_ended_is_said_to_be_lost() {
    let (bench, jobs) = granted(over_rails(), 2).await;
    bench.rails.inner().ended.insert(U256::from(1));
    bench.work().await;
    bench.work().await;
    assert_eq!(bench.batches(), [1]);
    let lost = bench.told(AlertKind::NotPaid);
    assert!(lost.len() == 1 && lost[0].contains("rail 1") && lost[0].contains("terminated"), "{lost:?}");
    let mut found = 0;
    for job in jobs {
        let dossier = bench.service.dossier(job).await.expect("known");
        if let Some(PaymentState::Lost { why }) = dossier.payment.map(|payment| payment.state) {
            assert!(why.contains("wound up"), "{why}");
            assert!(dossier.happened.last().expect("it is told").what.contains("not paid"));
            found += 1;
        }
    }
    assert_eq!(found, 1);
    assert!(String::from_utf8(bench.log().await).expect("text").contains("\"not paid\""));
}

#[tokio::test]
async fn what_somebody_else_called_for_is_paid_once_that_is_final() {
    let (bench, jobs) = granted(over_rails(), 1).await;
    {
        let mut rails = bench.rails.inner();
        rails.all_on = Some(1);
        // Paid as soon as it is due.
        rails.rails.insert(jobs[0], U256::from(1));
        rails.due_finally.insert(U256::from(1), GROSS);
    }
    bench.work().await;
    assert_eq!((bench.batches(), bench.payment(jobs[0]).await), (vec![], Some(PaymentState::Due { why: None })));
    bench.rails.inner().due_finally.clear();
    bench.twin.pass(16);
    bench.turn().await;
    assert_eq!(
        (bench.batches(), bench.payment(jobs[0]).await),
        (vec![], Some(PaymentState::Paid { transaction: None }))
    );
    bench.work().await;
    assert!(bench.told(AlertKind::Paid)[0].contains("somebody else"));
}
