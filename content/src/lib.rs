//! Content addressing for Lota: CIDs, UnixFS, CAR, the block store and the trustless gateway. This
//! crate knows no market.
//!
//! | to | use |
//! | --- | --- |
//! | find the CID of something | [`cid_of_path`], [`cid_of_reader`], [`cid_of_bytes`] |
//! | keep it | [`Store`], [`import_path`], [`import_reader`], [`import_bytes`], [`DirBuilder`] |
//! | protect it from garbage collection | [`Store::pin`]; while it is being made, [`Store::guard`] |
//! | look into it | [`resolve`], [`list`], [`read`](fn@read), [`walk`](fn@walk), [`dag_stat`] |
//! | put it on disk | [`export_to`]; see what that would write, [`measure`](fn@measure) |
//! | move it in one file | [`car_export`], [`car_import`] |
//! | serve it | [`gateway::router`], under the limits of [`serve::serve`] |
//! | fetch it from those who serve it | [`fetch::Fetcher`]; piece by piece, [`fetch::FetchingSource`] |
//! | put it on chain, and find it again | [`sha2_256_digest`], [`cid_from_digest`] |
//! | find what Filecoin calls it | [`piece::PieceHasher`], [`piece::PieceCid`] |
//!
//! What reads works over any [`BlockSource`]: a store, or something that fetches. What imports works
//! into any [`BlockSink`]: a guard of a store, or [`HashOnly`]. Importing and the store's own
//! methods block the thread; reading, exporting, fetching and serving are async.
//!
//! ```
//! use lota_content::{ExportLimits, ImportOptions, Store, StoreOptions, export_to, import_path, read_to_vec, resolve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! std::fs::create_dir(dir.join("output"))?;
//! std::fs::write(dir.join("output/answer"), "42")?;
//!
//! let store = Store::open(dir.join("blocks"), StoreOptions::default())?;
//! let options = ImportOptions { pin: Some("job 7: output".to_owned()), ..ImportOptions::default() };
//! let output = import_path(&store, dir.join("output"), &options)?;
//! assert_eq!(output.cid.to_string(), "bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by");
//!
//! let answer = resolve(&store, &output.cid, "answer").await?;
//! assert_eq!(read_to_vec(&store, &answer.cid, 100).await?, b"42");
//! export_to(store, &output.cid, dir.join("copy"), &ExportLimits::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is trusted
//!
//! Nothing that comes from outside. Bytes are hashed before they are believed; blocks of strangers
//! are decoded by readers that cannot read past them; sizes that a DAG states are checked against
//! what is there; names are checked before they become those of files; links are never followed;
//! and every loop over what a stranger made has a limit that the caller can name, because a few small
//! blocks can describe more bytes than there are disks.

mod car;
mod dagpb;
mod digest;
mod export;
pub mod fetch;
pub mod gateway;
mod import;
mod links;
mod list;
mod node;
pub mod piece;
mod read;
mod resolve;
pub mod serve;
mod source;
mod store;
#[cfg(test)]
mod testing;
pub mod unixfs;
mod walk;
mod wire;

pub use car::{
    CarDecoder, CarError, CarExportError, CarExported, CarImportError, CarImportOptions, CarImported, CarItem,
    MAX_CAR_HEADER, car_export, car_import, car_stream,
};
pub use cid::Cid;

pub use digest::{
    Block, CidError, IDENTITY, MAX_BLOCK_SIZE, SHA2_256, cid_from_digest, cid_of_block, codec, parse_cid, sha2_256,
    sha2_256_digest, verify,
};
pub use export::{ExportError, ExportLimits, ExportSymlinks, Exported, Measure, export_to, measure};
pub use import::{
    DirBuilder, DirError, ImportError, ImportOptions, Imported, MAX_NAME, Progress, Symlinks, cid_of_bytes,
    cid_of_path, cid_of_reader, import_async_reader, import_bytes, import_bytes_into, import_path, import_path_into,
    import_reader, import_reader_into,
};
pub use links::{LinksError, links};
pub use list::{DirEntry, ListError, list, list_after, list_page};
pub use node::DagError;
pub use read::{ReadError, read, read_to_vec};
pub use resolve::{Entry, EntryKind, MAX_PATH_SEGMENTS, ResolveError, resolve};
pub use source::{BlockSink, BlockSource, HashOnly, SourceError};
pub use store::{
    CheckReport, GcReport, Guard, MAX_PIN_NAME, MAX_PINS, Store, StoreError, StoreOptions, SyncPolicy, Usage,
};
pub use walk::{ByteRange, DagScope, DagStat, WalkError, dag_stat, walk};
