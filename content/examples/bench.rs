//! Measures this crate and prints JSON lines: `{"name": ..., "value": ..., "unit": ...}`.
//!
//! ```text
//! cargo run --release -p lota-content --example bench [MiB] [directory]
//! ```
//!
//! `MiB` (default 1024) is the amount of content, `directory` (default: the system's temporary one)
//! where stores are made (about ten times the content). Each figure is the best of three runs, since the machine does other
//! things too; figures that are compared are measured in turns.

#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lota_content::fetch::{FetchLimits, FetchOptions, Fetcher};
use lota_content::gateway::{GatewayOptions, router};
use lota_content::unixfs::CHUNK_SIZE;
use lota_content::{
    ExportLimits, ImportOptions, Store, StoreOptions, SyncPolicy, cid_of_bytes, cid_of_path, export_to, import_path,
    read, sha2_256,
};

const RUNS: usize = 3;

fn print(name: &str, value: f64, unit: &str) {
    println!("{{\"name\": \"{name}\", \"value\": {value:.3}, \"unit\": \"{unit}\"}}");
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Time that this thread was on a core, so that other programs do not count.
fn core_time(work: impl FnOnce()) -> Duration {
    let on_core = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    let start = on_core();
    work();
    on_core() - start
}

/// Runs each piece of work in turns and returns the best time of each.
fn race<const N: usize>(mut work: [&mut dyn FnMut() -> Duration; N]) -> [Duration; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..RUNS {
        for (best, work) in best.iter_mut().zip(&mut work) {
            *best = (*best).min(work());
        }
    }
    best
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A store in a directory of its own. Stores stay until the end: ext4 is slow to make files soon
/// after many have been removed, which a measurement in a loop would mistake for the store's fault.
fn new_store(dir: &Path, sync: SyncPolicy) -> Store {
    let dir = tempfile::tempdir_in(dir).unwrap().keep();
    let options = StoreOptions { capacity: 1 << 40, sync };
    Store::open(dir, options).unwrap()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mib: usize = arguments.next().map_or(1024, |text| text.parse().unwrap());
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent).unwrap();
    let dir = dir.path();
    let length = mib << 20;
    let rate = |time: Duration| length as f64 / 1e6 / time.as_secs_f64();
    let content = noise(length);

    memory(&content, rate);
    let file = dir.join("content");
    File::create(&file).unwrap().write_all(&content).unwrap();
    drop(content);
    let all_cores = race([&mut || {
        time(|| {
            cid_of_path(&file, &ImportOptions::default()).unwrap();
        })
    }]);
    print("cid_of_file_all_cores", rate(all_cores[0]), "MB/s");
    store_and_dd(dir, &file, rate);
    network(dir, &file, length, rate);
    small_files(dir);
}

fn memory(content: &[u8], rate: impl Fn(Duration) -> f64) {
    let one = ImportOptions { threads: 1, ..ImportOptions::default() };
    let [hash, import] = race([
        &mut || {
            core_time(|| {
                for chunk in content.chunks(CHUNK_SIZE) {
                    std::hint::black_box(sha2_256(chunk));
                }
            })
        },
        &mut || {
            core_time(|| {
                cid_of_bytes(content, &one).unwrap();
            })
        },
    ]);
    print("sha2_256_one_core", rate(hash), "MB/s");
    print("unixfs_import_memory_one_core", rate(import), "MB/s");
    let share = 100.0 * hash.as_secs_f64() / import.as_secs_f64();
    print("unixfs_import_share_of_sha2_256", share, "%");
}

/// Imports a file into a store, against `dd` copying it with the same policy of flushing.
fn store_and_dd(dir: &Path, file: &Path, rate: impl Fn(Duration) -> f64) {
    let copy = dir.join("copy");
    for (sync, flag, suffix) in [(SyncPolicy::Never, None, "nosync"), (SyncPolicy::OnPin, Some("conv=fsync"), "fsync")]
    {
        let [import, dd] = race([
            &mut || {
                let store = new_store(dir, sync);
                let options = ImportOptions { pin: Some("content".to_owned()), ..ImportOptions::default() };
                let taken = time(|| {
                    import_path(&store, file, &options).unwrap();
                });
                drop(store);
                settle(dir);
                taken
            },
            &mut || {
                let taken = time(|| {
                    let status = Command::new("dd")
                        .arg(format!("if={}", file.display()))
                        .arg(format!("of={}", copy.display()))
                        .args(["bs=256K", "status=none"])
                        .args(flag)
                        .status();
                    assert!(status.unwrap().success());
                });
                std::fs::remove_file(&copy).unwrap();
                settle(dir);
                taken
            },
        ]);
        print(&format!("import_to_store_{suffix}"), rate(import), "MB/s");
        print(&format!("dd_{suffix}"), rate(dd), "MB/s");
        let share = 100.0 * dd.as_secs_f64() / import.as_secs_f64();
        print(&format!("import_to_store_share_of_dd_{suffix}"), share, "%");
    }
}

/// Lets the disk finish what one measurement left, so that the next does not pay for it.
fn settle(dir: &Path) {
    let status = Command::new("sync").arg("-f").arg(dir).status();
    assert!(status.unwrap().success());
}

fn network(dir: &Path, file: &Path, length: usize, rate: impl Fn(Duration) -> f64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let there = new_store(dir, SyncPolicy::Never);
    let imported = import_path(&there, file, &ImportOptions::default()).unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = router(there.clone(), GatewayOptions::default());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let fetcher = Fetcher::new(FetchOptions { allow_private_addresses: true, ..FetchOptions::default() }).unwrap();
        let mut best = [Duration::MAX; 4];
        for _ in 0..RUNS {
            let here = new_store(dir, SyncPolicy::Never);
            let sources = [url.parse().unwrap()];
            let start = Instant::now();
            let fetched = fetcher.fetch_dag(&here, &imported.cid, &sources, &FetchLimits::default()).await.unwrap();
            best[0] = best[0].min(start.elapsed());
            assert_eq!(fetched.fetched_bytes, imported.dag_size);

            let start = Instant::now();
            let mut pieces = std::pin::pin!(read(&there, &imported.cid, 0..u64::MAX));
            let mut bytes = 0;
            while let Some(piece) = futures::StreamExt::next(&mut pieces).await {
                bytes += piece.unwrap().len();
            }
            best[1] = best[1].min(start.elapsed());
            assert_eq!(bytes, length);

            let start = Instant::now();
            let client = lota_http::builder().no_proxy().build().unwrap();
            let address = format!("{url}/ipfs/{}", imported.cid);
            let mut answer = client.get(address).send().await.unwrap();
            let mut bytes = 0;
            while let Some(piece) = answer.chunk().await.unwrap() {
                bytes += piece.len();
            }
            best[2] = best[2].min(start.elapsed());
            assert_eq!(bytes, length);

            let out = dir.join("exported");
            let start = Instant::now();
            export_to(there.clone(), &imported.cid, &out, &ExportLimits::default()).await.unwrap();
            best[3] = best[3].min(start.elapsed());
            std::fs::remove_file(out).unwrap();
            settle(dir);
        }
        print("fetch_and_verify_loopback_car", rate(best[0]), "MB/s");
        print("read_from_store", rate(best[1]), "MB/s");
        print("gateway_file_loopback", rate(best[2]), "MB/s");
        print("export_to_disk", rate(best[3]), "MB/s");
    });
}

fn small_files(dir: &Path) {
    const FILES: usize = 20_000;
    let tree = dir.join("tree");
    for index in 0..FILES {
        let sub = tree.join(format!("{:02}", index % 50));
        if index < 50 {
            std::fs::create_dir_all(&sub).unwrap();
        }
        std::fs::write(sub.join(index.to_string()), noise(1000 + index % 97)).unwrap();
    }
    let mut collected = Duration::MAX;
    let [hash, import] = race([
        &mut || {
            time(|| {
                cid_of_path(&tree, &ImportOptions::default()).unwrap();
            })
        },
        &mut || {
            let store = new_store(dir, SyncPolicy::Never);
            let taken = time(|| {
                import_path(&store, &tree, &ImportOptions::default()).unwrap();
            });
            collected = collected.min(time(|| {
                store.gc().unwrap();
            }));
            taken
        },
    ]);
    let rate = |time: Duration| FILES as f64 / time.as_secs_f64();
    print("cid_of_small_files", rate(hash), "files/s");
    print("import_small_files", rate(import), "files/s");
    print("collect_small_blocks", rate(collected), "blocks/s");
}
