//! What `--json` prints.

use std::time::Duration;

use lota_api::JobDetail;
use lota_market::{Address, AttoFil};
use serde::Serialize;

use super::{
    accounts::Money, checks::Check, notaries::Blessed, output::Output, parties::Parties, plan::Job, question::Asked,
};

/// The demo, told to a program. Amounts are attoFIL as decimal strings.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Whether everything is as it should be.
    pub(super) ok: bool,
    /// How long it took.
    pub(super) seconds: f64,
    /// Who took part.
    pub(super) parties: Vec<Party>,
    /// The jobs.
    pub(super) jobs: Vec<ReportedJob>,
    /// What a contract asked; without a chain there is none.
    pub(super) asked: Option<Asked>,
    /// What notaries blessed; only with `--fil-plus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blessed: Option<Blessed>,
    /// The money.
    pub(super) money: Money,
    /// What was checked.
    pub(super) checks: Vec<Check>,
}

/// Someone who took part.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Party {
    pub(super) name: &'static str,
    pub(super) address: Address,
    pub(super) provider: bool,
    pub(super) gateway: String,
    /// What a provider asks for any job, at least.
    pub(super) asks: Option<AttoFil>,
}

/// A job.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReportedJob {
    pub(super) what: &'static str,
    pub(super) client: &'static str,
    pub(super) provider: Option<String>,
    /// CID of the program.
    pub(super) module: String,
    /// CID of what it read.
    pub(super) input: String,
    /// What the provider's gateway gave.
    pub(super) output: Option<Output>,
    /// As `lota job describe --json` prints it.
    pub(super) job: JobDetail,
}

impl Report {
    pub(super) fn new(
        all: &Parties,
        jobs: Vec<Job>,
        outputs: Vec<Option<Output>>,
        asked: Option<Asked>,
        money: Money,
        checks: Vec<Check>,
        took: Duration,
    ) -> Self {
        let parties = all
            .people
            .iter()
            .map(|person| Party {
                name: person.name,
                address: person.account.address(),
                provider: person.offer.is_some(),
                gateway: person.gateway.clone(),
                asks: person.offer.as_ref().map(|offer| offer.pricing.base),
            })
            .collect();
        let jobs = jobs
            .into_iter()
            .zip(outputs)
            .map(|(job, output)| ReportedJob {
                what: job.what,
                client: job.client,
                provider: job.detail.summary.provider.map(|provider| all.name_of(provider)),
                module: job.module.to_string(),
                input: job.input.to_string(),
                output,
                job: job.detail,
            })
            .collect();
        let seconds = (took.as_secs_f64() * 1e3).round() / 1e3;
        Self { ok: checks.iter().all(|check| check.ok), seconds, parties, jobs, asked, blessed: None, money, checks }
    }
}
