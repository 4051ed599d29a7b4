//! The importer against rust-unixfs, an independent implementation, and against hostile trees.

use std::io::Cursor;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use rust_unixfs::dir::builder::{BufferingTreeBuilder, TreeOptions};
use rust_unixfs::file::adder::FileAdder;

use super::*;
use crate::store::{Store, StoreOptions};
use crate::testing::noise;
use crate::unixfs::{CHUNK_SIZE, LINKS_PER_NODE};

fn options(threads: usize) -> ImportOptions {
    ImportOptions { threads, ..ImportOptions::default() }
}

/// CID and cumulative size of a file, by rust-unixfs.
fn reference_file(content: &[u8]) -> (Cid, u64) {
    let mut adder = FileAdder::default();
    let mut blocks = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (made, consumed) = adder.push(rest);
        blocks.extend(made);
        rest = &rest[consumed..];
    }
    blocks.extend(adder.finish());
    let size = blocks.iter().map(|(_, block)| block.len() as u64).sum();
    (Cid::try_from(blocks.last().unwrap().0.to_bytes()).unwrap(), size)
}

/// CID of a tree of files given by path, by rust-unixfs.
fn reference_tree(files: &[(String, Cid, u64)]) -> Cid {
    let mut tree_options = TreeOptions::default();
    tree_options.wrap_with_directory();
    let mut builder = BufferingTreeBuilder::new(tree_options);
    for (path, cid, size) in files {
        builder.put_link(path, *cid, *size).unwrap();
    }
    builder.build().last().unwrap().unwrap().cid
}

#[test]
fn files_of_every_shape_have_the_reference_cid() {
    let full = CHUNK_SIZE * LINKS_PER_NODE;
    let content = noise(full * 2 + CHUNK_SIZE + 1);
    for length in [
        0,
        1,
        CHUNK_SIZE - 1,
        CHUNK_SIZE,
        CHUNK_SIZE + 1,
        3 * CHUNK_SIZE,
        full,
        full + 1,
        full + CHUNK_SIZE,
        content.len(),
    ] {
        let content = &content[..length];
        let (cid, dag_size) = reference_file(content);
        for threads in [1, 3] {
            let sliced = cid_of_bytes(content, &options(threads)).unwrap();
            assert_eq!((sliced.cid, sliced.dag_size), (cid, dag_size), "{length} bytes");
            assert_eq!(sliced.size, length as u64);
            let read = cid_of_reader(Cursor::new(content), &options(threads)).unwrap();
            assert_eq!(read, sliced);
        }
    }
}

#[test]
fn a_reader_that_gives_little_at_a_time_changes_nothing() {
    struct Trickle<'a>(&'a [u8]);
    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(out.len()).min(7777);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    let content = noise(CHUNK_SIZE * 3 + 5);
    let read = cid_of_reader(Trickle(&content), &options(2)).unwrap();
    assert_eq!(read, cid_of_bytes(&content, &options(1)).unwrap());
}

#[test]
fn a_large_directory_is_sharded_like_the_reference() {
    let empty = cid_of_bytes(b"", &options(1)).unwrap();
    let mut builder = DirBuilder::new();
    let mut files = Vec::new();
    for index in 0..10_000 {
        let name = format!("file-{index:05}.txt");
        builder.insert(&name, &empty.cid, 0).unwrap();
        files.push((name, empty.cid, 0));
    }
    let built = builder.build(&HashOnly).unwrap();
    assert_eq!(built.cid, reference_tree(&files));
    assert_eq!(built.entries, 10_001);
    assert!(built.blocks > 256);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_trees_have_the_reference_cid(
        files in prop::collection::btree_map(
            "([a-d]{1,2}/){0,3}f[a-zé0-9]{1,6}",
            prop::collection::vec(any::<u8>(), 0..600),
            1..30,
        ),
        threads in 1_usize..4,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut reference = Vec::new();
        for (path, content) in &files {
            let full = dir.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(&full, content).unwrap();
            let (cid, size) = reference_file(content);
            reference.push((path.clone(), cid, size));
        }
        let imported = cid_of_path(dir.path(), &options(threads)).unwrap();
        prop_assert_eq!(imported.cid, reference_tree(&reference));
        prop_assert_eq!(imported.size, files.values().map(|c| c.len() as u64).sum::<u64>());
    }

    #[test]
    fn random_directories_near_the_threshold_have_the_reference_cid(
        count in 3000_usize..5000,
        length in 20_usize..60,
    ) {
        let empty = cid_of_bytes(b"", &options(1)).unwrap();
        let mut builder = DirBuilder::new();
        let mut files = Vec::new();
        for index in 0..count {
            let name = format!("{index:0length$}");
            builder.insert(&name, &empty.cid, index as u64).unwrap();
            files.push((name, empty.cid, index as u64));
        }
        prop_assert_eq!(builder.build(&HashOnly).unwrap().cid, reference_tree(&files));
    }
}

#[test]
fn links_are_refused_with_their_path_or_kept_as_links() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/etc/passwd", dir.path().join("leak")).unwrap();
    match cid_of_path(dir.path(), &options(1)) {
        Err(ImportError::Symlink { path }) => assert_eq!(path, dir.path().join("leak")),
        other => panic!("{other:?}"),
    }
    match cid_of_path(dir.path().join("leak"), &options(1)) {
        Err(ImportError::Symlink { .. }) => {}
        other => panic!("{other:?}"),
    }
    let kept = ImportOptions { symlinks: Symlinks::Keep, ..options(1) };
    let imported = cid_of_path(dir.path(), &kept).unwrap();
    assert_eq!((imported.entries, imported.size), (2, 0));
}

#[test]
fn special_files_are_refused_without_being_opened() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    match cid_of_path(dir.path(), &options(1)) {
        Err(ImportError::SpecialFile { path, kind }) => {
            assert_eq!((path, kind), (pipe, "named pipe"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_stop_the_import_where_they_are_passed() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..10 {
        std::fs::write(dir.path().join(index.to_string()), [0; 100]).unwrap();
    }
    let with = |change: fn(&mut ImportOptions)| {
        let mut options = options(1);
        change(&mut options);
        cid_of_path(dir.path(), &options)
    };
    assert!(with(|o| o.max_entries = 11).is_ok());
    assert!(matches!(with(|o| o.max_entries = 10), Err(ImportError::TooManyEntries { limit: 10, .. })));
    assert!(with(|o| o.max_bytes = 1000).is_ok());
    assert!(matches!(with(|o| o.max_bytes = 999), Err(ImportError::TooManyBytes { limit: 999, .. })));
    let deep = dir.path().join("a/b/c");
    std::fs::create_dir_all(deep).unwrap();
    assert!(with(|o| o.max_depth = 3).is_ok());
    assert!(matches!(with(|o| o.max_depth = 2), Err(ImportError::TooDeep { limit: 2, .. })));
    assert!(matches!(with(|o| o.cancel = Some(Arc::new(AtomicBool::new(true)))), Err(ImportError::Cancelled)));
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    std::fs::write(&bad, b"").unwrap();
    match cid_of_path(dir.path(), &options(1)) {
        Err(ImportError::Name { path }) => assert_eq!(path, bad),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_escape_are_refused_by_the_builder() {
    let cid = cid_of_bytes(b"", &options(1)).unwrap().cid;
    let mut builder = DirBuilder::new();
    for name in ["", ".", "..", "a/b", "/", "nul\0", &"x".repeat(256)] {
        assert!(matches!(builder.insert(name, &cid, 0), Err(DirError::Name { .. })));
    }
    builder.insert("...", &cid, 0).unwrap();
    assert!(matches!(builder.insert("...", &cid, 0), Err(DirError::Duplicate { .. })));
}

#[test]
fn what_is_imported_is_in_the_store_and_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let content = noise(CHUNK_SIZE * 20 + 1);
    let pinned = ImportOptions { pin: Some("noise".to_owned()), ..options(3) };
    let imported = import_bytes(&store, &content, &pinned).unwrap();
    let forgotten = import_bytes(&store, b"forgotten", &options(1)).unwrap();
    assert_eq!(imported.blocks, 22);
    assert_eq!(store.usage().blocks, 23);
    assert_eq!(store.usage().bytes, imported.dag_size + 9);
    let report = store.gc().unwrap();
    assert_eq!((report.pinned_blocks, report.removed_blocks), (22, 1));
    assert!(store.has(&imported.cid).unwrap());
    assert!(!store.has(&forgotten.cid).unwrap());
}

#[test]
fn a_full_store_fails_the_import_and_leaves_no_pin() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { capacity: 1 << 20, ..StoreOptions::default() };
    let store = Store::open(dir.path(), options).unwrap();
    let pinned = ImportOptions { pin: Some("noise".to_owned()), threads: 2, ..ImportOptions::default() };
    let error = import_bytes(&store, &noise(2 << 20), &pinned).unwrap_err();
    assert!(matches!(error, ImportError::Store(StoreError::StoreFull { capacity: 1_048_576, .. })), "{error}");
    assert_eq!(store.pins(), []);
    // the guard is gone: the next import finds room
    import_bytes(&store, &noise(CHUNK_SIZE * 2), &pinned).unwrap();
}

#[tokio::test]
async fn an_async_reader_gives_the_same_cid() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let content = noise(CHUNK_SIZE * 2 + 9);
    let imported = import_async_reader(&store, Cursor::new(content.clone()), &options(2)).await.unwrap();
    assert_eq!(imported, cid_of_bytes(&content, &options(1)).unwrap());
}

/// The tree over the CIDs of leaves, by rust-unixfs.
fn reference_tree_of_leaves(leaves: &[(Cid, u64)]) -> (Cid, u64) {
    use rust_unixfs::file::adder::{FileBranchLink, build_file_from_leaves};
    let leaves: Vec<FileBranchLink> =
        leaves.iter().map(|(cid, size)| FileBranchLink { cid: *cid, blocksize: *size, tsize: *size }).collect();
    let hasher = multihash_codetable::Code::Sha2_256;
    let (cid, size, _) = build_file_from_leaves(&leaves, cid::Version::V1, hasher);
    (cid, size)
}

fn tree_of_leaves(leaves: &[(Cid, u64)]) -> (Cid, u64) {
    let mut tree = file::BalancedTree::default();
    for (cid, size) in leaves {
        let leaf = file::Subtree { cid: *cid, size: *size, dag_size: *size, blocks: 1 };
        tree.push(&HashOnly, leaf).unwrap();
    }
    let root = tree.finish(&HashOnly).unwrap().unwrap();
    assert_eq!(root.size, leaves.iter().map(|(_, size)| size).sum::<u64>());
    (root.cid, root.dag_size)
}

#[test]
fn trees_of_three_levels_are_those_of_both_references() {
    let chunk = CHUNK_SIZE as u64;
    let zeros = crate::digest::cid_of_block(crate::digest::codec::RAW, &vec![0; CHUNK_SIZE]);
    let byte = crate::digest::cid_of_block(crate::digest::codec::RAW, &[0]);
    let mut leaves = vec![(zeros, chunk); LINKS_PER_NODE * LINKS_PER_NODE];
    // of golden.json, where npm ipfs-unixfs-importer hashed all 8 GB
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../tests/golden.json")).unwrap();
    let recorded = |name: &str| {
        let cases = golden.as_array().unwrap();
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        case["cid"].as_str().unwrap().to_owned()
    };
    let two = tree_of_leaves(&leaves);
    assert_eq!(two, reference_tree_of_leaves(&leaves));
    assert_eq!(two.0.to_string(), recorded("zeros of 30276 chunks (two full levels)"));
    leaves.push((byte, 1));
    let three = tree_of_leaves(&leaves);
    assert_eq!(three, reference_tree_of_leaves(&leaves));
    assert_eq!(three.0.to_string(), recorded("zeros of 30276 chunks and a byte (three levels)"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn trees_of_any_number_of_leaves_are_those_of_the_reference(count in 1_usize..70_000) {
        let cid = crate::digest::cid_of_block(crate::digest::codec::RAW, b"leaf");
        let leaves: Vec<(Cid, u64)> = (0..count).map(|index| (cid, index as u64)).collect();
        prop_assert_eq!(tree_of_leaves(&leaves), reference_tree_of_leaves(&leaves));
    }
}

#[test]
fn links_to_directories_count_towards_the_threshold_of_sharding() {
    // npm ipfs-unixfs-importer forgets them, `ipfs add` and rust-unixfs do not
    let file = cid_of_bytes(b"", &options(1)).unwrap();
    let mut inner = DirBuilder::new();
    inner.insert("f", &file.cid, 0).unwrap();
    let inner = inner.build(&HashOnly).unwrap();
    let mut builder = DirBuilder::new();
    let mut files = Vec::new();
    for index in 0..8000 {
        builder.insert(format!("{index}"), &inner.cid, inner.dag_size).unwrap();
        files.push((format!("{index}/f"), file.cid, 0));
    }
    let built = builder.build(&HashOnly).unwrap();
    assert!(built.blocks > 1);
    assert_eq!(built.cid, reference_tree(&files));
}
