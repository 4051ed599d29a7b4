use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::digest::codec;
use crate::import::{ImportOptions, Symlinks, cid_of_path, import_path};
use crate::store::{Store, StoreOptions};
use crate::testing::{Blocks, block_on, noise};
use crate::unixfs::CHUNK_SIZE;

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
        assert!(matches!(export(&blocks, &cid, &limits), Err(ExportError::Exists { .. })));
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
