//! Images: archives of strangers, registries, and what stays of them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use lota_node::executor::{CheckError, Executor, ExecutorError, ImageSource, exit};

use sha2::Digest as _;

use crate::containers::{Docker, Packed, here, runs_in, source};
use crate::support::{Case, text};

fn with_tag(tag: &str) -> Packed {
    Packed { tag: tag.to_owned(), ..Packed::new() }
}

/// Why a provider does not take the job.
async fn refusal(docker: &Docker, image: ImageSource) -> String {
    let case = runs_in(image, ["true"]);
    match docker.executor.check(&case.run).await {
        Err(CheckError::Fault(fault)) => fault.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn prints(docker: &Docker, case: Case) -> String {
    docker.executor.check(&case.run).await.expect("it can be run");
    let outcome = docker.executor.run(case.run.clone()).await.expect("it runs");
    assert_eq!(outcome.exit_code, 0, "{}", outcome.ended);
    text(&outcome, "stdout")
}

#[tokio::test]
async fn archives_of_both_kinds_are_loaded() {
    let Some(docker) = Docker::start().await else { return };
    for (tag, archive) in [("saved", with_tag("saved").saved()), ("oci", with_tag("oci").oci())] {
        assert_eq!(prints(&docker, runs_in(source(archive), ["cat", "/tag"])).await, tag);
    }
    // Names in an archive are its maker's, not this engine's.
    assert_eq!(docker.ask(&["images", "-q", "lota-test/stolen"]), "");
}

#[tokio::test]
async fn bad_archives_are_refused_with_their_fault() {
    let Some(docker) = Docker::start().await else { return };
    let good = Packed::new();
    let replaced = |archive: Vec<u8>, from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = archive.windows(from.len()).position(|window| window == from.as_bytes()).expect("is there");
        [&archive[..at], to.as_bytes(), &archive[at + from.len()..]].concat()
    };
    let other = if here() == "amd64" { "arm64" } else { "amd64" };
    let foreign = Packed { architecture: other, ..Packed::new() };
    let volumes: serde_json::Map<_, _> = (0..65).map(|number| (format!("/v{number}"), serde_json::json!({}))).collect();
    let many_volumes = Packed { config: serde_json::json!({ "Volumes": volumes }), ..Packed::new() };
    let mut cut = good.saved();
    cut.truncate(cut.len() / 2);
    for (archive, why) in [
        (b"hello".to_vec(), "no tar file"),
        (Vec::new(), "neither manifest.json"),
        (b"\x1f\x8b\x08 compressed".to_vec(), "is compressed"),
        (cut, "the archive"),
        (replaced(good.saved(), "manifest.json", "MANIFEST.JSON"), "checksum"),
        (replaced(good.saved(), "\"c.json\"", "\"d.json\""), "lacks d.json"),
        (replaced(good.saved(), "\"Layers\"", "\"Lawyer\""), "cannot be read"),
        // The engine compares each layer with its digest.
        (replaced(with_tag("nowhere else").saved(), "nowhere else", "somewhere so"), "Docker cannot load it"),
        (replaced(good.oci(), "\"diff_ids\"", "\"diff_idz\""), "has the digest"),
        (many_volumes.saved(), "declares 65 volumes; this provider takes at most 64"),
        (foreign.saved(), other),
        (foreign.oci(), "linux"),
    ] {
        let said = refusal(&docker, source(archive.clone())).await;
        assert!(said.contains(why), "{said} lacks {why}");
        // After it was taken on, that is a result.
        let case = runs_in(source(archive), ["true"]);
        let outcome = docker.executor.run(case.run.clone()).await.expect("that is an outcome");
        assert_eq!(outcome.exit_code, exit::NOT_RUNNABLE);
    }
    let large = Docker::with(|settings| settings.image_bytes = 100_000).await.expect("it was there before");
    assert!(refusal(&large, source(good.saved())).await.contains("at most 100000"));
    assert_eq!(std::fs::read_dir(&large.settings.dir).unwrap().count(), 2, "the keeper, and what images there are");
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn layers_may_be_compressed_and_unpack_to_no_more_than_an_image_may_take() {
    let Some(docker) = Docker::with(|settings| settings.image_bytes = 8 << 20).await else { return };
    let good = with_tag("compressed");
    let archive = good.saved_with(&zipped(&good.layer()));
    assert_eq!(prints(&docker, runs_in(source(archive), ["cat", "/tag"])).await, "compressed");
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_size(64 << 20);
    header.set_cksum();
    let bomb = [header.as_bytes().as_slice(), &vec![0; (64 << 20) + 1_024]].concat();
    let archive = good.saved_with(&zipped(&bomb));
    assert!(archive.len() < 1 << 20, "it is small: {}", archive.len());
    // Other tests have images at the same engine.
    let own = format!("lota/{}", docker.settings.node);
    let before = docker.ask(&["images", "-q", &own]);
    assert_eq!(before.lines().count(), 1, "the one before");
    let said = refusal(&docker, source(archive)).await;
    assert!(said.contains("unpack to more than the 8388608 bytes"), "{said}");
    assert_eq!(docker.ask(&["images", "-q", &own]), before, "the engine was given nothing");
}

#[tokio::test]
async fn what_was_used_longest_ago_gives_way() {
    // Room for two of them.
    let Some(docker) = Docker::with(|settings| settings.cache_bytes = 5_000_000).await else { return };
    for tag in ["one", "two", "three", "four"] {
        assert_eq!(prints(&docker, runs_in(source(with_tag(tag).saved()), ["cat", "/tag"])).await, tag);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let kept = std::fs::read_to_string(docker.settings.dir.join("images.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let kept = kept["images"].as_object().unwrap().len();
    assert!((1..=3).contains(&kept), "{kept} of four images of 2 MB are kept");
    let label = |tag: &str| {
        format!("lota/{}:{}", docker.settings.node, hex::encode(sha2::Sha256::digest(with_tag(tag).saved())))
    };
    assert_eq!(docker.ask(&["images", "-q", &label("one")]), "", "the oldest one is gone");
    assert_ne!(docker.ask(&["images", "-q", &label("four")]), "", "the newest one is there");
}

/// A registry that has these blobs and manifests.
struct Registry {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    fn start(images: &[&Packed]) -> (Self, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (mut contents, mut names) = (BTreeMap::new(), Vec::new());
        for image in images {
            let (manifest, digest, blobs) = image.blobs();
            contents.insert(format!("/v2/team/tool/manifests/sha256:{digest}"), manifest);
            contents
                .extend(blobs.into_iter().map(|(digest, blob)| (format!("/v2/team/tool/blobs/sha256:{digest}"), blob)));
            names.push(format!("{address}/team/tool@sha256:{digest}"));
        }
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (contents, seen) = (contents.clone(), Arc::clone(&seen));
                std::thread::spawn(move || answer(stream, &contents, &seen));
            }
        });
        (Self { address, asked }, names)
    }
}

fn answer(mut stream: TcpStream, contents: &BTreeMap<String, Vec<u8>>, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
        }
        let mut words = request.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        seen.lock().unwrap().push(path.clone());
        let (status, body): (_, &[u8]) = match (path.as_str(), contents.get(&path)) {
            ("/v2/", _) => ("200 OK", b"{}"),
            (_, Some(body)) => ("200 OK", body),
            _ => ("404 Not Found", br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#),
        };
        let kind = if path.contains("/manifests/") && status.starts_with("200") {
            "application/vnd.oci.image.manifest.v1+json"
        } else {
            "application/octet-stream"
        };
        let digest = path
            .rsplit_once("sha256:")
            .map_or(String::new(), |(_, digest)| format!("Docker-Content-Digest: sha256:{digest}\r\n"));
        write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{digest}\r\n", body.len())
            .ok()?;
        if method != "HEAD" {
            stream.write_all(body).ok()?;
        }
    }
}

#[tokio::test]
async fn images_are_pulled_by_their_digest() {
    let Some(docker) = Docker::start().await else { return };
    let other = if here() == "amd64" { "arm64" } else { "amd64" };
    let (image, foreign) = (with_tag("pulled"), Packed { architecture: other, ..with_tag("foreign") });
    let (registry, names) = Registry::start(&[&image, &foreign]);
    let named = |name: &str| ImageSource::Named(name.to_owned());
    assert_eq!(prints(&docker, runs_in(named(&names[0]), ["cat", "/tag"])).await, "pulled");
    let asked = registry.asked.lock().unwrap().len();
    assert_eq!(prints(&docker, runs_in(named(&names[0]), ["cat", "/tag"])).await, "pulled");
    assert_eq!(registry.asked.lock().unwrap().len(), asked, "it is here already");
    let missing = format!("{}/team/tool@sha256:{}", registry.address, "0".repeat(64));
    let said = refusal(&docker, named(&missing)).await;
    assert!(said.contains("cannot pull it") && said.contains("manifest"), "{said}");
    // After the job was taken on, that is no result of it.
    let lost = docker.executor.run(runs_in(named(&missing), ["true"]).run.clone()).await;
    assert!(matches!(lost, Err(ExecutorError::Image { .. })), "{lost:?}");
    let said = refusal(&docker, named(&names[1])).await;
    assert!(said.contains(other), "{said}");
    // Nobody is there.
    let away = format!("127.0.0.1:1/team/tool@sha256:{}", "0".repeat(64));
    let checked = docker.executor.check(&runs_in(named(&away), ["true"]).run).await;
    assert!(matches!(checked, Err(CheckError::Executor(ExecutorError::Image { .. }))), "{checked:?}");
    let none = Docker::with(|settings| settings.pull = false).await.expect("it was there before");
    assert!(refusal(&none, named(&missing)).await.contains("pulls no images"));
}

#[tokio::test]
async fn a_registry_that_lies_is_not_believed() {
    let Some(docker) = Docker::start().await else { return };
    let (image, lie) = (with_tag("asked"), with_tag("answered"));
    let (manifest, _, blobs) = lie.blobs();
    let (_, digest, _) = image.blobs();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut contents = BTreeMap::from([(format!("/v2/team/tool/manifests/sha256:{digest}"), manifest)]);
    contents.extend(blobs.into_iter().map(|(digest, blob)| (format!("/v2/team/tool/blobs/sha256:{digest}"), blob)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let contents = contents.clone();
            std::thread::spawn(move || answer(stream, &contents, &Mutex::default()));
        }
    });
    let said = refusal(&docker, ImageSource::Named(format!("{address}/team/tool@sha256:{digest}"))).await;
    assert!(said.contains("digest") || said.contains("verif"), "{said}");
}
