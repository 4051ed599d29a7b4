//! Making, opening, removing and renaming entries of the tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::executor::wasm::preview1::types::Errno;

use super::input::Kind;
use super::path::{MADE_BYTES, MADE_DEPTH};
use super::tree::{Body, Directory, File, Node, NodeId, Origin, ROOT, Side, Tree};
use crate::executor::wasm::fuel::Meter;
use crate::executor::wasm::stop::{Fail, Stop};

/// How to open.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OpenOptions {
    pub(crate) write: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    pub(crate) directory: bool,
}

impl Tree {
    /// Bytes and steps of a directory's path from its output's directory.
    fn extent(&self, mut id: NodeId) -> (usize, usize) {
        let (mut bytes, mut depth) = (0, 0);
        while let Some(Node { parent: Some(parent), name, body, .. }) = self.nodes.get(&id) {
            if matches!(body, Body::Directory(Directory { side: Side::OutputRoot, .. })) {
                break;
            }
            bytes += name.len() + 1;
            depth += 1;
            id = *parent;
        }
        (bytes, depth)
    }

    /// Bytes and steps of the longest path below a node, relative to it.
    fn reach(&self, id: NodeId, meter: &mut Meter) -> Result<(usize, usize), Fail> {
        let (mut bytes, mut depth) = (0, 0);
        let mut todo = vec![(id, 0, 0)];
        while let Some((id, at_bytes, at_depth)) = todo.pop() {
            bytes = bytes.max(at_bytes);
            depth = depth.max(at_depth);
            if let Body::Directory(directory) = &self.node(id)?.body {
                meter.charge_entries(directory.children.len() as u64)?;
                let below = directory.children.iter();
                todo.extend(below.map(|(name, &child)| (child, at_bytes + name.len() + 1, at_depth + 1)));
            }
        }
        Ok((bytes, depth))
    }

    /// Checks that a writable directory may get an entry of this name, with so much below it.
    fn admit(&self, parent: NodeId, name: &str, below: (usize, usize)) -> Result<(), Errno> {
        if !self.directory(parent)?.side.writable() {
            return Err(Errno::Rofs);
        }
        if parent != ROOT && self.node(parent)?.parent.is_none() {
            return Err(Errno::Noent);
        }
        let (bytes, depth) = self.extent(parent);
        if bytes + name.len() + below.0 > MADE_BYTES || depth + 1 + below.1 > MADE_DEPTH {
            return Err(Errno::Nametoolong);
        }
        Ok(())
    }

    /// Opens what a path means; counts as open until [`Tree::release`].
    pub(crate) fn open(
        &mut self,
        base: NodeId,
        path: &str,
        options: OpenOptions,
        meter: &mut Meter,
    ) -> Result<NodeId, Fail> {
        if options.create && options.directory {
            return Err(Errno::Inval.into());
        }
        let place = self.resolve(base, path, meter)?;
        let id = match place.node {
            Some(_) if options.create && options.exclusive => return Err(Errno::Exist.into()),
            Some(id) if self.kind(id)? == Kind::Directory => {
                if options.create || options.truncate || (options.write && !options.directory) {
                    return Err(Errno::Isdir.into());
                }
                id
            }
            Some(_) if options.directory => return Err(Errno::Notdir.into()),
            Some(id) => {
                if (options.write || options.truncate) && !self.writable(id)? {
                    return Err(Errno::Rofs.into());
                }
                if options.truncate {
                    self.set_size(id, 0, meter)?;
                }
                id
            }
            None if !options.create => return Err(Errno::Noent.into()),
            None => {
                let name = place.new_name(false)?;
                self.admit(place.directory, name, (0, 0))?;
                self.quota.take_entry()?;
                let origin = Origin::Output { size: 0, stored: false };
                self.insert(place.directory, name, Body::File(File { origin, handle: None }))?
            }
        };
        self.retain(id)?;
        Ok(id)
    }

    /// Counts one more open descriptor.
    pub(crate) fn retain(&mut self, id: NodeId) -> Result<(), Errno> {
        let node = self.node_mut(id)?;
        node.opens = node.opens.saturating_add(1);
        Ok(())
    }

    /// Counts one open descriptor less; drops what was removed and is now unused.
    pub(crate) fn release(&mut self, id: NodeId) -> Result<(), Fail> {
        let node = self.node_mut(id)?;
        node.opens = node.opens.saturating_sub(1);
        if node.opens == 0 {
            let detached = id != ROOT && node.parent.is_none();
            if let Body::File(file) = &mut node.body {
                file.handle = None;
            }
            if detached {
                self.discard(id)?;
            }
        }
        Ok(())
    }

    /// Takes a node out of its directory. Its bytes are given back once nothing has it open.
    fn detach(&mut self, id: NodeId) -> Result<(), Fail> {
        let node = self.node_mut(id)?;
        let name = Arc::clone(&node.name);
        let unused = node.opens == 0;
        if let Some(parent) = node.parent.take() {
            self.directory_mut(parent)?.children.remove(&name);
        }
        self.quota.give_entry();
        if unused {
            self.discard(id)?;
        }
        Ok(())
    }

    fn discard(&mut self, id: NodeId) -> Result<(), Fail> {
        let Some(node) = self.nodes.remove(&id) else { return Ok(()) };
        if let Body::File(File { origin: Origin::Output { size, stored }, .. }) = node.body {
            self.quota.give_bytes(size);
            if stored {
                self.store.remove(id).map_err(Stop::work("removing a file"))?;
            }
        }
        Ok(())
    }

    pub(crate) fn make_directory(&mut self, base: NodeId, path: &str, meter: &mut Meter) -> Result<(), Fail> {
        let place = self.resolve(base, path, meter)?;
        if place.node.is_some() {
            return Err(Errno::Exist.into());
        }
        let name = place.new_name(true)?;
        self.admit(place.directory, name, (0, 0))?;
        self.quota.take_entry()?;
        let made = Directory { children: BTreeMap::new(), side: Side::Output };
        self.insert(place.directory, name, Body::Directory(made))?;
        Ok(())
    }

    pub(crate) fn remove_file(&mut self, base: NodeId, path: &str, meter: &mut Meter) -> Result<(), Fail> {
        let place = self.resolve(base, path, meter)?;
        let id = place.node.ok_or(Errno::Noent)?;
        if self.kind(id)? == Kind::Directory {
            return Err(Errno::Isdir.into());
        }
        if !self.writable(id)? {
            return Err(Errno::Rofs.into());
        }
        self.detach(id)
    }

    pub(crate) fn remove_directory(&mut self, base: NodeId, path: &str, meter: &mut Meter) -> Result<(), Fail> {
        let place = self.resolve(base, path, meter)?;
        let id = place.node.ok_or(Errno::Noent)?;
        if place.name.is_none() {
            return Err(Errno::Inval.into());
        }
        let directory = self.directory(id)?;
        match directory.side {
            Side::Output if directory.children.is_empty() => self.detach(id),
            Side::Output => Err(Errno::Notempty.into()),
            Side::OutputRoot => Err(Errno::Busy.into()),
            Side::Fixed | Side::Input { .. } => Err(Errno::Rofs.into()),
        }
    }

    pub(crate) fn rename(&mut self, from: (NodeId, &str), to: (NodeId, &str), meter: &mut Meter) -> Result<(), Fail> {
        let source = self.resolve(from.0, from.1, meter)?;
        let target = self.resolve(to.0, to.1, meter)?;
        let id = source.node.ok_or(Errno::Noent)?;
        if source.name.is_none() || target.name.is_none() {
            return Err(Errno::Busy.into());
        }
        let kind = self.kind(id)?;
        match &self.node(id)?.body {
            Body::Directory(Directory { side: Side::Output, .. })
            | Body::File(File { origin: Origin::Output { .. }, .. }) => {}
            Body::Directory(Directory { side: Side::OutputRoot, .. }) => return Err(Errno::Busy.into()),
            _ => return Err(Errno::Rofs.into()),
        }
        if target.node == Some(id) {
            return Ok(());
        }
        let name = match target.node {
            None => target.new_name(kind == Kind::Directory)?,
            Some(_) => target.name.unwrap_or_default(),
        };
        let below = self.reach(id, meter)?;
        self.admit(target.directory, name, below)?;
        let mut ancestor = target.directory;
        while ancestor != ROOT {
            if ancestor == id {
                return Err(Errno::Inval.into());
            }
            ancestor = self.parent(ancestor);
        }
        if let Some(replaced) = target.node {
            match (kind, &self.node(replaced)?.body) {
                (Kind::File, Body::Directory(_)) => return Err(Errno::Isdir.into()),
                (Kind::Directory, Body::File(_)) => return Err(Errno::Notdir.into()),
                (Kind::Directory, Body::Directory(old)) if !old.children.is_empty() => {
                    return Err(Errno::Notempty.into());
                }
                (_, Body::Directory(Directory { side: Side::OutputRoot, .. })) => return Err(Errno::Busy.into()),
                _ => self.detach(replaced)?,
            }
        }
        let name: Arc<str> = Arc::from(name);
        let node = self.node_mut(id)?;
        let old_name = std::mem::replace(&mut node.name, Arc::clone(&name));
        if let Some(old_parent) = node.parent.replace(target.directory) {
            self.directory_mut(old_parent)?.children.remove(&old_name);
        }
        self.directory_mut(target.directory)?.children.insert(name, id);
        Ok(())
    }
}
