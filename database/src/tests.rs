#![allow(clippy::expect_used, reason = "this is test code")]

use std::{error::Error as _, path::PathBuf};

use super::*;

const WORDS: Words = Words { name: "a test's database", instead: "another folder", when_full: "raise the limit" };
const STEPS: Steps = Steps(&[(1, "notes", "CREATE TABLE notes (note BLOB NOT NULL)")]);

fn opening() -> Opening {
    Opening { patience: Duration::from_millis(200), ..Opening::new(WORDS, SqliteSynchronous::Normal) }
}

async fn database(opening: &Opening) -> (tempfile::TempDir, PathBuf, Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.db");
    let database = Database::open(&path, opening, &STEPS).await.expect("opened");
    (folder, path, database)
}

async fn keep(database: &Database, bytes: usize) -> Result<(), DatabaseError> {
    let mut writing = database.write().await?;
    let insertion = sqlx::query("INSERT INTO notes (note) VALUES (zeroblob($1))").bind(signed(bytes as u64));
    insertion.execute(&mut *writing).await.map_err(|error| database.failed(error))?;
    writing.commit().await.map_err(|error| database.failed(error))
}

#[tokio::test]
async fn what_is_committed_stays_and_what_is_not_is_undone() {
    let (_folder, path, database) = database(&opening()).await;
    keep(&database, 10).await.expect("kept");
    let mut writing = database.write().await.expect("begun");
    sqlx::query("DELETE FROM notes").execute(&mut *writing).await.expect("deleted");
    drop(writing);
    database.close().await;
    let again = Database::open(&path, &opening(), &STEPS).await.expect("opened again");
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(again.pool()).await.expect("read");
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_newer_version_s_is_named_as_such() {
    let (_folder, path, database) = database(&opening()).await;
    database.close().await;
    let error = Database::open(&path, &opening(), &Steps(&[])).await.expect_err("step 1 is unknown").to_string();
    assert!(error.contains("newer version of lota (migration 1 is unknown to"), "{error}");
    assert!(error.ends_with("use that version, or another folder"), "{error}");
}

#[tokio::test]
async fn one_that_cannot_be_brought_to_this_form_says_whose_it_is_to_be() {
    let (_folder, path, database) = database(&opening()).await;
    database.close().await;
    let changed = Steps(&[(1, "notes", "CREATE TABLE notes (note TEXT)")]);
    let error = Database::open(&path, &opening(), &changed).await.expect_err("the step was changed");
    assert!(matches!(error, DatabaseError::Migrate { .. }), "{error:?}");
    assert!(error.to_string().ends_with("test.db cannot be opened as a test's database"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_none_is_called_damaged_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.db");
    let text = "this is no database, though it is long enough to look like one".repeat(100);
    std::fs::write(&path, &text).expect("written");
    let error = Database::open(&path, &opening(), &STEPS).await.expect_err("it is none");
    assert!(matches!(error, DatabaseError::Damaged { .. }), "{error:?}");
    assert!(error.source().expect("SQLite's").to_string().contains("not a database"), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), text);
}

#[tokio::test]
async fn a_limit_is_kept_and_told_and_what_is_let_go_of_makes_room() {
    let limit = 1 << 20;
    let (_folder, path, database) = database(&Opening { max_size: Some(limit), ..opening() }).await;
    let mut full = None;
    for _ in 0..40 {
        if let Err(error) = keep(&database, 50_000).await {
            full = Some(error);
            break;
        }
    }
    let error = full.expect("2 MB are more than 1 MiB");
    assert!(error.is_full() && error.to_string().ends_with("raise the limit"), "{error}");
    let (size, used) = (database.size().await.expect("read"), database.used().await.expect("read"));
    assert!(size <= limit && used > limit / 2, "{size} {used}");
    sqlx::query("DELETE FROM notes").execute(database.pool()).await.expect("deleted");
    assert!(database.used().await.expect("read") < used / 2);
    keep(&database, 50_000).await.expect("there is room again");
    database.close().await;
    assert!(std::fs::metadata(path).expect("a file").len() <= limit);
}

/// Without a limit of its own it is the disk that is full, which SQLite says.
#[tokio::test]
async fn without_a_limit_the_disk_is_full() {
    let (_folder, _path, database) = database(&Opening { connections: 1, ..opening() }).await;
    sqlx::query("PRAGMA max_page_count = 1").execute(database.pool()).await.expect("set");
    let error = keep(&database, 50_000).await.expect_err("there is no room");
    assert!(error.is_full() && error.to_string().ends_with("test.db cannot be used"), "{error}");
    assert!(error.source().expect("SQLite's").to_string().contains("disk is full"), "{error:?}");
}

#[tokio::test]
async fn one_that_may_not_be_written_says_so() {
    let (_folder, path, database) = database(&Opening { connections: 1, ..opening() }).await;
    sqlx::query("PRAGMA query_only = 1").execute(database.pool()).await.expect("set");
    let error = keep(&database, 1).await.expect_err("it is read-only");
    assert!(matches!(error, DatabaseError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[tokio::test]
async fn writers_wait_for_their_turn_and_another_process_for_so_long() {
    let (_folder, path, database) = database(&opening()).await;
    let beside = Database::open(&path, &opening(), &STEPS).await.expect("the same process");
    let writing = database.write().await.expect("begun");
    let next = tokio::spawn(async move { keep(&beside, 1).await });
    tokio::task::yield_now().await;
    assert!(!next.is_finished(), "it is not its turn");
    writing.commit().await.expect("committed");
    next.await.expect("no panic").expect("its turn came");

    // Another process knows nothing of turns; SQLite keeps it out.
    let mut connection = database.pool().acquire().await.expect("a connection");
    let other = connection.begin_with("BEGIN IMMEDIATE").await.expect("begun");
    let error = database.write().await.expect_err("the other writes");
    assert!(error.source().expect("SQLite's").to_string().contains("locked"), "{error:?}");
    other.rollback().await.expect("ended");
    keep(&database, 1).await.expect("now it may");
}

#[test]
fn numbers_stop_where_the_database_s_do() {
    assert_eq!((signed(7), signed(u64::MAX), unsigned(7), unsigned(-1)), (7, i64::MAX, 7, 0));
}

#[test]
fn files_and_steps_are_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("0001_notes.sql"), STEPS.0[0].2).expect("written");
    assert_eq!(STEPS.check(folder.path()), Ok(()));
    std::fs::write(folder.path().join("0001_notes.sql"), "other").expect("written");
    assert!(STEPS.check(folder.path()).expect_err("another file's SQL").contains("0001_notes.sql"));
    std::fs::write(folder.path().join("0002_more.sql"), "").expect("written");
    assert!(STEPS.check(folder.path()).expect_err("one is missing").contains("0002_more.sql"));
}
