//! Figures of the registry: how fast claims are taken in, what they take on the disk, and how fast pieces are looked up in
//! process on one core. `cargo run --release -p lota-fil-plus --example bench [-- CLAIMS]`; ten million unless told otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "figures"
)]

use std::time::{Duration, Instant};

use lota_content::piece::PieceRoot;
use lota_fil_plus::{
    answer::{Certainty, Checked},
    fact::{Fact, Kind},
    registry::{Manner, Registry},
    source::{Rpc, Source, lotus::LotusState, lotus::Parties},
    step::{AsOf, Genesis, Snapshot, Step},
    store::Store,
};
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Claims of one step: of one provider's state.
const STEP: u64 = 100_000;
/// CIDs of one question.
const QUESTION: usize = 1_000;
/// Questions about many CIDs, and about one.
const MANY: usize = 200;
const SINGLE: usize = 20_000;
const NOW: u64 = 1_800_000_000;
const GENESIS: u64 = 1_600_000_000;

fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", serde_json::json!({ "name": name, "value": (value * 10.0).round() / 10.0, "unit": unit }));
}

/// The piece of a claim: what a hash would give.
fn piece(number: u64) -> PieceRoot {
    let mut bytes = [0; 32];
    ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut bytes);
    bytes[31] &= 0x3f;
    PieceRoot::new(bytes).expect("a piece")
}

fn fact(id: u64) -> Fact {
    Fact {
        kind: Kind::Claim,
        id,
        as_of: 5_000_000,
        removed: false,
        term_max: 5_256_000,
        term_min: 518_400,
        start: 4_000_000 + id / 10,
        // Every third piece is stored by two providers.
        piece: piece(if id % 4 == 3 { id - 1 } else { id }),
        provider: 1_000 + id / STEP,
        client: 2_000 + id % 5_000,
        size_log2: 35,
        sector: id % 1_000_000,
    }
}

fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = ((times.len() - 1) as f64 * part) as usize;
    times[index].as_secs_f64() * 1e6
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let claims: u64 = std::env::args().nth(1).map_or(10_000_000, |text| text.parse().expect("a number of claims"));
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), 100 << 30).await.expect("opened");
    let rpc = Rpc::new("http://127.0.0.1:1", None, lota_fil_plus::source::Limits::CHAIN).expect("a URL");
    let source: Arc<dyn Source> =
        Arc::new(LotusState::new(rpc, Parties::All, Parties::All, Duration::from_secs(86_400)));
    let registry = Registry::open(store, vec![source]).await.expect("opened");
    let registered = &registry.sources()[0].registered;
    let mut taken = Duration::ZERO;
    for begin in (0..claims).step_by(usize::try_from(STEP).expect("small")) {
        let step = Step {
            facts: (begin..claims.min(begin + STEP)).map(fact).collect(),
            snapshot: Some(Snapshot { kind: Kind::Claim, party: 1_000 + begin / STEP, epoch: 5_000_000 }),
            genesis: Some(Genesis { key: "genesis".to_owned(), time: GENESIS }),
            cursor: Some(begin.to_string()),
            as_of: Some(AsOf { epoch: Some(5_000_000), time: NOW }),
            complete: Some(5_000_000),
            ..Step::default()
        };
        let begun = Instant::now();
        registry.store().commit(registered, &step, NOW).await.expect("kept");
        taken += begun.elapsed();
    }
    figure("claims taken in", claims as f64 / taken.as_secs_f64(), "1/s");
    let size = registry.store().size().await.expect("read") as f64;
    figure("database of so many claims", size / (1 << 20) as f64, "MiB");
    figure("a claim in it", size / claims as f64, "bytes");

    let mut random = ChaCha8Rng::seed_from_u64(7);
    // Half of what is asked about is known.
    let mut pieces =
        |count: usize| -> Vec<PieceRoot> { (0..count).map(|_| piece(random.next_u64() % (2 * claims))).collect() };
    let questions: Vec<Vec<PieceRoot>> = (0..MANY).map(|_| pieces(QUESTION)).collect();
    let (mut found, begun) = (0, Instant::now());
    for question in &questions {
        found += registry.store().claims(question).await.expect("read").len();
    }
    figure("pieces looked up, 1000 at once", (MANY * QUESTION) as f64 / begun.elapsed().as_secs_f64(), "1/s");
    assert!(found > MANY * QUESTION / 4 && found < MANY * QUESTION * 3 / 4, "{found}");

    let texts: Vec<Vec<String>> =
        questions.iter().map(|question| question.iter().map(ToString::to_string).collect()).collect();
    let (mut verified, mut times, begun) = (0, Vec::new(), Instant::now());
    for question in &texts {
        let begun = Instant::now();
        let answers = registry.check(question, Manner { ask: false, shown: 4 }, NOW).await.expect("answered");
        times.push(begun.elapsed());
        verified += answers
            .iter()
            .filter(|answer| matches!(answer, Checked::Answer(answer) if answer.certainty == Certainty::Verified))
            .count();
    }
    figure(
        "CIDs answered with evidence, 1000 at once",
        (MANY * QUESTION) as f64 / begun.elapsed().as_secs_f64(),
        "1/s",
    );
    figure("1000 CIDs answered with evidence, p99", percentile(&mut times, 0.99) / 1e3, "ms");
    assert!(verified > MANY * QUESTION / 4, "{verified}");

    let (single, mut times, begun) = (pieces(SINGLE), Vec::new(), Instant::now());
    for piece in &single {
        let begun = Instant::now();
        registry.store().claims(std::slice::from_ref(piece)).await.expect("read");
        times.push(begun.elapsed());
    }
    figure("pieces looked up, one after the other", SINGLE as f64 / begun.elapsed().as_secs_f64(), "1/s");
    figure("one piece looked up, p50", percentile(&mut times, 0.5), "µs");
    figure("one piece looked up, p99", percentile(&mut times, 0.99), "µs");
}
