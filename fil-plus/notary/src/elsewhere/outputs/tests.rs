mod files;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, extract::Path as UrlPath, http::StatusCode, response::IntoResponse as _, routing::get};
use lota_content::{
    ImportOptions, cid_of_block,
    fetch::FetchOptions,
    gateway::{GatewayOptions, router},
    import_path,
    piece::PieceHasher,
    sha2_256_digest,
};
use lota_market::{AttoFil, Time};

use super::*;
use crate::{
    desk::{EntryKind, MAX_SHOWN},
    elsewhere::MAX_LISTED,
    testing::serve,
};

pub(crate) const CLIENT: Address = Address::repeat_byte(1);
pub(crate) const PROVIDER: Address = Address::repeat_byte(2);

/// Who announced what.
#[derive(Clone, Default)]
pub(crate) struct Announced(pub(crate) BTreeMap<Address, Vec<String>>);

#[async_trait]
impl Gateways for Announced {
    async fn of(&self, party: Address) -> Vec<String> {
        self.0.get(&party).cloned().unwrap_or_default()
    }
}

pub(crate) fn fetcher() -> Fetcher {
    let options = FetchOptions {
        allow_private_addresses: true,
        allow_http: true,
        idle_timeout: Duration::from_secs(2),
        total_timeout: Duration::from_secs(20),
        resumes: 0,
        ..FetchOptions::default()
    };
    Fetcher::new(options).expect("a client")
}

/// A party with a block store and a gateway that counts what it is asked.
pub(crate) struct Party {
    pub(crate) store: Store,
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

impl Party {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("blocks"), StoreOptions::default()).expect("a store");
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = asked.clone();
        let router = router(store.clone(), GatewayOptions::default()).layer(axum::middleware::map_request(
            move |request: axum::extract::Request| {
                counting.fetch_add(1, Ordering::Relaxed);
                async move { request }
            },
        ));
        let url = format!("http://{}", serve(router).await);
        Self { store, url, asked, folder }
    }

    /// Makes the result of a job with these files, below `outputs`.
    fn result(&self, name: &str, exit_code: u32, files: &[(&str, &[u8])]) -> Cid {
        let dir = self.folder.path().join(name);
        std::fs::create_dir_all(dir.join("outputs")).expect("made");
        for (file, text) in [("stdout", "out"), ("stderr", ""), ("exitCode", &exit_code.to_string())] {
            std::fs::write(dir.join(file), text).expect("written");
        }
        for (file, bytes) in files {
            let path = dir.join("outputs").join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, bytes).expect("written");
        }
        import_path(&self.store, &dir, &ImportOptions::default()).expect("imported").cid
    }

    fn put(&self, block: &[u8]) -> Cid {
        self.store.put_new(codec::DAG_PB, block).expect("stored")
    }
}

pub(crate) fn job(number: u8, root: &Cid) -> SettledJob {
    SettledJob {
        job: JobId(B256::repeat_byte(number)),
        client: CLIENT,
        provider: PROVIDER,
        price: AttoFil(1),
        settled_at: Time(1),
        spec: B256::ZERO,
        output: B256::from(sha2_256_digest(root).expect("sha2-256")),
        exit_code: 0,
    }
}

async fn outputs(folder: &Path, gateways: &[(Address, &str)], limits: OutputLimits) -> Outputs {
    let mut announced = Announced::default();
    for (party, url) in gateways {
        announced.0.entry(*party).or_default().push((*url).to_owned());
    }
    Outputs::open(folder.join("outputs"), fetcher(), Arc::new(announced), limits).await.expect("a folder")
}

/// Bytes that do not repeat themselves.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| byte()).collect()
}

/// What anybody gets who has the blocks: the piece of the CAR.
async fn piece_of(store: &Store, root: &Cid) -> Piece {
    let mut car = Vec::new();
    lota_content::car_export(store.clone(), root, DagScope::All, 1_000_000, &mut car).await.expect("a CAR");
    let mut hasher = PieceHasher::new(1);
    hasher.update(&car);
    let piece = hasher.finish();
    Piece { commitment: B256::from(piece.root().as_bytes()), size: piece.padded_size(), car: car.len() as u64 }
}

/// A directory in one node, with names as they come: DAG-PB, as its specification writes it.
fn directory(entries: &[(&[u8], Cid)]) -> Vec<u8> {
    let field = |key: u8, bytes: &[u8]| {
        let mut out = vec![key];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push(0x80 | (length & 0x7f) as u8);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
        out
    };
    let mut node = Vec::new();
    for (name, cid) in entries {
        let link = [field(0x0a, &cid.to_bytes()), field(0x12, name), vec![0x18, 0]].concat();
        node.extend(field(0x12, &link));
    }
    // UnixFS: Type = Directory.
    node.extend(field(0x0a, &[0x08, 0x01]));
    node
}

#[tokio::test]
async fn an_output_is_fetched_whole_once_and_its_piece_is_anybody_s() {
    let provider = Party::start().await;
    let root = provider.result("r", 0, &[("a/b.bin", &noise(3_000_000, 1)), ("empty", b"")]);
    let folder = tempfile::tempdir().expect("a folder");
    let (url, job) = (provider.url.as_str(), job(1, &root));
    let outputs = outputs(folder.path(), &[(PROVIDER, url)], OutputLimits::default()).await;
    let (first, second) = tokio::join!(outputs.retrieval(&job), outputs.retrieval(&job));
    let stat = lota_content::dag_stat(provider.store.clone(), &root, 10_000).await.expect("it is there");
    let piece = piece_of(&provider.store, &root).await;
    assert_eq!(first, (Retrieval::Verified { bytes: stat.bytes }, Some(piece)));
    assert_eq!(first, second);
    let asked = provider.asked.load(Ordering::Relaxed);
    assert_eq!(outputs.retrieval(&job).await, first);
    assert_eq!(provider.asked.load(Ordering::Relaxed), asked, "it is here");

    // After a restart, too, and without anybody to ask.
    drop(outputs);
    let outputs = self::outputs(folder.path(), &[], OutputLimits::default()).await;
    assert_eq!(outputs.retrieval(&job).await, first);
}

#[tokio::test]
async fn who_has_nothing_or_lies_is_found_out_and_who_has_it_is_asked() {
    let client = Party::start().await;
    let root = client.result("r", 0, &[("x", &noise(400_000, 2))]);
    // It answers each question with other bytes: a CAR of its own, or a block of another.
    let liar = Router::new().route(
        "/ipfs/{cid}",
        get(|UrlPath(cid): UrlPath<String>| async move { (StatusCode::OK, format!("not {cid}")).into_response() }),
    );
    let liar = format!("http://{}", serve(liar).await);
    let (folder, job) = (tempfile::tempdir().expect("a folder"), job(1, &root));
    let lied_to = outputs(folder.path(), &[(PROVIDER, &liar)], OutputLimits::default()).await;
    let (Retrieval::Unavailable { why }, None) = lied_to.retrieval(&job).await else { panic!("a liar is believed") };
    assert!(why.contains(&root.to_string()), "{why}");
    drop(lied_to);
    for gateways in [vec![], vec![(PROVIDER, "not a URL")]] {
        let alone = outputs(folder.path(), &gateways, OutputLimits::default()).await;
        assert!(matches!(alone.retrieval(&job).await, (Retrieval::Unavailable { .. }, None)));
    }
    let helped = outputs(folder.path(), &[(PROVIDER, &liar), (CLIENT, &client.url)], OutputLimits::default()).await;
    assert!(matches!(helped.retrieval(&job).await, (Retrieval::Verified { .. }, Some(_))), "the client has it");
}

#[tokio::test]
async fn an_output_is_the_result_of_its_job_and_within_the_limits() {
    let provider = Party::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let gateways = [(PROVIDER, provider.url.as_str())];
    let root = provider.result("r", 3, &[("x", &noise(600_000, 3))]);
    let honest = outputs(folder.path(), &gateways, OutputLimits::default()).await;
    let (Retrieval::Unavailable { why }, None) = honest.retrieval(&job(1, &root)).await else {
        panic!("another exit code")
    };
    assert!(why.contains("its exitCode says `3`, and the receipt says 0"), "{why}");
    let stray = provider.put(&directory(&[]));
    let (Retrieval::Unavailable { why }, None) = honest.retrieval(&job(2, &stray)).await else { panic!("no result") };
    assert!(why.contains("no result of a job"), "{why}");
    drop(honest);
    let few_bytes = OutputLimits { max_bytes: 500_000, ..OutputLimits::default() };
    let few_blocks = OutputLimits { max_blocks: 3, ..OutputLimits::default() };
    for (number, limits) in [(3, few_bytes), (4, few_blocks)] {
        let outputs = outputs(folder.path(), &gateways, limits).await;
        let job = SettledJob { exit_code: 3, ..job(number, &root) };
        let (Retrieval::Unavailable { why }, None) = outputs.retrieval(&job).await else {
            panic!("too much: {limits:?}")
        };
        assert!(why.contains("more than"), "{why}");
    }
}

#[tokio::test]
async fn a_gateway_that_hangs_up_is_gone_on_with() {
    let provider = Party::start().await;
    let root = provider.result("r", 0, &[("x", &noise(2_000_000, 4))]);
    // Gives single blocks, and of those only so many.
    let (left, store) = (Arc::new(StdMutex::new(3)), provider.store.clone());
    let few = move |UrlPath(cid): UrlPath<String>, request: axum::extract::Request| {
        let (left, store) = (left.clone(), store.clone());
        async move {
            let raw = request.uri().query().is_some_and(|query| query.contains("raw"));
            let mut left = left.lock().expect("the lock");
            if !raw || *left == 0 {
                return StatusCode::NOT_FOUND.into_response();
            }
            *left -= 1;
            let cid: Cid = cid.parse().expect("a CID");
            store.get(&cid).expect("read").expect("there").into_response()
        }
    };
    let few = format!("http://{}", serve(Router::new().route("/ipfs/{cid}", get(few))).await);
    let (folder, job) = (tempfile::tempdir().expect("a folder"), job(1, &root));
    let cut = outputs(folder.path(), &[(PROVIDER, &few)], OutputLimits::default()).await;
    assert!(matches!(cut.retrieval(&job).await, (Retrieval::Unavailable { .. }, None)));
    drop(cut);
    let whole = outputs(folder.path(), &[(PROVIDER, &provider.url)], OutputLimits::default()).await;
    let (found, piece) = whole.retrieval(&job).await;
    assert!(matches!(found, Retrieval::Verified { .. }));
    assert_eq!(piece, Some(piece_of(&provider.store, &root).await));
}

#[tokio::test]
async fn who_gives_nothing_gives_way_to_who_waits() {
    let honest = Party::start().await;
    let hangs = Router::new().route("/ipfs/{cid}", get(std::future::pending::<StatusCode>));
    let hangs = format!("http://{}", serve(hangs).await);
    let other = Address::repeat_byte(3);
    let announced = Announced([(PROVIDER, vec![hangs]), (other, vec![honest.url.clone()])].into());
    let patient = FetchOptions {
        allow_private_addresses: true,
        allow_http: true,
        idle_timeout: Duration::from_secs(3_600),
        total_timeout: Duration::from_secs(3_600),
        ..FetchOptions::default()
    };
    let pace = Pace { least: u64::MAX, grace: Duration::from_millis(50) };
    let limits = OutputLimits { at_once: 1, pace, ..OutputLimits::default() };
    let folder = tempfile::tempdir().expect("a folder");
    let fetcher = Fetcher::new(patient).expect("a client");
    let outputs = Outputs::open(folder.path().join("outputs"), fetcher, Arc::new(announced), limits).await;
    let outputs = outputs.expect("a folder");
    let (hung, good) = (honest.result("h", 0, &[]), honest.result("g", 0, &[("x", &noise(2_000_000, 9))]));
    let (hung, good) = (job(1, &hung), SettledJob { provider: other, client: other, ..job(2, &good) });
    // The first has the only place, for an hour if nobody waited.
    let waits = async {
        while outputs.slots.lock().await.slots.is_empty() {
            tokio::task::yield_now().await;
        }
        outputs.retrieval(&good).await
    };
    let (first, second) = tokio::join!(outputs.retrieval(&hung), waits);
    assert!(matches!(&first.0, Retrieval::Unavailable { why } if why.contains("gave way to others")), "{first:?}");
    assert!(matches!(second, (Retrieval::Verified { .. }, Some(_))), "nobody waits for it: {second:?}");
}

#[tokio::test]
async fn what_was_used_least_lately_makes_room() {
    let provider = Party::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    // Room for two, and not for three.
    let limits = OutputLimits { quota: 2_700_000, ..OutputLimits::default() };
    let outputs = outputs(folder.path(), &[(PROVIDER, provider.url.as_str())], limits).await;
    let jobs: Vec<SettledJob> = (1..=3)
        .map(|number| {
            let root = provider.result(&number.to_string(), 0, &[("x", &noise(1_000_000, number.into()))]);
            job(number, &root)
        })
        .collect();
    for number in [0, 1, 0, 2] {
        assert!(matches!(outputs.retrieval(&jobs[number]).await, (Retrieval::Verified { .. }, Some(_))));
    }
    let mut kept: Vec<String> = std::fs::read_dir(folder.path().join("outputs"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("hex"))
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, [name_of(jobs[0].job), name_of(jobs[2].job)]);
    let asked = provider.asked.load(Ordering::Relaxed);
    assert!(matches!(outputs.retrieval(&jobs[1]).await, (Retrieval::Verified { .. }, Some(_))), "it is fetched again");
    assert!(provider.asked.load(Ordering::Relaxed) > asked);
}

#[tokio::test]
async fn a_notary_looks_into_an_output_before_it_is_whole() {
    let provider = Party::start().await;
    let long = noise(900_000, 5);
    let root = provider.result("r", 0, &[("deep/er/long.bin", &long), ("short.txt", "ü".as_bytes())]);
    let (folder, job) = (tempfile::tempdir().expect("a folder"), job(1, &root));
    let outputs = outputs(folder.path(), &[(PROVIDER, provider.url.as_str())], OutputLimits::default()).await;
    for turn in ["before", "after"] {
        let OutputNode::Directory { entries, more } = outputs.look(&job, "", None).await.expect("the root") else {
            panic!("a directory")
        };
        let names: Vec<(&str, EntryKind, Option<u64>)> =
            entries.iter().map(|entry| (entry.name.as_str(), entry.kind, entry.size)).collect();
        let expected = [
            ("exitCode", EntryKind::File, Some(1)),
            ("outputs", EntryKind::Directory, None),
            ("stderr", EntryKind::File, Some(0)),
            ("stdout", EntryKind::File, Some(3)),
        ];
        assert_eq!((names.as_slice(), more), (expected.as_slice(), false));
        let short = outputs.look(&job, "/outputs//short.txt", None).await.expect("a file");
        assert_eq!(file_of(short), (2, "ü".as_bytes().to_vec()));
        let shown = long[..usize::try_from(MAX_SHOWN).expect("small")].to_vec();
        let long = outputs.look(&job, "outputs/deep/er/long.bin", None).await.expect("a file");
        assert_eq!(file_of(long), (900_000, shown), "{turn}");
        for (path, expected) in [("none", "none"), ("outputs/..", ".."), ("stdout/x", "x"), ("../etc/passwd", "..")] {
            let error = outputs.look(&job, path, None).await.expect_err("nothing is there");
            assert!(matches!(&error, DeskError::NotFound(why) if why.contains(expected)), "{path}: {error:?}");
        }
        for path in ["x/".repeat(300), "x".repeat(5_000)] {
            let error = outputs.look(&job, &path, None).await.expect_err("too long");
            assert!(matches!(error, DeskError::Invalid(_) | DeskError::NotFound(_)), "{error:?}");
        }
        assert!(matches!(outputs.retrieval(&job).await, (Retrieval::Verified { .. }, Some(_))));
    }
}

/// Size and beginning of a file.
fn file_of(node: OutputNode) -> (u64, Vec<u8>) {
    match node {
        OutputNode::File { size, begin, cid } => {
            assert!(cid.starts_with("baf"), "{cid}");
            (size, begin.to_vec())
        }
        OutputNode::Directory { .. } => panic!("a directory"),
    }
}

#[tokio::test]
async fn what_a_disk_has_changed_is_not_shown_but_fetched_again() {
    let provider = Party::start().await;
    let root = provider.result("r", 0, &[("x.txt", b"as it was")]);
    let (folder, job) = (tempfile::tempdir().expect("a folder"), job(1, &root));
    let outputs = outputs(folder.path(), &[(PROVIDER, provider.url.as_str())], OutputLimits::default()).await;
    assert!(matches!(outputs.retrieval(&job).await, (Retrieval::Verified { .. }, Some(_))));
    let mut changed = 0;
    let blocks = folder.path().join("outputs").join(name_of(job.job)).join("blocks");
    for shard in std::fs::read_dir(blocks).expect("the folder").map(|entry| entry.expect("an entry").path()) {
        for block in std::fs::read_dir(shard).into_iter().flatten().map(|entry| entry.expect("an entry").path()) {
            if std::fs::read(&block).is_ok_and(|bytes| bytes == b"as it was") {
                std::fs::write(&block, b"as it is!").expect("written");
                changed += 1;
            }
        }
    }
    assert_eq!(changed, 1);
    let found = outputs.look(&job, "outputs/x.txt", None).await.expect("there");
    assert_eq!(file_of(found), (9, b"as it was".to_vec()));
}

#[tokio::test]
async fn nobody_s_output_is_unavailable_and_not_missing() {
    let (folder, root) = (tempfile::tempdir().expect("a folder"), cid_of_block(codec::DAG_PB, b"x"));
    let outputs = outputs(folder.path(), &[], OutputLimits::default()).await;
    let error = outputs.look(&job(1, &root), "", None).await.expect_err("nobody has it");
    assert!(matches!(error, DeskError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_hostile_output_ends_in_an_honest_error() {
    let provider = Party::start().await;
    let file = provider.store.put_new(codec::RAW, b"x").expect("stored");
    let folder = tempfile::tempdir().expect("a folder");
    let outputs = outputs(folder.path(), &[(PROVIDER, provider.url.as_str())], OutputLimits::default()).await;
    let mut number = 0;
    let mut next = |root: &Cid| {
        number += 1;
        job(number, root)
    };

    // Names that lead elsewhere are names; whoever shows them escapes them.
    let odd: [&[u8]; 4] = [b"..", b"<script>", b"a/b", b"\x1b[2J"];
    let root = provider.put(&directory(&odd.map(|name| (name, file))));
    let OutputNode::Directory { entries, .. } = outputs.look(&next(&root), "", None).await.expect("listed") else {
        panic!("a directory")
    };
    assert_eq!(entries.len(), odd.len());
    let job = next(&root);
    assert!(
        matches!(outputs.look(&job, "..", None).await, Ok(OutputNode::File { size: 1, .. })),
        "the entry of that name"
    );
    assert!(matches!(outputs.look(&job, "a/b", None).await, Err(DeskError::NotFound(_))));

    // No text, too long, not what it says, without an end.
    let long = vec![b'n'; 300];
    let unreadable: [Vec<u8>; 3] =
        [directory(&[(b"\xff\xfe", file)]), directory(&[(long.as_slice(), file)]), b"\x0a\xff\xff\xff\xff".to_vec()];
    for block in unreadable {
        let root = provider.put(&block);
        let error = outputs.look(&next(&root), "", None).await.expect_err("unreadable");
        assert!(matches!(error, DeskError::Refused(_) | DeskError::Unavailable(_)), "{error:?}");
    }

    // A thousand levels: looked at one by one, and no deeper than a path may go.
    let deep = (0..1_000).fold(file, |below, _| provider.put(&directory(&[(b"d", below)])));
    let job = next(&deep);
    assert!(matches!(outputs.look(&job, "d/d/d", None).await, Ok(OutputNode::Directory { .. })));
    assert!(matches!(outputs.look(&job, &"d/".repeat(999), None).await, Err(DeskError::Invalid(_))));
}

#[tokio::test]
async fn a_directory_without_end_is_listed_in_part() {
    let provider = Party::start().await;
    // Some 400 KB of names: spread over shards by whoever imports it.
    let files: Vec<(String, Vec<u8>)> =
        (0..6_000).map(|number| (format!("{number:05}-{}", "n".repeat(60)), vec![number as u8])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let root = provider.result("r", 0, &files);
    let (folder, job) = (tempfile::tempdir().expect("a folder"), job(1, &root));
    let outputs = outputs(folder.path(), &[(PROVIDER, provider.url.as_str())], OutputLimits::default()).await;
    assert!(matches!(outputs.retrieval(&job).await, (Retrieval::Verified { .. }, Some(_))));
    let OutputNode::Directory { entries, more } = outputs.look(&job, "outputs", None).await.expect("listed") else {
        panic!("a directory")
    };
    assert_eq!((entries.len(), more), (MAX_LISTED, true));
    assert!(entries.iter().all(|entry| entry.size == Some(1)));
    let name = files[4_321].0;
    let found = outputs.look(&job, &format!("outputs/{name}"), None).await.expect("what is not listed is there, too");
    assert_eq!(file_of(found), (1, vec![4_321_u32 as u8]));
    // Page by page, each of them is listed once.
    let mut listed: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    loop {
        let after = listed.last().cloned();
        let next = outputs.look(&job, "outputs", after.as_deref()).await.expect("listed");
        let OutputNode::Directory { entries, more } = next else { panic!("a directory") };
        listed.extend(entries.into_iter().map(|entry| entry.name));
        if !more {
            break;
        }
    }
    listed.sort_unstable();
    assert!(listed.iter().eq(files.iter().map(|(name, _)| name)), "{} names", listed.len());
}
