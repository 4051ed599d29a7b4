//! Cases of content, made here as `tests/js/importer.mjs` makes them.

use std::io::Read;
use std::path::Path;

use lota_content::unixfs::{CHUNK_SIZE, SHARD_THRESHOLD};
use lota_content::{DirBuilder, HashOnly, ImportOptions, cid_of_bytes, cid_of_path, cid_of_reader};
use serde_json::Value;

/// A 32-bit xorshift, one byte a step.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8
        })
        .collect()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a number")).expect("a small number")
}

/// Whether a case has so much content that hashing all of it takes minutes in a debug build.
pub(crate) fn is_huge(case: &Value) -> bool {
    !case["file"].is_null() && number(&case["file"]["size"]) > 100_000 * CHUNK_SIZE / 4
}

/// Whether the importer's known fault changes the CID of a case: it forgets the links to
/// directories when it decides whether a directory is to be sharded, which `ipfs add` counts.
pub(crate) fn is_miscounted(case: &Value) -> bool {
    let Some(many) = case.get("many") else {
        return false;
    };
    let nested = many["nested"].as_u64().unwrap_or(0) as usize;
    let prefix = many["prefix"].as_str().map_or(0, str::len);
    let width = number(&many["width"]);
    let (mut all, mut files) = (0, 0);
    for index in 0..number(&many["count"]) {
        let link = prefix + index.to_string().len().max(width) + 36;
        all += link;
        if nested == 0 || index % nested != 0 {
            files += link;
        }
    }
    all > SHARD_THRESHOLD && files <= SHARD_THRESHOLD
}

/// The CID of a case, by this crate.
pub(crate) fn cid(case: &Value) -> String {
    let options = ImportOptions::default();
    if let Some(file) = case.get("file") {
        let size = number(&file["size"]);
        let imported = if file["fill"] == "zero" {
            cid_of_reader(std::io::repeat(0).take(size as u64), &options)
        } else {
            cid_of_bytes(&noise(size), &options)
        };
        return imported.expect("content in memory").cid.to_string();
    }
    if let Some(many) = case.get("many") {
        let text = |name: &str| many[name].as_str().expect("a text").to_owned();
        let width = number(&many["width"]);
        let file = cid_of_bytes(&noise(number(&many["size"])), &options).expect("a file");
        let mut inner = DirBuilder::new();
        inner.insert("f", &file.cid, file.dag_size).expect("a name");
        let inner = inner.build(&HashOnly).expect("a directory");
        let nested = many["nested"].as_u64().unwrap_or(0) as usize;
        let mut directory = DirBuilder::new();
        for index in 0..number(&many["count"]) {
            let name = format!("{}{index:0width$}", text("prefix"));
            let child = match nested {
                0 => &file,
                nested if index % nested == 0 => &inner,
                _ => &file,
            };
            directory.insert(name, &child.cid, child.dag_size).expect("a name");
        }
        return directory.build(&HashOnly).expect("a directory").cid.to_string();
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    for entry in case["tree"].as_array().expect("a tree") {
        make(dir.path(), entry);
    }
    cid_of_path(dir.path(), &options).expect("a tree").cid.to_string()
}

fn make(root: &Path, entry: &Value) {
    let path = root.join(entry["path"].as_str().expect("a path"));
    if entry["directory"] == true {
        std::fs::create_dir_all(path).expect("a new directory");
        return;
    }
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a new directory");
    std::fs::write(path, noise(number(&entry["size"]))).expect("a new file");
}
