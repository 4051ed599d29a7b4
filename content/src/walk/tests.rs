use super::*;
use crate::import::{DirBuilder, ImportOptions, import_bytes_into};
use crate::testing::{Blocks, block_on, noise};
use crate::unixfs::CHUNK_SIZE;

const MANY: usize = 1 << 20;

fn cids(blocks: &Blocks, root: &Cid, scope: DagScope) -> Vec<Cid> {
    let walked = walk(blocks, &[], root, scope, MANY);
    let found: Vec<(Cid, Bytes)> = block_on(walked.try_collect()).unwrap();
    for (cid, data) in &found {
        crate::digest::verify(cid, data).unwrap();
    }
    found.into_iter().map(|(cid, _)| cid).collect()
}

#[test]
fn scopes_hold_what_the_specification_says() {
    let blocks = Blocks::default();
    let content = noise(CHUNK_SIZE * 200);
    let file = import_bytes_into(&blocks, &content, &ImportOptions::default()).unwrap();
    let mut directory = DirBuilder::new();
    directory.insert("file", &file.cid, file.dag_size).unwrap();
    directory.insert("twin", &file.cid, file.dag_size).unwrap();
    let directory = directory.build(&blocks).unwrap();

    let all = cids(&blocks, &directory.cid, DagScope::All);
    assert_eq!(all.len(), blocks.len(), "each block once");
    assert_eq!(all[..2], [directory.cid, file.cid]);
    assert_eq!(cids(&blocks, &directory.cid, DagScope::Entity), [directory.cid]);
    assert_eq!(cids(&blocks, &file.cid, DagScope::Block), [file.cid]);
    assert_eq!(cids(&blocks, &file.cid, DagScope::Entity).len(), all.len() - 1);

    let part = |from, to| {
        let range = ByteRange { from, to };
        cids(&blocks, &file.cid, DagScope::EntityBytes(range)).len()
    };
    let chunk = CHUNK_SIZE as i64;
    // root, inner node, leaf
    assert_eq!(part(0, Some(0)), 3);
    assert_eq!(part(chunk, Some(2 * chunk - 1)), 3);
    assert_eq!(part(chunk, Some(2 * chunk)), 4);
    assert_eq!(part(173 * chunk, Some(174 * chunk)), 5);
    assert_eq!(part(-1, None), 3);
    assert_eq!(part(0, None), all.len() - 1);
    assert_eq!(part(500 * chunk, None), 1, "no bytes, but still the file's root");

    let stat = block_on(dag_stat(&blocks, &directory.cid, MANY)).unwrap();
    assert_eq!(stat.blocks, all.len() as u64);
    assert!(stat.bytes > content.len() as u64);
    assert!(matches!(block_on(dag_stat(&blocks, &directory.cid, 10)), Err(WalkError::TooManyBlocks { limit: 10, .. })));
}

#[test]
fn the_entity_of_a_sharded_directory_is_its_shards() {
    let blocks = Blocks::default();
    let file = blocks.put(codec::RAW, b"content");
    let mut directory = DirBuilder::new();
    for index in 0..10_000 {
        directory.insert(format!("{index}"), &file, 7).unwrap();
    }
    let directory = directory.build(&blocks).unwrap();
    let entity = cids(&blocks, &directory.cid, DagScope::Entity);
    assert_eq!(entity.len() as u64, directory.blocks);
    assert_eq!(entity.len() + 1, cids(&blocks, &directory.cid, DagScope::All).len());
    assert!(!entity.contains(&file));
}

#[test]
fn a_part_that_occurs_twice_is_not_cut_to_its_first_use() {
    let blocks = Blocks::default();
    let a = blocks.put(codec::RAW, b"aaaa");
    let b = blocks.put(codec::RAW, b"bbbb");
    let pair = blocks.file(b"", &[(a, 4), (b, 4)], Some(8));
    let file = blocks.file(b"", &[(pair, 8), (pair, 8)], Some(16));
    // the end of the first pair and the beginning of the second
    let range = ByteRange { from: 6, to: Some(9) };
    let mut found = cids(&blocks, &file, DagScope::EntityBytes(range));
    found.sort();
    let mut expected = vec![a, b, pair, file];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_dag_that_repeats_itself_is_walked_in_linear_time() {
    let blocks = Blocks::default();
    let mut bomb = blocks.put(codec::RAW, b"x");
    for _ in 0..60 {
        bomb = blocks.directory(&[("a", bomb), ("b", bomb), ("c", bomb)]);
    }
    assert_eq!(cids(&blocks, &bomb, DagScope::All).len(), 61);
    assert_eq!(blocks.asked(), 61);
}

#[test]
fn ranges_count_from_either_end() {
    let of = |from, to, size| ByteRange { from, to }.of(size);
    assert_eq!(of(0, None, 10), 0..10);
    assert_eq!(of(2, Some(3), 10), 2..4);
    assert_eq!(of(-3, None, 10), 7..10);
    assert_eq!(of(-30, Some(-2), 10), 0..9);
    assert_eq!(of(5, Some(2), 10), 5..5);
    assert_eq!(of(50, None, 10), 10..10);
    assert_eq!(of(0, Some(-11), 10), 0..0);
    assert_eq!(of(0, Some(i64::MAX), 10), 0..10);
    assert_eq!(of(i64::MIN, Some(i64::MIN), 10), 0..0);
}
