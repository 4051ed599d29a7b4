//! A job that is waited for and shown as if its program had run on this machine.

use std::{path::Path, time::Duration};

use futures::StreamExt as _;
use lota_api::{JobDetail, OpenedJob, Verdict};
use lota_market::asset::Asset;
use lota_market::model::Status;
use serde::Serialize;

use super::{
    decisions::{self, refusals},
    describe, ending,
    follow::{Followed, follow, if_interrupted, lost},
    offer,
};
use crate::{
    api::{Api, Part},
    context::Context,
    failure::ExitWith,
    flags::{Format, Raw},
    streams,
    terminal::{self, Progress},
    verbs::content::save,
};

/// The most bytes of stdout or stderr that `--json` shows.
const MAX_JSON_TEXT: usize = 16 << 20;

/// How much longer than a provider may be silent one call waits for refusals.
const ASK_FOR: Duration = Duration::from_secs(60);
/// The longest that one call waits.
const MOST: Duration = Duration::from_secs(600);

/// What `--json` prints: the job, and what it wrote.
#[derive(Serialize)]
struct Ran<'a> {
    #[serde(flatten)]
    job: &'a JobDetail,
    stdout: String,
    stderr: String,
    /// Whether one of the two is cut off.
    truncated: bool,
}

/// How a job that was asked for is waited for and shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited<'a> {
    /// Say nothing on stderr but what the job writes there.
    pub(crate) quiet: bool,
    /// Whether one JSON document is wanted.
    pub(crate) format: Format,
    /// How its bytes come to the terminal.
    pub(crate) raw: Raw,
    /// Where its output files are saved.
    pub(crate) output_dir: Option<&'a Path>,
    /// How long a provider may say nothing before the refusals of all others count.
    pub(crate) silence: Duration,
    /// What amounts are in.
    pub(crate) asset: &'a Asset,
}

impl Awaited<'_> {
    /// Waits until the job has ended.
    ///
    /// # Errors
    /// When the daemon cannot be asked, or every provider refuses the job, which is then withdrawn.
    pub(crate) async fn until_end(
        &self,
        context: &Context,
        api: &Api,
        opened: &OpenedJob,
        progress: &Progress,
    ) -> anyhow::Result<Box<JobDetail>> {
        let id = opened.job.id.to_string();
        context.last_words.set(if_interrupted(&opened.job));
        if !self.quiet {
            // At once: whoever waits must be able to look at the job from elsewhere.
            progress.aside(|| {
                terminal::tell(&format!("job {id}"));
                offer::tell(opened, self.asset, self.format);
            });
        }
        let seen = |job: &JobDetail| context.last_words.set(if_interrupted(&job.summary));
        let followed = tokio::select! {
            // It is open, whether or not the daemon has answered since.
            followed = follow(api, &id, progress, None, seen) => followed.map_err(|error| lost(error, &id))?,
            reasons = refused_by_all(api, &id, self.silence) => {
                let cancelled = api.cancel(&id).await;
                if cancelled.is_err() && api.job(&id).await.is_ok_and(|job| job.summary.status != Status::Open) {
                    // One that had said nothing took it at the last moment.
                    follow(api, &id, progress, None, seen).await?
                } else {
                    progress.finish();
                    let withdrawn = match cancelled {
                        Ok(_) => "it was withdrawn, and the escrow came back".to_owned(),
                        Err(error) => format!("it could not be withdrawn ({error:#}); see `lota job describe {id}`"),
                    };
                    anyhow::bail!("every provider refuses job {id}: {reasons}; {withdrawn}");
                }
            }
        };
        let (Followed::Ended(job) | Followed::TimeOver(job)) = followed;
        Ok(job)
    }

    /// Shows what came of the job; ends with its exit code.
    ///
    /// # Errors
    /// When it came to no result, or the output is not here; [`ExitWith`] the program's exit code.
    pub(crate) async fn show(&self, api: &Api, job: &JobDetail) -> anyhow::Result<()> {
        let summary = &job.summary;
        let id = summary.id.to_string();
        if summary.status != Status::Settled {
            let refusals = refusals(job).map(|refusals| format!(" ({refusals})")).unwrap_or_default();
            anyhow::bail!(
                "job {id} came to no result: it was {}, because {}{refusals}; `lota job describe {id}` tells more",
                terminal::status_name(summary.status),
                describe::reason(summary.reason)
            );
        }
        if !summary.output_verified {
            let problem = job.problem.as_deref().unwrap_or("it cannot be fetched yet");
            anyhow::bail!("job {id} was settled, but its output is not here: {problem}; try `lota job get {id}` later");
        }
        let stdout = api.output(&id, &["stdout"], Part::Bytes).await?;
        let stderr = api.output(&id, &["stderr"], Part::Bytes).await?;
        if self.format.json {
            let (stdout, stdout_cut) = text(api, stdout).await?;
            let (stderr, stderr_cut) = text(api, stderr).await?;
            terminal::print_json(&Ran { job, stdout, stderr, truncated: stdout_cut || stderr_cut })?;
        } else {
            streams::copy_to_stdout(api, stdout, self.raw).await?;
            streams::copy_to_stderr(api, stderr, self.raw).await?;
        }
        if let Some(folder) = self.output_dir {
            save::output(api, &id, &["outputs"], folder).await?;
        }
        if !self.quiet && !self.format.json {
            if let Some(failure) = ending::failure(job) {
                terminal::tell(&terminal::bad(&failure));
            }
            terminal::tell(&outcome(job, self.asset));
        }
        match summary.exit_code {
            None | Some(0) => Ok(()),
            // What does not fit into a process' exit code must at least not look like success.
            Some(code) => Err(ExitWith(u8::try_from(code).unwrap_or(u8::MAX)).into()),
        }
    }
}

/// Ends when nobody is left who may take the job, with everybody's reasons; otherwise never. A person who waits for a program
/// to run need not wait for the deadline to learn that nobody will run it.
async fn refused_by_all(api: &Api, id: &str, silence: Duration) -> String {
    loop {
        // With each call the providers' time to say something begins anew.
        match api.wait_for_refusals(id, silence, silence.saturating_add(ASK_FOR).min(MOST)).await {
            Ok(job) if job.refused_by_all => {
                let silent = job.decisions.iter().filter(|decision| decision.decision == Verdict::Silent).count();
                let others = if silent == 0 {
                    String::new()
                } else {
                    format!("; {} said nothing", terminal::plural(silent as u64, "other"))
                };
                return refusals(&job).unwrap_or_default() + &others;
            }
            Ok(job) if !job.summary.status.is_final() => {}
            // Whoever follows the job learns of everything else.
            _ => return std::future::pending().await,
        }
    }
}

/// A line about price, provider and output.
fn outcome(job: &JobDetail, asset: &Asset) -> String {
    let summary = &job.summary;
    let mut parts = Vec::new();
    if let (Some(price), Some(provider)) = (summary.price, summary.provider) {
        let decision = job.decisions.iter().find(|decision| decision.provider == provider);
        let name = decision.map_or_else(|| provider.to_string(), decisions::name);
        parts.push(format!("paid {} to {name}", asset.show(price)));
    }
    if let Some(output) = &summary.output {
        parts.push(format!("output {}", terminal::printable(output)));
    }
    terminal::dim(&parts.join(", "))
}

/// A response's text, and whether it is cut off.
async fn text(api: &Api, response: reqwest::Response) -> anyhow::Result<(String, bool)> {
    let mut bytes = Vec::new();
    let mut pieces = std::pin::pin!(api.pieces(response));
    let mut cut = false;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let room = MAX_JSON_TEXT - bytes.len();
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            cut = true;
            break;
        }
    }
    Ok((String::from_utf8_lossy(&bytes).into_owned(), cut))
}
