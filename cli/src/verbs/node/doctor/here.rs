//! What is looked at on this machine.

use std::{io, net::SocketAddr, path::Path};

use lota_market::Address;
use lota_node::executor::WasmRun;

use super::findings::Finding;
use crate::{
    failure,
    home::Home,
    host::{Containers, Engines},
    keystore::Keystore,
    settings::{self, Node},
    units::ByteSize,
};

/// With less than this a node cannot write its records for long.
const LEAST_DISK: u64 = 1 << 30;
/// Descriptors below which a provider's clients soon get in each other's way.
const FEW_DESCRIPTORS: u64 = 4_096;

/// The nearest folder above a path that exists: where the path would be made.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(path)
}

/// Whether the home can be written, and how much room there is.
pub(super) fn disk(home: &Home, node: &Node) -> Finding {
    const SUBJECT: &str = "disk";
    let folder = home.node(&node.name);
    let place = existing(&folder);
    if let Err(error) = tempfile::Builder::new().prefix(".lota-doctor").tempfile_in(place) {
        let found = format!("{} cannot be written: {error}", place.display());
        return Finding::bad(SUBJECT, found, "make it this user's, or name another folder with LOTA_HOME");
    }
    let disk = match rustix::fs::statvfs(place) {
        Ok(disk) => disk,
        Err(error) => return Finding::unknown(SUBJECT, format!("{} does not tell: {error}", place.display())),
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found = format!("{} free in {}", ByteSize(free), folder.display());
    if free < LEAST_DISK {
        return Finding::bad(SUBJECT, found, "free some space, or name a folder on another disk with LOTA_HOME");
    }
    if free < node.store_capacity.0 {
        let more = format!("{found}, less than the block store may take ({})", node.store_capacity);
        return Finding::notable(SUBJECT, more).mended_by("--store-capacity SIZE (setting `node.store_capacity`)");
    }
    if disk.f_favail < 100_000 && disk.f_files > 0 {
        return Finding::notable(SUBJECT, format!("{found}, but for only {} more files", disk.f_favail));
    }
    Finding::good(SUBJECT, found)
}

/// Whether enough descriptors can be had.
pub(super) fn descriptors() -> Finding {
    const SUBJECT: &str = "descriptors";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if limit < FEW_DESCRIPTORS {
        let found = format!("a process may have {limit}: few connections at once");
        return Finding::notable(SUBJECT, found)
            .mended_by("LimitNOFILE=65536 in the service's unit, or `ulimit -Hn 65536`");
    }
    Finding::good(
        SUBJECT,
        if limit == u64::MAX { "as many as are needed".to_owned() } else { format!("up to {limit}") },
    )
}

/// The account that the settings name, without its password.
pub(super) fn account(home: &Home, node: &Node) -> Option<Address> {
    let name = node.key.as_deref()?;
    Keystore::of(home).list().ok()?.into_iter().find(|key| key.name == name).map(|key| key.address)
}

/// Whether the node's key is there, and how well it is kept.
pub(super) fn key(home: &Home, node: &Node) -> Finding {
    const SUBJECT: &str = "key";
    let Some(name) = &node.key else {
        if node.rpc.is_none() {
            return Finding::good(SUBJECT, "one for play money, of the node's own (no chain is named)");
        }
        return Finding::bad(
            SUBJECT,
            "none is named, and a node on a chain acts with one of the keystore",
            "lota wallet new NAME, then --key NAME (setting `node.key`)",
        );
    };
    let keystore = Keystore::of(home);
    let keys = match keystore.list() {
        Ok(keys) => keys,
        Err(error) => return Finding::bad(SUBJECT, failure::line(&error), "make the keystore readable for this user"),
    };
    let Some(key) = keys.iter().find(|key| key.name == *name) else {
        let found = format!("there is no key `{name}` in {}", home.keystore().display());
        return Finding::bad(SUBJECT, found, format!("lota wallet new {name}"));
    };
    if let Some(open) = open_to_others(&key.file) {
        let found = format!("others on this machine can read {} (mode {open:o})", key.file.display());
        return Finding::bad(SUBJECT, found, format!("chmod 600 {}", key.file.display()));
    }
    match keystore.warning(name) {
        Some(warning) => Finding::notable(SUBJECT, warning),
        None => Finding::good(SUBJECT, format!("`{name}`, account {}", key.address)),
    }
}

/// The mode of a file that more than its owner may read.
fn open_to_others(file: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = std::fs::metadata(file).ok()?.mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Whether the WebAssembly engine runs here.
pub(super) async fn wasm(folder: &Path) -> Finding {
    const SUBJECT: &str = "engine wasm";
    let scratch = match tempfile::Builder::new().prefix(".lota-doctor").tempdir_in(existing(folder)) {
        Ok(scratch) => scratch,
        Err(error) => return Finding::unknown(SUBJECT, format!("nothing can be written to try it: {error}")),
    };
    let tried = async {
        let executors = Engines::start(&scratch.path().join("modules"))?.executors(1);
        let executor = executors.get(WasmRun::ENGINE).ok_or_else(|| anyhow::anyhow!("this program has none"))?;
        Ok::<_, anyhow::Error>(lota_node::fuel_per_second(&**executor, &scratch.path().join("run")).await?)
    };
    match tried.await {
        Ok(rate) => {
            Finding::good(SUBJECT, format!("compiles and runs, {} million units of fuel a second", rate / 1_000_000))
        }
        Err(error) => {
            Finding::bad(SUBJECT, failure::line(&error), "run lota on a 64-bit processor with 1 GiB of free memory")
        }
    }
}

/// Whether there is an engine for containers. A provider without one takes WebAssembly jobs.
pub(super) async fn docker(folder: &Path, settings: &settings::Docker) -> Finding {
    const SUBJECT: &str = "engine docker";
    if !settings.on {
        return Finding::good(SUBJECT, "off (setting `node.docker.on`)");
    }
    let scratch = match tempfile::Builder::new().prefix(".lota-doctor").tempdir_in(existing(folder)) {
        Ok(scratch) => scratch,
        Err(error) => return Finding::unknown(SUBJECT, format!("nothing can be written to try it: {error}")),
    };
    let mut containers = Containers::new(settings.clone());
    match containers.executor(scratch.path(), 1).await {
        Some(_) => Finding::good(SUBJECT, "runs containers as jobs need them"),
        None => {
            let remedy = if containers.is_missing() {
                "apt-get install docker.io, start it, let this user use its socket (group docker), and restart the node"
            } else {
                "docs/docker.md (Providing) says what an engine must be able to do; then restart the node"
            };
            Finding::notable(SUBJECT, containers.problem().unwrap_or_else(|| "there is none".to_owned()))
                .mended_by(remedy)
        }
    }
}

/// Whether the directories that jobs may name can be read.
pub(super) fn directories(node: &Node) -> Vec<Finding> {
    const SUBJECT: &str = "directory";
    let named = node.directories.0.iter();
    named
        .map(|(label, path)| match path.read_dir() {
            Ok(_) => Finding::good(SUBJECT, format!("`{label}` can be read by any job: {}", path.display())),
            Err(error) => Finding::bad(
                SUBJECT,
                format!("{} cannot be read, so jobs that name `{label}` wait: {error}", path.display()),
                "make it readable for this user, or take it out of the setting `node.directories`",
            ),
        })
        .collect()
}

/// Whether the node can listen where it is to.
pub(super) fn addresses(node: &Node, is_running: bool) -> Vec<Finding> {
    if is_running {
        // It holds them itself.
        return Vec::new();
    }
    let monitoring = node.monitoring.as_deref().map(|address| ("node.monitoring", address));
    let named = [("node.gateway", &*node.gateway), ("node.listen", &*node.listen)].into_iter().chain(monitoring);
    named.map(|(key, text)| address(key, text)).collect()
}

fn address(key: &str, text: &str) -> Finding {
    const SUBJECT: &str = "port";
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Finding::bad(
            SUBJECT,
            format!("`{text}` (setting `{key}`) is no address"),
            "write for example 127.0.0.1:4001",
        );
    };
    match std::net::TcpListener::bind(address) {
        Ok(_) => Finding::good(SUBJECT, format!("{address} is free ({key})")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let found = format!("another process listens at {address} (setting `{key}`)");
            Finding::bad(
                SUBJECT,
                found,
                format!("ss -ltnp 'sport = :{}' shows which; or name another port", address.port()),
            )
        }
        Err(error) => Finding::bad(
            SUBJECT,
            format!("nothing can listen at {address} (setting `{key}`): {error}"),
            "name an address of this machine",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::findings::Verdict, *};

    #[test]
    fn a_port_that_is_taken_is_told_from_one_that_is_free() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address_taken = taken.local_addr().expect("it has one").to_string();
        assert_eq!(address("node.gateway", &address_taken).verdict, Verdict::Bad);
        drop(taken);
        assert_eq!(address("node.gateway", &address_taken).verdict, Verdict::Good);
        assert_eq!(address("node.gateway", "localhost").verdict, Verdict::Bad);
    }

    #[test]
    fn a_directory_that_jobs_cannot_read_is_bad() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("file");
        std::fs::write(&file, "").expect("written");
        let text = format!("a={0},b={0}/none,c={0}/file", home.path().display());
        let node = Node { directories: text.parse().expect("directories"), ..Node::default() };
        let verdicts: Vec<_> = directories(&node).iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Good, Verdict::Bad, Verdict::Bad]);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_the_one_above() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("nodes").join("main");
        assert_eq!(existing(&folder), home.path());
        std::fs::create_dir_all(&folder).expect("it can be made");
        assert_eq!(existing(&folder), folder);
    }

    #[test]
    fn a_key_that_others_can_read_is_bad() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().expect("a file");
        let set =
            |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("it is ours");
        set(0o600);
        assert_eq!(open_to_others(file.path()), None);
        set(0o640);
        assert_eq!(open_to_others(file.path()), Some(0o640));
    }
}
