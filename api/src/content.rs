//! Content in the daemon's store.

use serde::{Deserialize, Serialize};

/// `POST /v1/content` (body: a CAR): what was stored and pinned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// The CAR's roots; all are pinned.
    pub roots: Vec<String>,
    /// Blocks in it.
    pub blocks: u64,
    /// Bytes of these blocks.
    pub bytes: u64,
}

/// `GET /v1/content/{cid}[/path]?list=true`: one entry of a directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContentEntry {
    pub name: String,
    pub cid: String,
    /// `file`, `directory`, `raw` or another codec's name.
    pub kind: String,
    /// Bytes of the file, or of all below the directory's root block as its links say.
    pub size: u64,
}
