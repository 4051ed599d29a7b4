//! `lota job submit`.

use std::path::PathBuf;

use clap::Args;

use super::{
    document,
    terms::{TermFlags, over, terms_of},
};
use crate::{arguments::Format, context::Context, terminal};

/// Ask for a job that a JSON file describes. Prints the job's id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota job submit job.json --max-price '0.05 FIL'
  lota job describe 0x3f21 --spec | lota job submit -

The file is a spec (docs/spec.md), or a request: { \"spec\": {...}, \"terms\": {...}, \"idempotency_key\": \"...\" }.
Flags take precedence over the file's terms, those over the settings, and those over the daemon's defaults.")]
pub(crate) struct Submit {
    /// The description, a JSON file; `-` for stdin
    file: PathBuf,
    /// Any name; submitting with the same name again opens no second job, but gives the first one
    #[arg(long, value_name = "NAME")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    terms: TermFlags,
}

impl Submit {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let text = document::read(&self.file)?;
        let document = document::parse(&text).map_err(|faults| faults.into_usage(&self.file))?;
        let mut request = document.request;
        let below = terms_of(&context.settings()?.job)?;
        request.terms = over(self.terms.terms()?, over(request.terms, below));
        if self.idempotency_key.is_some() {
            request.key.clone_from(&self.idempotency_key);
        }
        let job = context.api()?.open(&request).await?;
        if self.format.json {
            return terminal::print_json(&job);
        }
        terminal::print(&format!("{}\n", job.id))
    }
}
