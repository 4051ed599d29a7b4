//! What several tests need: blocks in memory, and nodes that no importer would make.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cid::Cid;
use futures::future::BoxFuture;

use crate::dagpb;
use crate::digest::{Block, cid_of_block, codec};
use crate::source::{BlockSink, BlockSource, SourceError};
use crate::store::StoreError;
use crate::wire::{write_bytes, write_number};

/// Blocks in memory that count how often they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    blocks: Mutex<HashMap<Cid, Bytes>>,
    pub(crate) asked: AtomicU64,
}

impl Blocks {
    pub(crate) fn put(&self, codec: u64, data: &[u8]) -> Cid {
        let cid = cid_of_block(codec, data);
        self.blocks.lock().unwrap().insert(cid, Bytes::copy_from_slice(data));
        cid
    }

    pub(crate) fn remove(&self, cid: &Cid) {
        self.blocks.lock().unwrap().remove(cid).unwrap();
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.lock().unwrap().len()
    }

    /// A directory in one node, with the names as they come.
    pub(crate) fn directory(&self, entries: &[(&str, Cid)]) -> Cid {
        let mut data = Vec::new();
        write_number(&mut data, 1, 1);
        let node = dagpb::encode(entries.iter().map(|(name, cid)| (cid, *name, 0)), &data);
        self.put(codec::DAG_PB, &node)
    }

    /// A node of a file: content of its own, then children with stated sizes.
    pub(crate) fn file(&self, own: &[u8], children: &[(Cid, u64)], stated: Option<u64>) -> Cid {
        let mut data = Vec::new();
        write_number(&mut data, 1, 2);
        if !own.is_empty() {
            write_bytes(&mut data, 2, own);
        }
        if let Some(stated) = stated {
            write_number(&mut data, 3, stated);
        }
        for (_, size) in children {
            write_number(&mut data, 4, *size);
        }
        let node = dagpb::encode(children.iter().map(|(cid, _)| (cid, "", 0)), &data);
        self.put(codec::DAG_PB, &node)
    }

    pub(crate) fn symlink(&self, target: &str) -> Cid {
        let node = dagpb::encode(std::iter::empty(), &crate::unixfs::encode_symlink(target));
        self.put(codec::DAG_PB, &node)
    }
}

impl BlockSource for Blocks {
    fn block<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.blocks.lock().unwrap().get(cid).cloned();
        Box::pin(async move { Ok(found) })
    }
}

impl BlockSink for Blocks {
    fn accept(&self, block: Block<'_>) -> Result<(), StoreError> {
        let data = Bytes::copy_from_slice(block.data());
        self.blocks.lock().unwrap().insert(block.cid(), data);
        Ok(())
    }
}

/// Bytes that look random and are the same every time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

/// Runs a future to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}
