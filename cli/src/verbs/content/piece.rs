//! `lota content piece`.

use std::{fs::File, io, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use futures::{StreamExt as _, pin_mut};
use lota_content::piece::{PieceCid, PieceCidError, PieceCommitment, PieceHasher, piece_of_reader};
use serde::Serialize;

use super::name::Name;
use crate::{
    api::Part,
    aside::aside,
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Column, Progress, Table},
    units::ByteSize,
};

/// Print what Filecoin calls content: the piece CIDs of both versions, and the piece's size. Of a file, these are of its bytes
/// (a CAR file, mostly); of a CID, of the CAR with that content; of a piece CID, what it says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota content piece dataset.car
  lota content piece bafybei...
  lota content piece bafkzcib... --json
  curl -s https://example.org/dataset.car | lota content piece -")]
pub(crate) struct Piece {
    /// A file, `-` for stdin, the CID of content, or a piece CID (`./NAME` is always a file)
    #[arg(value_name = "FILE|CID")]
    of: String,
    #[command(flatten)]
    format: Format,
}

/// What is printed of a piece; version 1 of a piece CID alone tells no size.
#[derive(Debug, Serialize)]
struct Printed {
    v1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    v2: Option<String>,
    #[serde(flatten)]
    sizes: Option<Sizes>,
}

#[derive(Debug, Serialize)]
struct Sizes {
    /// Bytes of content.
    size: u64,
    /// With the zeros behind it.
    unpadded_size: u64,
    /// What the chain calls the piece's size.
    padded_size: u64,
}

impl From<PieceCid> for Printed {
    fn from(piece: PieceCid) -> Self {
        let v1 = piece.v1().to_string();
        match piece {
            PieceCid::V1(_) => Self { v1, v2: None, sizes: None },
            PieceCid::V2(piece) => Self {
                v1,
                v2: Some(piece.v2().to_string()),
                sizes: Some(Sizes {
                    size: piece.size(),
                    unpadded_size: piece.unpadded_size(),
                    padded_size: piece.padded_size(),
                }),
            },
        }
    }
}

impl Piece {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let progress = Progress::start(self.format.json);
        let piece = match self.of.parse::<PieceCid>() {
            Ok(piece) => piece,
            Err(error @ (PieceCidError::Digest { .. } | PieceCidError::Sealed { .. })) => {
                return Err(Usage(error.to_string()).into());
            }
            Err(_) => match self.of.parse::<Name>() {
                Ok(name) => of_content(context, &name).await?.into(),
                Err(_) => of_file(&self.of, &progress).await?.into(),
            },
        };
        progress.finish();
        let printed = Printed::from(piece);
        if self.format.json {
            return terminal::print_json(&printed);
        }
        let mut table = Table::new([Column::Left, Column::Left]);
        table.row(["v1", &printed.v1]);
        if let Some(v2) = &printed.v2 {
            table.row(["v2", v2]);
        }
        if let Some(sizes) = &printed.sizes {
            for (name, size) in [("size", sizes.size), ("unpadded", sizes.unpadded_size), ("padded", sizes.padded_size)]
            {
                table.row([name, &format!("{size} ({})", ByteSize(size))]);
            }
        }
        terminal::print(&table.render())
    }
}

async fn of_file(path: &str, progress: &Progress) -> anyhow::Result<PieceCommitment> {
    progress.say(format!("hashing {}", terminal::printable(path)));
    if path == "-" {
        return aside(|| piece_of_reader(io::stdin().lock(), 0)).await?.context("cannot read stdin");
    }
    let (name, path) = (format!("cannot read {}", terminal::printable(path)), PathBuf::from(path));
    aside(move || File::open(path).and_then(|file| piece_of_reader(file, 0))).await?.context(name)
}

/// Of the CAR of content, as the daemon gives it.
async fn of_content(context: &Context, name: &Name) -> anyhow::Result<PieceCommitment> {
    let api = context.api()?;
    let response = api.content(&name.cid.to_string(), &name.segments(), Part::Car).await?;
    let pieces = api.pieces(response);
    pin_mut!(pieces);
    let mut hasher = PieceHasher::new(0);
    while let Some(bytes) = pieces.next().await {
        hasher.update(&bytes?);
    }
    Ok(hasher.finish())
}
