//! `lota content ls`.

use clap::Args;

use super::name::Name;
use crate::{
    context::Context,
    flags::Format,
    terminal::{self, Column, Table, printable},
    units::ByteSize,
};

/// List a folder.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota content ls bafybei.../outputs")]
pub(crate) struct Ls {
    /// The folder: CID, or CID/path
    content: Name,
    #[command(flatten)]
    format: Format,
}

impl Ls {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let entries = context.api()?.content_entries(&self.content.cid.to_string(), &self.content.segments()).await?;
        if self.format.json {
            return terminal::print_json(&entries);
        }
        let mut table = Table::new([Column::Left, Column::Right, Column::Left]);
        for entry in entries {
            let slash = if entry.kind == "directory" { "/" } else { "" };
            table.row([
                printable(&entry.cid),
                ByteSize(entry.size).to_string(),
                format!("{}{slash}", printable(&entry.name)),
            ]);
        }
        terminal::print(&table.render())
    }
}
