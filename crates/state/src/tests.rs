//! Tests of the database against real files.

use super::*;

const T: Table = Table("things");
const V1: Migrations = Migrations {
    owner: "test",
    steps: &["CREATE TABLE things (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID"],
};

fn open() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let db = Db::open(&dir.path().join("state.db"), &[V1]).expect("a database");
    (dir, db)
}

fn keys(db: &Db) -> Vec<String> {
    let mut keys = Vec::new();
    db.read(|tx| {
        tx.scan(T, |key, _| {
            keys.push(key.to_owned());
            Ok::<_, Error>(())
        })
    })
    .expect("a scan");
    keys
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let (dir, db) = open();
    db.write(|tx| tx.put(T, "a", b"1")).expect("put");
    drop(db);
    let db = Db::open(&dir.path().join("state.db"), &[V1]).expect("reopen");
    assert_eq!(db.read(|tx| tx.get(T, "a")).expect("get").as_deref(), Some(&b"1"[..]));
}

#[test]
fn an_error_undoes_only_its_own_closure() {
    let (_dir, db) = open();
    db.write(|tx| tx.put(T, "kept", b"")).expect("put");
    let failed: Result<()> = db.write(|tx| {
        tx.put(T, "lost", b"")?;
        Err(Error::Closed)
    });
    assert!(matches!(failed, Err(Error::Closed)));
    assert_eq!(keys(&db), ["kept"]);
}

#[test]
fn insert_refuses_a_taken_key() {
    let (_dir, db) = open();
    assert!(db.write(|tx| tx.insert(T, "a", b"1")).expect("insert"));
    assert!(!db.write(|tx| tx.insert(T, "a", b"2")).expect("insert"));
    assert!(db.write(|tx| tx.delete(T, "a")).expect("delete"));
    assert!(!db.write(|tx| tx.delete(T, "a")).expect("delete"));
}

#[test]
fn parallel_writers_all_arrive() {
    let (_dir, db) = open();
    std::thread::scope(|scope| {
        for i in 0..8 {
            let db = &db;
            scope.spawn(move || {
                (0..50).for_each(|j| db.write(move |tx| tx.put(T, &format!("{i}-{j:02}"), b"")).expect("put"))
            });
        }
    });
    assert_eq!(keys(&db).len(), 400);
}

/// A copy of the file and its log as they are now: what another process would find if this one died here.
fn found_after_a_kill(dir: &tempfile::TempDir) -> Vec<String> {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for name in ["state.db", "state.db-wal"] {
        std::fs::copy(dir.path().join(name), copy.path().join(name)).expect("copy");
    }
    keys(&Db::open(&copy.path().join("state.db"), &[V1]).expect("open the copy"))
}

#[test]
fn what_was_answered_outlives_the_process_synced_or_not() {
    let (dir, db) = open();
    let (sender, answers) = std::sync::mpsc::channel();
    let again = sender.clone();
    db.submit(Reach::Processes, |tx| tx.put(T, "a", b""), move |r: Result<()>| sender.send(r).expect("send"));
    answers.recv().expect("an answer").expect("a commit");
    assert_eq!(found_after_a_kill(&dir), ["a"]);
    db.when_synced(move |r| again.send(r).expect("send"));
    answers.recv().expect("an answer").expect("a sync");
    db.write(|tx| tx.put(T, "b", b"")).expect("put");
    assert_eq!(found_after_a_kill(&dir), ["a", "b"]);
}

#[test]
fn nothing_to_sync_is_answered_at_once() {
    let (_dir, db) = open();
    let (sender, answers) = std::sync::mpsc::channel();
    db.when_synced(move |r| sender.send(r).expect("send"));
    answers.recv().expect("an answer").expect("no failure");
}

#[test]
fn a_write_finds_what_was_submitted_before_it() {
    let (_dir, db) = open();
    for round in 0..500 {
        db.submit(Reach::Processes, move |tx| tx.put(T, "a", &[round as u8]), |r: Result<()>| r.expect("a commit"));
        let found = db.write_until(Reach::Processes, |tx| tx.get(T, "a")).expect("get");
        assert_eq!(found.as_deref(), Some(&[round as u8][..]));
    }
}

#[test]
fn a_closure_that_panics_takes_nobody_with_it() {
    let (_dir, db) = open();
    let other = db.clone();
    let panics = std::thread::spawn(move || {
        other.write(|tx| -> Result<()> {
            tx.put(T, "lost", b"")?;
            panic!("on purpose")
        })
    });
    assert!(panics.join().is_err());
    db.write(|tx| tx.put(T, "kept", b"")).expect("put");
    assert_eq!(keys(&db), ["kept"]);
}

#[test]
fn each_reach_is_answered() {
    let (_dir, db) = open();
    let (sender, answers) = std::sync::mpsc::channel();
    for reach in [Reach::Processes, Reach::Disk, Reach::DiskWithFolders] {
        let sender = sender.clone();
        db.submit(reach, |tx| tx.put(T, "a", b""), move |r: Result<()>| sender.send(r).expect("send"));
        answers.recv().expect("an answer").expect("a commit");
        db.write_until(reach, |tx| tx.put(T, "b", b"")).expect("put");
    }
}

#[test]
fn a_rider_is_committed_with_the_next_job_or_at_the_end() {
    let (dir, db) = open();
    db.submit_with_next(|tx| tx.put(T, "a", b""), |r: Result<()>| r.expect("a commit"));
    assert!(keys(&db).is_empty());
    db.write(|tx| tx.put(T, "b", b"")).expect("put");
    assert_eq!(keys(&db), ["a", "b"]);
    db.submit_with_next(|tx| tx.put(T, "c", b""), |r: Result<()>| r.expect("a commit"));
    drop(db);
    let db = Db::open(&dir.path().join("state.db"), &[V1]).expect("reopen");
    assert_eq!(keys(&db), ["a", "b", "c"]);
}

#[test]
fn the_log_does_not_grow_for_ever() {
    let (dir, db) = open();
    let size = || std::fs::metadata(dir.path().join("state.db-wal")).expect("the log").len();
    let mut seen = Vec::new();
    // nearly 100 MB in all
    for round in 0..100 {
        for i in 0..200 {
            let put = move |tx: &Transaction<'_>| tx.put(T, &format!("{i}"), &vec![round; 3000]);
            db.submit(Reach::Processes, put, |r: Result<()>| r.expect("a commit"));
        }
        // its sync has room for a checkpoint; where the disk is too slow for that, a commit makes one itself
        db.write(move |tx| tx.put(T, "round", &[round])).expect("put");
        seen.push(size());
    }
    let most = 2 * CHECKPOINT_PAGES as u64 * 4096;
    assert!(seen.iter().all(|size| *size < most), "{seen:?}");
}

#[test]
fn migrations_run_once_and_a_newer_file_is_refused() {
    let (dir, db) = open();
    const V2: Migrations = Migrations { owner: "test", steps: &[V1.steps[0], "CREATE TABLE more (x)"] };
    drop(db);
    let path = dir.path().join("state.db");
    drop(Db::open(&path, &[V2]).expect("upgrade"));
    drop(Db::open(&path, &[V2]).expect("same again"));
    assert!(matches!(Db::open(&path, &[V1]), Err(Error::Newer { found: 2, known: 1, .. })));
}

#[test]
fn a_file_that_is_no_database_is_an_open_error() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("state.db");
    std::fs::write(&path, vec![b'x'; 8192]).expect("write");
    assert!(matches!(Db::open(&path, &[V1]), Err(Error::Open { .. })));
}
