use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;
use crate::import::DirBuilder;
use crate::source::BlockSink as _;

fn open(dir: &Path, capacity: u64) -> Store {
    Store::open(dir, StoreOptions { capacity, sync: SyncPolicy::Never }).unwrap()
}

fn put(store: &Store, data: &[u8]) -> Cid {
    store.put_new(codec::RAW, data).unwrap()
}

#[test]
fn blocks_outlive_the_process_and_are_found_by_any_codec() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let cid = put(&store, b"hello");
    let usage = store.usage();
    assert_eq!(usage, Usage { blocks: 1, bytes: 5, charged: 4096 });
    drop(store);
    let store = open(dir.path(), 1 << 20);
    assert_eq!(store.usage(), usage);
    assert_eq!(store.get(&cid).unwrap().unwrap(), "hello");
    let other = crate::digest::cid_of_block(codec::JSON, b"hello");
    assert_eq!(store.size(&other).unwrap(), Some(5));
    assert_eq!(store.blocks().collect::<Result<Vec<_>, _>>().unwrap(), [(cid, 5)]);
    assert_eq!(store.get(&put_nowhere(b"missing")).unwrap(), None);
}

fn put_nowhere(data: &[u8]) -> Cid {
    crate::digest::cid_of_block(codec::RAW, data)
}

#[test]
fn the_layout_is_that_of_flatfs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    put(&store, b"hello\n");
    // where Kubo keeps the same block
    let path = "blocks/4A/CIQFRENVWURNLXYINUH7BMIQ7PM5EG5U7RYWHLZU2CBINIXII33L4AY.data";
    assert_eq!(std::fs::read(dir.path().join(path)).unwrap(), b"hello\n");
}

#[test]
fn wrong_bytes_are_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let cid = put_nowhere(b"right");
    assert!(matches!(store.put(&cid, b"wrong"), Err(StoreError::Cid(CidError::Mismatch { .. }))));
    let large = vec![0; MAX_BLOCK_SIZE + 1];
    assert!(matches!(store.put_new(codec::RAW, &large), Err(StoreError::Cid(CidError::TooLarge { .. }))));
    assert_eq!(store.usage(), Usage::default());
}

#[test]
fn a_corrupt_block_is_named_never_returned_and_healed_by_a_put() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let cid = put(&store, b"precious");
    let digest = crate::digest::sha2_256_digest(&cid).unwrap();
    let file = store.inner.disk.path(&digest);
    for damage in [&b"preciouS"[..], b"prec", b"", &vec![1; MAX_BLOCK_SIZE + 1]] {
        std::fs::write(&file, damage).unwrap();
        match store.get(&cid) {
            Err(StoreError::Corrupt { cid: named, path, .. }) => assert_eq!((*named, path), (cid, file.clone())),
            other => panic!("{other:?}"),
        }
        assert_eq!(store.check(false).unwrap().corrupt, std::slice::from_ref(&file));
        store.put(&cid, b"precious").unwrap();
        assert_eq!(store.get(&cid).unwrap().unwrap(), "precious");
    }
    std::fs::write(&file, b"preciouS").unwrap();
    assert_eq!(store.check(true).unwrap().corrupt_blocks, 1);
    assert_eq!(store.get(&cid).unwrap(), None);
    assert_eq!(store.check(false).unwrap(), CheckReport::default());
}

#[test]
fn a_block_that_was_found_corrupt_counts_as_missing_until_it_is_put_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let cid = put(&store, b"precious");
    let file = store.inner.disk.path(&crate::digest::sha2_256_digest(&cid).unwrap());
    std::fs::write(&file, b"preciouS").unwrap();
    assert!(store.has(&cid).unwrap(), "nobody has looked");
    let error = store.get(&cid).unwrap_err();
    assert!(!error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    assert!(!store.has(&cid).unwrap() && !store.guard().keep(&cid).unwrap());
    assert_eq!(store.size(&cid).unwrap(), None);
    store.put(&cid, b"precious").unwrap();
    assert!(store.has(&cid).unwrap());
    // somebody removed the damaged file
    std::fs::write(&file, b"preciouS").unwrap();
    store.get(&cid).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    store.put(&cid, b"precious").unwrap();
    assert_eq!((store.has(&cid).unwrap(), store.size(&cid).unwrap()), (true, Some(8)));
}

#[test]
fn what_a_killed_process_left_is_removed_and_recounted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let cid = put(&store, b"whole");
    // as after kill -9: no destructor runs, and a block was half-written
    let shard = dir.path().join("blocks/4A");
    std::fs::create_dir_all(&shard).unwrap();
    std::fs::write(shard.join("17-0.tmp"), b"hal").unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), copy.path());
    let after = open(copy.path(), 1 << 20);
    assert_eq!(after.usage(), store.usage());
    assert_eq!(after.get(&cid).unwrap().unwrap(), "whole");
    assert!(!copy.path().join("blocks/4A/17-0.tmp").exists());
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_second_opener_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    assert!(matches!(Store::open(dir.path(), StoreOptions::default()), Err(StoreError::InUse { .. })));
    drop(store);
    open(dir.path(), 1 << 20);
}

#[test]
fn a_foreign_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 1 << 20));
    let file = dir.path().join("blocks/SHARDING");
    std::fs::write(&file, "/repo/flatfs/shard/v1/prefix/2\n").unwrap();
    assert!(matches!(Store::open(dir.path(), StoreOptions::default()), Err(StoreError::Layout { .. })));
}

#[test]
fn pins_survive_are_unique_by_name_and_move() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let one = put(&store, b"1");
    let two = put(&store, b"2");
    assert_eq!(store.pin(&one, "job 1: output").unwrap(), None);
    assert_eq!(store.pin(&one, "job 1: output").unwrap(), Some(one));
    assert_eq!(store.pin(&two, "job 1: output").unwrap(), Some(one));
    assert_eq!(store.pin(&two, "other").unwrap(), None);
    assert_eq!(store.unpin("other").unwrap(), Some(two));
    assert_eq!(store.unpin("other").unwrap(), None);
    for name in ["", "a\nb", &"x".repeat(257)] {
        assert!(matches!(store.pin(&one, name), Err(StoreError::PinName { .. })));
    }
    drop(store);
    let store = open(dir.path(), 1 << 20);
    assert_eq!(store.pins(), [("job 1: output".to_owned(), two)]);
    assert_eq!(store.pinned("job 1: output"), Some(two));
}

#[test]
fn a_torn_pin_is_dropped_and_a_mangled_log_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let cid = put(&store, b"1");
    store.pin(&cid, "kept").unwrap();
    drop(store);
    let log = dir.path().join("pins");
    let whole = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, format!("{whole}+ bafkrei")).unwrap();
    let store = open(dir.path(), 1 << 20);
    assert_eq!(store.pins(), [("kept".to_owned(), cid)]);
    store.pin(&cid, "second").unwrap();
    drop(store);
    assert_eq!(open(dir.path(), 1 << 20).pins().len(), 2);
    std::fs::write(&log, format!("nonsense\n{whole}")).unwrap();
    assert!(matches!(Store::open(dir.path(), StoreOptions::default()), Err(StoreError::PinsCorrupt { line: 1, .. })));
}

#[test]
fn the_log_of_pins_does_not_grow_with_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let cid = put(&store, b"1");
    for _ in 0..3000 {
        store.pin(&cid, "again").unwrap();
        store.unpin("again").unwrap();
    }
    let length = std::fs::metadata(dir.path().join("pins")).unwrap().len();
    assert!(length < 150_000, "{length}");
}

#[test]
fn a_full_store_collects_garbage_and_then_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 4 * 4096);
    let pinned = put(&store, b"pinned");
    store.pin(&pinned, "pinned").unwrap();
    for index in 0..20_u8 {
        put(&store, &[index; 100]);
    }
    assert!(store.has(&pinned).unwrap());
    assert!(store.usage().charged <= 4 * 4096);
    let guard = store.guard();
    for index in 0..3_u8 {
        guard.accept(Block::new(codec::RAW, &[index; 200])).unwrap();
    }
    match guard.accept(Block::new(codec::RAW, &[9; 200])) {
        Err(StoreError::StoreFull { needed, capacity, used }) => {
            assert_eq!((needed, capacity, used), (4096, 4 * 4096, 4 * 4096))
        }
        other => panic!("{other:?}"),
    }
    drop(guard);
    put(&store, &[9; 200]);
    assert!(matches!(store.put_new(codec::RAW, &[1; 5 * 4096]), Err(StoreError::StoreFull { needed: 20480, .. })));
}

#[test]
fn guards_protect_what_is_put_and_kept_until_they_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let old = put(&store, b"old");
    let stale = put(&store, b"stale");
    let guard = store.guard();
    assert!(guard.keep(&old).unwrap());
    assert!(!guard.keep(&put_nowhere(b"nowhere")).unwrap());
    let new = put_nowhere(b"new");
    guard.put(&new, b"new").unwrap();
    assert_eq!(store.gc().unwrap().removed_blocks, 1);
    assert!(!store.has(&stale).unwrap());
    drop(guard);
    assert_eq!(store.gc().unwrap().removed_blocks, 2);
    assert_eq!(store.usage(), Usage::default());
}

#[test]
fn collection_follows_links_and_reports_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 20);
    let guard = store.guard();
    let here = put(&store, b"here");
    let gone = put_nowhere(b"gone");
    let mut inner = DirBuilder::new();
    inner.insert("here", &here, 4).unwrap();
    inner.insert("gone", &gone, 4).unwrap();
    let inner = inner.build(&guard).unwrap();
    let mut outer = DirBuilder::new();
    outer.insert("inner", &inner.cid, inner.dag_size).unwrap();
    let outer = outer.build(&guard).unwrap();
    store.pin(&outer.cid, "tree").unwrap();
    drop(guard);
    assert_eq!(
        store.gc().unwrap(),
        GcReport { pinned_blocks: 3, removed_blocks: 0, removed_bytes: 0, missing_blocks: 1 }
    );
    // a damaged node hides what it links to: nothing may be removed
    let digest = crate::digest::sha2_256_digest(&inner.cid).unwrap();
    std::fs::write(store.inner.disk.path(&digest), b"damage").unwrap();
    assert!(matches!(store.gc(), Err(StoreError::Corrupt { .. })));
    assert!(store.has(&here).unwrap());
}

#[test]
fn puts_and_collections_at_once_lose_nothing_that_is_guarded() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1 << 30);
    let running = AtomicUsize::new(3);
    std::thread::scope(|scope| {
        for thread in 0..3_u32 {
            let (store, running) = (&store, &running);
            scope.spawn(move || {
                for round in 0..40_u32 {
                    let guard = store.guard();
                    let blocks: Vec<_> = (0..20_u32)
                        // threads share half of their blocks
                        .map(|index| {
                            let owner = if index % 2 == 0 { 0 } else { thread + 1 };
                            format!("{owner} {index} {}", round % 3)
                        })
                        .collect();
                    for block in &blocks {
                        guard.accept(Block::new(codec::RAW, block.as_bytes())).unwrap();
                    }
                    for block in &blocks {
                        let cid = put_nowhere(block.as_bytes());
                        assert_eq!(store.get(&cid).unwrap().unwrap(), block.as_bytes());
                    }
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while running.load(Ordering::SeqCst) > 0 {
            store.gc().unwrap();
        }
    });
    store.gc().unwrap();
    assert_eq!(store.usage(), Usage::default());
    assert_eq!(store.inner.disk.count().unwrap(), Usage::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn counters_agree_with_the_disk(
        operations in prop::collection::vec((0_u8..4, 0_u8..12), 0..60)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 8 * 4096);
        for (operation, block) in operations {
            let data = vec![block; usize::from(block) * 700];
            let cid = put_nowhere(&data);
            match operation {
                0 => drop(store.put(&cid, &data)),
                1 => drop(store.pin(&cid, &block.to_string())),
                2 => drop(store.unpin(&block.to_string())),
                _ => drop(store.gc()),
            }
            prop_assert!(store.usage().charged <= store.capacity());
            prop_assert_eq!(store.inner.disk.count().unwrap(), store.usage());
        }
    }
}
