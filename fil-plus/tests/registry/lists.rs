use std::{path::Path, sync::Arc, time::Duration};

use ed25519_dalek::{Signer as _, SigningKey};
use lota_fil_plus::{
    answer::Certainty,
    keeper::read_once,
    source::{
        Source,
        list::{ListKey, SignedList},
    },
};

use crate::{
    chain::piece,
    support::{ask, ask_at, certainty, open, read},
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(key: &SigningKey) -> ListKey {
    key.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>().parse().expect("a key")
}

fn list(issued: &str, piece_number: u64) -> String {
    format!("# Archive, {issued}\ncid,note\n{},a note, with a comma\n", piece(piece_number))
}

fn write(path: &Path, text: &str, by: &SigningKey) {
    std::fs::write(path, text).expect("written");
    std::fs::write(path.with_extension("csv.sig"), by.sign(text.as_bytes()).to_bytes()).expect("written");
}

fn source(path: &Path, keys: Vec<ListKey>) -> Arc<dyn Source> {
    Arc::new(SignedList::at(path.to_str().expect("UTF-8"), keys, Duration::ZERO).expect("a list"))
}

#[tokio::test]
async fn a_signed_list_is_believed_and_only_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, signer) = (folder.path().join("list.csv"), key(1));
    write(&path, &list("2026-01-01T00:00:00Z", 5), &signer);
    let mut registry = open(folder.path(), vec![source(&path, vec![public(&key(9)), public(&signer)])]).await;
    assert_eq!(certainty(&registry, piece(5)).await, Certainty::Unknown);
    // The clock of the chain is that of the tests; the list's is the world's.
    let step =
        registry.step(&registry.sources()[0], lota_fil_plus::keeper::now()).await.expect("read").expect("a step");
    assert!(step.progress.contains("1 entries"), "{}", step.progress);
    let answer = ask(&registry, &piece(5).to_string()).await;
    assert_eq!((answer.certainty, answer.lists[0].note.as_str()), (Certainty::Listed, "a note, with a comma"));
    assert_eq!(answer.lists[0].list, "Archive");

    write(&path, &list("2026-01-02T00:00:00Z", 6), &signer);
    read_one(&registry).await.expect("a newer list");
    assert_eq!(certainty(&registry, piece(5)).await, Certainty::Unknown);
    assert_eq!(certainty(&registry, piece(6)).await, Certainty::Listed);

    // Somebody gives out the old one again.
    write(&path, &list("2026-01-01T00:00:00Z", 5), &signer);
    let error = read_one(&registry).await.expect_err("an older list");
    assert!(error.contains("older than the one before"), "{error}");
    assert_eq!(certainty(&registry, piece(6)).await, Certainty::Listed);

    // A list that is not named any more names nothing.
    registry = open(folder.path(), vec![source(Path::new("/nowhere.csv"), vec![public(&signer)])]).await;
    assert_eq!(certainty(&registry, piece(6)).await, Certainty::Unknown);
}

#[tokio::test]
async fn a_list_that_was_read_while_the_clock_was_ahead_is_read_again() {
    let (folder, now) = (tempfile::tempdir().expect("a folder"), lota_fil_plus::keeper::now());
    let (path, signer) = (folder.path().join("list.csv"), key(1));
    let source = SignedList::at(path.to_str().expect("UTF-8"), vec![public(&signer)], Duration::from_secs(3_600));
    let registry = open(folder.path(), vec![Arc::new(source.expect("a list"))]).await;
    let step = async |now| registry.step(&registry.sources()[0], now).await.expect("read").expect("a step");
    write(&path, &list("2026-01-01T00:00:00Z", 5), &signer);
    step(now + 365 * 86_400).await;
    write(&path, &list("2026-01-02T00:00:00Z", 6), &signer);
    step(now).await;
    assert_eq!(certainty(&registry, piece(6)).await, Certainty::Listed);
    write(&path, &list("2026-01-03T00:00:00Z", 7), &signer);
    step(now + 60).await;
    assert_eq!(certainty(&registry, piece(7)).await, Certainty::Unknown, "it rests");
}

#[tokio::test]
async fn a_list_counts_as_long_as_its_signer_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, lost, kept) = (folder.path().join("list.csv"), key(1), key(2));
    let day = Duration::from_secs(86_400);
    let sources = |keys: Vec<ListKey>| -> Vec<Arc<dyn Source>> {
        vec![Arc::new(SignedList::at(path.to_str().expect("UTF-8"), keys, day).expect("a list"))]
    };
    write(&path, &list("2026-01-03T00:00:00Z", 5), &lost);
    let registry = open(folder.path(), sources(vec![public(&lost), public(&kept)])).await;
    read_one(&registry).await.expect("it is named");
    assert_eq!(certainty(&registry, piece(5)).await, Certainty::Listed);
    // In another order it is the same key.
    let registry = open(folder.path(), sources(vec![public(&kept), public(&lost)])).await;
    assert_eq!(certainty(&registry, piece(5)).await, Certainty::Listed);

    // Another process, which still takes the key, keeps its list under this one's feet.
    let careful = open(folder.path(), sources(vec![public(&kept)])).await;
    assert_eq!(certainty(&careful, piece(5)).await, Certainty::Unknown, "at once");
    read_one(&registry).await.expect("it is named there");
    assert_eq!(certainty(&registry, piece(5)).await, Certainty::Listed);
    assert_eq!(certainty(&careful, piece(5)).await, Certainty::Unknown);

    let careful = open(folder.path(), sources(vec![public(&kept)])).await;
    let error = read_one(&careful).await.expect_err("it rests for no day");
    assert!(error.contains("none of the keys"), "{error}");
    // Nor does the date count that it bore.
    write(&path, &list("2026-01-02T00:00:00Z", 6), &kept);
    read_one(&careful).await.expect("an older list of a key that is named");
    assert_eq!(certainty(&careful, piece(6)).await, Certainty::Listed);

    // Without sources nobody names a key.
    let anybody = open(folder.path(), Vec::new()).await;
    assert_eq!(certainty(&anybody, piece(6)).await, Certainty::Unknown);
}

#[tokio::test]
async fn a_list_that_was_not_read_lately_is_called_old() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, signer) = (folder.path().join("list.csv"), key(1));
    let source = SignedList::at(path.to_str().expect("UTF-8"), vec![public(&signer)], Duration::from_secs(60));
    write(&path, &list("2026-01-01T00:00:00Z", 5), &signer);
    let registry = open(folder.path(), vec![Arc::new(source.expect("a list"))]).await;
    let now = lota_fil_plus::keeper::now();
    registry.step(&registry.sources()[0], now).await.expect("read");
    let caveats = async |now| ask_at(&registry, &piece(5).to_string(), now).await.caveats;
    let is_old = |caveats: &[String]| caveats.iter().any(|caveat| caveat.starts_with("the source `list /"));
    assert!(!is_old(&caveats(now + 180).await));
    std::fs::remove_file(&path).expect("removed");
    registry.step(&registry.sources()[0], now + 181).await.expect_err("it is gone");
    let old = caveats(now + 181).await;
    assert!(is_old(&old) && old.iter().any(|caveat| caveat.contains("is 181 s behind (the list")), "{old:?}");
    assert!(!is_old(&ask_at(&registry, &piece(6).to_string(), now + 181).await.caveats), "it names another one");
}

async fn read_one(registry: &lota_fil_plus::registry::Registry) -> Result<(), String> {
    let now = lota_fil_plus::keeper::now();
    registry.step(&registry.sources()[0], now).await.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_no_named_key_signed_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, signer) = (folder.path().join("list.csv"), key(1));
    let good = list("2026-01-01T00:00:00Z", 5);
    let signature = path.with_extension("csv.sig");
    let registry = open(folder.path(), vec![source(&path, vec![public(&signer)])]).await;
    for (case, text, sig, wanted) in [
        ("no signature", good.clone(), None, "cannot be read"),
        ("another's", good.clone(), Some(key(2).sign(good.as_bytes()).to_vec()), "none of the keys"),
        (
            "changed",
            good.replace("Archive", "Brchive"),
            Some(signer.sign(good.as_bytes()).to_vec()),
            "none of the keys",
        ),
        ("no signature in it", good.clone(), Some(b"yes".to_vec()), "no Ed25519 signature"),
        ("of the future", list("2999-01-01T00:00:00Z", 5), None, "in the future"),
        ("no list", "<html>".to_owned(), None, "first line"),
    ] {
        std::fs::write(&path, &text).expect("written");
        match sig {
            Some(bytes) => std::fs::write(&signature, bytes).expect("written"),
            None if case == "no signature" => drop(std::fs::remove_file(&signature)),
            None => std::fs::write(&signature, signer.sign(text.as_bytes()).to_bytes()).expect("written"),
        }
        let error = read_one(&registry).await.expect_err(case);
        assert!(error.contains(wanted), "{case}: {error}");
        assert_eq!(certainty(&registry, piece(5)).await, Certainty::Unknown, "{case}");
    }
    write(&path, &good, &signer);
    read_one(&registry).await.expect("a good one");
    assert_eq!(certainty(&registry, piece(5)).await, Certainty::Listed);
}

#[tokio::test]
async fn a_list_at_a_url_is_read_with_its_signature_beside_it() {
    let signer = key(1);
    let text = list("2026-01-01T00:00:00Z", 5);
    let signature = signer.sign(text.as_bytes()).to_vec();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = axum::Router::new()
        .route("/a/list.csv", axum::routing::get(move || async move { text }))
        .route("/a/list.csv.sig", axum::routing::get(move || async move { signature }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let at = |path: &str| -> Arc<dyn Source> {
        let url = format!("http://{address}{path}");
        Arc::new(SignedList::at(&url, vec![public(&signer)], Duration::from_secs(60)).expect("a list"))
    };
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![at("/a/list.csv")]).await;
    read(&registry).await;
    assert_eq!(certainty(&registry, piece(5)).await, Certainty::Listed);
    let registry = open(folder.path(), vec![at("/b")]).await;
    let failed = read_once(&registry, &|_, _| {}).await;
    assert!(failed[0].1.to_string().contains("HTTP 404"), "{failed:?}");
}
