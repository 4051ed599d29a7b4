//! `lota content`.

mod add;
mod ls;
pub(crate) mod name;
mod piece;
mod rm;
pub(crate) mod save;
mod show;
pub(crate) mod upload;

use clap::Subcommand;

use crate::context::Context;

/// Add and fetch content by CID. What the daemon does not have, it fetches from the gateways of the market's parties, and
/// verifies.
#[derive(Debug, Subcommand)]
pub(crate) enum Content {
    /// Add a file or a folder; prints its CID, the same that `ipfs add --cid-version=1` gives
    Add(add::Add),
    /// Save content as a file or folder, which must not exist
    Get(show::Get),
    /// Print a file
    Cat(show::Cat),
    /// List a folder
    Ls(ls::Ls),
    /// Print what Filecoin calls a file or content: its piece CIDs and sizes
    Piece(piece::Piece),
    /// Stop keeping content that was added
    Rm(rm::Rm),
}

impl Content {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Add(verb) => verb.run(context).await,
            Self::Get(verb) => verb.run(context).await,
            Self::Cat(verb) => verb.run(context).await,
            Self::Ls(verb) => verb.run(context).await,
            Self::Piece(verb) => verb.run(context).await,
            Self::Rm(verb) => verb.run(context).await,
        }
    }
}
