//! A whole job's way, to each of its ends.

use lota_market::{
    AttoFil,
    model::{Command, Event, Reason, Receipt, Rejection, Status, Terms, Verdict},
    money::FIL,
};

use super::{
    Harness, Party,
    party::{COLLATERAL, PRICE, WINDOW, result},
};
use crate::SubmitError;

/// Who gets what, in attoFIL, compared with before the job.
struct Share {
    client: i128,
    provider: i128,
    arbiter: i128,
}

const P: i128 = PRICE.0 as i128;
const C: i128 = COLLATERAL.0 as i128;

const ALL_ENDS: [(Reason, Status, Share); 10] = [
    (Reason::Accepted, Status::Settled, Share { client: -P, provider: P, arbiter: 0 }),
    (Reason::Unchallenged, Status::Settled, Share { client: -P, provider: P, arbiter: 0 }),
    (Reason::Upheld, Status::Settled, Share { client: -P, provider: P, arbiter: 0 }),
    (Reason::Unreviewed, Status::Settled, Share { client: -P, provider: P, arbiter: 0 }),
    (Reason::Withdrawn, Status::Cancelled, Share { client: 0, provider: 0, arbiter: 0 }),
    (Reason::NotLocked, Status::Cancelled, Share { client: 0, provider: 0, arbiter: 0 }),
    (Reason::NotSubmitted, Status::Slashed, Share { client: C / 2, provider: -C, arbiter: 0 }),
    (Reason::Overturned, Status::Slashed, Share { client: C / 2, provider: -C, arbiter: C - C / 2 }),
    (Reason::Undecided, Status::Void, Share { client: 0, provider: 0, arbiter: 0 }),
    (Reason::NotRuled, Status::Void, Share { client: 0, provider: 0, arbiter: 0 }),
];

struct Parties<'h, H> {
    harness: &'h H,
    client: Party,
    provider: Party,
    arbiter: Party,
    stranger: Party,
}

impl<H: Harness> Parties<'_, H> {
    async fn balances(&self) -> [i128; 3] {
        let mut all = [0; 3];
        for (balance, party) in all.iter_mut().zip([&self.client, &self.provider, &self.arbiter]) {
            *balance = i128::try_from(party.balance().await.0).expect("less money than there is");
        }
        all
    }

    async fn result(&self, terms: &Terms) -> Receipt {
        self.provider.run(terms).await
    }

    async fn dispute(&self, terms: &Terms) -> Receipt {
        let receipt = self.result(terms).await;
        self.arbiter.send(Command::Dispute { terms: terms.clone() }).await;
        receipt
    }

    async fn rule(&self, terms: &Terms, verdict: Verdict) {
        let receipt = self.dispute(terms).await;
        self.arbiter.send(Command::Rule { terms: terms.clone(), receipt, verdict }).await;
    }

    /// Brings an open job to an end.
    async fn end(&self, given: &Terms, reason: Reason) {
        let terms = given.clone();
        match reason {
            Reason::None => {}
            Reason::Accepted => {
                let receipt = self.result(given).await;
                self.client.send(Command::Accept { terms, receipt }).await;
            }
            Reason::Unchallenged => {
                let receipt = self.result(given).await;
                self.harness.advance(u64::from(WINDOW) + 1).await;
                self.stranger.send(Command::Settle { terms, receipt }).await;
            }
            Reason::Upheld => self.rule(given, Verdict::Upheld).await,
            Reason::Unreviewed => drop(self.result(given).await),
            Reason::Withdrawn => drop(self.client.send(Command::Cancel { terms }).await),
            Reason::NotLocked => {
                self.harness.advance(terms.lock_by.since(self.client.now().await) + 1).await;
                self.stranger.send(Command::Expire { terms }).await;
            }
            Reason::NotSubmitted => {
                self.provider.send(Command::Lock { terms: given.clone() }).await;
                self.harness.advance(u64::from(WINDOW) + 1).await;
                self.stranger.send(Command::Expire { terms }).await;
            }
            Reason::Overturned => self.rule(given, Verdict::Overturned).await,
            Reason::Undecided => self.rule(given, Verdict::Void).await,
            Reason::NotRuled => {
                let receipt = self.dispute(given).await;
                self.harness.advance(u64::from(WINDOW) + 1).await;
                self.stranger.send(Command::Lapse { terms, receipt }).await;
            }
        }
    }
}

async fn cast<H: Harness>(harness: &H) -> Parties<'_, H> {
    Parties {
        harness,
        client: Party::with_deposit(harness, "client").await,
        provider: Party::with_deposit(harness, "provider").await,
        arbiter: Party::with_deposit(harness, "arbiter").await,
        stranger: Party::connect(harness, "stranger").await,
    }
}

fn reason_of(event: &Event) -> Option<Reason> {
    match event {
        Event::JobSettled { reason, .. }
        | Event::JobCancelled { reason, .. }
        | Event::JobSlashed { reason, .. }
        | Event::JobVoided { reason, .. } => Some(*reason),
        _ => None,
    }
}

/// Ten jobs end in the ten ways in which jobs end; events, stored deals and balances say the same.
pub async fn every_end_pays_whom_it_should(harness: &impl Harness) {
    let cast = cast(harness).await;
    let mut log = cast.client.whole_log();
    for (salt, (reason, status, share)) in ALL_ENDS.into_iter().enumerate() {
        let before = cast.balances().await;
        let terms = match reason {
            Reason::Unreviewed => cast.client.terms(salt as u64).await,
            _ => cast.client.disputable_terms(salt as u64, cast.arbiter.address()).await,
        };
        let terms = Terms { keep_record: true, ..terms };
        let job = cast.client.open(&terms).await;
        let opened = cast.client.transport.deal(job).await.expect("the market can be reached");
        assert_eq!((opened.status, opened.reason), (Status::Open, Reason::None), "{reason:?}");

        cast.end(&terms, reason).await;

        let ended = cast.client.transport.deal(job).await.expect("the market can be reached");
        assert_eq!((ended.status, ended.reason), (status, reason));
        let receipt = Receipt { provider: cast.provider.address(), price: PRICE, result: result() };
        let has_result = !matches!(reason, Reason::Withdrawn | Reason::NotLocked | Reason::NotSubmitted);
        assert_eq!(ended.committed_to(job, &receipt), has_result, "{reason:?}");
        let after = cast.balances().await;
        let wanted = [before[0] + share.client, before[1] + share.provider, before[2] + share.arbiter];
        assert_eq!(after, wanted, "{reason:?}");

        log.read_until(|log| {
            log.lines.last().is_some_and(|line| line.event.job() == Some(job) && reason_of(&line.event).is_some())
        })
        .await;
        let of_job: Vec<_> = log.events().into_iter().filter(|event| event.job() == Some(job)).collect();
        assert_eq!(of_job.first(), Some(&Event::JobOpened { job, terms, spec: Default::default() }));
        assert_eq!(of_job.last().and_then(reason_of), Some(reason));
        let provider = cast.provider.address();
        let locked = of_job.contains(&Event::JobLocked { job, provider, payer: provider, price: PRICE });
        assert_eq!(locked, !matches!(reason, Reason::Withdrawn | Reason::NotLocked), "{reason:?}");
        assert_eq!(of_job.contains(&Event::ResultSubmitted { job, provider, result: result() }), has_result);
    }
}

/// An account has no code that could be called, whatever its terms say: there is no event of a callback, and nothing stays stored.
pub async fn an_account_is_not_called_back(harness: &impl Harness) {
    let cast = cast(harness).await;
    let terms = cast.client.disputable_terms(0, cast.arbiter.address()).await;
    let terms = Terms { callback_gas: 50_000, ..terms };
    let job = cast.client.open(&terms).await;
    let receipt = cast.result(&terms).await;
    let landed = cast.client.send(Command::Accept { terms, receipt }).await;
    let provider = cast.provider.address();
    assert_eq!(landed.events, [Event::JobSettled { job, provider, price: PRICE, reason: Reason::Accepted }]);
    let ended = cast.client.transport.deal(job).await.expect("the market can be reached");
    assert_eq!((ended.status, ended.callback_pending), (Status::None, false));
}

/// Without an arbiter a result settles the job at once. Of a deal that has ended the market knows that its salt is spent, and no
/// more.
pub async fn what_has_ended_is_forgotten(harness: &impl Harness) {
    let cast = cast(harness).await;
    let terms = cast.client.terms(0).await;
    let job = cast.client.open(&terms).await;
    cast.provider.send(Command::Lock { terms: terms.clone() }).await;
    let submit = Command::SubmitResult { terms: terms.clone(), result: result() };
    let provider = cast.provider.address();
    let wanted = [
        Event::ResultSubmitted { job, provider, result: result() },
        Event::JobSettled { job, provider, price: PRICE, reason: Reason::Unreviewed },
    ];
    assert_eq!(cast.provider.send(submit.clone()).await.events, wanted);

    let given_up = cast.client.terms(1).await;
    let other = cast.client.open(&given_up).await;
    cast.provider.send(Command::Lock { terms: given_up.clone() }).await;
    let landed = cast.provider.send(Command::GiveUp { terms: given_up }).await;
    let slashed = Event::JobSlashed {
        job: other,
        provider,
        to_client: AttoFil(PRICE.0 + COLLATERAL.0 / 2),
        to_arbiter: AttoFil::ZERO,
        to_burn: AttoFil(COLLATERAL.0 - COLLATERAL.0 / 2),
        reason: Reason::NotSubmitted,
    };
    assert_eq!(landed.events, [slashed]);

    for job in [job, other] {
        let deal = cast.client.transport.deal(job).await.expect("the market can be reached");
        assert_eq!(deal.status, Status::None);
    }
    let (client, salt) = (cast.client.address(), terms.salt);
    let again = cast.provider.send_in_vain(submit).await;
    assert_eq!(again, SubmitError::Rejected(Rejection::SaltSpent { client, salt }));
    let reopened = cast.client.send_in_vain(Command::Open { terms, spec: Default::default() }).await;
    assert_eq!(reopened, SubmitError::Rejected(Rejection::SaltSpent { client, salt }));
}

/// Value goes from the wallet into the market and back; what is sent along with `open` counts.
pub async fn money_comes_in_and_goes_out(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let me = party.address();
    let fees = AttoFil(FIL);
    assert_eq!(party.balance().await, AttoFil::ZERO);
    assert_eq!(party.wallet().await, AttoFil(1_000 * FIL));

    let landed = party.pay(Command::Deposit { account: me }, AttoFil(5 * FIL)).await;
    assert_eq!(landed.events, [Event::Deposited { account: me, payer: me, amount: AttoFil(5 * FIL) }]);
    assert_eq!(party.balance().await, AttoFil(5 * FIL));
    let left = party.wallet().await;
    assert!(left <= AttoFil(995 * FIL) && left >= AttoFil(995 * FIL - fees.0), "{left}");

    let terms = party.terms(0).await;
    let job = party.transport.job_id(&terms);
    let open = Command::Open { terms: terms.clone(), spec: Default::default() };
    let landed = party.pay(open, AttoFil(FIL)).await;
    let deposited = Event::Deposited { account: me, payer: me, amount: AttoFil(FIL) };
    assert_eq!(landed.events, [deposited, Event::JobOpened { job, terms, spec: Default::default() }]);
    assert_eq!(party.balance().await, AttoFil(4 * FIL));

    let before = party.wallet().await;
    let landed = party.send(Command::Withdraw { to: me, amount: AttoFil(3 * FIL) }).await;
    assert_eq!(landed.events, [Event::Withdrawn { account: me, to: me, amount: AttoFil(3 * FIL) }]);
    let gained = party.wallet().await.checked_sub(before).expect("it is more than before");
    assert!(gained <= AttoFil(3 * FIL) && gained >= AttoFil(2 * FIL), "{gained}");
    assert_eq!(party.balance().await, AttoFil(FIL));

    let other = Party::connect(harness, "other").await;
    let landed = other.pay(Command::Deposit { account: me }, AttoFil(7)).await;
    assert_eq!(landed.events, [Event::Deposited { account: me, payer: other.address(), amount: AttoFil(7) }]);
    assert_eq!(party.balance().await, AttoFil(FIL + 7));
    assert_eq!(other.balance().await, AttoFil::ZERO);
}
