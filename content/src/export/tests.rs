use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::dagpb;
use crate::digest::codec;
use crate::import::{ImportOptions, Symlinks, cid_of_path, import_path};
use crate::store::{Store, StoreOptions};
use crate::testing::{Blocks, block_on, noise};
use crate::unixfs::{self, CHUNK_SIZE};

fn export(blocks: &Arc<Blocks>, cid: &Cid, limits: &ExportLimits) -> Result<Exported, ExportError> {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("out");
    let outcome = block_on(export_to(blocks.clone(), cid, &dest, limits));
    assert_eq!(outcome.is_ok(), dest.symlink_metadata().is_ok(), "nothing may stay behind");
    outcome
}

fn blocks() -> Arc<Blocks> {
    Arc::default()
}

#[test]
fn a_directory_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    std::fs::create_dir_all(original.join("a/b/empty directory")).unwrap();
    std::fs::write(original.join("a/large"), noise(CHUNK_SIZE * 3 + 5)).unwrap();
    std::fs::write(original.join("a/empty"), b"").unwrap();
    std::fs::write(original.join("ünï"), b"small").unwrap();
    std::os::unix::fs::symlink("a/large", original.join("link")).unwrap();
    let store = Store::open(dir.path().join("store"), StoreOptions::default()).unwrap();
    let options = ImportOptions { symlinks: Symlinks::Keep, ..ImportOptions::default() };
    let imported = import_path(&store, &original, &options).unwrap();
    let limits = ExportLimits { symlinks: ExportSymlinks::Create, ..ExportLimits::default() };
    let copy = dir.path().join("copy");
    let exported = block_on(export_to(store.clone(), &imported.cid, &copy, &limits)).unwrap();
    assert_eq!((exported.bytes, exported.entries), (imported.size, imported.entries));
    assert_eq!(cid_of_path(&copy, &options).unwrap(), imported);
    assert_eq!(std::fs::read_link(copy.join("link")).unwrap(), Path::new("a/large"));
    // nothing is overwritten, and what was there stays
    match block_on(export_to(store, &imported.cid, &copy, &limits)) {
        Err(ExportError::Exists { path }) => assert_eq!(path, copy),
        other => panic!("{other:?}"),
    }
    assert!(copy.join("a/large").exists());
}

#[test]
fn a_file_is_exported_as_a_file_and_never_over_another() {
    let blocks = blocks();
    let cid = blocks.put(codec::RAW, b"content");
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("file");
    let limits = ExportLimits::default();
    block_on(export_to(blocks.clone(), &cid, &dest, &limits)).unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), b"content");
    std::fs::write(&dest, b"mine").unwrap();
    assert!(matches!(block_on(export_to(blocks.clone(), &cid, &dest, &limits)), Err(ExportError::Exists { .. })));
    assert_eq!(std::fs::read(&dest).unwrap(), b"mine");
    // a dangling link at the destination is not written through either
    let outside = dir.path().join("outside");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    assert!(matches!(block_on(export_to(blocks, &cid, &link, &limits)), Err(ExportError::Exists { .. })));
    assert!(!outside.exists());
}

#[test]
fn hostile_names_are_refused() {
    let blocks = blocks();
    let file = blocks.put(codec::RAW, b"x");
    for name in ["..", ".", "", "/etc/passwd", "a/b", "nul\0byte", &"x".repeat(256)] {
        let cid = blocks.directory(&[("fine", file), (name, file)]);
        match export(&blocks, &cid, &ExportLimits::default()) {
            Err(ExportError::Name { directory, .. }) => assert_eq!(*directory, cid),
            other => panic!("{name:?}: {other:?}"),
        }
    }
}

#[test]
fn nothing_is_written_through_a_link_made_by_the_same_directory() {
    let blocks = blocks();
    let outside = tempfile::tempdir().unwrap();
    let link = blocks.symlink(outside.path().to_str().unwrap());
    let file = blocks.put(codec::RAW, b"x");
    let directory = blocks.directory(&[("file", file)]);
    let limits = ExportLimits { symlinks: ExportSymlinks::Create, ..ExportLimits::default() };
    for second in [directory, file] {
        let cid = blocks.directory(&[("d", link), ("d", second)]);
        assert!(export(&blocks, &cid, &limits).unwrap_err().to_string().contains("two entries named \"d\""));
    }
    // Nor would the writer, were it not counted before.
    for second in [Command::Enter("d".to_owned()), Command::File("d".to_owned())] {
        let dir = tempfile::tempdir().unwrap();
        let target = outside.path().to_str().unwrap().to_owned();
        let (commands, queue) = mpsc::channel(4);
        for command in [Command::Enter(String::new()), Command::Symlink("d".to_owned(), target), second] {
            commands.try_send(command).unwrap();
        }
        drop(commands);
        assert!(matches!(disk::write(&dir.path().join("out"), queue), Err(ExportError::Exists { .. })));
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(matches!(
        export(&blocks, &blocks.directory(&[("d", link)]), &ExportLimits::default()),
        Err(ExportError::Symlink { .. })
    ));
}

#[test]
fn small_dags_that_repeat_themselves_are_stopped_by_the_limits() {
    let blocks = blocks();
    // 10^20 entries in 20 blocks
    let mut bomb = blocks.put(codec::RAW, b"x");
    for _ in 0..20 {
        let names: Vec<String> = (0..10).map(|index| index.to_string()).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), bomb)).collect();
        bomb = blocks.directory(&entries);
    }
    let limits = ExportLimits { max_entries: 500, ..ExportLimits::default() };
    assert!(matches!(export(&blocks, &bomb, &limits), Err(ExportError::TooManyEntries { limit: 500, .. })));
    let limits = ExportLimits { max_depth: 10, ..ExportLimits::default() };
    assert!(matches!(export(&blocks, &bomb, &limits), Err(ExportError::TooDeep { limit: 10, .. })));
    // 10^20 bytes in 20 blocks
    let (mut cid, mut size) = (blocks.put(codec::RAW, &[0; 100]), 100_u64);
    for _ in 0..17 {
        cid = blocks.file(b"", &[(cid, size); 10], None);
        size *= 10;
    }
    blocks.asked();
    assert!(matches!(export(&blocks, &cid, &ExportLimits::default()), Err(ExportError::TooManyBytes { .. })));
    assert_eq!(blocks.asked(), 1, "the limit counts before anything is read");
}

#[test]
fn what_repeats_itself_is_counted_without_writing_and_refused_with_the_numbers() {
    let blocks = blocks();
    let mut bomb = blocks.put(codec::RAW, b"x");
    for _ in 0..12 {
        bomb = blocks.directory(&[("a", bomb), ("b", bomb), ("c", bomb)]);
    }
    assert_eq!(blocks.len(), 13);
    blocks.asked();
    let refused = export(&blocks, &bomb, &ExportLimits::default()).unwrap_err();
    assert!(matches!(refused, ExportError::Repetitive { entries: 797_161, distinct: 37, limit: 1_000 }), "{refused:?}");
    assert_eq!(
        refused.to_string(),
        "the content repeats itself: 37 different entries make 797161; at most 1000 are written for so few"
    );
    assert!(blocks.asked() < 100, "each block is read a few times at most");
    let patient = ExportLimits { max_repetition: u64::MAX, ..ExportLimits::default() };
    let measured = block_on(measure(&*blocks, &bomb, &patient)).unwrap();
    assert_eq!(measured, Measure { bytes: 531_441, entries: 797_161, distinct: 37 });
    let stingy = ExportLimits { max_bytes: 531_440, ..patient.clone() };
    let refused = block_on(measure(&*blocks, &bomb, &stingy)).unwrap_err();
    assert!(matches!(refused, ExportError::TooManyBytes { bytes: 531_441, limit: 531_440 }), "{refused:?}");
    let flat = ExportLimits { max_depth: 11, ..patient.clone() };
    assert!(block_on(measure(&*blocks, &bomb, &flat)).is_ok());
    let flat = ExportLimits { max_depth: 10, ..patient };
    assert!(matches!(block_on(measure(&*blocks, &bomb, &flat)), Err(ExportError::TooDeep { limit: 10, .. })));
}

#[test]
fn what_could_not_be_written_is_found_before_anything_is() {
    let blocks = blocks();
    let (one, five) = (blocks.put(codec::RAW, b"x"), blocks.put(codec::RAW, b"small"));
    let link = blocks.put(codec::DAG_PB, &dagpb::encode(std::iter::empty(), &unixfs::encode_symlink("/etc/passwd")));
    let opaque = blocks.put(codec::JSON, b"{}");
    let part = blocks.file(b"", &[(five, 5), (five, 5)], None);
    let folder = blocks.directory(&[("small", five)]);
    let mut deep = blocks.file(b"", &[(one, 1)], None);
    for _ in 0..63 {
        deep = blocks.file(b"", &[(deep, 1)], None);
    }
    for (what, cid, reason) in [
        ("a link", blocks.directory(&[("a", five), ("link", link)]), "link would be a symbolic link"),
        ("a link alone", link, "would be a symbolic link"),
        ("a name that leads up", blocks.directory(&[("..", five)]), "an entry named \"..\""),
        ("a name with a slash", blocks.directory(&[("a/b", five)]), "an entry named \"a/b\""),
        ("a long name", blocks.directory(&[(&"n".repeat(256), five)]), "an entry named \"nnn"),
        ("a name twice", blocks.directory(&[("a", five), ("b", one), ("a", one)]), "two entries named \"a\""),
        (
            "a leaf of another size",
            blocks.file(b"", &[(five, 4)], None),
            "5 bytes of content where its parent states 4",
        ),
        (
            "a part of another size",
            blocks.file(b"", &[(part, 11)], None),
            "10 bytes of content where its parent states 11",
        ),
        ("a part that is known, of another size", blocks.file(b"", &[(part, 10), (part, 9)], None), "states 9"),
        ("a directory in a file", blocks.file(b"", &[(folder, 5)], None), "part of a file and a directory"),
        ("a link in a file", blocks.file(b"", &[(link, 5)], None), "part of a file and a symbolic link"),
        ("data in a file", blocks.file(b"", &[(opaque, 2)], None), "part of a file and a block of data"),
        ("a file of too many levels", deep, "more than 64 levels"),
    ] {
        for cid in [cid, blocks.directory(&[("inside", cid)])] {
            let measured = block_on(measure(&*blocks, &cid, &ExportLimits::default())).map(|_| ()).unwrap_err();
            assert!(measured.to_string().contains(reason), "{what}: {measured}");
            assert!(export(&blocks, &cid, &ExportLimits::default()).is_err(), "{what}");
        }
    }
    // One level less, and what is empty, is read.
    let mut deep = blocks.file(b"", &[(one, 1)], None);
    for _ in 0..62 {
        deep = blocks.file(b"", &[(deep, 1), (folder, 0)], None);
    }
    assert_eq!(export(&blocks, &deep, &ExportLimits::default()).unwrap().bytes, 1);
    blocks.remove(&five);
    let gone = block_on(measure(&*blocks, &part, &ExportLimits::default())).unwrap_err();
    assert!(matches!(gone, ExportError::Dag(DagError::Missing { .. })), "{gone}");
}

#[test]
fn a_file_of_few_small_blocks_over_and_over_is_refused() {
    let blocks = blocks();
    let (byte, chunk) = (blocks.put(codec::RAW, b"x"), blocks.put(codec::RAW, &[0; 32 << 10]));
    let file = |leaf: Cid, size: u64| {
        let inner = blocks.file(b"", &vec![(leaf, size); 100], None);
        blocks.file(b"", &vec![(inner, 100 * size); 100], None)
    };
    let refused = block_on(measure(&*blocks, &file(byte, 1), &ExportLimits::default())).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the content repeats itself: for its 10000 bytes 10101 blocks would be read; at most 1000 are read for so few"
    );
    let inside = blocks.directory(&[("file", file(byte, 1))]);
    assert!(matches!(export(&blocks, &inside, &ExportLimits::default()), Err(ExportError::Fragmented { .. })));
    // Zeros are such a file, too: but in blocks of some size.
    let zeros = block_on(measure(&*blocks, &file(chunk, 32 << 10), &ExportLimits::default())).unwrap();
    assert_eq!(zeros.bytes, 10_000 * (32 << 10));
}

#[test]
fn a_path_is_as_long_as_it_may_be() {
    let blocks = blocks();
    let mut cid = blocks.put(codec::RAW, b"x");
    for _ in 0..3 {
        cid = blocks.directory(&[("a", cid), ("four", cid)]);
    }
    let limits = |max_path| ExportLimits { max_path, ..ExportLimits::default() };
    assert!(export(&blocks, &cid, &limits(15)).is_ok());
    let refused = export(&blocks, &cid, &limits(14)).unwrap_err();
    assert_eq!(refused.to_string(), "the content has a path of 15 bytes; at most 14 are written");
}

#[test]
fn a_measure_is_what_an_export_writes() {
    let blocks = blocks();
    let small = blocks.put(codec::RAW, b"small");
    let large = blocks.file(b"own", &[(small, 5), (small, 5)], Some(13));
    let shared = blocks.directory(&[("large", large), ("small", small)]);
    // many names of one file are no repetition: each stands in the directory
    let names: Vec<String> = (0..3000).map(|index| index.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), small)).collect();
    let many = blocks.directory(&entries);
    let root = blocks.directory(&[("one", shared), ("two", shared), ("many", many), ("file", large)]);
    for cid in [small, large, shared, many, root] {
        let measured = block_on(measure(&*blocks, &cid, &ExportLimits::default())).unwrap();
        let exported = export(&blocks, &cid, &ExportLimits::default()).unwrap();
        assert_eq!((measured.bytes, measured.entries), (exported.bytes, exported.entries));
    }
}

#[test]
fn a_dropped_export_leaves_nothing_behind() {
    let blocks = blocks();
    let file = blocks.put(codec::RAW, &[7; 1000]);
    let names: Vec<String> = (0..2000).map(|index| index.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), file)).collect();
    let cid = blocks.directory(&entries);
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("out");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let limits = ExportLimits::default();
        let export = export_to(blocks, &cid, &dest, &limits);
        tokio::select! {
            biased;
            outcome = export => panic!("{outcome:?}"),
            () = async { while !dest.exists() { tokio::task::yield_now().await } } => {}
        }
    });
    // waits for the writer
    drop(runtime);
    assert!(!dest.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn random_trees_round_trip(
        files in prop::collection::btree_map(
            "([a-d]{1,2}/){0,3}f[a-zé ]{1,6}",
            prop::collection::vec(any::<u8>(), 0..600),
            1..20,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let original = dir.path().join("original");
        for (path, content) in &files {
            let full = original.join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(&full, content).unwrap();
        }
        let store = Store::open(dir.path().join("store"), StoreOptions::default()).unwrap();
        let imported = import_path(&store, &original, &ImportOptions::default()).unwrap();
        let copy = dir.path().join("copy");
        let limits = ExportLimits {
            max_bytes: imported.size,
            max_entries: imported.entries,
            ..ExportLimits::default()
        };
        block_on(export_to(store.clone(), &imported.cid, &copy, &limits)).unwrap();
        let read: BTreeMap<String, Vec<u8>> = files
            .keys()
            .map(|path| (path.clone(), std::fs::read(copy.join(path)).unwrap()))
            .collect();
        prop_assert_eq!(read, files);
        let stingy = ExportLimits { max_entries: imported.entries - 1, ..limits };
        let again = block_on(export_to(store, &imported.cid, dir.path().join("again"), &stingy));
        let refused = matches!(again, Err(ExportError::TooManyEntries { .. }));
        prop_assert!(refused);
    }
}
