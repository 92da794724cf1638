use crate::engine::event::EventKind;
use crate::engine::state::InstanceEnd;
use crate::model::time::Timestamp;

use super::super::fixture;
use super::*;

fn put(aggregate: Aggregate) -> (AggregateKey, Option<Aggregate>) {
    (aggregate.key(), Some(aggregate))
}

fn batch(rows: Vec<(AggregateKey, Option<Aggregate>)>) -> Batch {
    Batch { point: Point { seq: Seq(7), epoch: Epoch(2), ..Point::default() }, rows, ..Batch::default() }
}

fn filled(directory: &Path) -> StateDb {
    let mut database = StateDb::open(&directory.join("state.db")).unwrap();
    let mut resting = fixture::instance(2, "orders", Some(InstanceEnd::Succeeded));
    resting.is_resting = true;
    let rows = vec![
        put(Aggregate::Instance(fixture::instance(1, "orders", None))),
        put(Aggregate::Node(fixture::node(1, 0))),
        put(Aggregate::Instance(resting)),
        put(Aggregate::Node(fixture::node(2, 0))),
    ];
    database.write(&batch(rows)).unwrap();
    database
}

#[test]
fn what_was_written_is_loaded_and_what_rests_stays_on_disk() {
    let home = tempfile::tempdir().unwrap();
    let (state, point) = filled(home.path()).load().unwrap();
    assert_eq!((point.seq, point.epoch), (Seq(7), Epoch(2)));
    assert_eq!(state.instances.keys().map(|number| number.0).collect::<Vec<_>>(), [1]);
    assert_eq!(state.nodes.len(), 1);
}

#[test]
fn the_archive_reads_an_instance_at_rest_and_finds_it_by_its_request() {
    use crate::engine::state::Archive;
    let home = tempfile::tempdir().unwrap();
    let database = filled(home.path());
    let archive = DiskArchive::new(Readers::new(database.file()));
    assert_eq!(archive.instance(InstanceNumber(2)).unwrap().len(), 2);
    assert!(archive.instance(InstanceNumber(9)).is_none());
    let by = crate::model::id::Principal::from("user:li");
    assert_eq!(archive.instance_by_request(&by, "key-2"), Some(InstanceNumber(2)));
    assert_eq!(archive.instance_by_request(&by, "key-9"), None);
}

#[test]
fn a_deleted_instance_takes_its_nodes_and_events_along() {
    let home = tempfile::tempdir().unwrap();
    let mut database = filled(home.path());
    let event = Event { at: Timestamp(1), kind: EventKind::InstanceStarted { instance: InstanceNumber(1) } };
    let mut one = batch(Vec::new());
    one.events.push((InstanceNumber(1), Seq(3), event));
    database.write(&one).unwrap();
    let count = |database: &StateDb, table: &str| -> u64 {
        database.connection.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count(&database, "node"), count(&database, "event")), (2, 1));
    database.write(&batch(vec![(AggregateKey::Instance(InstanceNumber(1)), None)])).unwrap();
    assert_eq!((count(&database, "node"), count(&database, "event"), count(&database, "instance")), (1, 0, 1));
}

#[test]
fn a_changed_row_is_named_and_not_loaded() {
    let home = tempfile::tempdir().unwrap();
    let database = filled(home.path());
    let changed = database.connection.execute("UPDATE node SET crc = crc + 1 WHERE instance = 1", []).unwrap();
    assert_eq!(changed, 1);
    let error = database.load().unwrap_err().to_string();
    assert!(error.contains("node") && error.contains("state.db"), "{error}");
    // A valid body under another key does not pass either.
    database.connection.execute("UPDATE node SET crc = crc - 1, node = 5 WHERE instance = 1", []).unwrap();
    assert!(database.load().is_err());
}

#[test]
fn a_newer_schema_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = filled(home.path()).file().to_owned();
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(StateDb::open(&file), Err(StoreError::NewerSchema { found: 99, .. })));
    assert!(matches!(verify(&file), Err(StoreError::NewerSchema { found: 99, .. })));
}

#[test]
fn a_backup_is_whole_and_a_damaged_one_is_found_out() {
    let home = tempfile::tempdir().unwrap();
    let database = filled(home.path());
    let copy = home.path().join("copy.db");
    backup(database.file(), &copy).unwrap();
    let connection = Connection::open(&copy).unwrap();
    assert_eq!(read_point(&connection, &copy).unwrap().seq, Seq(7));
    connection.execute("UPDATE instance SET crc = 0 WHERE number = 2", []).unwrap();
    drop(connection);
    let error = verify(&copy).unwrap_err().to_string();
    assert!(error.contains("copy.db"), "{error}");
}

#[test]
fn an_installed_snapshot_replaces_everything() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = filled(from.path());
    let mut target = StateDb::open(&to.path().join("state.db")).unwrap();
    target.write(&batch(vec![put(Aggregate::Instance(fixture::instance(50, "stock", None)))])).unwrap();
    let (_, snapshot) = make_snapshot(source.file(), from.path()).unwrap();
    target.install(snapshot.path()).unwrap();
    let (state, point) = target.load().unwrap();
    assert_eq!(point.seq, Seq(7));
    assert!(state == source.load().unwrap().0);
    let path = snapshot.path().to_owned();
    drop(snapshot);
    assert!(!path.exists());
}

#[test]
fn a_full_file_is_told_apart_from_a_broken_one_and_leaves_nothing_half_written() {
    let home = tempfile::tempdir().unwrap();
    let mut database = filled(home.path());
    let before = database.load().unwrap();
    let pages: u64 = database.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    database.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    let rows: Vec<_> =
        (100..400).map(|number| put(Aggregate::Instance(fixture::instance(number, "orders", None)))).collect();
    let mut one = batch(rows);
    one.point.seq = Seq(8);
    let error = database.write(&one).unwrap_err();
    assert!(matches!(error, StoreError::Sqlite { is_full: true, .. }), "{error}");
    let after = database.load().unwrap();
    assert!(after.0 == before.0 && after.1 == before.1);
    // With room again the same write goes through: that is what giving up the ballast relies on.
    database.connection.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(())).unwrap();
    database.write(&one).unwrap();
    assert_eq!(database.load().unwrap().1.seq, Seq(8));
}
