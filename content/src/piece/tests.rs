use std::collections::HashSet;
use std::io::Write as _;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256, Sha512};

use super::*;
use crate::{Cid, cid_of_block, codec};

/// The commitment by the letter of the specification: bit by bit, all in memory.
fn naive(content: &[u8]) -> ([u8; 32], u8) {
    let mut quads = 1;
    while quads * 127 < content.len() {
        quads *= 2;
    }
    let mut padded = vec![0_u8; quads * 128];
    for bit in 0..content.len() * 8 {
        if content[bit / 8] >> (bit % 8) & 1 == 1 {
            let place = bit / 254 * 256 + bit % 254;
            padded[place / 8] |= 1 << (place % 8);
        }
    }
    fn root(leaves: &[u8]) -> ([u8; 32], u8) {
        if let Ok(leaf) = leaves.try_into() {
            return (leaf, 0);
        }
        let (left, right) = leaves.split_at(leaves.len() / 2);
        let ((left, height), (right, _)) = (root(left), root(right));
        let mut hash: [u8; 32] = Sha256::digest([left, right].concat()).into();
        hash[31] &= 0b0011_1111;
        (hash, height + 1)
    }
    root(&padded)
}

fn piece_of(content: &[u8]) -> PieceCommitment {
    piece_of_reader(content, 1).unwrap()
}

/// The content of the vectors of `@web3-storage/data-segment`: each 64 bytes are the SHA-512 of those before.
fn derived(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        let last = Sha512::digest(&bytes[bytes.len().saturating_sub(64)..]);
        bytes.extend_from_slice(&last);
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn the_vectors_of_data_segment_come_out() {
    let vectors: Vec<(usize, u64, &str)> = include_str!("vectors.csv")
        .lines()
        .skip(1)
        .map(|line| {
            let [size, padded, cid] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
            (size.parse().unwrap(), padded.parse().unwrap(), cid)
        })
        .collect();
    assert!(vectors.len() > 80);
    let content = derived(vectors.iter().map(|(size, ..)| *size).max().unwrap());
    for (size, padded, cid) in vectors {
        let piece = piece_of_reader(&content[..size], 0).unwrap();
        assert_eq!(piece.v1().to_string(), cid, "{size} bytes");
        assert_eq!((piece.size(), piece.padded_size()), (size as u64, padded));
    }
}

#[test]
fn the_vectors_of_frc_0069_and_of_curio_come_out() {
    let spec: Vec<u8> = [0, 1, 2, 3].iter().flat_map(|byte| [*byte; 127]).collect();
    for (content, v1, v2) in [
        (
            vec![],
            "seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
            "cp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
        ),
        (
            vec![0; 127],
            "seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
            "caabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
        ),
        (vec![0; 128], "", "cpybwiktap34inmaex4wbs6cghlq5i2j2yd2bb2zndn5ep7ralzphkdy"),
        (
            (0..1_u64 << 20).map(|i| ((i * 7 + (i >> 8)) & 255) as u8).collect(),
            "seaqhb46uour2wtpzlv7jevd3j7rhw2k6tk66igql5yb3wzxv7cvwaoq",
            "eqcad6edq6pkhki5ljx4v27uskr5u7yt3nfpjvppedif64a53m327rk3ahi",
        ),
    ] {
        let piece = piece_of(&content);
        assert_eq!(piece.v2().to_string(), format!("bafkzcib{v2}"), "{} bytes", content.len());
        assert!(v1.is_empty() || piece.v1().to_string() == format!("baga6ea4{v1}"));
    }
    assert_eq!((piece_of(&spec).height(), piece_of(&spec).size(), piece_of(&spec).root().as_bytes()[0]), (4, 508, 73));
    // of the signatures that filecoin-services is tested with
    let zeros = piece_of(&[0; 128]);
    assert_eq!(zeros.padded_size(), 256);
    assert_eq!(zeros.unpadded_size(), 254);
}

#[test]
fn edges_of_chunks_and_threads_change_nothing() {
    let chunk = 127 * 2048;
    let content = derived(20 * chunk + 1);
    for size in [chunk - 1, chunk, chunk + 1, 8 * chunk, 8 * chunk + 127, 16 * chunk, 16 * chunk + 1, 20 * chunk + 1] {
        let (root, height) = naive(&content[..size]);
        for threads in [1, 2, 3] {
            let piece = piece_of_reader(&content[..size], threads).unwrap();
            assert_eq!(
                (*piece.root().as_bytes(), piece.height(), piece.size()),
                (root, height, size as u64),
                "{size} on {threads}"
            );
        }
    }
}

#[tokio::test]
async fn async_readers_are_hashed_too() {
    let content = derived(3_000_000);
    let piece = piece_of_async_reader(std::io::Cursor::new(content.clone()), 2).await.unwrap();
    assert_eq!(piece, piece_of(&content));
}

#[test]
fn a_reader_that_fails_gives_its_error() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let content = derived(5_000_000);
    let reader = std::io::Read::chain(&content[..], Broken);
    assert_eq!(piece_of_reader(reader, 2).unwrap_err().to_string(), "the disk is gone");
}

#[test]
fn a_hasher_that_is_dropped_ends_its_threads() {
    let content = derived(10_000_000);
    let mut hasher = PieceHasher::new(2);
    hasher.update(&content);
    drop(hasher);
    assert_eq!(piece_of_reader(&content[..], 2).unwrap(), piece_of(&content));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_in_any_pieces_is_what_the_specification_says(
        content in proptest::collection::vec(any::<u8>(), 0..5000),
        cuts in proptest::collection::vec(1_usize..700, 1..8),
    ) {
        let mut hasher = PieceHasher::new(2);
        let mut rest = &content[..];
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*cut));
            hasher.write_all(now).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let piece = hasher.finish();
        let (root, height) = naive(&content);
        prop_assert_eq!((*piece.root().as_bytes(), piece.height(), piece.size()), (root, height, content.len() as u64));
        prop_assert_eq!(PieceCommitment::new(PieceRoot::new(root).unwrap(), content.len() as u64), Some(piece));
    }

    #[test]
    fn cids_are_parsed_as_they_are_printed(root: [u8; 32], size in 0..=MAX_PIECE_SIZE, shift in 0_u32..56) {
        let mut root = root;
        root[31] &= 0x3f;
        let root = PieceRoot::new(root).unwrap();
        let piece = PieceCommitment::new(root, size >> shift).unwrap();
        for cid in [PieceCid::V2(piece), PieceCid::V1(root)] {
            prop_assert_eq!(cid.to_string().parse(), Ok(cid));
            prop_assert_eq!(PieceCid::try_from(&Cid::from(cid)), Ok(cid));
            prop_assert_eq!(cid.root(), root);
            prop_assert_eq!(cid.v1(), piece.v1());
            prop_assert_eq!(cid.v1().to_string(), root.to_string());
        }
        prop_assert!(piece.v1().to_string().starts_with("baga6ea4sea"));
        prop_assert!(piece.v2().to_string().starts_with("bafkzcib"));
        prop_assert!(piece.unpadded_size() >= piece.size());
        prop_assert!(piece.height() == 2 || piece.unpadded_size() / 2 < piece.size(), "the smallest tree");
        prop_assert_eq!(piece.padded_size() / 128 * 127, piece.unpadded_size());
    }

    #[test]
    fn any_digest_is_read_without_a_panic(v2: bool, digest in proptest::collection::vec(any::<u8>(), 0..64)) {
        let (codec, hash) = if v2 { (codec::RAW, 0x1011) } else { (0xf101, 0x1012) };
        let cid = Cid::new_v1(codec, multihash::Multihash::wrap(hash, &digest).unwrap());
        if let Ok(piece) = PieceCid::try_from(&cid) {
            prop_assert_eq!(Cid::from(piece), cid, "what is believed is canonical");
        }
    }
}

#[test]
fn a_taller_tree_than_needed_is_a_piece_too() {
    let mut digest = vec![0xff, 0x01, 4];
    digest.extend_from_slice(&[7; 32]);
    let cid = Cid::new_v1(codec::RAW, multihash::Multihash::wrap(0x1011, &digest).unwrap());
    let Ok(PieceCid::V2(piece)) = cid.to_string().parse() else { panic!("a piece") };
    assert_eq!((piece.size(), piece.height(), piece.unpadded_size()), (508 - 255, 4, 508));
    assert_eq!(piece.v2(), cid);
}

#[test]
fn what_no_piece_can_be_is_refused_with_its_reason() {
    let v2 = |digest: &[u8]| {
        let cid = Cid::new_v1(codec::RAW, multihash::Multihash::wrap(0x1011, digest).unwrap());
        PieceCid::try_from(&cid).unwrap_err().to_string()
    };
    let with = |start: &[u8], root: &[u8]| v2(&[start, root].concat());
    let mut reasons = HashSet::new();
    for (error, reason) in [
        (with(&[128, 1, 2], &[1; 32]), "more zeros"),
        (with(&[0, 1], &[1; 32]), "impossible height"),
        (with(&[0, 59], &[1; 32]), "impossible height"),
        (with(&[0, 2], &[1; 31]), "not 32 bytes"),
        (with(&[0, 2], &[0xff; 32]), "254 bits"),
        (v2(&[]), "cut off"),
        (v2(&[0]), "cut off"),
        (with(&[0x80, 0, 2], &[1; 32]), "shortest"),
    ] {
        assert!(error.contains(reason), "{error}");
        reasons.insert(reason);
    }
    assert_eq!(reasons.len(), 6);
    assert_eq!(PieceRoot::new([0xff; 32]), None);
    assert_eq!(PieceCommitment::new(PieceRoot::new([0; 32]).unwrap(), MAX_PIECE_SIZE + 1), None);
}

#[test]
fn a_piece_s_codec_with_another_hash_and_a_sealed_sector_are_told_from_content() {
    let of = |codec, hash| {
        PieceCid::try_from(&Cid::new_v1(codec, multihash::Multihash::wrap(hash, &[1; 32]).unwrap())).unwrap_err()
    };
    assert!(matches!(of(0xf102, 0xb401), PieceCidError::Sealed { .. }));
    assert!(of(0xf102, 0xb401).to_string().contains("CommR"));
    assert!(matches!(of(0xf101, 0x12), PieceCidError::Digest { reason, .. } if reason.contains("0x1012")));
    assert!(matches!(of(codec::RAW, 0x12), PieceCidError::Other { .. }));
}

#[test]
fn other_cids_and_other_ways_to_write_them_are_refused() {
    let content = cid_of_block(codec::RAW, b"x");
    let error = content.to_string().parse::<PieceCid>().unwrap_err();
    assert_eq!(error, PieceCidError::Other { cid: Box::new(content) });
    assert!(error.to_string().contains("0x12"), "{error}");
    let piece = piece_of(b"x").v2().to_string();
    for text in [
        "",
        "hello",
        &piece[..20],
        &format!("/ipfs/{piece}"),
        &piece.to_uppercase(),
        &"b".repeat(1000),
        &format!("{piece}aa"),
    ] {
        assert!(matches!(text.parse::<PieceCid>(), Err(PieceCidError::Malformed { .. })), "{text}");
    }
}
