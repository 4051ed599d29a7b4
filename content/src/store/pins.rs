//! Pins, kept in memory and in an append-only log.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use cid::Cid;

use super::disk::sync_dir;
use super::{StoreError, SyncPolicy};
use crate::digest::parse_cid;

/// Most pins that a store holds.
pub const MAX_PINS: usize = 1_000_000;
/// Longest name of a pin, in bytes.
pub const MAX_PIN_NAME: usize = 256;
/// The log is rewritten when it has this many lines more than twice the pins.
const SLACK: usize = 1024;

/// Refuses names that would not survive in a line of the log.
pub(super) fn check_name(name: &str) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > MAX_PIN_NAME || name.chars().any(char::is_control) {
        return Err(StoreError::PinName { name: name.chars().take(64).collect() });
    }
    Ok(())
}

/// The pins. A line of the log is `+ <cid> <name>` or `- <name>`; a last line without its end was
/// torn by a crash before its pin was acknowledged, and is dropped.
#[derive(Debug)]
pub(super) struct Pins {
    pins: BTreeMap<String, Cid>,
    path: PathBuf,
    log: File,
    lines: usize,
    sync: bool,
    /// A failed append may have left half a line: the log is rewritten before the next one.
    broken: bool,
}

impl Pins {
    pub(super) fn open(path: PathBuf, sync: SyncPolicy) -> Result<Self, StoreError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut pins = BTreeMap::new();
        for (index, line) in whole.lines().enumerate() {
            if replay(&mut pins, line).is_none() {
                return Err(StoreError::PinsCorrupt { path, line: index + 1, text: line.chars().take(80).collect() });
            }
        }
        let log = open_log(&path)?;
        let mut opened = Self {
            lines: whole.lines().count(),
            pins,
            path,
            log,
            sync: sync != SyncPolicy::Never,
            broken: whole.len() != text.len(),
        };
        opened.tidy()?;
        Ok(opened)
    }

    pub(super) fn get(&self, name: &str) -> Option<Cid> {
        self.pins.get(name).copied()
    }

    pub(super) fn all(&self) -> Vec<(String, Cid)> {
        self.pins.iter().map(|(name, cid)| (name.clone(), *cid)).collect()
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = Cid> + '_ {
        self.pins.values().copied()
    }

    pub(super) fn insert(&mut self, name: &str, cid: &Cid) -> Result<Option<Cid>, StoreError> {
        let previous = self.get(name);
        if previous == Some(*cid) {
            return Ok(previous);
        }
        if previous.is_none() && self.pins.len() >= MAX_PINS {
            return Err(StoreError::TooManyPins);
        }
        self.append(&format!("+ {cid} {name}\n"))?;
        self.pins.insert(name.to_owned(), *cid);
        Ok(previous)
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<Option<Cid>, StoreError> {
        if !self.pins.contains_key(name) {
            return Ok(None);
        }
        self.append(&format!("- {name}\n"))?;
        Ok(self.pins.remove(name))
    }

    fn append(&mut self, line: &str) -> Result<(), StoreError> {
        self.tidy()?;
        let written =
            self.log.write_all(line.as_bytes()).and_then(|()| if self.sync { self.log.sync_data() } else { Ok(()) });
        self.lines += 1;
        written.map_err(|error| {
            self.broken = true;
            StoreError::io("append to", &self.path)(error)
        })
    }

    /// Rewrites the log if its end is torn, or if it is mostly history.
    fn tidy(&mut self) -> Result<(), StoreError> {
        if !self.broken && self.lines <= 2 * self.pins.len() + SLACK {
            return Ok(());
        }
        let new = self.path.with_extension("new");
        let mut text = String::new();
        for (name, cid) in &self.pins {
            text.push_str(&format!("+ {cid} {name}\n"));
        }
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            if self.sync {
                file.sync_all()?;
            }
            fs::rename(&new, &self.path)
        };
        write().map_err(StoreError::io("rewrite", &self.path))?;
        if self.sync
            && let Some(dir) = self.path.parent()
        {
            sync_dir(dir)?;
        }
        self.log = open_log(&self.path)?;
        self.lines = self.pins.len();
        self.broken = false;
        Ok(())
    }
}

fn open_log(path: &PathBuf) -> Result<File, StoreError> {
    OpenOptions::new().create(true).append(true).open(path).map_err(StoreError::io("open", path))
}

fn replay(pins: &mut BTreeMap<String, Cid>, line: &str) -> Option<()> {
    if let Some(pin) = line.strip_prefix("+ ") {
        let (cid, name) = pin.split_once(' ')?;
        check_name(name).ok()?;
        pins.insert(name.to_owned(), parse_cid(cid).ok()?);
    } else {
        pins.remove(line.strip_prefix("- ")?);
    }
    Some(())
}
