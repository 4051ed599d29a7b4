//! One daemon for each home.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
};

use anyhow::{Context as _, bail};

use crate::home::Home;

/// Held while a daemon runs in a home; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the home for this process.
    ///
    /// # Errors
    /// When another daemon has it.
    pub(crate) fn take(home: &Home) -> anyhow::Result<Self> {
        home.create()?;
        let path = home.path().join("daemon.lock");
        let context = || format!("cannot use {}", path.display());
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&path).with_context(context)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok() && holder.trim().parse::<u32>().is_ok();
                let holder = if known { format!(" (process {})", holder.trim()) } else { String::new() };
                bail!(
                    "a daemon is running in {} already{holder}; use that one, stop it, or name another home with --home",
                    home.path().display()
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .with_context(context)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_daemon() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::find(Some(folder.path().to_owned())).expect("a home");
        let first = HomeLock::take(&home).expect("free");
        let error = HomeLock::take(&home).expect_err("taken").to_string();
        assert!(error.contains("already") && error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        HomeLock::take(&home).expect("free again");
    }
}
