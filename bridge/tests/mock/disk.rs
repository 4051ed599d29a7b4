//! A disk that fills, and a server that is killed.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::future::join_all;
use lota_bridge::{
    Landed, SubmitError, Transport,
    memory::{Chain, Entry, EntryReader, FileLedger, Ledger, LedgerError, ManualClock, SyncPolicy},
    mock::Limits,
};

use lota_market::{AttoFil, agent::EffectKey, model};

use crate::harness::{BEGINNING, Running, genesis, open, options, say};

/// A file on a disk with no space, as long as it is said to be full: some of what is written gets there.
struct FullDisk {
    ledger: FileLedger,
    is_full: Arc<AtomicBool>,
    log: std::path::PathBuf,
    /// Where the log ends.
    end: u64,
}

impl Ledger for FullDisk {
    fn load(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(u64, Entry) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.ledger.load(from, visit)
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<u64>, LedgerError> {
        if !self.is_full.load(Ordering::SeqCst) {
            let places = self.ledger.append(entries);
            self.end = fs::metadata(&self.log).expect("there").len();
            return places;
        }
        let file = fs::OpenOptions::new().write(true).open(&self.log).expect("there");
        file.write_all_at(&[1; 100], self.end).expect("some of it is written");
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(LedgerError::Io { action: "writing", path: self.log.clone(), source })
    }

    fn reader(&self) -> Arc<dyn EntryReader> {
        self.ledger.reader()
    }
}

/// Commands are refused with a clear word while there is no space, nothing that was acknowledged is lost, and it goes on by itself.
#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("market.log");
    let is_full = Arc::new(AtomicBool::new(false));
    let ledger = FileLedger::open(&log, SyncPolicy::EveryEntry).expect("opens");
    let disk = FullDisk { ledger, is_full: Arc::clone(&is_full), log, end: 0 };
    let clock = ManualClock::at(BEGINNING);
    let chain = Chain::open(genesis(), disk, options(&clock)).expect("begins");
    let running = Running::serve(chain, clock.clone(), Limits::default()).await;
    let party = running.party("party").await;
    let mut landed = vec![say(&party, "1", "https://one.example").await.expect("there is space")];
    is_full.store(true, Ordering::SeqCst);
    let head = party.head().await.expect("it can be read");
    for key in ["2", "3", "2"] {
        let error = say(&party, key, "https://two.example").await.expect_err("no space");
        let SubmitError::Transport(error) = error else { panic!("{error}") };
        assert!(error.is_temporary(), "whoever sent it tries again: {error}");
        assert!(error.to_string().contains("market.log") && error.to_string().contains("no"), "{error}");
    }
    assert_eq!(party.head().await.expect("it can be read"), head, "nobody sees what is not in the log");
    is_full.store(false, Ordering::SeqCst);
    // What had been written of the others is overwritten.
    landed.push(say(&party, "2", "https://two.example").await.expect("there is space again"));
    let (before, again) = (running.chain.snapshot(), running.chain.read(None, usize::MAX).expect("read"));
    assert_eq!(again.len(), 2);
    running.server.stop().await;
    drop((running.chain, party));
    let chain = reopened(dir.path()).await;
    assert_eq!((chain.snapshot(), chain.read(None, usize::MAX).expect("read")), (before, again));
}

async fn reopened(folder: &Path) -> Chain {
    // Tasks that hold the log end with their runtime's next turns.
    while FileLedger::open(folder.join("market.log"), SyncPolicy::EveryEntry).is_err() {
        tokio::task::yield_now().await;
    }
    open(folder, options(&ManualClock::at(BEGINNING)))
}

/// The files as they were at some moment under load, torn anywhere in what was not acknowledged: every acknowledged command is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_whenever_it_stops() {
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path(), Limits::default()).await;
    let parties = join_all((0..8).map(|number| {
        let running = &running;
        async move { running.party(&format!("party {number}")).await }
    }))
    .await;
    let (done, acknowledged) = (AtomicBool::new(false), std::sync::Mutex::new(Vec::<(usize, u32, Landed)>::new()));
    let load = join_all(parties.iter().enumerate().map(|(number, party)| {
        let (done, acknowledged) = (&done, &acknowledged);
        async move {
            for step in 0.. {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                let landed = say(party, &format!("{step}"), "https://load.example").await.expect("lands");
                acknowledged.lock().expect("no panic").push((number, step, landed));
            }
        }
    }));
    let images = async {
        let mut images = Vec::new();
        for wanted in [20, 60, 120, 200] {
            while acknowledged.lock().expect("no panic").len() < wanted {
                tokio::task::yield_now().await;
            }
            // What was acknowledged before the copy must be in it.
            let known = acknowledged.lock().expect("no panic").clone();
            images.push((known, fs::read(dir.path().join("market.log")).expect("read")));
        }
        done.store(true, Ordering::SeqCst);
        images
    };
    let (images, _) = futures::future::join(images, load).await;
    for (known, image) in images {
        let copy = tempfile::tempdir().expect("a folder");
        fs::write(copy.path().join("market.log"), image).expect("written");
        let chain = open(copy.path(), options(&ManualClock::at(BEGINNING)));
        assert!(known.len() >= 20);
        for (number, step, landed) in known {
            let party = parties[number].party();
            let key = EffectKey::named(&format!("{step}"));
            assert!(chain.has_landed(party, &key), "party {number}, step {step}, {landed:?}");
        }
    }
}

/// A small file system of its own; gone with this.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None: this process may not mount any.
    fn of(bytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// The same with a real disk that is really full, where one can be made (it takes root).
#[tokio::test]
async fn a_file_system_without_space_refuses_and_goes_on() {
    use std::io::Write as _;
    let Some(disk) = SmallDisk::of(512 << 10) else {
        // Not with `eprintln!`, which says nothing when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: a full file system, for nothing can be mounted here");
        return;
    };
    let folder = disk.0.path();
    let filler = folder.join("filler");
    fs::write(&filler, vec![7; 200 << 10]).expect("there is space");
    let running = Running::start(folder, Limits::default()).await;
    let party = running.party("party").await;
    let publish = |number: usize| {
        let (party, key) = (party.clone(), EffectKey::named(&format!("{number}")));
        async move { party.submit(&key, &model::Command::PublishSpec { spec: vec![7; 6_000].into() }, AttoFil::ZERO).await }
    };
    let mut landed = 0;
    let error = loop {
        match publish(landed).await {
            Ok(_) => landed += 1,
            Err(error) => break error,
        }
    };
    assert!(landed > 5, "{landed}: {error}");
    assert!(error.to_string().contains("No space left on device"), "{error}");
    for _ in 0..3 {
        publish(landed).await.expect_err("it stays full");
    }
    fs::remove_file(&filler).expect("removed");
    for number in landed..landed + 5 {
        publish(number).await.expect("there is space again");
    }
    running.server.stop().await;
    drop(running.chain);
    let me = party.party();
    drop(party);
    let chain = reopened(folder).await;
    for number in 0..landed + 5 {
        assert!(chain.has_landed(me, &EffectKey::named(&format!("{number}"))), "{number} of {landed} + 5");
    }
    assert_eq!(chain.read(None, usize::MAX).expect("read").len(), landed + 5, "and each once");
    drop(chain);
}
