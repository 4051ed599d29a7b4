//! A container's output directories, brought into the result as files and directories.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use bytes::{Buf as _, Bytes};
use tar::EntryType;
use tokio::sync::mpsc;

/// As deep as an entry may lie, in directories.
const DEPTH: usize = 64;
/// The longest name, in bytes.
const NAME: usize = 255;
/// The longest path, in bytes: with the folder that the result grows in, less than Linux takes. A program can make longer ones, and what
/// cannot be written here would be the provider's failure.
const PATH: usize = 1_024;
/// Of what is left out, so many are named.
const NAMED: usize = 3;
/// Bytes copied at a time.
const PIECE: usize = 64 << 10;

/// How much more may be collected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

/// What was collected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Collected {
    pub(super) bytes: u64,
    pub(super) entries: u64,
    /// How many things are left out because a result has files and directories only.
    pub(super) left_out: u64,
    /// The first of them, with what they are.
    pub(super) named: Vec<String>,
    /// There was more than there is room for.
    pub(super) is_full: Option<Full>,
}

/// Of what there was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Bytes,
    Entries,
}

impl Collected {
    fn leave_out(&mut self, path: &str, what: &str) {
        self.left_out += 1;
        if self.named.len() < NAMED {
            let path: String = path.chars().take(NAME).map(|c| if c.is_control() { '?' } else { c }).collect();
            self.named.push(format!("{path} ({what})"));
        }
    }

    /// In a sentence; nothing if nothing is left out.
    pub(super) fn what_is_left_out(&self) -> Option<String> {
        let more = self.left_out.saturating_sub(self.named.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (self.left_out > 0).then(|| format!("{}{more}", self.named.join(", ")))
    }
}

/// A stream of pieces as a reader, for a thread that may wait.
pub(super) struct Pieces {
    pub(super) pieces: mpsc::Receiver<io::Result<Bytes>>,
    pub(super) piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = to.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut to[..length]);
        Ok(length)
    }
}

/// Reads an output directory as the engine packs it, and makes its files in `to`, which must not exist. What is neither a file nor
/// a directory is left out. Ends when there is no more room.
pub(super) fn collect(packed: impl Read, to: &Path, room: Room, sum: &mut Collected) -> io::Result<()> {
    fs::create_dir(to)?;
    let mut archive = tar::Archive::new(packed);
    // The directory that was left out last: what is in it follows it, and is not named again.
    let mut left_out: Vec<u8> = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let packed_name = entry.path_bytes().into_owned();
        if !left_out.is_empty() && packed_name.strip_prefix(&*left_out).is_some_and(|rest| rest.starts_with(b"/")) {
            sum.left_out += 1;
            continue;
        }
        let kind = entry.header().entry_type();
        let inner = match below(&packed_name) {
            Ok("") => continue,
            Ok(inner) => inner,
            Err(Unfit { name, why }) => {
                sum.leave_out(&name, why);
                left_out = trimmed(&packed_name).to_vec();
                continue;
            }
        };
        let path = to.join(inner);
        let what = match kind {
            EntryType::Directory | EntryType::Regular | EntryType::Continuous | EntryType::Link => None,
            EntryType::Symlink => Some("a symbolic link"),
            EntryType::Char | EntryType::Block => Some("a device"),
            EntryType::Fifo => Some("a named pipe"),
            _ => Some("neither a file nor a directory"),
        };
        if let Some(what) = what {
            sum.leave_out(inner, what);
            left_out = packed_name;
            continue;
        }
        if sum.entries >= room.entries {
            sum.is_full = Some(Full::Entries);
            return Ok(());
        }
        sum.entries += 1;
        match kind {
            EntryType::Directory => fs::create_dir(&path)?,
            EntryType::Link => {
                // Nothing but files and directories was made there.
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = below(&target).ok().filter(|inner| !inner.is_empty()).map(|inner| to.join(inner));
                match target.filter(|target| target.is_file()) {
                    Some(file) => copy(&mut File::open(file)?, &path, room, sum)?,
                    None => {
                        sum.entries -= 1;
                        sum.leave_out(inner, "a link to what is not in the output");
                    }
                }
            }
            _ => copy(&mut entry, &path, room, sum)?,
        }
        if sum.is_full.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

/// A directory's name may end with `/`.
fn trimmed(name: &[u8]) -> &[u8] {
    name.strip_suffix(b"/").unwrap_or(name)
}

/// A name that no entry of a result can have.
struct Unfit {
    name: String,
    why: &'static str,
}

/// The path below the directory that was packed; empty: that directory itself.
fn below(packed: &[u8]) -> Result<&str, Unfit> {
    fn inner(name: &str) -> &str {
        let name = name.trim_end_matches('/');
        name.trim_start_matches("./").split_once('/').map_or("", |(_, inner)| inner)
    }
    let Ok(name) = std::str::from_utf8(packed) else {
        let name = String::from_utf8_lossy(packed);
        return Err(Unfit { name: inner(&name).to_owned(), why: "a name that is not UTF-8" });
    };
    let path = inner(name);
    let unfit = |why| Err(Unfit { name: path.to_owned(), why });
    let mut parts = path.split('/');
    if !path.is_empty() && parts.any(|part| matches!(part, "" | "." | "..") || part.len() > NAME || part.contains('\0'))
    {
        return unfit("a name that no result can have");
    }
    if path.len() > PATH || path.split('/').count() > DEPTH {
        return unfit("a path that is too long for a result");
    }
    Ok(path)
}

fn copy(from: &mut impl Read, path: &Path, room: Room, sum: &mut Collected) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let left = room.bytes.saturating_sub(sum.bytes);
    let copied = {
        let mut limited = from.take(left);
        let mut buffer = vec![0; PIECE];
        let mut copied = 0_u64;
        loop {
            let length = limited.read(&mut buffer)?;
            if length == 0 {
                break copied;
            }
            io::Write::write_all(&mut file, &buffer[..length])?;
            copied += length as u64;
        }
    };
    sum.bytes += copied;
    if copied == left && from.read(&mut [0])? > 0 {
        sum.is_full = Some(Full::Bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tar::{Builder, Header};

    use super::*;

    const ROOM: Room = Room { bytes: 1_000, entries: 100 };

    /// A tar file as an engine packs a directory called `outputs`; names are taken as they are.
    fn packed(entries: &[(&[u8], EntryType, &[u8], &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, bytes, link) in entries {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_entry_type(*kind);
            header.set_mode(0o7777);
            if !link.is_empty() {
                header.set_link_name(link).unwrap();
            }
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn collected(packed: &[u8], room: Room) -> (tempfile::TempDir, Collected) {
        let dir = tempfile::tempdir().unwrap();
        let mut sum = Collected::default();
        collect(packed, &dir.path().join("outputs"), room, &mut sum).unwrap();
        (dir, sum)
    }

    #[test]
    fn files_and_directories_are_made_and_nothing_else() {
        let packed = packed(&[
            (b"outputs/", EntryType::Directory, b"", ""),
            (b"outputs/a", EntryType::Regular, b"hello", ""),
            (b"outputs/d/", EntryType::Directory, b"", ""),
            (b"outputs/d/hard", EntryType::Link, b"", "outputs/a"),
            (b"outputs/d/soft", EntryType::Symlink, b"", "/etc/passwd"),
            (b"outputs/d/soft/below", EntryType::Regular, b"x", ""),
            (b"outputs/outside", EntryType::Link, b"", "../../etc/passwd"),
            (b"outputs/null", EntryType::Char, b"", ""),
            (b"outputs/pipe", EntryType::Fifo, b"", ""),
        ]);
        let (dir, sum) = collected(&packed, ROOM);
        assert_eq!((sum.bytes, sum.entries, sum.left_out), (10, 3, 5));
        assert!(dir.path().join("outputs/d/soft").symlink_metadata().is_err());
        assert_eq!(std::fs::read(dir.path().join("outputs/d/hard")).unwrap(), b"hello");
    }

    #[test]
    fn names_that_lead_elsewhere_are_left_out() {
        let packed = packed(&[
            (b"outputs/", EntryType::Directory, b"", ""),
            (b"outputs/../up", EntryType::Regular, b"x", ""),
            (b"outputs//double", EntryType::Regular, b"x", ""),
            (b"outputs/bad\xff/", EntryType::Directory, b"", ""),
            (b"outputs/bad\xff/in", EntryType::Regular, b"x", ""),
            (b"outputs/good", EntryType::Regular, b"x", ""),
            (b"outputs/link", EntryType::Link, b"", "outputs/../up"),
        ]);
        let (dir, sum) = collected(&packed, ROOM);
        assert!(!dir.path().join("up").exists());
        let found: Vec<_> =
            std::fs::read_dir(dir.path().join("outputs")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(found, ["good"]);
        assert_eq!((sum.bytes, sum.entries, sum.left_out), (1, 1, 5));
        let what = sum.what_is_left_out().unwrap();
        assert!(what.contains("a name that is not UTF-8") && what.ends_with("and 2 more"), "{what}");
    }

    /// The same with names of any length.
    fn packed_long(entries: &[(String, EntryType)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o7777);
            header.set_size(0);
            builder.append_data(&mut header, name, io::empty()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn what_lies_too_deep_is_left_out_and_is_no_failure() {
        let nested = |name: &str, levels: usize| format!("outputs{}", format!("/{name}").repeat(levels));
        let (long, wide) = ("n".repeat(200), "w".repeat(NAME));
        let mut entries = vec![("outputs/".to_owned(), EntryType::Directory)];
        for levels in 1..=25 {
            entries.push((nested(&long, levels), EntryType::Directory));
        }
        entries.push((nested(&long, 25) + "/end", EntryType::Regular));
        for levels in 1..=DEPTH + 5 {
            entries.push((nested("d", levels), EntryType::Directory));
        }
        // Longer than Linux takes, as one path.
        for levels in 1..=20 {
            entries.push((nested(&wide, levels), EntryType::Directory));
        }
        entries.push(("outputs/good".to_owned(), EntryType::Regular));
        let (dir, sum) = collected(&packed_long(&entries), ROOM);
        // Five of 200 bytes, with the slashes; 64 of one; four of 255; and the file.
        assert_eq!((sum.entries, sum.is_full), (5 + 64 + 4 + 1, None));
        assert_eq!(sum.left_out, 20 + 1 + 5 + 16);
        assert!(dir.path().join("outputs/good").is_file());
        let what = sum.what_is_left_out().unwrap();
        assert!(what.contains("too long for a result") && what.ends_with("and 39 more"), "{what}");
    }

    #[test]
    fn there_is_room_for_so_much() {
        let packed = packed(&[
            (b"outputs/", EntryType::Directory, b"", ""),
            (b"outputs/a", EntryType::Regular, b"hello", ""),
            (b"outputs/b", EntryType::Link, b"", "outputs/a"),
            (b"outputs/c", EntryType::Regular, b"!", ""),
        ]);
        let all = collected(&packed, Room { bytes: 11, entries: 3 }).1;
        assert_eq!((all.bytes, all.entries, all.is_full), (11, 3, None));
        // A link is a copy.
        let (dir, some) = collected(&packed, Room { bytes: 8, entries: 3 });
        assert_eq!((some.bytes, some.is_full), (8, Some(Full::Bytes)));
        assert_eq!(std::fs::read(dir.path().join("outputs/b")).unwrap(), b"hel");
        let few = collected(&packed, Room { bytes: 11, entries: 2 }).1;
        assert_eq!((few.entries, few.is_full), (2, Some(Full::Entries)));
        let none = collected(&packed, Room { bytes: 0, entries: 0 }).1;
        assert_eq!((none.entries, none.is_full), (0, Some(Full::Entries)));
    }
}
