//! The graphics processors of a machine.

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// How long NVIDIA's tool may take: a driver that hangs is no answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// No machine has more.
const MOST: usize = 64;

/// A graphics processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// What its driver calls it.
    pub name: String,
    /// Its own memory, if its driver says.
    pub memory_bytes: Option<u64>,
    /// Whether NVIDIA's driver runs it: others cannot be given to jobs.
    pub nvidia: bool,
}

/// All that are found; none is fine.
pub(crate) async fn find() -> Vec<Gpu> {
    let mut found = match nvidia_smi().await {
        Some(text) => parse_smi(&text),
        None => Vec::new(),
    };
    if found.is_empty() {
        let nvidia = |_| Gpu { name: "NVIDIA".to_owned(), memory_bytes: None, nvidia: true };
        found = (0..devices(Path::new("/dev"))).map(nvidia).collect();
    }
    found.extend(rendering(Path::new("/sys/class/drm")));
    found.truncate(MOST);
    found
}

/// How many there are that jobs can be given, as quickly as that can be found out.
pub(crate) fn count() -> u32 {
    devices(Path::new("/dev"))
}

async fn nvidia_smi() -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    command.args(["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lines such as `Tesla T4, 15360`, in MiB.
fn parse_smi(text: &str) -> Vec<Gpu> {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(MOST);
    let gpu = |line: &str| {
        let (name, memory) = line.rsplit_once(',').unwrap_or((line, ""));
        let memory_bytes = memory.trim().parse::<u64>().ok().and_then(|mib| mib.checked_mul(1 << 20));
        Gpu { name: name.trim().chars().take(80).collect(), memory_bytes, nvidia: true }
    };
    lines.map(gpu).collect()
}

/// Device nodes of NVIDIA's driver: `nvidia0`, `nvidia1` and so on.
fn devices(dev: &Path) -> u32 {
    let is_gpu = |name: &str| {
        name.strip_prefix("nvidia").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    u32::try_from(names(dev).iter().filter(|name| is_gpu(name)).take(MOST).count()).unwrap_or(0)
}

/// What the kernel's own drivers can render with: `renderD128` and so on, named by vendor and device (PCI).
fn rendering(drm: &Path) -> Vec<Gpu> {
    let nodes = names(drm).into_iter().filter(|name| name.starts_with("renderD")).take(MOST);
    let gpu = |node: String| {
        let id = |file| fs::read_to_string(drm.join(&node).join("device").join(file)).unwrap_or_default();
        let (vendor, device) = (id("vendor"), id("device"));
        let name = match vendor.trim() {
            // NVIDIA's own driver has told of it.
            "0x10de" => return None,
            "" => node,
            "0x1002" => format!("AMD {}", device.trim()),
            "0x8086" => format!("Intel {}", device.trim()),
            vendor => format!("{vendor} {}", device.trim()),
        };
        Some(Gpu { name, memory_bytes: None, nvidia: false })
    };
    nodes.filter_map(gpu).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nvidia_s_tool_says_is_understood() {
        let found = parse_smi("Tesla T4, 15360\n\nNVIDIA A100-SXM4-80GB, [N/A]\nodd\n");
        let gpu = |name: &str, memory_bytes| Gpu { name: name.to_owned(), memory_bytes, nvidia: true };
        assert_eq!(found, [gpu("Tesla T4", Some(15_360 << 20)), gpu("NVIDIA A100-SXM4-80GB", None), gpu("odd", None)]);
        assert_eq!(parse_smi(&"x\n".repeat(1_000)).len(), MOST);
    }

    #[test]
    fn devices_are_counted_and_none_is_fine() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!((devices(folder.path()), devices(&folder.path().join("none"))), (0, 0));
        for name in ["nvidia0", "nvidia12", "nvidiactl", "nvidia-uvm", "nvidia", "null"] {
            fs::write(folder.path().join(name), "").expect("written");
        }
        assert_eq!(devices(folder.path()), 2);
    }

    #[test]
    fn the_kernel_s_own_are_named_and_nvidia_s_are_not_counted_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(rendering(folder.path()).is_empty());
        for (node, vendor, device) in
            [("card0", "0x8086", "0x1"), ("renderD128", "0x8086\n", "0x46a6\n"), ("renderD129", "0x10de\n", "0x1eb8\n")]
        {
            let device_dir = folder.path().join(node).join("device");
            fs::create_dir_all(&device_dir).expect("made");
            fs::write(device_dir.join("vendor"), vendor).expect("written");
            fs::write(device_dir.join("device"), device).expect("written");
        }
        let found = rendering(folder.path());
        assert_eq!(found, [Gpu { name: "Intel 0x46a6".to_owned(), memory_bytes: None, nvidia: false }]);
    }
}
