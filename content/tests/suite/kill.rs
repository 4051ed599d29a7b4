//! A process that writes to a store is killed, again and again; the store must stay whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use lota_content::{
    Block, BlockSink as _, DirBuilder, Guard, ImportOptions, Store, StoreOptions, SyncPolicy, codec, dag_stat,
    import_bytes_into,
};

use crate::cases::noise;

/// Says to the child what its store is.
const STORE: &str = "LOTA_KILL_TEST_STORE";

fn options() -> StoreOptions {
    StoreOptions { capacity: 64 << 20, sync: SyncPolicy::Never }
}

/// Imports content that only this round has, and pins it.
fn round(store: &Store, guard: &Guard, number: u64) {
    let mut content = noise(700_000);
    content[..8].copy_from_slice(&number.to_le_bytes());
    let file = import_bytes_into(guard, &content, &ImportOptions::default()).expect("an import");
    let small = number.to_string();
    let small = Block::new(codec::RAW, small.as_bytes());
    guard.accept(small).expect("a block");
    let mut directory = DirBuilder::new();
    directory.insert("large", &file.cid, file.dag_size).expect("a name");
    directory.insert("small", &small.cid(), 8).expect("a name");
    let root = directory.build(guard).expect("a directory");
    store.pin(&root.cid, &format!("round {number}")).expect("a pin");
}

/// Run by the test below in a process of its own; without its variable it does nothing.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(STORE) else {
        return;
    };
    let store = Store::open(dir, options()).expect("the store opens");
    let first = store.pins().len() as u64;
    for number in first.. {
        let guard = store.guard();
        round(&store, &guard, number);
        if number >= 40 {
            store.unpin(&format!("round {}", number - 40)).expect("an unpin");
        }
        // what was acknowledged must be there afterwards
        println!("done {number}");
        std::io::stdout().flush().expect("a pipe");
    }
}

#[test]
fn a_store_whose_process_is_killed_stays_whole() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for attempt in 0..6_u64 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "kill::child", "--nocapture"])
            .env(STORE, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut acknowledged = None;
        let mut left = 3 + 2 * attempt;
        for line in output.lines() {
            let line = line.expect("text");
            if let Some(number) = line.rsplit("done ").next().and_then(|n| n.parse::<u64>().ok()) {
                acknowledged = Some(number);
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        // in the middle of whatever it does now
        child.kill().expect("the child runs");
        child.wait().expect("the child ends");

        let store = Store::open(dir.path(), options()).expect("the store opens");
        let acknowledged = acknowledged.expect("the child did something");
        let name = format!("round {acknowledged}");
        assert!(store.pinned(&name).is_some(), "{name} was acknowledged");
        let check = store.check(false).expect("the store can be read");
        assert_eq!(check.corrupt_blocks, 0);
        let usage = store.usage();
        assert_eq!(usage.blocks, check.blocks);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        for (name, root) in store.pins() {
            let stat = runtime.block_on(dag_stat(&store, &root, 1000));
            assert!(stat.is_ok(), "{name} is not whole: {stat:?}");
        }
        let report = store.gc().expect("garbage can be collected");
        assert_eq!(report.missing_blocks, 0);
        assert_eq!(store.usage().blocks, report.pinned_blocks);
    }
}
