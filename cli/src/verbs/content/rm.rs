//! `lota content rm`.

use clap::Args;

use crate::{context::Context, terminal};

/// Stop keeping content that was added: it is deleted when space runs out
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota content rm bafybeih33vh4nlz5jp25qlkypk63kiuewqw7g3xzk4z7askyakcjycy7xi")]
pub(crate) struct Rm {
    /// Its CID
    cid: String,
}

impl Rm {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let cid = lota_content::parse_cid(&self.cid).map_err(|error| crate::failure::Usage(error.to_string()))?;
        context.api()?.forget(&cid.to_string()).await?;
        terminal::tell(&format!("{cid} is not kept any more; it is deleted when space runs out."));
        Ok(())
    }
}
