//! Measures piece commitments against plain sha-256 and prints JSON lines: `{"name": ..., "value": ..., "unit": ...}`.
//!
//! ```text
//! cargo run --release -p lota-content --example bench_piece [MiB]
//! ```
//!
//! The tree hashes 64 bytes, in two blocks, for each 32 bytes of padded content: four times what sha-256 of the content does. So a
//! quarter of its speed is the limit of whoever hashes node by node; nodes that do not depend on each other are hashed side by side
//! here, as far as a core can. Each figure is the best of five runs, taken in turns; on one core, of the time that the thread was on it.

#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use lota_content::piece::piece_of_reader;
use lota_content::sha2_256;

const RUNS: usize = 5;

fn print(name: &str, value: f64, unit: &str) {
    println!("{{\"name\": \"{name}\", \"value\": {value:.3}, \"unit\": \"{unit}\"}}");
}

fn time(work: &dyn Fn()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Time that this thread was on a core, so that other programs do not count.
fn core_time(work: &dyn Fn()) -> Duration {
    let on_core = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    let start = on_core();
    work();
    on_core() - start
}

fn main() {
    let mib: usize = std::env::args().nth(1).map_or(512, |text| text.parse().unwrap());
    let content: Vec<u8> = (0..mib << 20).map(|i| ((i * 7 + (i >> 8)) & 255) as u8).collect();
    let half = content.len() / 2;
    let hash = |content: &[u8]| {
        content.chunks(256 << 10).for_each(|chunk| {
            black_box(sha2_256(chunk));
        })
    };
    let hash_on_two = || {
        std::thread::scope(|scope| {
            scope.spawn(|| hash(&content[..half]));
            hash(&content[half..]);
        })
    };
    let piece = |threads| {
        black_box(piece_of_reader(&content[..], threads).unwrap());
    };
    let mut best = [Duration::MAX; 4];
    for _ in 0..RUNS {
        let taken = [core_time(&|| hash(&content)), core_time(&|| piece(1)), time(&hash_on_two), time(&|| piece(2))];
        for (best, taken) in best.iter_mut().zip(taken) {
            *best = (*best).min(taken);
        }
    }
    let rate = |time: Duration| content.len() as f64 / 1e6 / time.as_secs_f64();
    for (cores, [hash, piece]) in [("one_core", [best[0], best[1]]), ("two_cores", [best[2], best[3]])] {
        print(&format!("sha2_256_{cores}"), rate(hash), "MB/s");
        print(&format!("piece_commitment_{cores}"), rate(piece), "MB/s");
        print(&format!("piece_commitment_share_of_limit_{cores}"), 400.0 * rate(piece) / rate(hash), "%");
    }
}
