//! The demo's program and texts as files.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::material::{TEXTS, WORD_COUNT};

/// Writes `wordcount.wasm` and `texts/` into a folder. A file that is there and the same is left alone; nothing is overwritten,
/// and nothing is written if a file differs.
///
/// # Errors
/// When a file of another content is there, or one cannot be written.
pub(crate) fn write(folder: &Path) -> anyhow::Result<()> {
    let texts = TEXTS.iter().map(|(name, text)| (folder.join("texts").join(name), text.as_bytes()));
    let files: Vec<(PathBuf, &[u8])> =
        std::iter::once((folder.join("wordcount.wasm"), WORD_COUNT)).chain(texts).collect();
    let mut missing = Vec::new();
    for (path, bytes) in files {
        match held(&path, bytes)? {
            Held::Same => {}
            Held::Nothing => missing.push((path, bytes)),
            Held::Other => {
                bail!(
                    "{} exists already and is another file; nothing is overwritten, name another folder",
                    path.display()
                )
            }
        }
    }
    for (path, bytes) in missing {
        let file = || -> io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(bytes)
        };
        file().with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// What is in a file's place.
enum Held {
    Nothing,
    Same,
    Other,
}

fn held(path: &Path, bytes: &[u8]) -> anyhow::Result<Held> {
    let cannot = || format!("cannot read {}", path.display());
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Held::Nothing),
        Err(error) => return Err(error).with_context(cannot),
        Ok(found) if !found.is_file() || found.len() != bytes.len() as u64 => return Ok(Held::Other),
        Ok(_) => {}
    }
    let mut found = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(bytes.len() as u64 + 1).read_to_end(&mut found))
        .with_context(cannot)?;
    Ok(if found == bytes { Held::Same } else { Held::Other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_the_same_is_used_again_and_nothing_else_is_touched() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("demo");
        write(&folder).expect("written");
        let program = folder.join("wordcount.wasm");
        let (name, text) = TEXTS[0];
        let first = folder.join("texts").join(name);
        assert_eq!(fs::read_to_string(&first).expect("there"), text);

        // One is gone, one is the reader's own.
        fs::remove_file(&first).expect("removed");
        fs::write(folder.join("mine.txt"), "mine").expect("written");
        let before = fs::metadata(&program).and_then(|found| found.modified()).expect("there");
        write(&folder).expect("the rest is the same");
        assert_eq!(fs::read_to_string(&first).expect("there again"), text);
        assert_eq!(fs::metadata(&program).and_then(|found| found.modified()).expect("there"), before);

        fs::write(&first, "other").expect("written");
        fs::remove_file(&program).expect("removed");
        let error = write(&folder).expect_err("one differs").to_string();
        assert!(error.contains(name) && error.contains("nothing is overwritten"), "{error}");
        assert!(!program.exists() && fs::read_to_string(&first).expect("there") == "other");
    }
}
