//! `lota canary`.

mod attempt;
mod job;
mod metrics;
mod phases;
mod report;
mod tidy;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use lota_node::monitoring::Server;
use tokio::time::{Instant, sleep_until, timeout};

use self::{attempt::Attempt, job::Material, metrics::Metrics, phases::Reached, report::Report, tidy::Leftovers};
use crate::{
    context::Context,
    failure::{self, ExitWith, Usage},
    host::Signals,
    terminal::{self, Progress},
    units::{Amount, Count, Seconds},
};

/// The shortest time from a run that failed to the next: one that fails at once must not keep the machine busy.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a run that failed or was interrupted may take to leave nothing behind.
const TIDYING: Duration = Duration::from_secs(30);

/// Keep one small job going through the whole way (asked for, taken, run, paid, its output fetched and compared), and measure it:
/// whether the market works for a client, and how fast.
///
/// Each run is a job with a number of its own, so that nothing of it can be cached; it costs what a job costs. Runs never overlap. What
/// a run leaves with the daemon is let go of. On a terminal each run is a line; in a pipe only failures are told, on stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota canary --monitoring 127.0.0.1:9465
  lota canary --every 1h --timeout 10m --max-price '0.01 FIL' --json
  lota canary --every 0s --count 30

Exit codes: with --count 1 if a run failed, and 128 and its number after a signal;
without --count Ctrl-C and SIGTERM end it with 0.")]
pub(crate) struct Canary {
    /// Time from the beginning of a run to that of the next; a run that takes longer is followed by the next at once
    #[arg(long, value_name = "TIME", default_value = "5m")]
    every: Seconds,
    /// How long a run may take; one that takes longer has failed, and its job is cancelled if nobody has taken it
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: Seconds,
    /// End after so many runs [default: never]
    #[arg(long, value_name = "COUNT")]
    count: Option<Count>,
    /// The most that you pay for each job [default: 0.1 FIL]
    #[arg(long, value_name = "AMOUNT")]
    max_price: Option<Amount>,
    /// Serve metrics for Prometheus, health and readiness there, to everybody who can reach the address [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    monitoring: Option<SocketAddr>,
    /// Print one JSON document for each run, in a line
    #[arg(long)]
    json: bool,
}

impl Canary {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let limit = self.timeout.duration();
        if limit.is_zero() {
            return Err(Usage("--timeout is 0s, in which no run can succeed; name for example 5m".to_owned()).into());
        }
        if self.count.is_some_and(|Count(count)| count == 0) {
            return Err(Usage(
                "--count is 0, but there is nothing to do without a run; leave it out for a canary without end"
                    .to_owned(),
            )
            .into());
        }
        let settings =
            context.layers.clone().flag("--max-price", "job.max_price", self.max_price.as_ref()).settings()?;
        let mut signals = Signals::listen()?;
        let material = Material::new()?;
        let metrics = Arc::new(Metrics::new(limit + TIDYING));
        let server = match self.monitoring {
            Some(address) => {
                let started = Server::start(address, metrics::Served::of(&metrics)).await;
                Some(started.with_context(|| format!("cannot listen at {address} for --monitoring"))?)
            }
            None => None,
        };
        if let Some(server) = &server {
            terminal::tell(&format!("monitoring at http://{}", server.address()));
        }
        let progress = Progress::start(self.json);
        let runner =
            Runner { context, job: &settings.job, material: &material, metrics: &metrics, progress: &progress };
        let ended = self.all(&runner, &mut signals).await;
        progress.finish();
        if let Some(server) = server {
            server.shutdown().await;
        }
        ended
    }

    /// All runs, one after another.
    async fn all(&self, runner: &Runner<'_>, signals: &mut Signals) -> anyhow::Result<()> {
        let (mut number, mut failed) = (0, 0);
        let mut leftovers = Leftovers::default();
        loop {
            number += 1;
            let began = Instant::now();
            let interrupted = match runner.once(number, self.timeout.duration(), signals, &mut leftovers).await? {
                Ok(report) => {
                    failed += u64::from(!report.is_ok());
                    let pause = if report.is_ok() { Duration::ZERO } else { PAUSE };
                    let next = (began + self.every.duration()).max(Instant::now() + pause);
                    runner.progress.aside(|| report.show(self.json))?;
                    if self.count.is_some_and(|Count(count)| number >= count) {
                        break;
                    }
                    runner.progress.say(format!("waiting for run {}", number + 1));
                    tokio::select! {
                        // First, so that one who is told to end begins no run.
                        biased;
                        signal = signals.next() => Some(signal),
                        () = sleep_until(next) => None,
                    }
                }
                Err(signal) => Some(signal),
            };
            if let Some(signal) = interrupted {
                return match self.count {
                    Some(_) => Err(ExitWith(128_u8.saturating_add(signal)).into()),
                    None => Ok(()),
                };
            }
        }
        if failed > 0 {
            anyhow::bail!("{failed} of {} failed", terminal::plural(number, "run"));
        }
        Ok(())
    }
}

/// What all runs have in common.
struct Runner<'a> {
    context: &'a Context,
    job: &'a crate::settings::Job,
    material: &'a Material,
    metrics: &'a Metrics,
    progress: &'a Progress,
}

impl Runner<'_> {
    /// One run. The inner error is the signal that interrupted it.
    ///
    /// # Errors
    /// When no run can succeed, because a setting is wrong.
    async fn once(
        &self,
        number: u64,
        limit: Duration,
        signals: &mut Signals,
        leftovers: &mut Leftovers,
    ) -> anyhow::Result<Result<Report, u8>> {
        let began = Timestamp::now();
        self.metrics.begin();
        self.progress.say(format!("run {number}"));
        let mut attempt = Attempt::new(self.context, self.job, self.material, self.progress);
        let nonce = attempt.nonce().to_owned();
        let outcome = tokio::select! {
            outcome = timeout(limit, attempt.run()) => Ok(outcome),
            signal = signals.next() => Err(signal),
        };
        let outcome = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(attempt.late(limit).await),
            Err(signal) => {
                // The job, if there is one, is wanted by nobody.
                leftovers.add(nonce);
                let _ = timeout(TIDYING, leftovers.tidy(self.context)).await;
                return Ok(Err(signal));
            }
        };
        let reached: Reached = attempt.into_reached();
        let report = match outcome {
            Ok(()) => Report::new(number, began, reached, None),
            Err(error) if error.downcast_ref::<Usage>().is_some() => return Err(error),
            Err(error) => {
                leftovers.add(nonce);
                Report::new(number, began, reached, Some(failure::line(&error)))
            }
        };
        self.metrics.end(&report);
        // Those of earlier runs, too, that could not be reached then. What cannot be done now is tried after the next run.
        let _ = timeout(TIDYING, leftovers.tidy(self.context)).await;
        if let Err(error) = self.material.clear().await {
            return Err(error.context("the canary's own temporary store cannot be cleared"));
        }
        Ok(Ok(report))
    }
}
