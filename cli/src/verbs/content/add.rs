//! `lota content add`.

use std::path::PathBuf;

use clap::Args;

use super::upload::{self, Keep, Links};
use crate::{
    context::Context,
    flags::Format,
    terminal::{self, Progress, file_count},
    units::ByteSize,
};

/// Add a file or a folder to the daemon's block store, and keep it there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota content add ./texts
  tar c . | lota content add -
  lota content add --only-cid big.bin")]
pub(crate) struct Add {
    /// The file or folder; `-` for stdin
    path: PathBuf,
    /// Store symbolic links as links instead of refusing them
    #[arg(long)]
    keep_links: bool,
    /// Only compute the CID; needs no daemon
    #[arg(long)]
    only_cid: bool,
    #[command(flatten)]
    format: Format,
}

impl Add {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let links = if self.keep_links { Links::Keep } else { Links::Refuse };
        let progress = Progress::start(self.format.json);
        let added = if self.only_cid {
            upload::cid_only(&self.path, links, &progress).await?
        } else {
            upload::path(&context.api()?, &self.path, links, Keep::Always, &progress).await?
        };
        progress.finish();
        if self.format.json {
            return terminal::print_json(&added);
        }
        terminal::print(&format!("{}\n", added.cid))?;
        if !self.only_cid {
            terminal::tell(&format!("Added {}: {}.", ByteSize(added.size), file_count(added.entries)));
        }
        Ok(())
    }
}
