//! The tree against a real directory: the same operations, the same answers, the same content.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::executor::wasm::preview1::types::Errno;
use proptest::prelude::*;
use rustix::fs::{AtFlags, Mode, OFlags};

use super::*;
use crate::executor::wasm::fuel::Meter;
use crate::executor::wasm::stop::Fail;

#[derive(Debug, Clone)]
enum Operation {
    MakeDirectory(String),
    RemoveDirectory(String),
    RemoveFile(String),
    Rename(String, String),
    Write { path: String, exclusive: bool, truncate: bool, at: u64, bytes: Vec<u8> },
    Resize(String, u64),
    List(String),
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![8 => "[abc]", 1 => Just(".".to_owned()), 1 => Just("..".to_owned())];
    // One `..` at most, behind a plain first name, so that it stays inside on both sides.
    ("[abc]", prop::collection::vec(name, 0..4)).prop_map(|(first, mut rest)| {
        let mut up = false;
        rest.retain(|name| name != ".." || !std::mem::replace(&mut up, true));
        std::iter::once(first).chain(rest).collect::<Vec<_>>().join("/")
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => path().prop_map(Operation::MakeDirectory),
        1 => path().prop_map(Operation::RemoveDirectory),
        1 => path().prop_map(Operation::RemoveFile),
        3 => (path(), path()).prop_map(|(from, to)| Operation::Rename(from, to)),
        3 => (path(), any::<(bool, bool)>(), 0..20_u64, prop::collection::vec(any::<u8>(), 0..10)).prop_map(
            |(path, (exclusive, truncate), at, bytes)| Operation::Write { path, exclusive, truncate, at, bytes }
        ),
        1 => (path(), 0..30_u64).prop_map(|(path, size)| Operation::Resize(path, size)),
        1 => path().prop_map(Operation::List),
    ]
}

/// What an operation answers: names for a listing, else nothing.
type Answer = Result<Vec<String>, Errno>;

fn ours(tree: &mut Tree, base: NodeId, operation: &Operation) -> Answer {
    let meter = &mut Meter::new(u64::MAX);
    let mut perform = || -> Result<Vec<String>, Fail> {
        match operation {
            Operation::MakeDirectory(path) => tree.make_directory(base, path, meter)?,
            Operation::RemoveDirectory(path) => tree.remove_directory(base, path, meter)?,
            Operation::RemoveFile(path) => tree.remove_file(base, path, meter)?,
            Operation::Rename(from, to) => tree.rename((base, from), (base, to), meter)?,
            Operation::Write { path, exclusive, truncate, at, bytes } => {
                let (exclusive, truncate) = (*exclusive, *truncate);
                let options = OpenOptions { write: true, create: true, exclusive, truncate, directory: false };
                let node = tree.open(base, path, options, meter)?;
                tree.write(node, bytes, *at, meter)?;
                tree.release(node)?;
            }
            Operation::Resize(path, size) => {
                let options = OpenOptions { write: true, ..OpenOptions::default() };
                let node = tree.open(base, path, options, meter)?;
                tree.set_size(node, *size, meter)?;
                tree.release(node)?;
            }
            Operation::List(path) => {
                let options = OpenOptions { directory: true, ..OpenOptions::default() };
                let node = tree.open(base, path, options, meter)?;
                let names = tree.list(node, None, meter)?.map(|(name, ..)| name.to_string()).collect();
                tree.release(node)?;
                return Ok(names);
            }
        }
        Ok(Vec::new())
    };
    perform().map_err(|fail| match fail {
        Fail::Errno(errno) => errno,
        Fail::Stop(stop) => panic!("{stop}"),
    })
}

fn theirs(base: &OwnedFd, operation: &Operation) -> Answer {
    let mode = Mode::from_raw_mode(0o755);
    let perform = || -> rustix::io::Result<Vec<String>> {
        match operation {
            Operation::MakeDirectory(path) => rustix::fs::mkdirat(base, path, mode)?,
            Operation::RemoveDirectory(path) => rustix::fs::unlinkat(base, path, AtFlags::REMOVEDIR)?,
            Operation::RemoveFile(path) => rustix::fs::unlinkat(base, path, AtFlags::empty())?,
            Operation::Rename(from, to) => rustix::fs::renameat(base, from, base, to)?,
            Operation::Write { path, exclusive, truncate, at, bytes } => {
                let mut flags = OFlags::WRONLY | OFlags::CREATE;
                flags.set(OFlags::EXCL, *exclusive);
                flags.set(OFlags::TRUNC, *truncate);
                let file = rustix::fs::openat(base, path, flags, mode)?;
                rustix::io::pwrite(&file, bytes, *at)?;
            }
            Operation::Resize(path, size) => {
                rustix::fs::ftruncate(rustix::fs::openat(base, path, OFlags::WRONLY, mode)?, *size)?;
            }
            Operation::List(path) => {
                let directory = rustix::fs::openat(base, path, OFlags::DIRECTORY, mode)?;
                let names = rustix::fs::Dir::read_from(&directory)?
                    .map(|entry| entry.map(|entry| entry.file_name().to_str().unwrap().to_owned()))
                    .collect::<rustix::io::Result<Vec<_>>>()?;
                let mut names: Vec<_> = names.into_iter().filter(|name| name != "." && name != "..").collect();
                names.sort();
                return Ok(names);
            }
        }
        Ok(Vec::new())
    };
    perform().map_err(|errno| match errno {
        rustix::io::Errno::NOENT => Errno::Noent,
        rustix::io::Errno::EXIST => Errno::Exist,
        rustix::io::Errno::NOTDIR => Errno::Notdir,
        rustix::io::Errno::ISDIR => Errno::Isdir,
        rustix::io::Errno::NOTEMPTY => Errno::Notempty,
        rustix::io::Errno::INVAL => Errno::Inval,
        rustix::io::Errno::BUSY => Errno::Busy,
        other => panic!("{other}"),
    })
}

/// Whether an operation's path (not its parents) is one that Linux and POSIX leave room about: the error may be another.
fn ends_in_dots(operation: &Operation) -> bool {
    let dots = |path: &String| path.ends_with('.');
    match operation {
        Operation::MakeDirectory(path) | Operation::RemoveDirectory(path) | Operation::RemoveFile(path) => dots(path),
        Operation::Rename(from, to) => dots(from) || dots(to),
        Operation::Write { path, .. } | Operation::Resize(path, _) | Operation::List(path) => dots(path),
    }
}

fn contents(root: &Path, at: &Path, found: &mut BTreeMap<String, Option<Vec<u8>>>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.insert(name, None);
            contents(root, &path, found);
        } else {
            found.insert(name, Some(fs::read(&path).unwrap()));
        }
    }
}

proptest! {
    #[test]
    fn the_tree_behaves_as_a_real_directory(operations in prop::collection::vec(operation(), 1..60)) {
        let scratch = tempfile::tempdir().unwrap();
        let (real, placed) = (scratch.path().join("real"), scratch.path().join("placed"));
        fs::create_dir(&real).unwrap();
        fs::create_dir(&placed).unwrap();
        let base = open_directory(&real).unwrap();
        let mut tree = Tree::new(Store::new(&scratch.path().join("files")), u64::MAX, u64::MAX);
        let root = tree.mount_output("/outputs").unwrap();
        for operation in &operations {
            let (ours, theirs) = (ours(&mut tree, root, operation), theirs(&base, operation));
            if ends_in_dots(operation) {
                prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}: {:?} {:?}", operation, ours, theirs);
            } else if let (Operation::Rename(..), Err(_), Err(_)) = (operation, &ours, &theirs) {
                // More than one thing can be wrong with a rename; which is named first differs between systems.
            } else {
                prop_assert_eq!(ours, theirs, "{:?}", operation);
            }
        }
        let mut totals = Totals::default();
        tree.place(root, &open_directory(&placed).unwrap(), &mut totals).unwrap();
        let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
        contents(&placed, &placed, &mut ours);
        contents(&real, &real, &mut theirs);
        prop_assert_eq!(&ours, &theirs);
        let bytes: usize = theirs.values().flatten().map(Vec::len).sum();
        prop_assert_eq!(totals, Totals { bytes: bytes as u64, entries: theirs.len() as u64 });
        prop_assert_eq!((tree.quota().bytes(), tree.quota().entries()), (totals.bytes, totals.entries));
    }
}
