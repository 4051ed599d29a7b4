//! Content addressing for Lota: CIDs, UnixFS, CAR, the block store and the trustless gateway.

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
mod read;
mod resolve;
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
pub use export::{ExportError, ExportLimits, ExportSymlinks, Exported, export_to};
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
