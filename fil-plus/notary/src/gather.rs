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

/// What the market's history does not know of a job, and others do.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// What a registry answered of its inputs; `None`: its spec is not known.
    pub inputs: Option<Vec<InputEvidence>>,
    pub retrieval: Retrieval,
    pub re_execution: ReExecution,
    pub blessed: Blessed,
    /// Which of these jobs were blessed.
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
    let earlier = history
        .alike(kept)
        .await?
        .into_iter()
        .map(|(job, same)| EarlierJob { job, same: same.into(), blessed: elsewhere.blessed_jobs.contains(&job) })
        .collect();
    Ok(Facts {
        inputs: elsewhere.inputs,
        retrieval: elsewhere.retrieval,
        re_execution: elsewhere.re_execution,
        earlier,
        pair: history.pair(job.client, job.provider).await?,
        way_back: flows.widest(job.provider, job.client, MAX_STEPS),
        all_ways,
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
                ContractEvent::Auction(_) | ContractEvent::Blessing(_) => None,
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
        Address, AttoFil, Bytes,
        asset::Asset,
        model::{Event, Reason},
        world::Log,
    };

    use super::*;
    use crate::review::{Outcome, Policy, Question, checks};

    #[tokio::test]
    async fn a_recorded_market_tells_what_a_notary_should_know() {
        let example = spec::parse_json(spec::EXAMPLE.as_bytes()).expect("the example");
        let (client, provider, job) =
            (Address::with_last_byte(1), Address::with_last_byte(2), JobId(B256::with_last_byte(3)));
        let terms = lota_market::model::Terms {
            client,
            salt: lota_market::U256::ZERO,
            spec: B256::with_last_byte(9),
            spec_codec: SpecCodec::DagCbor.code(),
            min_price: AttoFil::ZERO,
            max_price: AttoFil(50),
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
        let events = [
            Event::JobOpened { job, terms, spec: Bytes::from(example.to_dag_cbor()) },
            Event::ResultSubmitted { job, provider, result: lota_market::model::JobResult::default() },
            Event::JobSettled { job, provider, price: AttoFil(50), reason: Reason::Accepted },
            Event::Withdrawn { account: provider, to: client, amount: AttoFil(40) },
        ];
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
        let history = History::open(folder.path(), "a recording").await.expect("a database");
        take_recorded(&history, &record).await.expect("taken");

        let kept = history.settled_job(job).await.expect("read").expect("it was settled");
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
}
