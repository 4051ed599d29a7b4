//! Reading on one thread, hashing and storing on others, building trees in order.
//!
//! The calling thread reads chunks and queues operations: a chunk goes to a hashing thread, and
//! its place in the queue waits for the CID. Operations leave the queue in order, so trees are
//! built deterministically, while at most [`WINDOW`] of them are in flight.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Scope, available_parallelism, scope};

use super::directory::{self, Child};
use super::file::{BalancedTree, Subtree};
use super::{ImportError, ImportOptions, Imported, Meter};
use crate::digest::{Block, codec};
use crate::source::BlockSink;
use crate::store::StoreError;
use crate::unixfs::{CHUNK_SIZE, encode_symlink};

/// Operations in flight for each hashing thread.
const WINDOW: usize = 16;
/// Chunks that are hashed on the calling thread before threads are started: small imports need none.
const INLINE_CHUNKS: u64 = 4;
/// Most hashing threads.
const MAX_THREADS: usize = 64;

/// A chunk on its way to a hashing thread.
enum Chunk<'env> {
    Owned(Vec<u8>, usize),
    Borrowed(&'env [u8]),
}

impl Chunk<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Owned(buffer, length) => &buffer[..*length],
            Chunk::Borrowed(bytes) => bytes,
        }
    }
}

/// What comes back: the leaf, and the buffer for the next chunk.
type Hashed = (Result<Subtree, StoreError>, Option<Vec<u8>>);

struct Worker<'env> {
    jobs: SyncSender<Chunk<'env>>,
    results: Receiver<Hashed>,
}

enum Op {
    /// A leaf that this worker will hash.
    Pending(usize),
    Leaf(Subtree),
    EndFile(String),
    Symlink(String, String),
    EnterDirectory,
    LeaveDirectory(String),
}

/// The entries of a directory that is being read, in order.
type Entries = Vec<(String, Child)>;

pub(super) struct Pipeline<'scope, 'env, S> {
    scope: &'scope Scope<'scope, 'env>,
    sink: &'env S,
    threads: usize,
    workers: Vec<Worker<'env>>,
    chunks: u64,
    queue: VecDeque<Op>,
    buffers: Vec<Vec<u8>>,
    pub(super) meter: Meter<'env>,
    tree: BalancedTree,
    /// Open directories; the first is a stand-in that receives the root.
    directories: Vec<Entries>,
    root: Option<Imported>,
    blocks: u64,
}

/// Runs `import` with a pipeline and returns the root that it made.
pub(super) fn with_pipeline<'env, S: BlockSink>(
    sink: &'env S,
    options: &'env ImportOptions,
    import: impl for<'scope> FnOnce(&mut Pipeline<'scope, 'env, S>) -> Result<(), ImportError>,
) -> Result<Imported, ImportError> {
    scope(|scope| {
        let threads = match options.threads {
            0 => available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let mut pipeline = Pipeline {
            scope,
            sink,
            threads: threads.min(MAX_THREADS),
            workers: Vec::new(),
            chunks: 0,
            queue: VecDeque::new(),
            buffers: Vec::new(),
            meter: Meter { options, bytes: 0, entries: 0 },
            tree: BalancedTree::default(),
            directories: vec![Vec::new()],
            root: None,
            blocks: 0,
        };
        import(&mut pipeline)?;
        pipeline.finish()
    })
}

impl<'scope, 'env, S: BlockSink> Pipeline<'scope, 'env, S> {
    /// Reads the chunks of a file. `path` is for messages.
    pub(super) fn read_file(&mut self, mut reader: impl Read, path: Option<&Path>) -> Result<(), ImportError> {
        loop {
            let mut buffer = self.buffers.pop().unwrap_or_else(|| vec![0; CHUNK_SIZE]);
            let mut length = 0;
            while length < CHUNK_SIZE {
                match reader.read(&mut buffer[length..]) {
                    Ok(0) => break,
                    Ok(count) => length += count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(source) => {
                        return Err(match path {
                            Some(path) => ImportError::Io { action: "read", path: path.to_owned(), source },
                            None => ImportError::Read { source },
                        });
                    }
                }
            }
            if length == 0 {
                self.buffers.push(buffer);
                return Ok(());
            }
            self.meter.add_bytes(length, path)?;
            self.chunk(Chunk::Owned(buffer, length))?;
            if length < CHUNK_SIZE {
                return Ok(());
            }
        }
    }

    /// Takes a file's content from memory, without copying it.
    pub(super) fn slice_file(&mut self, content: &'env [u8]) -> Result<(), ImportError> {
        for chunk in content.chunks(CHUNK_SIZE) {
            self.meter.add_bytes(chunk.len(), None)?;
            self.chunk(Chunk::Borrowed(chunk))?;
        }
        Ok(())
    }

    /// Closes the file whose chunks were given and enters it into the current directory.
    pub(super) fn end_file(&mut self, name: &str) -> Result<(), ImportError> {
        self.meter.entries += 1;
        self.queue_op(Op::EndFile(name.to_owned()))
    }

    /// Enters a symlink into the current directory.
    pub(super) fn symlink(&mut self, name: &str, target: &str) -> Result<(), ImportError> {
        self.meter.entries += 1;
        self.queue_op(Op::Symlink(name.to_owned(), target.to_owned()))
    }

    pub(super) fn enter_directory(&mut self) -> Result<(), ImportError> {
        self.meter.entries += 1;
        self.queue_op(Op::EnterDirectory)
    }

    /// Closes the current directory and enters it into the one above.
    pub(super) fn leave_directory(&mut self, name: &str) -> Result<(), ImportError> {
        self.queue_op(Op::LeaveDirectory(name.to_owned()))
    }

    fn finish(mut self) -> Result<Imported, ImportError> {
        while let Some(op) = self.queue.pop_front() {
            self.apply(op)?;
        }
        // every import ends with the end of a file or of a directory
        self.root.ok_or(ImportError::Interrupted)
    }

    fn chunk(&mut self, chunk: Chunk<'env>) -> Result<(), ImportError> {
        self.chunks += 1;
        if self.threads <= 1 || self.chunks <= INLINE_CHUNKS {
            let (leaf, buffer) = hash(self.sink, chunk);
            self.buffers.extend(buffer);
            return self.queue_op(Op::Leaf(leaf?));
        }
        if self.workers.is_empty() {
            self.start_workers();
        }
        let index = (self.chunks % self.workers.len() as u64) as usize;
        // a worker that is gone has panicked, and the scope passes its panic on
        self.workers[index].jobs.send(chunk).map_err(|_| ImportError::Interrupted)?;
        self.queue_op(Op::Pending(index))
    }

    fn start_workers(&mut self) {
        for _ in 0..self.threads {
            let (jobs, work): (_, Receiver<Chunk<'env>>) = sync_channel(WINDOW);
            let (done, results): (Sender<Hashed>, _) = channel();
            let sink = self.sink;
            self.scope.spawn(move || {
                while let Ok(chunk) = work.recv() {
                    if done.send(hash(sink, chunk)).is_err() {
                        return;
                    }
                }
            });
            self.workers.push(Worker { jobs, results });
        }
    }

    fn queue_op(&mut self, op: Op) -> Result<(), ImportError> {
        if self.workers.is_empty() {
            return self.apply(op);
        }
        self.queue.push_back(op);
        while self.queue.len() > WINDOW * self.workers.len() {
            if let Some(op) = self.queue.pop_front() {
                self.apply(op)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, op: Op) -> Result<(), ImportError> {
        match op {
            Op::Pending(index) => {
                let (leaf, buffer) = self.workers[index].results.recv().map_err(|_| ImportError::Interrupted)?;
                self.buffers.extend(buffer);
                self.tree.push(self.sink, leaf?)?;
            }
            Op::Leaf(leaf) => self.tree.push(self.sink, leaf)?,
            Op::EndFile(name) => {
                let tree = std::mem::take(&mut self.tree);
                let file = match tree.finish(self.sink)? {
                    Some(file) => file,
                    None => hash(self.sink, Chunk::Borrowed(&[])).0?,
                };
                self.enter(name, file.cid, file.dag_size, file.blocks);
            }
            Op::Symlink(name, target) => {
                let encoded = crate::dagpb::encode(std::iter::empty(), &encode_symlink(&target));
                let block = Block::new(codec::DAG_PB, &encoded);
                self.sink.accept(block)?;
                self.enter(name, block.cid(), encoded.len() as u64, 1);
            }
            Op::EnterDirectory => self.directories.push(Vec::new()),
            Op::LeaveDirectory(name) => {
                let entries = self.directories.pop().unwrap_or_default();
                let entries: Vec<(&str, Child)> = entries.iter().map(|(name, child)| (name.as_str(), *child)).collect();
                let built = directory::build(self.sink, &entries)?;
                self.enter(name, built.cid, built.dag_size, built.blocks);
            }
        }
        Ok(())
    }

    /// Enters something finished into the directory around it, or makes it the root.
    fn enter(&mut self, name: String, cid: cid::Cid, dag_size: u64, blocks: u64) {
        self.blocks += blocks;
        if self.directories.len() == 1 {
            self.root = Some(Imported {
                cid,
                size: self.meter.bytes,
                dag_size,
                blocks: self.blocks,
                entries: self.meter.entries,
            });
        } else if let Some(directory) = self.directories.last_mut() {
            directory.push((name, Child { cid, dag_size }));
        }
    }
}

fn hash<S: BlockSink>(sink: &S, chunk: Chunk<'_>) -> Hashed {
    let block = Block::new(codec::RAW, chunk.bytes());
    let leaf = sink.accept(block).map(|()| Subtree {
        cid: block.cid(),
        size: block.data().len() as u64,
        dag_size: block.data().len() as u64,
        blocks: 1,
    });
    let buffer = match chunk {
        Chunk::Owned(buffer, _) => Some(buffer),
        Chunk::Borrowed(_) => None,
    };
    (leaf, buffer)
}
