//! From what is known to what a notary is shown.

use lota_bridge::Cursor;
use lota_market::{
    B256, Time,
    model::{JobId, SpecCodec},
    replay::Recorded,
    spec::{self, Source, ValidatedSpec},
    world::ContractEvent,
};

use crate::{
    history::{History, HistoryError, Kept, Told},
    review::{Blessed, EarlierJob, Facts, InputEvidence, MAX_STEPS, ReExecution, Retrieval},
};

/// How many recorded events are taken in at once.
const AT_ONCE: usize = 5_000;
/// Such a part of what a client paid changes no answer.
const LITTLE: u128 = 100;

/// What the market's history does not know of a job, and others do.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// What a registry answered of its inputs; `None`: its spec is not known.
    pub inputs: Option<Vec<InputEvidence>>,
    pub retrieval: Retrieval,
    pub re_execution: ReExecution,
    pub blessed: Blessed,
    /// All jobs that were blessed, as far as is known; those that this one repeats are looked for among them.
    pub blessed_jobs: Vec<JobId>,
}

impl Default for Elsewhere {
    fn default() -> Self {
        Self {
            inputs: None,
            retrieval: Retrieval::Pending,
            re_execution: ReExecution::Pending,
            blessed: Blessed::default(),
            blessed_jobs: Vec::new(),
        }
    }
}

/// All that is known of a settled job.
///
/// # Errors
/// When the history cannot be read.
pub async fn facts(history: &History, kept: &Kept, elsewhere: Elsewhere) -> Result<Facts, HistoryError> {
    let job = &kept.job;
    let (flows, all_ways) = history.flows_from(job.provider).await?;
    // Those that were blessed apart: any number of others can have been settled before them.
    let blessed = history.alike_among(kept, &elsewhere.blessed_jobs).await?;
    let mut others = history.alike(kept).await?;
    others.retain(|(job, _)| !elsewhere.blessed_jobs.contains(job));
    let earlier = [(blessed, true), (others, false)]
        .into_iter()
        .flat_map(|(alike, blessed)| alike.into_iter().map(move |alike| (alike, blessed)))
        .map(|((job, same), blessed)| EarlierJob { job, same: same.into(), blessed })
        .collect();
    let pair = history.pair(job.client, job.provider).await?;
    // What went when there was no room for it can have been on the way, too.
    let is_little = history.lost().await?.0 <= pair.volume.0 / LITTLE;
    let back = flows.total(job.provider, job.client, MAX_STEPS, pair.volume);
    Ok(Facts {
        inputs: elsewhere.inputs,
        retrieval: elsewhere.retrieval,
        re_execution: elsewhere.re_execution,
        earlier,
        pair,
        back: back.amount,
        way_back: flows.widest(job.provider, job.client, MAX_STEPS),
        all_ways: all_ways && back.is_all && is_little,
        client: history.party_history(job.client).await?,
        provider: history.party_history(job.provider).await?,
        blessed: elsewhere.blessed,
        job: job.clone(),
    })
}

/// The spec of a settled job, if its bytes are known and are one.
#[must_use]
pub fn spec_of(kept: &Kept) -> Option<ValidatedSpec> {
    let bytes = kept.spec.as_deref()?;
    match SpecCodec::from_code(kept.terms.spec_codec)? {
        SpecCodec::DagCbor => spec::parse_dag_cbor(bytes).ok(),
        SpecCodec::Json => spec::parse_json(bytes).ok(),
    }
}

/// What a job reads, before anybody looked it up: path in the guest and CID. A file at a URL is named by its digest's CID; a directory
/// of the provider's own has none.
#[must_use]
pub fn inputs_of(spec: &ValidatedSpec) -> Vec<InputEvidence> {
    spec.inputs()
        .iter()
        .map(|mount| {
            let (cid, because) = match &mount.source {
                Source::Content(link) => (link.to_string(), vec![]),
                Source::Url { url, cid } => (cid.to_string(), vec![format!("a file at {url}")]),
                Source::Directory(label) => {
                    (String::new(), vec![format!("a directory of the provider's own: {label}")])
                }
            };
            InputEvidence { path: mount.path.to_string(), cid, certainty: None, because }
        })
        .collect()
}

/// Takes in what a chain or a market without one recorded, all of which counts as final.
///
/// # Errors
/// When the history cannot be written.
pub async fn take_recorded(history: &History, record: &[Recorded]) -> Result<(), HistoryError> {
    let mut last = 0;
    for chunk in record.chunks(AT_ONCE) {
        let told: Vec<_> = chunk
            .iter()
            .filter_map(|recorded| match &recorded.log.event {
                ContractEvent::Market(event) => {
                    let cursor = Cursor {
                        block: recorded.block,
                        block_hash: B256::ZERO,
                        index: recorded.index.saturating_add(1),
                    };
                    Some(Told::Event { cursor, time: recorded.time, event: Box::new(event.clone()) })
                }
                ContractEvent::Auction(_)
                | ContractEvent::Blessing(_)
                | ContractEvent::Granter(_)
                | ContractEvent::FilecoinPay(_)
                | ContractEvent::FilecoinPayDeals(_) => None,
            })
            .collect();
        history.take(&told).await?;
        last = chunk.last().map_or(last, |recorded| recorded.block);
    }
    history.finalize(last).await.map(drop)
}

/// The time of the last event: *now*, for an audit after the fact.
#[must_use]
pub fn end_of(record: &[Recorded]) -> Time {
    record.last().map_or(Time(0), |recorded| recorded.time)
}

#[cfg(test)]
mod tests {
    use lota_market::{
        Address, AttoFil, Bytes, U256,
        asset::Asset,
        model::{Event, JobResult, Reason, Terms},
        world::Log,
    };

    use super::*;
    use crate::review::{Outcome, Policy, Question, checks};

    const CLIENT: Address = Address::with_last_byte(1);
    const PROVIDER: Address = Address::with_last_byte(2);
    const JOB: JobId = JobId(B256::with_last_byte(3));

    /// A job for this price from its opening to its end.
    fn job_of(job: JobId, price: u128, spec: &ValidatedSpec) -> Vec<Event> {
        let terms = Terms {
            client: CLIENT,
            salt: U256::ZERO,
            spec: B256::with_last_byte(9),
            spec_codec: SpecCodec::DagCbor.code(),
            min_price: AttoFil::ZERO,
            max_price: AttoFil(price),
            ramp_start: Time(0),
            ramp_period: 1,
            lock_by: Time(1_000),
            run_for: 60,
            review_for: 60,
            rule_for: 60,
            collateral: AttoFil(1),
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 0,
            keep_record: true,
        };
        let result = JobResult { output: job.0, ..JobResult::default() };
        vec![
            Event::JobOpened { job, terms, spec: Bytes::from(spec.to_dag_cbor()) },
            Event::ResultSubmitted { job, provider: PROVIDER, result },
            Event::JobSettled { job, provider: PROVIDER, price: AttoFil(price), reason: Reason::Accepted },
        ]
    }

    /// A market with a job for this price, and what came after it.
    async fn settled(
        price: u128,
        spec: &ValidatedSpec,
        after: Vec<Event>,
    ) -> (tempfile::TempDir, History, Vec<Recorded>) {
        let mut events = job_of(JOB, price, spec);
        events.extend(after);
        let record: Vec<_> = events
            .into_iter()
            .zip(1..)
            .map(|(event, n)| Recorded {
                block: n,
                index: 0,
                time: Time(100 * n),
                transaction: B256::ZERO,
                log: Log { contract: Address::ZERO, event: ContractEvent::Market(event) },
            })
            .collect();
        let folder = tempfile::tempdir().expect("a folder");
        let history = History::open(folder.path(), "a recording", None).await.expect("a database");
        take_recorded(&history, &record).await.expect("taken");
        (folder, history, record)
    }

    #[tokio::test]
    async fn a_recorded_market_tells_what_a_notary_should_know() {
        let example = spec::parse_json(spec::EXAMPLE.as_bytes()).expect("the example");
        let after = vec![Event::Withdrawn { account: PROVIDER, to: CLIENT, amount: AttoFil(40) }];
        let (_folder, history, record) = settled(50, &example, after).await;
        let kept = history.settled_job(JOB).await.expect("read").expect("it was settled");
        let spec = spec_of(&kept).expect("its bytes were in the event");
        assert_eq!(spec, example);
        let inputs = inputs_of(&spec);
        assert_eq!(inputs.len(), spec.inputs().len());
        let facts =
            facts(&history, &kept, Elsewhere { inputs: Some(inputs), ..Elsewhere::default() }).await.expect("read");
        let all = checks(&facts, &Policy::default(), &Asset::coin(), end_of(&record));
        let outcome = |question| all.iter().find(|check| check.question == question).expect("answered").outcome;
        assert_eq!(outcome(Question::Circle), Outcome::Failed, "40 of 50 went back");
        assert_eq!(outcome(Question::SameParty), Outcome::Passed);
        assert_eq!(outcome(Question::Age), Outcome::Warning);
        assert_eq!(outcome(Question::ReExecution), Outcome::Unknown);
    }

    #[tokio::test]
    async fn a_blessed_job_is_found_behind_any_number_of_others() {
        let example = spec::parse_json(spec::EXAMPLE.as_bytes()).expect("the example");
        let again = (10..40).flat_map(|n| job_of(JobId(B256::with_last_byte(n)), 1, &example)).collect();
        let (_folder, history, record) = settled(100, &example, again).await;
        let last = history.settled_job(JobId(B256::with_last_byte(39))).await.expect("read").expect("it was settled");
        let outcome = async |blessed_jobs| {
            let elsewhere = Elsewhere { blessed_jobs, ..Elsewhere::default() };
            let facts = facts(&history, &last, elsewhere).await.expect("read");
            let all = checks(&facts, &Policy::default(), &Asset::coin(), end_of(&record));
            all.into_iter().find(|check| check.question == Question::Duplicate).expect("answered").outcome
        };
        assert_eq!(outcome(vec![]).await, Outcome::Warning);
        assert_eq!(outcome(vec![last.job.job]).await, Outcome::Warning, "itself is no other job");
        assert_eq!(outcome(vec![JobId(B256::with_last_byte(38))]).await, Outcome::Failed);
    }

    /// No way takes more than 9 of 100, and 99 of 100 come back.
    #[tokio::test]
    async fn money_in_a_circle_is_found_however_it_is_split() {
        let example = spec::parse_json(spec::EXAMPLE.as_bytes()).expect("the example");
        let amount = AttoFil(9);
        let split = (10..21).map(Address::with_last_byte).flat_map(|between| {
            [
                Event::Withdrawn { account: PROVIDER, to: between, amount },
                Event::Deposited { account: CLIENT, payer: between, amount },
            ]
        });
        let (_folder, history, record) = settled(100, &example, split.collect()).await;
        let kept = history.settled_job(JOB).await.expect("read").expect("it was settled");
        let facts = facts(&history, &kept, Elsewhere::default()).await.expect("read");
        assert_eq!((facts.back, facts.way_back.as_ref().map(|way| way.amount)), (AttoFil(99), Some(amount)));
        let all = checks(&facts, &Policy::default(), &Asset::coin(), end_of(&record));
        let circle = all.iter().find(|check| check.question == Question::Circle).expect("answered");
        assert_eq!(circle.outcome, Outcome::Failed, "{}", circle.answer);
    }
}
