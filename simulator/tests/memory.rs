//! What is held while tables are written and read does not depend on how many rows they have.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]
#![allow(unsafe_code, reason = "an allocator that counts is one")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs::File,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use lota_simulator::{
    Document, Plan,
    analysis::Folder,
    builtin,
    chance::Purpose,
    run_all,
    runs::{Output, Table},
    table::{FileFormat, GROUP_ROWS, Rows, TableWriter},
};
use rand::Rng as _;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does all that is asked of one; beside it, bytes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller keeps to what this function asks of it, which is what that one does.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test counts at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The most bytes that are held at once while this happens, above what is held before.
fn most(work: impl FnOnce()) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    work();
    MOST.load(Ordering::Relaxed) - before
}

/// A ledger in which no two jobs, times or amounts are the same.
fn write(folder: &Path, format: FileFormat, rows: usize) {
    let file = File::create(folder.join(format!("ledger.{}", format.extension()))).expect("a file");
    let mut table = TableWriter::begin(file, format, &Table::Ledger.columns(&[])).expect("a table");
    for row in 0..rows {
        let (time, job, amount) = (format!("{row}.5"), format!("0x{row:064x}"), format!("{row}000000000000000000"));
        let cells = ["0", "0", "1", &time, "price", &job, "client/1", "escrow", "provider/2", "balance", &amount];
        table.row(cells.into_iter()).expect("a row");
    }
    table.finish().expect("an end");
}

#[test]
fn memory_does_not_grow_with_the_rows() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    for format in [FileFormat::Csv, FileFormat::Parquet] {
        let [few, many] = [GROUP_ROWS, 4 * GROUP_ROWS].map(|rows| {
            let written = most(|| write(folder.path(), format, rows));
            let read = most(|| {
                let rows_read =
                    Rows::open(folder.path(), "ledger").expect("a table").map(|row| row.expect("a row").len());
                assert_eq!(rows_read.fold((0, 0), |(rows, cells), row| (rows + 1, cells + row)), (rows, 11 * rows));
            });
            (written, read)
        });
        println!("{format:?}: {few:?} bytes, then {many:?}");
        assert!(few.0 < 100 << 20 && few.1 < 100 << 20, "{format:?}: {few:?} bytes");
        // What a row group leaves in the file's footer is all that may be added.
        let allowed = 256 << 10;
        assert!(many.0 < few.0 + allowed && many.1 < few.1 + allowed, "{format:?}: {few:?}, then {many:?} bytes");
        std::fs::remove_file(folder.path().join(format!("ledger.{}", format.extension()))).expect("it is there");
    }
}

/// Parquet that ends early, or in which bytes are others: sizes and counts in it are whatever somebody wrote.
#[test]
fn a_parquet_file_that_was_changed_is_an_error_and_takes_little_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = builtin("first-market").expect("it comes along").text;
    let document = Document::parse("first-market.toml", text).expect("a scenario");
    let folder = tempfile::tempdir().expect("a folder");
    let output = Some(Output { folder: folder.path().to_owned(), format: FileFormat::Parquet, every: 60 });
    let plan = Plan { document: &document, overrides: vec![], sweeps: vec![], seeds: Some(3), threads: 1, output };
    run_all(&plan, &|_, _| {}).expect("it can be carried out");
    let file = folder.path().join("runs.parquet");
    let whole = std::fs::read(&file).expect("a table");
    let mut chance = lota_simulator::Seed(1).stream(Purpose::Experiment, 0);
    let mut refused = 0;
    // What the library asserts is caught; a person should not have to read of it either.
    let panics = std::sync::Arc::new(AtomicUsize::new(0));
    let (counted, before) = (panics.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        println!("{info}");
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    for attempt in 0..600_usize {
        let mut bytes = whole.clone();
        if attempt < 150 {
            bytes.truncate(bytes.len() * attempt / 150);
        } else {
            for _ in 0..chance.random_range(1..8) {
                // Half of them where sizes are: at the end.
                let at = if chance.random() { 0 } else { bytes.len() * 2 / 3 };
                let at = chance.random_range(at..bytes.len());
                bytes[at] = chance.random();
            }
        }
        std::fs::write(&file, &bytes).expect("written");
        let held = most(|| refused += u32::from(Folder::read(folder.path()).is_err()));
        assert!(held < 64 << 20, "attempt {attempt}: {held} bytes");
    }
    std::panic::set_hook(before);
    assert!(refused > 400, "{refused}");
    assert_eq!(panics.load(Ordering::Relaxed), 0, "of {refused}");
}
