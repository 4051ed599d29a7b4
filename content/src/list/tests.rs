use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::digest::codec;
use crate::import::DirBuilder;
use crate::resolve::{EntryKind, ResolveError, resolve};
use crate::testing::{Blocks, block_on};

fn directory(blocks: &Blocks, names: impl Iterator<Item = String>) -> (Cid, BTreeMap<String, Cid>) {
    let mut builder = DirBuilder::new();
    let mut expected = BTreeMap::new();
    for name in names {
        let cid = blocks.put(codec::RAW, name.as_bytes());
        builder.insert(&name, &cid, name.len() as u64).unwrap();
        expected.insert(name, cid);
    }
    (builder.build(blocks).unwrap().cid, expected)
}

async fn all(blocks: &Blocks, cid: &Cid) -> Vec<DirEntry> {
    list(blocks, cid).boxed().try_collect().await.unwrap()
}

#[test]
fn a_sharded_directory_is_listed_looked_up_and_paged() {
    let blocks = Blocks::default();
    let (cid, expected) = directory(&blocks, (0..20_000).map(|index| format!("file {index}")));
    block_on(async {
        let root = resolve(&blocks, &cid, "").await.unwrap();
        assert_eq!(root.kind, EntryKind::Directory { sharded: true });
        let listed = all(&blocks, &cid).await;
        let found: BTreeMap<_, _> = listed.iter().map(|e| (e.name.clone(), e.cid)).collect();
        assert_eq!(found, expected);
        assert_eq!(listed.len(), expected.len());

        let entry = resolve(&blocks, &cid, "file 777").await.unwrap();
        assert_eq!(entry.cid, expected["file 777"]);
        assert_eq!(entry.kind, EntryKind::File { size: 8 });
        assert_eq!(entry.path_blocks[0], cid);
        assert!(entry.path_blocks.len() > 2);
        assert!(matches!(resolve(&blocks, &cid, "file 20000").await, Err(ResolveError::NotFound { .. })));

        blocks.asked();
        let page = list_page(&blocks, &cid, Some(&listed[9_998].name), 3).await.unwrap();
        assert_eq!(page, listed[9_999..10_002]);
        assert!(blocks.asked() < 10, "a page must not read what comes before it");
        let last = listed.last().unwrap();
        assert_eq!(list_page(&blocks, &cid, Some(&last.name), 3).await.unwrap(), []);
        // a name that is not there: the page begins where it would be
        let gap = list_page(&blocks, &cid, Some("no such file"), 2).await.unwrap();
        assert_eq!(gap.len(), 2);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_of_any_size_make_up_the_listing(
        count in prop_oneof![0_usize..50, 5_000_usize..6_000],
        page in 1_usize..2_000,
    ) {
        let blocks = Blocks::default();
        let (cid, expected) = directory(&blocks, (0..count).map(|index| format!("{index:0>width$}", width = index % 90 + 1)));
        block_on(async {
            let mut listed = Vec::new();
            let mut after: Option<String> = None;
            loop {
                let entries = list_page(&blocks, &cid, after.as_deref(), page).await.unwrap();
                let whole = entries.len() == page;
                listed.extend(entries);
                if !whole {
                    break;
                }
                after = listed.last().map(|entry: &DirEntry| entry.name.clone());
            }
            prop_assert_eq!(&listed, &all(&blocks, &cid).await);
            prop_assert_eq!(listed.len(), expected.len());
            Ok(())
        })?;
    }
}

#[test]
fn paths_lead_through_nested_directories_and_stop_at_files() {
    let blocks = Blocks::default();
    let file = blocks.put(codec::RAW, b"content");
    let link = blocks.symlink("../outside");
    let data = blocks.put(codec::JSON, b"{}");
    let inner = blocks.directory(&[("data", data), ("file", file), ("link", link)]);
    let outer = blocks.directory(&[("in ner", inner)]);
    block_on(async {
        let entry = resolve(&blocks, &outer, "/in ner//file").await.unwrap();
        assert_eq!(entry.path_blocks, [outer, inner, file]);
        let link = resolve(&blocks, &outer, "in ner/link").await.unwrap();
        assert_eq!(link.kind, EntryKind::Symlink { target: "../outside".to_owned() });
        let block = resolve(&blocks, &outer, "in ner/data").await.unwrap();
        assert_eq!(block.kind, EntryKind::Block { codec: codec::JSON, size: 2 });
        for path in ["in ner/file/x", "in ner/link/x", "in ner/data/x"] {
            assert!(matches!(resolve(&blocks, &outer, path).await, Err(ResolveError::NotADirectory { .. })));
        }
        for path in ["..", ".", "in ner/..", "nothing"] {
            assert!(matches!(resolve(&blocks, &outer, path).await, Err(ResolveError::NotFound { .. })));
        }
        let mut deep = file;
        for _ in 0..300 {
            deep = blocks.directory(&[("d", deep)]);
        }
        assert!(matches!(resolve(&blocks, &deep, &"d/".repeat(300)).await, Err(ResolveError::TooLong)));
        assert!(matches!(list_page(&blocks, &file, None, 1).await, Err(ListError::NotADirectory { .. })));
    });
}

#[test]
fn hostile_shards_are_errors() {
    use crate::dagpb;
    let blocks = Blocks::default();
    let leaf = blocks.put(codec::RAW, b"");
    let shard = |links: &[(&str, Cid)]| {
        let node = dagpb::encode(links.iter().map(|(name, cid)| (cid, *name, 0)), &crate::unixfs::encode_shard(&[1]));
        blocks.put(codec::DAG_PB, &node)
    };
    let refused = |cid: Cid| {
        block_on(async {
            matches!(list_page(&blocks, &cid, None, 1_000_000).await, Err(ListError::Dag(DagError::Malformed { .. })))
        })
    };
    assert!(refused(shard(&[("x", leaf)])));
    assert!(refused(shard(&[("zzname", leaf)])));
    assert!(refused(shard(&[("éname", leaf)])));
    assert!(refused(shard(&[("+1name", leaf)])));
    // a link to a shard that is a file, or empty
    assert!(refused(shard(&[("00", leaf)])));
    assert!(refused(shard(&[("00", shard(&[]))])));
    // deeper than a hash has bits
    let mut deep = shard(&[("00name", leaf)]);
    for _ in 0..9 {
        deep = shard(&[("00", deep)]);
    }
    assert!(refused(deep));
    assert!(!refused(shard(&[])));
}
