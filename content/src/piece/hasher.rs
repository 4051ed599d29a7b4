//! Commitments to streams: content is hashed in chunks, on as many threads as the caller wants, and the roots of chunks are put together.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::available_parallelism;

use tokio::io::AsyncRead;

use super::fr32::{self, PADDED_QUAD, QUAD};
use super::tree::{MAX_HEIGHT, Node, parent, root_of};
use super::{MIN_HEIGHT, PieceCommitment, PieceRoot, height_of};

/// The height of a chunk's tree: 256 KiB of padded content, which stay in a core's cache.
const CHUNK_HEIGHT: u8 = 13;
const CHUNK_QUADS: usize = 1 << (CHUNK_HEIGHT - MIN_HEIGHT);
/// Bytes of content in a chunk.
const CHUNK: usize = QUAD * CHUNK_QUADS;
/// Chunks that a thread has, at most.
const IN_FLIGHT: usize = 4;
/// Chunks that are hashed by the caller's thread before others are started: small content needs none.
const INLINE: u64 = 8;
/// Most threads.
const MAX_THREADS: usize = 64;

/// Takes content piecemeal and gives its commitment. Memory is bounded: a few MiB for each thread.
///
/// It is a [`Write`] that never fails.
pub struct PieceHasher {
    threads: usize,
    crew: Vec<Worker>,
    /// Which worker has which chunk, oldest first.
    in_flight: VecDeque<usize>,
    spare: Vec<Vec<u8>>,
    /// Content that does not fill a chunk yet.
    chunk: Vec<u8>,
    room: Vec<u8>,
    size: u64,
    tree: Roots,
}

/// A thread that hashes chunks in the order in which it gets them.
struct Worker {
    chunks: SyncSender<Vec<u8>>,
    /// Roots, and buffers that are free again.
    roots: Receiver<(Node, Vec<u8>)>,
}

impl PieceHasher {
    /// Hashes on so many threads; 0: on all cores; 1: on the caller's own.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let threads = match threads {
            0 => available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        Self {
            threads: threads.min(MAX_THREADS),
            crew: Vec::new(),
            in_flight: VecDeque::new(),
            spare: Vec::new(),
            chunk: Vec::new(),
            room: Vec::new(),
            size: 0,
            tree: Roots::default(),
        }
    }

    /// Takes the content's next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.chunk.is_empty() && self.is_alone() && bytes.len() >= CHUNK {
                let (chunk, rest) = bytes.split_at(CHUNK);
                self.size += CHUNK as u64;
                let root = self.root_of(chunk);
                self.tree.push(root, CHUNK_HEIGHT);
                bytes = rest;
                continue;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            self.size += now.len() as u64;
            bytes = rest;
            self.end_chunk();
        }
    }

    /// Takes what a reader gives, up to its end.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read_from(&mut self, mut reader: impl Read) -> io::Result<()> {
        loop {
            let free = (CHUNK - self.chunk.len()) as u64;
            let count = reader.by_ref().take(free).read_to_end(&mut self.chunk)?;
            self.size += count as u64;
            if count == 0 {
                return Ok(());
            }
            self.end_chunk();
        }
    }

    /// The commitment to all that was taken. No content is a piece of zeros.
    #[must_use]
    pub fn finish(mut self) -> PieceCommitment {
        while !self.in_flight.is_empty() {
            self.collect();
        }
        let height = height_of(self.size);
        if !self.chunk.is_empty() || self.size == 0 {
            let quads = self.chunk.len().div_ceil(QUAD).max(1).next_power_of_two();
            let mut rest = std::mem::take(&mut self.chunk);
            rest.resize(quads * QUAD, 0);
            let root = self.root_of(&rest);
            self.tree.push(root, height_of(rest.len() as u64));
        }
        PieceCommitment { root: PieceRoot(self.tree.root(height)), height, size: self.size }
    }

    /// Whether the caller's thread does the work itself.
    fn is_alone(&self) -> bool {
        self.threads == 1 || self.size < INLINE * CHUNK as u64
    }

    /// Sends the chunk away if it is full.
    fn end_chunk(&mut self) {
        if self.chunk.len() < CHUNK {
            return;
        }
        let next = self.spare.pop().unwrap_or_default();
        let mut chunk = std::mem::replace(&mut self.chunk, next);
        if self.is_alone() {
            let root = self.root_of(&chunk);
            self.tree.push(root, CHUNK_HEIGHT);
        } else {
            match self.send(chunk) {
                Ok(()) => return,
                Err(own) => chunk = own,
            }
            // Nobody else can: the system gives no thread. The roots stay in order.
            while !self.in_flight.is_empty() {
                self.collect();
            }
            self.threads = 1;
            let root = self.root_of(&chunk);
            self.tree.push(root, CHUNK_HEIGHT);
        }
        chunk.clear();
        self.spare.push(chunk);
    }

    fn send(&mut self, chunk: Vec<u8>) -> Result<(), Vec<u8>> {
        if self.in_flight.len() >= self.threads * IN_FLIGHT {
            self.collect();
        }
        let worker = match self.in_flight.back() {
            Some(last) => (last + 1) % self.threads,
            None => 0,
        };
        if worker == self.crew.len() {
            match Worker::start() {
                Ok(started) => self.crew.push(started),
                Err(_) => return Err(chunk),
            }
        }
        self.crew[worker].chunks.send(chunk).map_err(|unsent| unsent.0)?;
        self.in_flight.push_back(worker);
        Ok(())
    }

    /// Waits for the oldest chunk that is being hashed.
    fn collect(&mut self) {
        let Some(worker) = self.in_flight.pop_front() else { return };
        #[expect(clippy::expect_used, reason = "a thread ends when its chunks do, and hashing does not panic")]
        let (root, mut chunk) = self.crew[worker].roots.recv().expect("a thread answers each chunk");
        self.tree.push(root, CHUNK_HEIGHT);
        chunk.clear();
        self.spare.push(chunk);
    }

    /// The root over whole quads, of which there are a power of two.
    fn root_of(&mut self, quads: &[u8]) -> Node {
        root_of_quads(quads, &mut self.room)
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let (chunks, work) = sync_channel::<Vec<u8>>(IN_FLIGHT);
        let (done, roots) = sync_channel(IN_FLIGHT);
        std::thread::Builder::new().name("piece".to_owned()).spawn(move || {
            let mut room = Vec::new();
            for chunk in work {
                let root = root_of_quads(&chunk, &mut room);
                if done.send((root, chunk)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { chunks, roots })
    }
}

fn root_of_quads(quads: &[u8], room: &mut Vec<u8>) -> Node {
    room.resize(quads.len() / QUAD * PADDED_QUAD, 0);
    fr32::pad(quads, room);
    root_of(room)
}

impl Write for PieceHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Subtrees whose right neighbour is still to come, by height: at most one of each.
struct Roots([Option<Node>; MAX_HEIGHT as usize + 1]);

impl Default for Roots {
    fn default() -> Self {
        Self([None; MAX_HEIGHT as usize + 1])
    }
}

impl Roots {
    /// Appends a subtree. Only the last may be lower than the ones before.
    fn push(&mut self, mut root: Node, height: u8) {
        for place in &mut self.0[usize::from(height)..] {
            match place.take() {
                Some(left) => root = parent(&left, &root),
                None => {
                    *place = Some(root);
                    return;
                }
            }
        }
    }

    /// The root of the tree of this height over all, with zeros behind.
    fn root(&self, height: u8) -> Node {
        let mut zeros = [0; 32];
        let mut right = None;
        for left in &self.0[..usize::from(height)] {
            right = match (left, right) {
                (Some(left), Some(right)) => Some(parent(left, &right)),
                (Some(node), None) => Some(parent(node, &zeros)),
                (None, Some(node)) => Some(parent(&node, &zeros)),
                (None, None) => None,
            };
            zeros = parent(&zeros, &zeros);
        }
        self.0[usize::from(height)].or(right).unwrap_or(zeros)
    }
}

/// The commitment to what a reader gives; `threads` as in [`PieceHasher::new`].
///
/// # Errors
/// Those of the reader.
pub fn piece_of_reader(reader: impl Read, threads: usize) -> io::Result<PieceCommitment> {
    let mut hasher = PieceHasher::new(threads);
    hasher.read_from(reader)?;
    Ok(hasher.finish())
}

/// The commitment to what an async reader gives, hashed on threads that may block; `threads` as in [`PieceHasher::new`].
///
/// # Errors
/// Those of the reader, and [`io::ErrorKind::Interrupted`] if the runtime is shutting down.
pub async fn piece_of_async_reader<R>(reader: R, threads: usize) -> io::Result<PieceCommitment>
where
    R: AsyncRead + Send + Unpin + 'static,
{
    let reader = tokio_util::io::SyncIoBridge::new(reader);
    tokio::task::spawn_blocking(move || piece_of_reader(reader, threads))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
}
