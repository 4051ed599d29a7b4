//! The tree of directories and files.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::executor::wasm::preview1::types::Errno;

use super::input::{InputRoot, Kind};
use super::quota::Quota;
use super::store::Store;
use crate::executor::wasm::fuel::Meter;
use crate::executor::wasm::stop::{Fail, Stop};

/// Number of a directory or file; what programs see as its inode. Counted up as a program comes to know of nodes, so it
/// says nothing of the host and is the same in every run.
pub(crate) type NodeId = u64;

/// The root directory.
pub(crate) const ROOT: NodeId = 1;

/// A directory or file.
#[derive(Debug)]
pub(super) struct Node {
    /// `None` for the root and for what was removed while it was open.
    pub(super) parent: Option<NodeId>,
    pub(super) name: Arc<str>,
    /// Open descriptors.
    pub(super) opens: u32,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Directory(Directory),
    File(File),
}

#[derive(Debug)]
pub(super) struct Directory {
    pub(super) children: BTreeMap<Arc<str>, NodeId>,
    pub(super) side: Side,
}

/// Where a directory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The root, or a step on the way to a mount: fixed.
    Fixed,
    /// Where an output or the scratch space begins.
    OutputRoot,
    /// Made by the program.
    Output,
    /// Of the input with this index; `loaded` once its listing was read.
    Input { input: usize, loaded: bool },
}

impl Side {
    pub(super) fn writable(self) -> bool {
        matches!(self, Self::OutputRoot | Self::Output)
    }
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) origin: Origin,
    pub(super) handle: Option<OwnedFd>,
}

#[derive(Debug)]
pub(super) enum Origin {
    /// `stored`: a host file exists. Without one the size is 0.
    Output {
        size: u64,
        stored: bool,
    },
    Input {
        input: usize,
        size: Option<u64>,
    },
}

/// The whole file system of one program.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) nodes: HashMap<NodeId, Node>,
    next: NodeId,
    pub(super) inputs: Vec<InputRoot>,
    /// The node where each input is mounted.
    mounts: Vec<NodeId>,
    pub(super) store: Store,
    pub(super) quota: Quota,
}

impl Tree {
    /// A tree with nothing but the root.
    pub(crate) fn new(store: Store, byte_limit: u64, entry_limit: u64) -> Self {
        let root = Node {
            parent: None,
            name: Arc::from(""),
            opens: 0,
            body: Body::Directory(Directory { children: BTreeMap::new(), side: Side::Fixed }),
        };
        Self {
            nodes: HashMap::from([(ROOT, root)]),
            next: ROOT + 1,
            inputs: Vec::new(),
            mounts: Vec::new(),
            store,
            quota: Quota::new(byte_limit, entry_limit),
        }
    }

    /// Mounts an empty writable directory at an absolute path.
    ///
    /// # Errors
    ///
    /// Says why it cannot be there.
    pub(crate) fn mount_output(&mut self, path: &str) -> Result<NodeId, Fail> {
        let body = Body::Directory(Directory { children: BTreeMap::new(), side: Side::OutputRoot });
        self.mount(path, body)
    }

    /// Mounts an input at an absolute path; parents of nested ones first.
    ///
    /// # Errors
    ///
    /// Says why it cannot be there.
    pub(crate) fn mount_input(&mut self, path: &str, root: InputRoot) -> Result<NodeId, Fail> {
        let input = self.inputs.len();
        let body = match root.kind() {
            Kind::Directory => {
                Body::Directory(Directory { children: BTreeMap::new(), side: Side::Input { input, loaded: false } })
            }
            Kind::File => Body::File(File { origin: Origin::Input { input, size: None }, handle: None }),
        };
        let node = self.mount(path, body)?;
        self.inputs.push(root);
        self.mounts.push(node);
        Ok(node)
    }

    fn mount(&mut self, path: &str, body: Body) -> Result<NodeId, Fail> {
        // Mounting is not the program's doing: it costs no fuel.
        let mut meter = Meter::new(u64::MAX);
        let mut at = ROOT;
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        let mut body = Some(body);
        while let Some(name) = names.next() {
            let child = self.child(at, name, &mut meter)?;
            if names.peek().is_some() {
                at = match child {
                    Some(child) => child,
                    None => {
                        let step = Directory { children: BTreeMap::new(), side: Side::Fixed };
                        self.insert(at, name, Body::Directory(step))?
                    }
                };
            } else if let Some(body) = body.take() {
                if let Some(hidden) = child {
                    self.nodes.remove(&hidden);
                }
                return self.insert(at, name, body);
            }
        }
        Err(Errno::Inval.into())
    }

    pub(super) fn insert(&mut self, parent: NodeId, name: &str, body: Body) -> Result<NodeId, Fail> {
        let id = self.next;
        let name: Arc<str> = Arc::from(name);
        self.directory_mut(parent)?.children.insert(Arc::clone(&name), id);
        self.nodes.insert(id, Node { parent: Some(parent), name, opens: 0, body });
        self.next += 1;
        Ok(id)
    }

    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// For what counts against the same limits and is not in the tree.
    pub(crate) fn quota_mut(&mut self) -> &mut Quota {
        &mut self.quota
    }

    pub(super) fn node(&self, id: NodeId) -> Result<&Node, Errno> {
        self.nodes.get(&id).ok_or(Errno::Badf)
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&id).ok_or(Errno::Badf)
    }

    pub(super) fn directory(&self, id: NodeId) -> Result<&Directory, Errno> {
        match &self.node(id)?.body {
            Body::Directory(directory) => Ok(directory),
            Body::File(_) => Err(Errno::Notdir),
        }
    }

    pub(super) fn directory_mut(&mut self, id: NodeId) -> Result<&mut Directory, Errno> {
        match &mut self.node_mut(id)?.body {
            Body::Directory(directory) => Ok(directory),
            Body::File(_) => Err(Errno::Notdir),
        }
    }

    pub(super) fn file_mut(&mut self, id: NodeId) -> Result<&mut File, Errno> {
        match &mut self.node_mut(id)?.body {
            Body::File(file) => Ok(file),
            Body::Directory(_) => Err(Errno::Isdir),
        }
    }

    pub(crate) fn kind(&self, id: NodeId) -> Result<Kind, Errno> {
        Ok(match self.node(id)?.body {
            Body::Directory(_) => Kind::Directory,
            Body::File(_) => Kind::File,
        })
    }

    /// Whether a program may change what is at this node (for a file) or in it (for a directory).
    pub(crate) fn writable(&self, id: NodeId) -> Result<bool, Errno> {
        Ok(match &self.node(id)?.body {
            Body::Directory(directory) => directory.side.writable(),
            Body::File(file) => matches!(file.origin, Origin::Output { .. }),
        })
    }

    /// The directory that `..` means; the root is its own.
    pub(crate) fn parent(&self, id: NodeId) -> NodeId {
        self.nodes.get(&id).and_then(|node| node.parent).unwrap_or(id)
    }

    /// Looks a name up, reading an input's listing when it is first needed.
    pub(super) fn child(&mut self, directory: NodeId, name: &str, meter: &mut Meter) -> Result<Option<NodeId>, Fail> {
        self.load(directory, meter)?;
        Ok(self.directory(directory)?.children.get(name).copied())
    }

    /// The children in order of their names' bytes, from the one after `after` on.
    pub(crate) fn list<'t>(
        &'t mut self,
        directory: NodeId,
        after: Option<&str>,
        meter: &mut Meter,
    ) -> Result<impl Iterator<Item = (&'t Arc<str>, NodeId, Kind)> + use<'t>, Fail> {
        self.load(directory, meter)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tree: &'t Self = self;
        let children = tree.directory(directory)?.children.range::<str, _>((from, Bound::Unbounded));
        Ok(children.map(|(name, &id)| (name, id, tree.kind(id).unwrap_or(Kind::File))))
    }

    fn load(&mut self, id: NodeId, meter: &mut Meter) -> Result<(), Fail> {
        let Side::Input { input, loaded: false } = self.directory(id)?.side else { return Ok(()) };
        let path = self.path_in_input(id, input);
        let steps: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        let mut listed = self.inputs[input].list(&steps).map_err(Stop::input(input, "listing a directory"))?;
        meter.charge_entries(listed.len() as u64)?;
        self.directory_mut(id)?.side = Side::Input { input, loaded: true };
        listed.sort_unstable();
        for (name, kind) in listed {
            if self.directory(id)?.children.contains_key(name.as_str()) {
                continue;
            }
            let body = match kind {
                Kind::Directory => {
                    Body::Directory(Directory { children: BTreeMap::new(), side: Side::Input { input, loaded: false } })
                }
                Kind::File => Body::File(File { origin: Origin::Input { input, size: None }, handle: None }),
            };
            self.insert(id, &name, body)?;
        }
        Ok(())
    }

    /// The names that lead from an input's mount to a node of it.
    pub(super) fn path_in_input(&self, mut id: NodeId, input: usize) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        while self.mounts.get(input) != Some(&id) {
            let Some(node) = self.nodes.get(&id) else { break };
            let Some(parent) = node.parent else { break };
            names.push(Arc::clone(&node.name));
            id = parent;
        }
        names.reverse();
        names
    }
}
