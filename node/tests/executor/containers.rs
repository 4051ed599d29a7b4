//! An engine for the tests, and images that are made here.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use lota_node::executor::docker::{DockerExecutor, DockerSettings, default_host};
use lota_node::executor::{DockerRun, EngineRun, ImageSource, Run};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::Case;

/// The engine's address, or why there is none; said once.
pub(crate) fn host() -> Option<&'static str> {
    static HOST: OnceLock<Option<String>> = OnceLock::new();
    HOST.get_or_init(|| {
        let host = default_host();
        let reached =
            host.strip_prefix("unix://").is_some_and(|path| std::os::unix::net::UnixStream::connect(path).is_ok());
        let missing = match (reached, busybox()) {
            (true, Some(_)) => return Some(host),
            (false, _) => format!("no Docker engine answers at {host} (DOCKER_HOST)"),
            (true, None) => "there is no static busybox (Debian's busybox-static)".to_owned(),
        };
        let impossible = std::env::var("LOTA_TEST_NO_DOCKER").ok();
        let is_needed = std::env::var_os("LOTA_TEST_TOOLS").is_some() && impossible.is_none();
        assert!(!is_needed, "{missing}, and LOTA_TEST_TOOLS is set");
        let missing = impossible.unwrap_or(missing);
        // Not with `eprintln!`, which says nothing when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: the tests of the Docker executor: {missing}");
        None
    })
    .as_deref()
}

fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from).into_iter().find(|path| path.is_file())
}

/// An executor of a test's own.
pub(crate) struct Docker {
    pub(crate) executor: DockerExecutor,
    pub(crate) settings: DockerSettings,
    _dir: TempDir,
}

impl Docker {
    /// None: there is no engine.
    pub(crate) async fn start() -> Option<Self> {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut DockerSettings)) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let node = format!("test-{}", hex::encode(rand_bytes()));
        let mut settings = DockerSettings::new(host()?, node, dir.path());
        set(&mut settings);
        let executor = DockerExecutor::connect(settings.clone()).await.expect("the engine works");
        Some(Self { executor, settings, _dir: dir })
    }

    /// The executor of another process of the same node.
    pub(crate) async fn again(&self) -> DockerExecutor {
        DockerExecutor::connect(self.settings.clone()).await.expect("the engine works")
    }

    /// What `docker` says.
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        ask(&self.settings.host, args)
    }

    /// The containers and volumes of this node.
    pub(crate) fn left(&self) -> Vec<String> {
        let label = format!("label=lota.node={}", self.settings.node);
        let containers = self.ask(&["ps", "-aq", "--filter", &label]);
        let volumes = self.ask(&["volume", "ls", "-q", "--filter", &label]);
        containers.lines().chain(volumes.lines()).map(str::to_owned).collect()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let label = format!("label=lota.node={}", self.settings.node);
        for id in self.ask(&["ps", "-aq", "--filter", &label]).lines() {
            self.ask(&["rm", "-fv", id]);
        }
        if let Ok(known) = std::fs::read(self.settings.dir.join("images.json")) {
            let known: serde_json::Value = serde_json::from_slice(&known).unwrap();
            for name in known["images"].as_object().unwrap().keys() {
                self.ask(&["rmi", name]);
            }
        }
    }
}

pub(crate) fn ask(host: &str, args: &[&str]) -> String {
    let output = Command::new("docker").args(["-H", host]).args(args).output().expect("docker runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn rand_bytes() -> [u8; 8] {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    Sha256::digest(format!("{time} {:?}", std::thread::current().id()))[..8].try_into().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A tar file of these files, and links of these names to busybox.
fn tar(files: &[(&str, &[u8], u32)], links: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    for name in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, name, "/bin/busybox").unwrap();
    }
    builder.into_inner().unwrap()
}

/// An image with busybox in it, as it may be packed.
#[derive(Clone)]
pub(crate) struct Packed {
    pub(crate) architecture: &'static str,
    pub(crate) config: serde_json::Value,
    /// Makes it another image.
    pub(crate) tag: String,
}

pub(crate) fn here() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

impl Packed {
    pub(crate) fn new() -> Self {
        Self { architecture: here(), config: serde_json::json!({}), tag: "plain".to_owned() }
    }

    pub(crate) fn layer(&self) -> Vec<u8> {
        let busybox = std::fs::read(busybox().unwrap()).unwrap();
        let applets = [
            "sh", "true", "cat", "echo", "env", "id", "ls", "dd", "sleep", "touch", "mkdir", "mkfifo", "ln", "yes",
            "pwd", "mknod", "head", "wc", "grep", "seq", "nc", "chmod", "stat", "kill", "df", "date", "ps", "test",
            "tr",
        ];
        let applets: Vec<_> = applets.iter().map(|name| format!("bin/{name}")).collect();
        let applets: Vec<_> = applets.iter().map(String::as_str).collect();
        tar(
            &[
                ("bin/busybox", &busybox, 0o755),
                ("data/shipped", b"shipped", 0o644),
                ("tag", self.tag.as_bytes(), 0o644),
            ],
            &applets,
        )
    }

    pub(crate) fn configuration(&self, layer: &[u8]) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({
            "architecture": self.architecture, "os": "linux", "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(layer))] }
        }))
        .unwrap()
    }

    /// As `docker save` packs it, with a name that no engine must take over.
    pub(crate) fn saved(&self) -> Vec<u8> {
        self.saved_with(&self.layer())
    }

    /// The same with these bytes for the layer, which is still said to be what it is.
    pub(crate) fn saved_with(&self, layer: &[u8]) -> Vec<u8> {
        let config = self.configuration(&self.layer());
        let manifest = serde_json::json!([{ "Config": "c.json", "RepoTags": ["lota-test/stolen:name"], "Layers": ["l/layer.tar"] }]);
        tar(
            &[
                ("c.json", &config, 0o644),
                ("l/layer.tar", layer, 0o644),
                ("manifest.json", manifest.to_string().as_bytes(), 0o644),
            ],
            &[],
        )
    }

    /// The manifest of the OCI image format, its digest, and the blobs it names.
    pub(crate) fn blobs(&self) -> (Vec<u8>, String, BTreeMap<String, Vec<u8>>) {
        let layer = self.layer();
        let config = self.configuration(&layer);
        let manifest = serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": format!("sha256:{}", sha256(&config)), "size": config.len()
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": format!("sha256:{}", sha256(&layer)), "size": layer.len()
            }]
        }))
        .unwrap();
        let digest = sha256(&manifest);
        let blobs = [&config, &layer].map(|blob| (sha256(blob), blob.clone()));
        (manifest, digest, blobs.into())
    }

    /// As an OCI layout.
    pub(crate) fn oci(&self) -> Vec<u8> {
        let (manifest, digest, mut blobs) = self.blobs();
        let index = serde_json::json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{digest}"),
                "size": manifest.len(), "platform": { "os": "linux", "architecture": self.architecture }
            }]
        });
        blobs.insert(digest, manifest);
        let named: Vec<_> = blobs.iter().map(|(digest, bytes)| (format!("blobs/sha256/{digest}"), bytes)).collect();
        let mut files: Vec<_> = named.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice(), 0o644)).collect();
        let index = index.to_string();
        files.push(("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644));
        files.push(("index.json", index.as_bytes(), 0o644));
        tar(&files, &[])
    }
}

/// An image that is packed like this.
pub(crate) fn source(archive: Vec<u8>) -> ImageSource {
    let id = Sha256::digest(&archive).into();
    let archive = Arc::new(archive);
    let lay_out = move |path: PathBuf| {
        let archive = Arc::clone(&archive);
        Box::pin(async move {
            std::fs::write(path, &*archive).unwrap();
            Ok(())
        }) as futures::future::BoxFuture<'static, _>
    };
    ImageSource::Archive { name: "the test's archive".to_owned(), id, lay_out: Arc::new(lay_out) }
}

/// The usual image.
pub(crate) fn image() -> ImageSource {
    static SAVED: OnceLock<Vec<u8>> = OnceLock::new();
    source(SAVED.get_or_init(|| Packed::new().saved()).clone())
}

/// A run of a program of the usual image.
pub(crate) fn runs<const N: usize>(args: [&str; N]) -> Case {
    runs_in(image(), args)
}

pub(crate) fn runs_in<const N: usize>(image: ImageSource, args: [&str; N]) -> Case {
    let engine = EngineRun::Docker(DockerRun::new(image));
    let case = Case::new(Vec::new()).args(args);
    case.edit(|run| run.engine = engine).limit(|limits| limits.fuel = 600_000_000_000)
}

/// A line of shell.
pub(crate) fn shell(script: &str) -> Case {
    runs(["sh", "-c", script])
}

pub(crate) fn docker_of(run: &mut Run) -> &mut DockerRun {
    match &mut run.engine {
        EngineRun::Docker(docker) => docker,
        EngineRun::Wasm(_) => panic!("it is a module"),
    }
}
