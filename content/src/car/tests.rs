use std::io::Cursor;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::digest::{CidError, cid_of_block, codec};
use crate::import::{ImportOptions, import_bytes};
use crate::store::{Store, StoreError, StoreOptions};
use crate::testing::{block_on, noise};
use crate::walk::{DagScope, WalkError};

type Decoded = (Vec<Cid>, Vec<(Cid, Bytes)>);

fn decode(car: &[u8], piece: usize) -> Result<Decoded, CarError> {
    let mut decoder = CarDecoder::new();
    let (mut roots, mut blocks) = (Vec::new(), Vec::new());
    for piece in car.chunks(piece) {
        decoder.push(piece);
        while let Some(item) = decoder.next_item()? {
            match item {
                CarItem::Roots(found) => roots = found,
                CarItem::Block(cid, data) => blocks.push((cid, data)),
            }
        }
    }
    decoder.finish()?;
    Ok((roots, blocks))
}

fn encode(roots: &[Cid], blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut car = encode_header(roots);
    for block in blocks {
        car.extend(encode_section(&cid_of_block(codec::RAW, block), block.len()));
        car.extend(block);
    }
    car
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    (dir, store)
}

proptest! {
    #[test]
    fn what_is_written_is_read_in_pieces_of_any_size_and_by_iroh_car(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..10),
        piece in 1_usize..400,
        cut in any::<prop::sample::Index>(),
    ) {
        let expected: Vec<(Cid, Bytes)> = blocks
            .iter()
            .map(|block| (cid_of_block(codec::RAW, block), Bytes::copy_from_slice(block)))
            .collect();
        let root = cid_of_block(codec::RAW, b"root");
        let car = encode(&[root], &blocks);
        prop_assert_eq!(decode(&car, piece), Ok((vec![root], expected.clone())));

        let by_iroh = block_on(async {
            let mut reader = iroh_car::CarReader::new(Cursor::new(&car)).await.unwrap();
            let mut found = Vec::new();
            while let Some((cid, data)) = reader.next_block().await.unwrap() {
                found.push((cid, Bytes::from(data)));
            }
            (reader.header().roots().to_vec(), found)
        });
        prop_assert_eq!(by_iroh, (vec![root], expected.clone()));

        let cut = cut.index(car.len());
        match decode(&car[..cut], piece) {
            // a cut between sections cannot be seen
            Ok((_, found)) => prop_assert_eq!(&found[..], &expected[..found.len()]),
            Err(error) => prop_assert_eq!(error, CarError::Truncated { length: cut as u64 }),
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes: Vec<u8>, piece in 1_usize..50) {
        let _ = decode(&bytes, piece);
        let mut behind_header = encode_header(&[]);
        behind_header.extend(&bytes);
        let _ = decode(&behind_header, piece);
    }
}

#[test]
fn version_two_is_read_by_way_of_its_version_one() {
    let root = cid_of_block(codec::RAW, b"one");
    let inner = encode(&[root], &[b"one".to_vec(), b"two".to_vec()]);
    let mut car = vec![0x0a];
    car.extend(b"\xa1gversion\x02");
    car.extend([0; 16]);
    car.extend(60_u64.to_le_bytes());
    car.extend((inner.len() as u64).to_le_bytes());
    car.extend(0_u64.to_le_bytes());
    car.resize(60, 0);
    car.extend(&inner);
    car.extend(b"some index that is not read");
    for piece in [1, 7, 1000] {
        let (roots, blocks) = decode(&car, piece).unwrap();
        assert_eq!((roots, blocks.len()), (vec![root], 2));
    }
    assert!(matches!(decode(&car[..60 + inner.len() - 1], 1000), Err(CarError::Truncated { .. })));
}

#[test]
fn what_is_no_car_is_refused() {
    let refused = |bytes: &[u8]| decode(bytes, 1000).unwrap_err().to_string();
    assert!(refused("<p>not found</p>".repeat(9).as_bytes()).contains("no CAR"));
    assert!(refused(b"\x0a\xa1gversion\x03").contains("version 3"));
    assert!(refused(b"\x0a\xa1gversion\x01").contains("no roots"));
    assert!(refused(&[0xff; 20]).contains("no varint"));
    let mut car = encode(&[], &[]);
    let header = car.len();
    write_varint(&mut car, 100 << 20);
    assert!(refused(&car).contains("at most"));
    car.truncate(header);
    car.push(0);
    assert!(refused(&car).contains("no bytes"));
    car.truncate(header);
    car.extend([3, 1, 2, 3]);
    assert!(matches!(
        decode(&car, 1000),
        Err(CarError::Section { offset, .. }) if offset == header as u64
    ));
}

#[test]
fn a_dag_moves_from_store_to_store() {
    let (_one, from) = store();
    let (_two, to) = store();
    let content = noise(3_000_000);
    let file = import_bytes(&from, &content, &ImportOptions::default()).unwrap();
    block_on(async {
        let mut car = Vec::new();
        let exported = car_export(from.clone(), &file.cid, DagScope::All, 1000, &mut car).await.unwrap();
        assert_eq!(exported.bytes, car.len() as u64);
        let options = CarImportOptions { pin: Some("moved".to_owned()), ..CarImportOptions::default() };
        let imported = car_import(&to, Cursor::new(&car), &options).await.unwrap();
        assert_eq!(imported, CarImported { roots: vec![file.cid], blocks: file.blocks, bytes: file.dag_size });
        assert_eq!(to.gc().unwrap().removed_blocks, 0);
        let read = crate::read::read_to_vec(to.clone(), &file.cid, u64::MAX).await;
        assert!(read.unwrap() == content);

        // cut off, changed, too large: each is an error, and nothing is pinned
        let (_three, other) = store();
        let cut = car_import(&other, Cursor::new(&car[..car.len() - 1]), &options).await;
        assert!(matches!(cut, Err(CarImportError::Car(CarError::Truncated { .. }))));
        let mut flipped = car.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let flipped = car_import(&other, Cursor::new(&flipped), &options).await;
        assert!(matches!(flipped, Err(CarImportError::Store(StoreError::Cid(CidError::Mismatch { .. })))));
        for (max_bytes, max_blocks, unit) in [(2_999_999, 1000, "bytes"), (u64::MAX, 3, "blocks")] {
            let small = CarImportOptions { max_bytes, max_blocks, ..options.clone() };
            match car_import(&other, Cursor::new(&car), &small).await {
                Err(CarImportError::TooLarge { unit: named, .. }) => assert_eq!(named, unit),
                error => panic!("{error:?}"),
            }
        }
        let elsewhere = cid_of_block(codec::RAW, b"elsewhere");
        let headless = encode(&[elsewhere], &[b"one".to_vec()]);
        match car_import(&other, Cursor::new(&headless), &options).await {
            Err(CarImportError::MissingRoot { root }) => assert_eq!(*root, elsewhere),
            result => panic!("{result:?}"),
        }
        assert_eq!(other.pins(), []);
        // what is there already need not come again
        let present = encode(&[elsewhere], &[b"elsewhere".to_vec()]);
        car_import(&other, Cursor::new(&present), &CarImportOptions::default()).await.unwrap();
        let imported = car_import(&other, Cursor::new(&headless), &CarImportOptions::default()).await.unwrap();
        assert_eq!((imported.roots, imported.blocks), (vec![elsewhere], 1));
        let rootless = encode(&[], &[]);
        assert!(matches!(
            car_import(&other, Cursor::new(&rootless), &options).await,
            Err(CarImportError::Roots { roots: 0 })
        ));
    });
}

#[test]
fn an_incomplete_dag_is_not_exported_as_if_it_were_whole() {
    let (dir, store) = store();
    let file = import_bytes(&store, &noise(1_000_000), &ImportOptions::default()).unwrap();
    let blocks: Vec<_> = store.blocks().collect::<Result<_, _>>().unwrap();
    let leaf = blocks.iter().find(|(_, size)| *size == 256 * 1024).unwrap().0;
    let _ = dir;
    let guard = store.guard();
    for (cid, _) in &blocks {
        if *cid != leaf {
            guard.keep(cid).unwrap();
        }
    }
    store.gc().unwrap();
    let exported = block_on(car_export(store.clone(), &file.cid, DagScope::All, 1000, Vec::new()));
    match exported {
        Err(CarExportError::Walk(WalkError::Dag(crate::node::DagError::Missing { cid }))) => {
            assert_eq!(*cid, leaf);
        }
        other => panic!("{other:?}"),
    }
}
