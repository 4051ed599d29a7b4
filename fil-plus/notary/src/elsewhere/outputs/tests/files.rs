//! Files that are handed out whole, and directories of which a part cannot be read.

use super::*;

async fn bytes_of(file: OutputFile) -> Vec<u8> {
    let pieces: Vec<_> = futures::TryStreamExt::try_collect(file.bytes).await.expect("all of it");
    pieces.concat()
}

#[tokio::test]
async fn a_whole_file_is_handed_out_up_to_a_size_and_stays_while_it_is() {
    let provider = Party::start().await;
    let long = noise(3_000_000, 6);
    let root = provider.result("r", 0, &[("long.bin", &long), ("short.txt", b"x")]);
    let (folder, job) = (tempfile::tempdir().expect("a folder"), job(1, &root));
    // There is room for no output at all: only what is looked at stays.
    let limits = OutputLimits { quota: 1, ..OutputLimits::default() };
    let outputs = outputs(folder.path(), &[(PROVIDER, provider.url.as_str())], limits).await;
    let file = outputs.file(&job, "outputs/long.bin", 3_000_000).await.expect("there");
    assert_eq!(file.size, 3_000_000);
    outputs.look(&job, "outputs", None).await.expect("listed");
    assert_eq!(bytes_of(file).await, long);
    assert_eq!(bytes_of(outputs.file(&job, "outputs/short.txt", 1).await.expect("there")).await, b"x");
    let large = outputs.file(&job, "outputs/long.bin", 2_999_999).await.expect_err("too large");
    let DeskError::TooLarge { size, most, cid } = &large else { panic!("{large:?}") };
    assert_eq!((*size, *most), (3_000_000, 2_999_999));
    assert!(large.to_string().ends_with(&format!("lota content get {cid}")), "{large}");
    for path in ["outputs", "none"] {
        let error = outputs.file(&job, path, 10).await.expect_err("no file");
        assert!(matches!(error, DeskError::NotFound(_)), "{path}: {error:?}");
    }
    // Of a file whose blocks nobody has, nothing is handed out.
    let other = tempfile::tempdir().expect("a folder");
    let nobody = self::outputs(other.path(), &[], OutputLimits::default()).await;
    assert!(matches!(nobody.file(&job, "outputs/long.bin", 3_000_000).await, Err(DeskError::Unavailable(_))));
}

#[tokio::test]
async fn what_cannot_be_read_in_a_directory_hides_nothing_else_and_a_link_is_one() {
    let provider = Party::start().await;
    let file = provider.store.put_new(codec::RAW, b"x").expect("stored");
    let broken = provider.put(b"\x0a\xff\xff\xff\xff");
    let nobody_has = cid_of_block(codec::DAG_PB, b"gone");
    // UnixFS: a symbolic link to `x`.
    let link = provider.put(b"\x0a\x05\x08\x04\x12\x01x");
    let entries: [(&[u8], Cid); 4] = [(b"a", broken), (b"b", nobody_has), (b"c", link), (b"d", file)];
    let root = provider.put(&directory(&entries));
    let (folder, job) = (tempfile::tempdir().expect("a folder"), job(1, &root));
    let outputs = outputs(folder.path(), &[(PROVIDER, provider.url.as_str())], OutputLimits::default()).await;
    let OutputNode::Directory { entries, .. } = outputs.look(&job, "", None).await.expect("listed") else {
        panic!("a directory")
    };
    let kinds: Vec<EntryKind> = entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::Unknown, EntryKind::Unknown, EntryKind::Link, EntryKind::File]);
    assert!(
        matches!(outputs.look(&job, "c", None).await, Err(DeskError::Refused(why)) if why.contains("symbolic link"))
    );
}
