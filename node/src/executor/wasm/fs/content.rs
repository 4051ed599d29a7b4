//! What is in files, and its way into the result.

use std::io;
use std::os::fd::OwnedFd;

use crate::executor::wasm::preview1::types::Errno;

use super::store;
use super::tree::{Body, File, Node, NodeId, Origin, Tree};
use crate::executor::wasm::fuel::Meter;
use crate::executor::wasm::stop::{Fail, Stop};

/// What an output came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

impl Tree {
    /// The logical size, in bytes; 0 for a directory.
    pub(crate) fn size(&mut self, id: NodeId) -> Result<u64, Fail> {
        let input = match &self.node(id)?.body {
            Body::Directory(_) => return Ok(0),
            Body::File(File { origin: Origin::Output { size, .. }, .. }) => return Ok(*size),
            Body::File(File { origin: Origin::Input { size: Some(size), .. }, .. }) => return Ok(*size),
            Body::File(File { origin: Origin::Input { input, size: None }, .. }) => *input,
        };
        let path = self.path_in_input(id, input);
        let steps: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        let found = self.inputs[input].size(&steps).map_err(Stop::input(input, "reading a file's size"))?;
        if let Origin::Input { size, .. } = &mut self.file_mut(id)?.origin {
            *size = Some(found);
        }
        Ok(found)
    }

    /// Reads from an open file, charging for what there is; answers how much that was.
    pub(crate) fn read(
        &mut self,
        id: NodeId,
        buffer: &mut [u8],
        offset: u64,
        meter: &mut Meter,
    ) -> Result<usize, Fail> {
        let left = self.size(id)?.saturating_sub(offset);
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        meter.charge_bytes(want as u64)?;
        self.open_handle(id)?;
        let File { origin, handle: Some(handle) } = self.file_mut(id)? else { return Ok(0) };
        let input = match *origin {
            Origin::Input { input, .. } => Some(input),
            Origin::Output { .. } => None,
        };
        let failed = |source| Stop::Host { doing: "reading a file", input, source };
        let read = store::read_at(&*handle, &mut buffer[..want], offset).map_err(failed)?;
        if read < want {
            let short = io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while the job ran");
            return Err(failed(short).into());
        }
        Ok(read)
    }

    /// Writes all of `bytes` to an open output file, charging for them and for zeros before them.
    pub(crate) fn write(&mut self, id: NodeId, bytes: &[u8], offset: u64, meter: &mut Meter) -> Result<(), Fail> {
        if bytes.is_empty() {
            return Ok(());
        }
        let size = self.size(id)?;
        let end =
            offset.checked_add(bytes.len() as u64).filter(|end| i64::try_from(*end).is_ok()).ok_or(Errno::Fbig)?;
        if !self.writable(id)? {
            return Err(Errno::Rofs.into());
        }
        self.quota.take_bytes(end.saturating_sub(size))?;
        meter.charge_bytes(bytes.len() as u64 + offset.saturating_sub(size))?;
        self.open_handle(id)?;
        let file = self.file_mut(id)?;
        if let Some(handle) = &file.handle {
            store::write_at(handle, bytes, offset).map_err(Stop::work("writing a file"))?;
        }
        if let Origin::Output { size, .. } = &mut file.origin {
            *size = (*size).max(end);
        }
        Ok(())
    }

    /// Cuts an output file, or fills it up with zeros, charging for those.
    pub(crate) fn set_size(&mut self, id: NodeId, new: u64, meter: &mut Meter) -> Result<(), Fail> {
        let old = self.size(id)?;
        if i64::try_from(new).is_err() {
            return Err(Errno::Fbig.into());
        }
        if !self.writable(id)? {
            return Err(Errno::Rofs.into());
        }
        if new == old {
            return Ok(());
        }
        self.quota.take_bytes(new.saturating_sub(old))?;
        meter.charge_bytes(new.saturating_sub(old))?;
        self.open_handle(id)?;
        let file = self.file_mut(id)?;
        if let Some(handle) = &file.handle {
            rustix::fs::ftruncate(handle, new).map_err(Stop::work("setting a file's size"))?;
        }
        if let Origin::Output { size, .. } = &mut file.origin {
            *size = new;
        }
        let unused = self.node(id)?.opens == 0;
        if unused {
            self.file_mut(id)?.handle = None;
        }
        self.quota.give_bytes(old.saturating_sub(new));
        Ok(())
    }

    /// Opens the host file behind a node, making it if it is not there yet.
    fn open_handle(&mut self, id: NodeId) -> Result<(), Fail> {
        let file = self.file_mut(id)?;
        if file.handle.is_some() {
            return Ok(());
        }
        let handle = match file.origin {
            Origin::Output { stored: true, .. } => self.store.reopen(id).map_err(Stop::work("opening a file"))?,
            Origin::Output { .. } => self.store.create(id).map_err(Stop::work("making a file"))?,
            Origin::Input { input, .. } => {
                let path = self.path_in_input(id, input);
                let steps: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
                self.inputs[input].open_file(&steps).map_err(Stop::input(input, "opening a file"))?.0
            }
        };
        let file = self.file_mut(id)?;
        file.handle = Some(handle);
        if let Origin::Output { stored, .. } = &mut file.origin {
            *stored = true;
        }
        Ok(())
    }

    /// Moves all that is in a directory of the tree into a directory of the result.
    pub(crate) fn place(&self, from: NodeId, into: &OwnedFd, totals: &mut Totals) -> io::Result<()> {
        let Some(Node { body: Body::Directory(directory), .. }) = self.nodes.get(&from) else { return Ok(()) };
        for (name, &id) in &directory.children {
            totals.entries += 1;
            match self.nodes.get(&id).map(|node| &node.body) {
                // Recursion ends: MADE_DEPTH bounds how deep a tree can get.
                Some(Body::Directory(_)) => self.place(id, &store::make_directory(into, name)?, totals)?,
                Some(Body::File(File { origin: Origin::Output { size, stored }, .. })) => {
                    totals.bytes += size;
                    if *stored {
                        self.store.place(id, into, name)?;
                    } else {
                        store::make_empty_file(into, name)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
