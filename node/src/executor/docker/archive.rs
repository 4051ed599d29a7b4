//! Image archives of strangers: what `docker save` writes, and OCI layouts, as a tar file.
//!
//! An engine is never given such a file as it is: it would take over the names in it, and older ones know no OCI layouts.
//! Configuration and layers of the one image are picked out of it and packed anew, under a name that tells whose they are.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use bollard::errors::Error;
use bollard::models::BuildInfo;
use bollard::query_parameters::ImportImageOptionsBuilder;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tar::EntryType;
use tokio::sync::mpsc;

use super::{
    engine::Engine,
    unpacked::{self, Unpacked},
};

/// The most entries of an archive.
const ENTRIES: usize = 20_000;
/// The most bytes of a long name or another extension.
pub(super) const EXTENSION: u64 = 64 << 10;
/// The most bytes of a manifest or a configuration.
const DOCUMENT: u64 = 4 << 20;
/// The most layers: as many as engines take.
const LAYERS: usize = 127;
/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// Why there is no image in an archive.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// The archive is at fault.
    #[error("{0}")]
    Unfit(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub(super) fn unfit<T>(why: impl Into<String>) -> Result<T, ArchiveError> {
    Err(ArchiveError::Unfit(why.into()))
}

/// An image in an archive.
#[derive(Debug)]
pub(super) struct Contents {
    file: File,
    configuration_bytes: Vec<u8>,
    /// Where each layer's bytes are.
    places: Vec<Place>,
    /// The digest of its configuration: `sha256:…`.
    pub(super) configuration: String,
    /// The digests of its unpacked layers.
    pub(super) layers: Vec<String>,
}

/// Where bytes are in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    offset: u64,
    size: u64,
}

/// `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

/// OCI image format: an index, or a manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize, Clone)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct Configuration {
    os: String,
    architecture: String,
    rootfs: Layers,
}

#[derive(Deserialize)]
struct Layers {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// Finds the image for these processors in an archive of at most so many bytes, whose layers unpack to no more either.
pub(super) fn read(path: &Path, architecture: &str, limit: u64) -> Result<Contents, ArchiveError> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > limit {
        return unfit(format!("the archive has {length} bytes; this provider takes at most {limit}"));
    }
    let mut start = [0; 2];
    let read = file.read(&mut start)?;
    if read == 2 && start == [0x1f, 0x8b] {
        return unfit("the archive is compressed; unpack it (`gunzip`) and import the tar file");
    }
    let mut index = Index::of(file, length)?;
    let (config, layers) = if index.has("manifest.json") {
        index.saved()?
    } else if index.has("index.json") {
        index.oci(architecture)?
    } else {
        return unfit("the archive has neither manifest.json (`docker save`) nor index.json (OCI layout) in it");
    };
    let configuration_bytes = index.document_at(config, "the configuration")?;
    let configuration: Configuration = parse(&configuration_bytes, "the configuration")?;
    if configuration.os != "linux" || configuration.architecture != architecture {
        return unfit(format!(
            "it is for {}/{}; this provider runs linux/{architecture}",
            shown(&configuration.os),
            shown(&configuration.architecture)
        ));
    }
    if layers.len() != configuration.rootfs.diff_ids.len() || layers.len() > LAYERS {
        return unfit(format!(
            "the archive has {} layers, and its configuration names {}; at most {LAYERS} are taken",
            layers.len(),
            configuration.rootfs.diff_ids.len()
        ));
    }
    index.measure(&layers, limit)?;
    Ok(Contents {
        configuration: format!("sha256:{}", hex::encode(Sha256::digest(&configuration_bytes))),
        configuration_bytes,
        places: layers,
        layers: configuration.rootfs.diff_ids,
        file: index.file,
    })
}

/// What is where in an archive.
struct Index {
    file: File,
    files: HashMap<String, Place>,
    links: HashMap<String, String>,
}

impl Index {
    fn of(mut file: File, length: u64) -> Result<Self, ArchiveError> {
        let broken =
            |error: io::Error| ArchiveError::Unfit(format!("the archive is no tar file, or it is damaged: {error}"));
        // First as it is: the reader of the second pass takes extensions into memory whole.
        file.seek(SeekFrom::Start(0))?;
        let mut raw = tar::Archive::new(&file);
        for (number, entry) in raw.entries_with_seek().map_err(broken)?.raw(true).enumerate() {
            let header = entry.map_err(broken)?;
            let kind = header.header().entry_type();
            let is_extension = kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions();
            if number >= ENTRIES || (is_extension && header.size() > EXTENSION) {
                return unfit(format!(
                    "the archive has more than {ENTRIES} entries, or names of more than {EXTENSION} bytes"
                ));
            }
            if kind.is_gnu_sparse() {
                return unfit("the archive has sparse files, which no image archive needs");
            }
        }
        file.seek(SeekFrom::Start(0))?;
        let (mut files, mut links) = (HashMap::new(), HashMap::new());
        let mut archive = tar::Archive::new(&file);
        for entry in archive.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let Some(name) = normal(&String::from_utf8_lossy(&entry.path_bytes())) else { continue };
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    let place = Place { offset: entry.raw_file_position(), size: entry.size() };
                    if place.offset.checked_add(place.size).is_none_or(|end| end > length) {
                        return unfit(format!("the archive ends within {}", shown(&name)));
                    }
                    files.insert(name, place);
                }
                // Layers that are there twice.
                kind @ (EntryType::Symlink | EntryType::Link) => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let target = if kind == EntryType::Symlink { format!("{folder}/{target}") } else { target };
                    if let Some(target) = normal(&target) {
                        links.insert(name, target);
                    }
                }
                _ => {}
            }
        }
        Ok(Self { file, files, links })
    }

    /// Checks what the layers unpack to. One that is there several times the engine unpacks as often.
    fn measure(&self, layers: &[Place], limit: u64) -> Result<(), ArchiveError> {
        let (mut known, mut sum) = (BTreeMap::new(), Unpacked::default());
        for place in layers {
            let size = match known.get(place) {
                Some(size) => *size,
                None => {
                    (&self.file).seek(SeekFrom::Start(place.offset))?;
                    let size = unpacked::measure((&self.file).take(place.size), limit)?;
                    known.insert(*place, size);
                    size
                }
            };
            sum = sum.with(size, limit)?;
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    fn place(&self, name: &str) -> Result<Place, ArchiveError> {
        let name = normal(name).unwrap_or_default();
        let found = self.files.get(&name).or_else(|| self.files.get(self.links.get(&name)?));
        found.copied().map_or_else(|| unfit(format!("the archive lacks {}", shown(&name))), Ok)
    }

    fn document(&mut self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let place = self.place(name)?;
        self.document_at(place, name)
    }

    fn document_at(&mut self, place: Place, what: &str) -> Result<Vec<u8>, ArchiveError> {
        if place.size > DOCUMENT {
            return unfit(format!(
                "{} in the archive has {} bytes; at most {DOCUMENT} are taken",
                shown(what),
                place.size
            ));
        }
        self.file.seek(SeekFrom::Start(place.offset))?;
        let mut bytes = Vec::new();
        (&self.file).take(place.size).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Configuration and layers as `docker save` names them.
    fn saved(&mut self) -> Result<(Place, Vec<Place>), ArchiveError> {
        let images: Vec<Saved> = parse(&self.document("manifest.json")?, "manifest.json")?;
        let [image] = images.as_slice() else {
            return unfit(format!("the archive has {} images; save one of them alone", images.len()));
        };
        let layers = image.layers.iter().map(|layer| self.place(layer)).collect::<Result<_, _>>()?;
        Ok((self.place(&image.config)?, layers))
    }

    /// Configuration and layers of the image for these processors in an OCI layout.
    fn oci(&mut self, architecture: &str) -> Result<(Place, Vec<Place>), ArchiveError> {
        let mut manifest: Manifest = parse(&self.document("index.json")?, "index.json")?;
        // An index may name indexes, once.
        for _ in 0..2 {
            if manifest.config.is_some() {
                break;
            }
            let here = |descriptor: &&Descriptor| {
                descriptor
                    .platform
                    .as_ref()
                    .is_none_or(|platform| platform.os == "linux" && platform.architecture == architecture)
            };
            let fitting: Vec<_> = manifest.manifests.iter().filter(here).collect();
            let [one] = fitting.as_slice() else {
                let platforms: Vec<_> = manifest.manifests.iter().filter_map(|one| one.platform.clone()).collect();
                let platforms: Vec<_> =
                    platforms.iter().map(|one| format!("{}/{}", shown(&one.os), shown(&one.architecture))).collect();
                return unfit(format!(
                    "the archive has {} images for linux/{architecture}, and one is needed (it is for {})",
                    fitting.len(),
                    if platforms.is_empty() { "no named platform".to_owned() } else { platforms.join(", ") }
                ));
            };
            let digest = one.digest.clone();
            manifest = parse(&self.blob(&digest)?, "a manifest")?;
        }
        let Some(config) = manifest.config else { return unfit("the archive's index names no image") };
        // Read, to compare it with its digest.
        self.blob(&config.digest)?;
        let layers =
            manifest.layers.iter().map(|layer| self.place(&blob_path(&layer.digest)?)).collect::<Result<_, _>>()?;
        Ok((self.place(&blob_path(&config.digest)?)?, layers))
    }

    fn blob(&mut self, digest: &str) -> Result<Vec<u8>, ArchiveError> {
        let bytes = self.document(&blob_path(digest)?)?;
        let found = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        if found != digest {
            return unfit(format!("what the archive has as {} has the digest {found}", shown(digest)));
        }
        Ok(bytes)
    }
}

fn blob_path(digest: &str) -> Result<String, ArchiveError> {
    match digest.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(format!("blobs/sha256/{hex}")),
        _ => unfit(format!("{} in the archive is no sha256 digest", shown(digest))),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ArchiveError> {
    serde_json::from_slice(bytes).or_else(|error| unfit(format!("{what} in the archive cannot be read: {error}")))
}

/// A name without `.` and `..`, from the archive's root on; none if it leads out of it.
fn normal(name: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn shown(text: &str) -> String {
    super::engine::printable(text).chars().take(100).collect()
}

/// Gives the image to the engine under a name.
pub(super) fn load(engine: &Engine, contents: Contents, name: &str) -> BoxStream<'static, Result<BuildInfo, Error>> {
    let (pieces, received) = mpsc::channel(4);
    let name = name.to_owned();
    // Ends when nobody listens any more.
    tokio::task::spawn_blocking(move || {
        if let Err(error) = contents.pack(&name, &mut |piece| pieces.blocking_send(Ok(piece)).is_ok()) {
            let _ = pieces.blocking_send(Err(error));
        }
    });
    let stream = futures::stream::unfold(received, async |mut received| {
        let piece: Option<Result<Bytes, io::Error>> = received.recv().await;
        piece.map(|piece| (piece, received))
    });
    engine.images.import_image_stream(ImportImageOptionsBuilder::new().quiet(true).build(), stream, None).boxed()
}

impl Contents {
    /// Writes the archive that the engine is given; ends early if it is not taken.
    fn pack(mut self, name: &str, give: &mut impl FnMut(Bytes) -> bool) -> io::Result<()> {
        let mut numbers = BTreeMap::new();
        let mut layers = Vec::new();
        for place in self.places.clone() {
            let next = numbers.len();
            let number = *numbers.entry(place).or_insert(next);
            layers.push(format!("{number}.tar"));
            if number == next && !self.give_layer(&layers[layers.len() - 1], place, give)? {
                return Ok(());
            }
        }
        let manifest =
            serde_json::json!([{ "Config": "config.json", "RepoTags": [name], "Layers": layers }]).to_string();
        for (name, bytes) in
            [("config.json", std::mem::take(&mut self.configuration_bytes)), ("manifest.json", manifest.into())]
        {
            let padding = padding(bytes.len() as u64);
            if !(give(header(name, bytes.len() as u64)?) && give(bytes.into()) && give(padding)) {
                return Ok(());
            }
        }
        give(Bytes::from(vec![0; 1_024]));
        Ok(())
    }

    fn give_layer(&mut self, name: &str, place: Place, give: &mut impl FnMut(Bytes) -> bool) -> io::Result<bool> {
        if !give(header(name, place.size)?) {
            return Ok(false);
        }
        self.file.seek(SeekFrom::Start(place.offset))?;
        let mut left = place.size;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let mut piece = vec![0; length];
            self.file.read_exact(&mut piece)?;
            left -= length as u64;
            if !give(piece.into()) {
                return Ok(false);
            }
        }
        Ok(give(padding(place.size)))
    }
}

fn header(name: &str, size: u64) -> io::Result<Bytes> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

fn padding(size: u64) -> Bytes {
    let rest = usize::try_from(size % 512).unwrap_or(0);
    Bytes::from(vec![0; if rest == 0 { 0 } else { 512 - rest }])
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;
    use tar::{Builder, Header};

    use super::*;

    const LIMIT: u64 = 1 << 20;

    enum Put<'a> {
        File(&'a str, Vec<u8>),
        Link(&'a str, &'a str),
    }

    fn tar(entries: &[Put<'_>]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for entry in entries {
            let mut header = Header::new_gnu();
            match entry {
                Put::File(name, bytes) => {
                    header.set_size(bytes.len() as u64);
                    builder.append_data(&mut header, name, &**bytes).unwrap();
                }
                Put::Link(name, target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_size(0);
                    builder.append_link(&mut header, name, target).unwrap();
                }
            }
        }
        builder.into_inner().unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Contents, ArchiveError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        read(file.path(), "amd64", LIMIT)
    }

    fn fault(bytes: &[u8]) -> String {
        match read_bytes(bytes) {
            Err(ArchiveError::Unfit(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn config(layers: usize) -> Vec<u8> {
        let ids = vec!["sha256:0"; layers];
        json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": ids } }).to_string().into()
    }

    #[test]
    fn an_image_is_packed_anew_under_another_name() {
        // A layer that is there twice is a link, as older engines save it.
        let manifest =
            json!([{ "Config": "c.json", "RepoTags": ["nginx:latest"], "Layers": ["a/layer.tar", "./b/layer.tar"] }]);
        let layer = tar(&[Put::File("f", b"the layer".to_vec())]);
        let archive = tar(&[
            Put::File("a/layer.tar", layer.clone()),
            Put::Link("b/layer.tar", "../a/layer.tar"),
            Put::File("c.json", config(2)),
            Put::File("repositories", b"{\"nginx\":{}}".to_vec()),
            Put::File("manifest.json", manifest.to_string().into()),
        ]);
        let contents = read_bytes(&archive).unwrap();
        assert_eq!(contents.configuration, format!("sha256:{}", hex::encode(Sha256::digest(config(2)))));
        let mut packed = Vec::new();
        contents
            .pack("lota/node:id", &mut |piece| {
                packed.extend_from_slice(&piece);
                true
            })
            .unwrap();
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(&*packed).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            found.insert(entry.path().unwrap().to_str().unwrap().to_owned(), bytes);
        }
        assert_eq!(found.keys().collect::<Vec<_>>(), ["0.tar", "config.json", "manifest.json"]);
        assert_eq!(found["0.tar"], layer);
        let manifest: serde_json::Value = serde_json::from_slice(&found["manifest.json"]).unwrap();
        assert_eq!(
            manifest,
            json!([{ "Config": "config.json", "RepoTags": ["lota/node:id"], "Layers": ["0.tar", "0.tar"] }])
        );
    }

    #[test]
    fn hostile_archives_cost_little_and_say_why() {
        let manifest = |value: serde_json::Value| Put::File("manifest.json", value.to_string().into());
        let one = |layers: &[&str]| manifest(json!([{ "Config": "c.json", "Layers": layers }]));
        let layer = || Put::File("l", b"x".to_vec());
        let many = vec!["l"; LAYERS + 1];
        for (archive, why) in [
            (tar(&[manifest(json!([]))]), "has 0 images"),
            (
                tar(&[manifest(json!([{ "Config": "c", "Layers": [] }, { "Config": "c", "Layers": [] }]))]),
                "has 2 images",
            ),
            (tar(&[manifest(json!({}))]), "cannot be read"),
            (tar(&[one(&["l"]), layer()]), "lacks c.json"),
            (tar(&[one(&["../../etc/passwd"]), Put::File("c.json", config(1))]), "lacks"),
            (tar(&[one(&["m"]), Put::Link("m", "/etc/passwd"), Put::File("c.json", config(1))]), "lacks m"),
            (
                tar(&[one(&["l"]), layer(), Put::File("c.json", config(2))]),
                "has 1 layers, and its configuration names 2",
            ),
            (tar(&[one(&many), layer(), Put::File("c.json", config(LAYERS + 1))]), "at most 127"),
            (tar(&[Put::File("manifest.json", vec![b' '; 5 << 20])])[..1 << 20].to_vec(), "the archive"),
            (tar(&[Put::File("index.json", b"{\"manifests\":[]}".to_vec())]), "has 0 images for linux/amd64"),
            (
                tar(&[Put::File("index.json", b"{\"manifests\":[{\"digest\":\"sha256:../../x\"}]}".to_vec())]),
                "is no sha256 digest",
            ),
        ] {
            let said = fault(&archive);
            assert!(said.contains(why), "{said} lacks {why}");
        }
        // Each is small enough.
        let half = tar(&[Put::File("zeros", vec![0; 300 << 10])]);
        let thrice = tar(&[one(&["l", "l", "l", "l"]), Put::File("l", half), Put::File("c.json", config(4))]);
        assert!(fault(&thrice).contains("unpack to more than the 1048576 bytes"));
        // A name of a gigabyte is not read.
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(1 << 30);
        header.set_cksum();
        assert!(fault(header.as_bytes()).contains("names of more than 65536 bytes"));
        assert!(fault(&vec![b'x'; 2 << 20]).contains("at most 1048576"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2_000), valid: bool) {
            if valid && bytes.len() >= 512 {
                let mut header = Header::new_gnu();
                header.as_mut_bytes()[..512].copy_from_slice(&bytes[..512]);
                header.set_cksum();
                bytes[..512].copy_from_slice(header.as_bytes());
            }
            let _ = read_bytes(&bytes);
        }
    }
}
