//! CARs into and out of a store.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cid::Cid;
use futures::stream::{FuturesUnordered, Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{CarDecoder, CarError, CarItem, encode_header, encode_section};
use crate::digest::Block;
use crate::source::BlockSource;
use crate::store::{Guard, Store, StoreError};
use crate::walk::{DagScope, WalkError, walk};

/// Bytes that are read at once.
const READ_SIZE: usize = 256 * 1024;
/// Blocks are checked and stored in batches of this many bytes.
const BATCH: usize = 1 << 20;
/// Batches in flight.
const BATCHES: usize = 4;
/// Blocks smaller than this are copied behind their headers, for fewer and larger pieces.
const SMALL_BLOCK: usize = 16 * 1024;

/// How much of a CAR is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarImportOptions {
    /// Most bytes of blocks together.
    pub max_bytes: u64,
    /// Most blocks.
    pub max_blocks: u64,
    /// Pins the root, of which there must be one, under this name.
    pub pin: Option<String>,
}

impl Default for CarImportOptions {
    /// 1 TiB in ten million blocks; no pin.
    fn default() -> Self {
        Self { max_bytes: 1 << 40, max_blocks: 10_000_000, pin: None }
    }
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarImported {
    /// The roots that the header names. They are there; nothing says that all below them is.
    pub roots: Vec<Cid>,
    /// Blocks in the CAR.
    pub blocks: u64,
    /// Bytes of these blocks.
    pub bytes: u64,
}

/// Why a CAR was not imported. Blocks that came before stay in the store, unpinned.
#[derive(Debug, thiserror::Error)]
pub enum CarImportError {
    /// The reader failed.
    #[error("cannot read the CAR")]
    Read {
        /// What it answered.
        source: std::io::Error,
    },
    /// The bytes are no CAR.
    #[error(transparent)]
    Car(#[from] CarError),
    /// A block is wrong, or the store refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are more blocks or bytes than allowed.
    #[error("the CAR exceeds {limit} {unit}")]
    TooLarge {
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A pin was wanted, and there are several roots, or none.
    #[error("the CAR has {roots} roots; only one can be pinned under a name")]
    Roots {
        /// How many there are.
        roots: usize,
    },
    /// A root that the header names is neither in the CAR nor in the store.
    #[error("the CAR names the root {root}, and does not have its block")]
    MissingRoot { root: Box<Cid> },
    /// The task that was storing ended early, because the runtime is shutting down.
    #[error("the import was interrupted by the shutdown of the program")]
    Interrupted,
}

/// Reads a CAR into the store. Every block is checked; checking and storing happen on other threads
/// while the next bytes are read. The roots must be there in the end.
///
/// # Errors
/// [`CarImportError`].
pub async fn car_import<R: AsyncRead + Unpin>(
    store: &Store,
    mut reader: R,
    options: &CarImportOptions,
) -> Result<CarImported, CarImportError> {
    let guard = Arc::new(store.guard());
    let mut decoder = CarDecoder::new();
    let mut imported = CarImported { roots: Vec::new(), blocks: 0, bytes: 0 };
    let mut batch: Vec<(Cid, Bytes)> = Vec::new();
    let mut batch_bytes = 0;
    let mut running = FuturesUnordered::new();
    let mut buffer = BytesMut::with_capacity(READ_SIZE);
    loop {
        buffer.clear();
        buffer.reserve(READ_SIZE);
        let count = reader.read_buf(&mut buffer).await.map_err(|source| CarImportError::Read { source })?;
        if count == 0 {
            break;
        }
        decoder.push(&buffer);
        while let Some(item) = decoder.next_item()? {
            let (cid, data) = match item {
                CarItem::Roots(roots) => {
                    if options.pin.is_some() && roots.len() != 1 {
                        return Err(CarImportError::Roots { roots: roots.len() });
                    }
                    imported.roots = roots;
                    continue;
                }
                CarItem::Block(cid, data) => (cid, data),
            };
            imported.blocks += 1;
            imported.bytes += data.len() as u64;
            let exceeded = |limit, unit| Err(CarImportError::TooLarge { limit, unit });
            if imported.blocks > options.max_blocks {
                return exceeded(options.max_blocks, "blocks");
            }
            if imported.bytes > options.max_bytes {
                return exceeded(options.max_bytes, "bytes");
            }
            // a block's memory, which is more than its bytes if they are few
            batch_bytes += data.len() + 1024;
            batch.push((cid, data));
            if batch_bytes >= BATCH {
                batch_bytes = 0;
                running.push(store_batch(&guard, std::mem::take(&mut batch)));
                if running.len() >= BATCHES
                    && let Some(stored) = running.next().await
                {
                    stored.map_err(|_| CarImportError::Interrupted)??;
                }
            }
        }
    }
    decoder.finish()?;
    running.push(store_batch(&guard, batch));
    while let Some(stored) = running.next().await {
        stored.map_err(|_| CarImportError::Interrupted)??;
    }
    let (roots, store) = (imported.roots.clone(), store.clone());
    let missing = spawn_blocking(move || -> Result<Option<Cid>, StoreError> {
        for root in roots {
            if !store.has(&root)? {
                return Ok(Some(root));
            }
        }
        Ok(None)
    });
    if let Some(root) = missing.await.map_err(|_| CarImportError::Interrupted)?? {
        return Err(CarImportError::MissingRoot { root: Box::new(root) });
    }
    if let (Some(name), [root]) = (options.pin.clone(), &imported.roots[..]) {
        let root = *root;
        let pinned = spawn_blocking(move || guard.store().pin(&root, &name)).await;
        pinned.map_err(|_| CarImportError::Interrupted)??;
    }
    Ok(imported)
}

fn store_batch(guard: &Arc<Guard>, batch: Vec<(Cid, Bytes)>) -> JoinHandle<Result<(), StoreError>> {
    let guard = guard.clone();
    spawn_blocking(move || {
        for (cid, data) in batch {
            guard.insert(Block::verified(&cid, &data)?)?;
        }
        Ok(())
    })
}

/// What was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CarExported {
    /// Bytes of the CAR.
    pub bytes: u64,
}

/// Why a CAR was not written to its end.
#[derive(Debug, thiserror::Error)]
pub enum CarExportError {
    /// A block cannot be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The writer failed.
    #[error("cannot write the CAR")]
    Write {
        /// What it answered.
        source: std::io::Error,
    },
}

/// Streams a CAR with the root `root` and the blocks that [`walk`] gives. The pieces follow the
/// blocks; after an error there are no more.
pub fn car_stream<S: BlockSource + Clone>(
    source: S,
    prefix: &[Cid],
    root: &Cid,
    scope: DagScope,
    max_blocks: usize,
) -> impl Stream<Item = Result<Bytes, WalkError>> + Send + use<S> {
    let header = Bytes::from(encode_header(std::slice::from_ref(root)));
    let blocks = walk(source, prefix, root, scope, max_blocks).flat_map(|block| {
        let pieces = match block {
            Ok((cid, data)) => {
                let mut head = encode_section(&cid, data.len());
                if data.len() < SMALL_BLOCK {
                    head.extend_from_slice(&data);
                    vec![Ok(Bytes::from(head))]
                } else {
                    vec![Ok(Bytes::from(head)), Ok(data)]
                }
            }
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(pieces)
    });
    futures::stream::iter([Ok(header)]).chain(blocks)
}

/// Writes a CAR with the blocks below `root` in `scope`.
///
/// # Errors
/// [`CarExportError`]; what was written then is cut off.
pub async fn car_export<S: BlockSource + Clone, W: AsyncWrite + Unpin>(
    source: S,
    root: &Cid,
    scope: DagScope,
    max_blocks: usize,
    mut writer: W,
) -> Result<CarExported, CarExportError> {
    let write = |source| CarExportError::Write { source };
    let mut exported = CarExported::default();
    let mut pieces = std::pin::pin!(car_stream(source, &[], root, scope, max_blocks));
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        writer.write_all(&piece).await.map_err(write)?;
        exported.bytes += piece.len() as u64;
    }
    writer.flush().await.map_err(write)?;
    Ok(exported)
}
