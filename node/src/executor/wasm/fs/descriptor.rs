//! Open descriptors and reading directories.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::executor::wasm::preview1::types::{Dircookie, Errno, Fdflags, Filetype};

use super::input::Kind;
use super::tree::{NodeId, Tree};
use crate::executor::wasm::fuel::{ENTRY, Meter};
use crate::executor::wasm::stop::Fail;

/// Most descriptors that a program may have open, standard streams included.
pub const DESCRIPTORS: usize = 256;
/// Entries whose cookies an open directory remembers.
const WINDOW: usize = 512;
/// Bytes of an entry's header in the buffer that `fd_readdir` fills (`dirent` in the WASI preview-1 definition).
const HEADER: usize = 24;

/// What a descriptor number stands for.
#[derive(Debug)]
pub(crate) enum Descriptor {
    Stdin,
    Stdout,
    Stderr,
    Directory(OpenDirectory),
    File(OpenFile),
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) node: NodeId,
    /// Where the next read or write without an offset happens.
    pub(crate) position: u64,
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) flags: Fdflags,
}

/// An open directory.
#[derive(Debug)]
pub(crate) struct OpenDirectory {
    pub(crate) node: NodeId,
    /// Whether the program was started with it.
    pub(crate) preopened: bool,
    /// Names returned lately, each with the cookie of the entry after it. Reading goes on behind a name, so entries may
    /// come and go meanwhile and a whole listing takes linear time.
    window: VecDeque<(Dircookie, Arc<str>)>,
}

impl OpenDirectory {
    pub(crate) fn new(node: NodeId, preopened: bool) -> Self {
        Self { node, preopened, window: VecDeque::new() }
    }

    /// Fills `out` with entries from `cookie` on, the last one cut off if it does not fit; answers how many bytes were
    /// filled. Entry 0 is `.`, 1 is `..`, the others follow in the order of their names' bytes.
    pub(crate) fn read(
        &mut self,
        tree: &mut Tree,
        out: &mut [u8],
        cookie: Dircookie,
        meter: &mut Meter,
    ) -> Result<usize, Fail> {
        let mut page = Page { out, filled: 0 };
        let mut next = cookie;
        for (dots, node) in [(".", self.node), ("..", tree.parent(self.node))].into_iter().skip(index(cookie)) {
            next += 1;
            meter.charge(ENTRY)?;
            if !page.push(next, node, Kind::Directory, dots) {
                return Ok(page.filled);
            }
        }
        if cookie == 0 {
            self.window.clear();
        }
        let known = self.window.iter().rfind(|(known, _)| *known == next).map(|(_, name)| Arc::clone(name));
        let skip = if known.is_some() { 0 } else { index(next.saturating_sub(2)) };
        let mut children = tree.list(self.node, known.as_deref(), meter)?;
        for _ in 0..skip {
            meter.charge(ENTRY)?;
            if children.next().is_none() {
                return Ok(page.filled);
            }
        }
        for (name, node, kind) in children {
            meter.charge(ENTRY)?;
            next += 1;
            if self.window.len() == WINDOW {
                self.window.pop_front();
            }
            self.window.push_back((next, Arc::clone(name)));
            if !page.push(next, node, kind, name) {
                break;
            }
        }
        Ok(page.filled)
    }
}

fn index(cookie: Dircookie) -> usize {
    usize::try_from(cookie).unwrap_or(usize::MAX)
}

/// The program's buffer while entries go into it.
struct Page<'a> {
    out: &'a mut [u8],
    filled: usize,
}

impl Page<'_> {
    /// Adds an entry, or as much of it as fits; answers whether there is room for more.
    fn push(&mut self, next: Dircookie, node: NodeId, kind: Kind, name: &str) -> bool {
        let file_type = match kind {
            Kind::Directory => Filetype::Directory,
            Kind::File => Filetype::RegularFile,
        };
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&next.to_le_bytes());
        header[8..16].copy_from_slice(&node.to_le_bytes());
        header[16..20].copy_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        header[20] = file_type as u8;
        for part in [&header[..], name.as_bytes()] {
            let room = self.out.len() - self.filled;
            let n = part.len().min(room);
            self.out[self.filled..self.filled + n].copy_from_slice(&part[..n]);
            self.filled += n;
        }
        self.filled < self.out.len()
    }
}

/// The table of open descriptors. A new one gets the lowest free number.
#[derive(Debug)]
pub(crate) struct Descriptors {
    open: BTreeMap<u32, Descriptor>,
}

impl Descriptors {
    /// Standard input, output and error, then the root directory.
    pub(crate) fn new(root: NodeId) -> Self {
        let root = Descriptor::Directory(OpenDirectory::new(root, true));
        let open = [Descriptor::Stdin, Descriptor::Stdout, Descriptor::Stderr, root];
        Self { open: (0..).zip(open).collect() }
    }

    /// Whether one more can be opened.
    pub(crate) fn room(&self) -> Result<(), Errno> {
        if self.open.len() < DESCRIPTORS { Ok(()) } else { Err(Errno::Mfile) }
    }

    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.room()?;
        let number = (0..).zip(self.open.keys()).find(|(free, used)| free != *used).map(|(free, _)| free);
        let number = number.unwrap_or(u32::try_from(self.open.len()).map_err(|_| Errno::Mfile)?);
        self.open.insert(number, descriptor);
        Ok(number)
    }

    pub(crate) fn get(&self, number: impl Into<u32>) -> Result<&Descriptor, Errno> {
        self.open.get(&number.into()).ok_or(Errno::Badf)
    }

    pub(crate) fn get_mut(&mut self, number: impl Into<u32>) -> Result<&mut Descriptor, Errno> {
        self.open.get_mut(&number.into()).ok_or(Errno::Badf)
    }

    pub(crate) fn remove(&mut self, number: impl Into<u32>) -> Result<Descriptor, Errno> {
        self.open.remove(&number.into()).ok_or(Errno::Badf)
    }

    /// Gives a descriptor another number, which must be in use; answers what had it.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<Descriptor>, Errno> {
        self.get(from)?;
        self.get(to)?;
        if from == to {
            return Ok(None);
        }
        let moved = self.remove(from)?;
        Ok(self.open.insert(to, moved))
    }

    /// The node of an open directory.
    pub(crate) fn directory(&self, number: impl Into<u32>) -> Result<NodeId, Errno> {
        match self.get(number)? {
            Descriptor::Directory(directory) => Ok(directory.node),
            Descriptor::File(_) => Err(Errno::Notdir),
            Descriptor::Stdin | Descriptor::Stdout | Descriptor::Stderr => Err(Errno::Badf),
        }
    }

    /// An open file, for what only files can do.
    pub(crate) fn file(&mut self, number: impl Into<u32>) -> Result<&mut OpenFile, Errno> {
        match self.get_mut(number)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(Errno::Isdir),
            Descriptor::Stdin | Descriptor::Stdout | Descriptor::Stderr => Err(Errno::Spipe),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_given() {
        let mut descriptors = Descriptors::new(1);
        assert_eq!(descriptors.insert(Descriptor::Stdin), Ok(4));
        descriptors.remove(1_u32).unwrap();
        assert_eq!(descriptors.insert(Descriptor::Stdin), Ok(1));
        assert_eq!(descriptors.insert(Descriptor::Stdin), Ok(5));
    }

    #[test]
    fn descriptors_are_limited() {
        let mut descriptors = Descriptors::new(1);
        for _ in 4..DESCRIPTORS {
            descriptors.insert(Descriptor::Stdin).unwrap();
        }
        assert_eq!(descriptors.insert(Descriptor::Stdin), Err(Errno::Mfile));
    }

    #[test]
    fn renumbering_needs_both_and_frees_one() {
        let mut descriptors = Descriptors::new(1);
        assert!(descriptors.renumber(3, 9).is_err());
        assert!(descriptors.renumber(3, 3).unwrap().is_none());
        assert!(matches!(descriptors.renumber(3, 0).unwrap(), Some(Descriptor::Stdin)));
        assert_eq!(descriptors.directory(0_u32), Ok(1));
        assert!(descriptors.get(3_u32).is_err());
    }
}
