use futures::TryStreamExt as _;
use proptest::prelude::*;

use super::*;
use crate::import::{ImportOptions, import_bytes, import_bytes_into};
use crate::store::{Store, StoreOptions};
use crate::testing::{Blocks, block_on, noise};
use crate::unixfs::CHUNK_SIZE;

async fn collect(source: &Blocks, cid: &Cid, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
    let pieces: Vec<Bytes> = read(source, cid, range).try_collect().await?;
    Ok(pieces.concat())
}

#[test]
fn ranges_of_a_large_file_are_read_from_the_blocks_they_need() {
    let blocks = Blocks::default();
    let content = noise(CHUNK_SIZE * 200 + 77);
    let file = import_bytes_into(&blocks, &content, &ImportOptions::default()).unwrap();
    block_on(async {
        let length = content.len() as u64;
        assert!(collect(&blocks, &file.cid, 0..length).await.unwrap() == content);
        assert_eq!(blocks.asked(), blocks.len() as u64);
        // root, one inner node, one leaf
        let chunk = CHUNK_SIZE as u64;
        let inside = collect(&blocks, &file.cid, chunk * 190 + 5..chunk * 190 + 9);
        assert!(inside.await.unwrap() == content[CHUNK_SIZE * 190 + 5..][..4]);
        assert_eq!(blocks.asked(), 3);
        let across = collect(&blocks, &file.cid, chunk * 174 - 3..chunk * 174 + 3);
        assert!(across.await.unwrap() == content[CHUNK_SIZE * 174 - 3..][..6]);
        assert_eq!(blocks.asked(), 5);
        assert!(collect(&blocks, &file.cid, length..u64::MAX).await.unwrap().is_empty());
        assert!(collect(&blocks, &file.cid, 5..5).await.unwrap().is_empty());
        let whole = read_to_vec(&blocks, &file.cid, length).await.unwrap();
        assert!(whole == content);
        assert!(matches!(read_to_vec(&blocks, &file.cid, length - 1).await, Err(ReadError::TooLarge { .. })));
    });
}

#[test]
fn a_file_is_read_from_a_store_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let content = noise(CHUNK_SIZE * 3 + 1);
    let file = import_bytes(&store, &content, &ImportOptions::default()).unwrap();
    let read = block_on(read_to_vec(store, &file.cid, u64::MAX)).unwrap();
    assert!(read == content);
}

/// A random tree of a file, with content in inner nodes too, and the content that it stands for.
fn tree() -> impl Strategy<Value = Tree> {
    let leaf =
        (prop::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(data, raw)| Tree::Leaf { data, raw });
    leaf.prop_recursive(4, 60, 6, |inner| {
        (prop::collection::vec(any::<u8>(), 0..10), prop::collection::vec(inner, 1..6))
            .prop_map(|(data, children)| Tree::Inner { data, children })
    })
}

#[derive(Debug, Clone)]
enum Tree {
    Leaf { data: Vec<u8>, raw: bool },
    Inner { data: Vec<u8>, children: Vec<Tree> },
}

impl Tree {
    fn store(&self, blocks: &Blocks, content: &mut Vec<u8>) -> (Cid, u64) {
        let before = content.len();
        let cid = match self {
            Tree::Leaf { data, raw } => {
                content.extend_from_slice(data);
                if *raw { blocks.put(codec::RAW, data) } else { blocks.file(data, &[], Some(data.len() as u64)) }
            }
            Tree::Inner { data, children } => {
                content.extend_from_slice(data);
                let children: Vec<_> = children.iter().map(|child| child.store(blocks, content)).collect();
                let size = (content.len() - before) as u64;
                blocks.file(data, &children, Some(size))
            }
        };
        (cid, (content.len() - before) as u64)
    }
}

proptest! {
    #[test]
    fn any_range_of_any_tree_is_the_range_of_its_content(
        tree in tree(),
        start in 0_u64..300,
        length in 0_u64..300,
    ) {
        let blocks = Blocks::default();
        let mut content = Vec::new();
        let (cid, size) = tree.store(&blocks, &mut content);
        prop_assert_eq!(size, content.len() as u64);
        let from = start.min(size) as usize;
        let to = (start + length).min(size) as usize;
        let read = block_on(collect(&blocks, &cid, start..start + length)).unwrap();
        prop_assert_eq!(&read, &content[from..to]);
    }
}

#[test]
fn sizes_that_do_not_add_up_are_refused() {
    let blocks = Blocks::default();
    let leaf = blocks.put(codec::RAW, b"12345");
    let small = blocks.file(b"12345", &[], Some(5));
    let read = |cid| block_on(collect(&blocks, &cid, 0..100));
    let refused = |cid| matches!(read(cid), Err(ReadError::Dag(DagError::Malformed { .. })));
    assert_eq!(read(blocks.file(b"", &[(leaf, 5)], None)).unwrap(), b"12345");
    assert!(refused(blocks.file(b"", &[(leaf, 6)], Some(6))));
    assert!(refused(blocks.file(b"", &[(leaf, 4)], Some(4))));
    assert!(refused(blocks.file(b"", &[(small, 6)], Some(6))));
    assert!(refused(blocks.file(b"", &[(leaf, 5)], Some(6))));
    assert!(refused(blocks.file(b"", &[(leaf, u64::MAX), (leaf, 5)], None)));
    let directory = blocks.directory(&[]);
    assert!(matches!(read(blocks.file(b"", &[(directory, 5)], None)), Err(ReadError::NotAFile { .. })));
    assert!(matches!(read(directory), Err(ReadError::NotAFile { .. })));
}

#[test]
fn a_missing_leaf_is_named_when_it_is_reached() {
    let blocks = Blocks::default();
    let content = noise(CHUNK_SIZE * 3);
    let file = import_bytes_into(&blocks, &content, &ImportOptions::default()).unwrap();
    let last = crate::digest::cid_of_block(codec::RAW, &content[CHUNK_SIZE * 2..]);
    blocks.remove(&last);
    block_on(async {
        let most = collect(&blocks, &file.cid, 0..2 * CHUNK_SIZE as u64).await;
        assert!(most.unwrap() == content[..CHUNK_SIZE * 2]);
        match collect(&blocks, &file.cid, 0..u64::MAX).await {
            Err(ReadError::Dag(DagError::Missing { cid })) => assert_eq!(*cid, last),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn trees_that_are_nothing_but_empty_nodes_or_depth_cost_little() {
    let blocks = Blocks::default();
    let mut bomb = blocks.file(b"", &[], Some(0));
    for _ in 0..50 {
        bomb = blocks.file(b"", &[(bomb, 0); 100], Some(0));
    }
    assert_eq!(block_on(collect(&blocks, &bomb, 0..1)).unwrap(), b"");
    assert_eq!(blocks.asked(), 1);

    let mut deep = blocks.put(codec::RAW, b"x");
    for _ in 0..100 {
        deep = blocks.file(b"", &[(deep, 1)], Some(1));
    }
    assert!(matches!(block_on(collect(&blocks, &deep, 0..1)), Err(ReadError::Dag(DagError::Malformed { .. }))));
    assert!(blocks.asked() <= MAX_DEPTH as u64 + 1);
}
