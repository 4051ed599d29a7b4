//! The file system that a program sees: a tree in memory over read-only inputs of the host and a store for what is
//! written. It holds directories, files, and nothing else: no links, no devices, no times.
//!
//! Names are looked up in the tree only. A name that a program chose reaches the host once, when the finished outputs
//! are placed into the result, and then one component at a time below an open directory. So `..`, absolute paths and
//! links have nothing to work on.

mod content;
mod descriptor;
mod entries;
mod input;
mod path;
mod quota;
mod resolve;
mod store;
mod tree;

pub use descriptor::DESCRIPTORS;
pub use path::{MADE_BYTES, MADE_DEPTH, NAME_BYTES, PATH_BYTES};

pub(crate) use content::Totals;
pub(crate) use descriptor::{Descriptor, Descriptors, OpenDirectory, OpenFile};
pub(crate) use entries::OpenOptions;
pub(crate) use input::{InputRoot, Kind};
pub(crate) use quota::Quota;
pub(crate) use store::{Store, make_directory, open_directory};
pub(crate) use tree::{NodeId, ROOT, Tree};

#[cfg(test)]
mod tests;
