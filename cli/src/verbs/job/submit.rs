//! `lota job submit`.

use std::path::PathBuf;

use clap::Args;
use lota_market::asset::Asset;

use super::{
    awaited::Awaited,
    document, offer,
    terms::{TermFlags, asset_of_amounts, over, terms_of},
};
use crate::{
    context::Context,
    flags::{Format, Raw},
    terminal::{self, Progress},
    verbs::content::save,
};

/// Ask for a job that a JSON file describes. Prints the job's id, or with --wait what the job writes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota job submit job.json --max-price '0.05 FIL'
  lota job submit job.json --wait --output-dir results
  lota job describe 0x3f21 --spec | lota job submit -

The file is a spec (docs/spec.md), or a request: { \"spec\": {...}, \"terms\": {...}, \"idempotency_key\": \"...\" }.
Flags take precedence over the file's terms, those over the settings, and those over the daemon's defaults.")]
pub(crate) struct Submit {
    /// The description, a JSON file; `-` for stdin
    file: PathBuf,
    /// Any name; submitting with the same name again opens no second job, but gives the first one
    #[arg(long, value_name = "NAME")]
    idempotency_key: Option<String>,
    /// Wait for the job as `lota wasm run` does: print its stdout and stderr, and end with its exit code
    #[arg(long, short)]
    wait: bool,
    /// Print the job's id and do not wait for it; this is the default
    #[arg(long, short, conflicts_with = "wait")]
    detach: bool,
    /// With --wait: save the output files in this folder, which must not exist
    #[arg(long, short = 'o', value_name = "DIR", requires = "wait")]
    output_dir: Option<PathBuf>,
    /// With --wait: say nothing on stderr but what the job writes there
    #[arg(long, short, requires = "wait")]
    quiet: bool,
    #[command(flatten)]
    raw: Raw,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    terms: TermFlags,
}

impl Submit {
    /// Whether stderr is for what the job writes there.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let text = document::read(&self.file)?;
        let document = document::parse(&text).map_err(|faults| faults.into_usage(&self.file))?;
        let mut request = document.request;
        let settings = context.settings()?.job;
        let api = context.api()?;
        let asset = match asset_of_amounts(&api, &settings).await? {
            None => self.terms.asset(&api).await?,
            asset => asset,
        };
        let coin = Asset::coin();
        let unit = asset.as_ref().unwrap_or(&coin);
        request.terms = over(self.terms.terms(unit)?, over(request.terms, terms_of(&settings, unit)?));
        if self.idempotency_key.is_some() {
            request.key.clone_from(&self.idempotency_key);
        }
        if let Some(folder) = &self.output_dir {
            save::check_free(folder)?;
        }
        let opened = api.open(&request).await?;
        let asset = match asset {
            Some(asset) => asset,
            None => api.asset_for_showing().await,
        };
        if self.wait {
            let progress = Progress::start(self.quiet || self.format.json);
            let shown = Awaited {
                quiet: self.quiet,
                format: self.format,
                raw: self.raw,
                output_dir: self.output_dir.as_deref(),
                silence: settings.silence.duration(),
                asset: &asset,
            };
            let job = shown.until_end(context, &api, &opened, &progress).await?;
            progress.finish();
            return shown.show(&api, &job).await;
        }
        if !self.quiet {
            offer::tell(&opened, &asset, self.format);
        }
        if self.format.json {
            return terminal::print_json(&opened);
        }
        terminal::print(&format!("{}\n", opened.job.id))
    }
}
