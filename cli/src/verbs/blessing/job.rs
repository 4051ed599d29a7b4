//! What the logs of a market and a blessing say of one job.

use anyhow::{Context as _, bail};
use lota_bridge::evm::{Source, bindings, blessing};
use lota_market::{
    Time,
    blessing::{Event, Nomination, Phase},
    model::{self, JobId, Receipt, Terms},
};

use crate::{chain::ChainBlessing, failure::Usage};

/// Logs whose first field is this job.
fn of_job(source: Source, job: JobId) -> Source {
    Source { topics: vec![Vec::new(), vec![job.0]], ..source }
}

/// What the blessing said of a job, in order.
pub(super) async fn history(blessing: &ChainBlessing, job: JobId) -> anyhow::Result<Vec<(Time, Event)>> {
    let source = of_job(blessing.blessing().source(), job);
    blessing.said(source, |log| blessing::decode(&log.topics, &log.data)).await
}

/// The nomination of a job that runs, as the blessing has it in storage; its phase.
pub(super) async fn running(blessing: &ChainBlessing, job: JobId) -> anyhow::Result<(Nomination, Phase)> {
    let there = blessing.blessing();
    let endpoint = blessing.endpoint();
    let record = endpoint.view(there.contract(), &blessing::record_of(job), Default::default()).await?;
    match record.phase {
        Phase::Nominated | Phase::Blessed => {}
        Phase::Granted => bail!("job {job} was granted; that is its end"),
        Phase::None if record.round == 0 => bail!("job {job} was never nominated (`lota blessing nominate {job}`)"),
        Phase::None => bail!("the nomination of job {job} has ended; it can be nominated again"),
    }
    let said = history(blessing, job).await?;
    let nomination = said.into_iter().rev().find_map(|(_, event)| match event {
        Event::JobNominated { nomination, .. } if nomination.round == record.round => Some(*nomination),
        _ => None,
    });
    let nomination = nomination.with_context(|| {
        format!("the chain's node has no log of the nomination of job {job}; name an earlier block with --from-block")
    })?;
    Ok((nomination, record.phase))
}

/// The terms of a settled job, and the receipt that it ended with.
pub(super) async fn settled(blessing: &ChainBlessing, job: JobId) -> anyhow::Result<(Terms, Receipt)> {
    let source = of_job(blessing.market().market().source(), job);
    let said = blessing.said(source, |log| bindings::decode(&log.topics, &log.data)).await?;
    let (mut opened, mut submitted, mut paid) = (None, None, None);
    for (_, event) in said {
        match event {
            model::Event::JobOpened { terms, .. } => opened = Some(terms),
            model::Event::ResultSubmitted { provider, result, .. } => submitted = Some((provider, result)),
            model::Event::JobSettled { price, .. } => paid = Some(price),
            _ => {}
        }
    }
    let terms = opened.with_context(|| {
        format!(
            "no such job was opened at the market {} as far as its log was read; check the id, and name an earlier block with --from-block",
            blessing.market().contract()
        )
    })?;
    if !terms.keep_record {
        let asks = "open jobs with --bless to have them blessed";
        return Err(Usage(format!("job {job} was opened without keepRecord, so it cannot be nominated; {asks}")).into());
    }
    match (submitted, paid) {
        (Some((provider, result)), Some(price)) => Ok((terms, Receipt { provider, price, result })),
        _ => bail!(
            "job {job} is not settled; only settled jobs can be nominated (`lota job describe` says what it waits for)"
        ),
    }
}
