//! From a path to a place in the tree.

use crate::executor::wasm::preview1::types::Errno;

use super::input::Kind;
use super::path::{self, Step};
use super::tree::{NodeId, Tree};
use crate::executor::wasm::fuel::{Meter, PATH};
use crate::executor::wasm::stop::Fail;

/// Where a path leads: an entry of a directory that exists, whether or not the entry does.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) directory: NodeId,
    /// Name of the entry; `None` when the path ends in `.` or `..`.
    pub(crate) name: Option<&'a str>,
    pub(crate) node: Option<NodeId>,
    /// Whether the path ended in `/`.
    slash: bool,
}

impl<'a> Place<'a> {
    /// The name under which a new entry is to be made.
    pub(crate) fn new_name(&self, directory: bool) -> Result<&'a str, Errno> {
        match self.name {
            Some(_) if self.slash && !directory => Err(Errno::Isdir),
            Some(name) => Ok(name),
            None => Err(Errno::Exist),
        }
    }
}

impl Tree {
    /// Follows a path from a directory; charges for it.
    ///
    /// # Errors
    ///
    /// `perm` when the path is absolute or leads above where it starts, `notdir` and `noent` as usual, and what
    /// [`path::parse`] refuses.
    pub(crate) fn resolve<'a>(&mut self, base: NodeId, path: &'a str, meter: &mut Meter) -> Result<Place<'a>, Fail> {
        meter.charge(PATH)?;
        let parsed = path::parse(path)?;
        let mut at = base;
        let mut depth = 0_usize;
        let mut steps = parsed.steps.iter().peekable();
        while let Some(step) = steps.next() {
            let last = steps.peek().is_none();
            self.directory(at)?;
            match *step {
                Step::Here => {}
                Step::Up => {
                    depth = depth.checked_sub(1).ok_or(Errno::Perm)?;
                    at = self.node(at)?.parent.ok_or(Errno::Noent)?;
                }
                Step::Down(name) => {
                    let child = self.child(at, name, meter)?;
                    if last {
                        if let Some(child) = child
                            && parsed.directory
                            && self.kind(child)? != Kind::Directory
                        {
                            return Err(Errno::Notdir.into());
                        }
                        return Ok(Place { directory: at, name: Some(name), node: child, slash: parsed.directory });
                    }
                    at = child.ok_or(Errno::Noent)?;
                    depth += 1;
                }
            }
        }
        self.directory(at)?;
        Ok(Place { directory: at, name: None, node: Some(at), slash: true })
    }
}
