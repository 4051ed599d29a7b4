//! `lota content get` and `lota content cat`.

use std::path::PathBuf;

use clap::Args;

use super::{name::Name, save};
use crate::{
    api::Part,
    context::Context,
    flags::Raw,
    streams::copy_to_stdout,
    terminal::{self, file_count},
    units::ByteSize,
};

/// Save content as a file or folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota content get bafybei.../texts
  lota content get bafybei... -o results")]
pub(crate) struct Get {
    /// The content: CID, or CID/path
    content: Name,
    /// Where to save it; must not exist [default: the path's last name, or the CID, in this folder]
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
}

/// Print a file.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota content cat bafybei.../texts/constitution.txt | wc -w")]
pub(crate) struct Cat {
    /// The file: CID, or CID/path
    content: Name,
    #[command(flatten)]
    raw: Raw,
}

impl Get {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let destination = self.output.clone().unwrap_or_else(|| self.content.file_name().into());
        save::check_free(&destination)?;
        let saved = save::content(&context.api()?, &self.content.cid, &self.content.segments(), &destination).await?;
        terminal::print(&format!("{}\n", destination.display()))?;
        terminal::tell(&format!("Saved {}: {}.", ByteSize(saved.bytes), file_count(saved.entries)));
        Ok(())
    }
}

impl Cat {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let response = api.content(&self.content.cid.to_string(), &self.content.segments(), Part::Bytes).await?;
        copy_to_stdout(&api, response, self.raw).await
    }
}
