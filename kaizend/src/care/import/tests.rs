use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::Connection;

use super::super::export::{self, Choice};
use super::*;
use crate::care::test_rows::ORDER;
use crate::plane::{Plane, WriteTx};

/// Values that rows are made of, and how many rows each table has.
#[derive(Clone, Debug)]
struct Pool {
    texts: Vec<String>,
    integers: Vec<i64>,
    reals: Vec<f64>,
    blobs: Vec<Vec<u8>>,
    rows: Vec<usize>,
}

fn pool() -> impl Strategy<Value = Pool> {
    let texts = proptest::collection::vec(
        prop_oneof![
            any::<String>(),
            Just("\u{0}\n\"\\\u{2028}😀".to_owned()),
            Just("{\"blob\":\"00\"}".to_owned())
        ],
        1..8,
    );
    let reals = proptest::collection::vec(
        any::<f64>().prop_filter("NaN is NULL to SQLite", |number| !number.is_nan()),
        1..8,
    );
    let blobs = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..4);
    let integers = proptest::collection::vec(any::<i64>(), 1..8);
    let rows = proptest::collection::vec(0..4_usize, ORDER.len());
    (texts, integers, reals, blobs, rows).prop_map(|(texts, integers, reals, blobs, rows)| Pool {
        texts,
        integers,
        reals,
        blobs,
        rows,
    })
}

/// Fills the tables, parents first, so that each row can name parents that are there.
fn fill(tx: &mut WriteTx<'_>, pool: &Pool) -> Result<(), Denial> {
    let mut turn = 0;
    for ((table, _), rows) in ORDER.iter().rev().zip(&pool.rows) {
        let columns = tx.query(
            &format!(
                "SELECT c.name, c.type, c.\"notnull\" AS needed, c.pk, f.\"table\" AS parent \
                 FROM pragma_table_info('{table}') c LEFT JOIN pragma_foreign_key_list('{table}') f ON f.\"from\" = c.name"
            ),
            &[],
        )?;
        for number in 0..*rows {
            let mut row: Vec<(&'static str, OwnedCell)> = Vec::new();
            for column in &columns {
                turn += 1;
                let name: &'static str = column.text("name").to_owned().leak();
                let cell = if let Some(parent) = column.optional_text("parent") {
                    let sql = format!("SELECT id FROM {parent} ORDER BY id LIMIT 1 OFFSET {}", turn % 2);
                    match tx.query_row(&sql, &[])? {
                        Some(parent) if name != "run_id" || number == 0 => {
                            OwnedCell::Text(parent.text("id").to_owned())
                        }
                        _ => OwnedCell::Null,
                    }
                } else if column.integer("pk") > 0 {
                    OwnedCell::Text(format!("{table}-{number}"))
                } else if name == "is_test" {
                    OwnedCell::Integer(i64::from(turn % 3 == 0))
                } else if name == "revision_number" {
                    OwnedCell::Integer(i64::try_from(number).unwrap())
                } else if column.integer("needed") == 0 && turn % 4 == 0 {
                    OwnedCell::Null
                } else {
                    match column.text("type") {
                        "TEXT" if name.ends_with("_at") => {
                            OwnedCell::Text("2026-01-01T00:00:00.000000+00:00".into())
                        }
                        "TEXT" => OwnedCell::Text(pool.texts[turn % pool.texts.len()].clone()),
                        "INTEGER" => OwnedCell::Integer(pool.integers[turn % pool.integers.len()]),
                        "REAL" => OwnedCell::Real(pool.reals[turn % pool.reals.len()]),
                        _ => OwnedCell::Blob(pool.blobs[turn % pool.blobs.len()].clone()),
                    }
                };
                row.push((name, cell));
            }
            let orphan = columns.iter().zip(&row).any(|(column, (_, cell))| {
                column.optional_text("parent").is_some()
                    && column.integer("needed") != 0
                    && *cell == OwnedCell::Null
            });
            if orphan {
                continue;
            }
            let cells: Vec<_> = row.iter().map(|(name, cell)| (*name, cell.as_cell())).collect();
            if *table == "chunk_embeddings" {
                // Its key is of two columns, of which the first is a reference.
                let taken = "SELECT 1 FROM chunk_embeddings WHERE chunk_id = $1 AND embedding_model = $2";
                if tx.query_row(taken, &[cells[0].1, cells[1].1])?.is_some() {
                    continue;
                }
            }
            tx.insert(table, &cells)?;
        }
    }
    Ok(())
}

/// Every row of every table that counts, as text.
fn dump(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut names: Vec<String> = tables::read(&connection).unwrap().into_keys().collect();
    names.retain(|name| name != "schema_version");
    names.extend(["journal".to_owned(), "plane_head".to_owned()]);
    let mut all = Vec::new();
    for name in names {
        for row in write_tx::query(&connection, &format!("SELECT * FROM {name}"), &[]).unwrap() {
            all.push(format!("{name} {:?}", row.cells));
        }
    }
    all.sort();
    all
}

async fn plane(path: &Path, pool: &Pool) {
    let (plane, _lock) = Plane::open(path, "test").unwrap();
    let pool = pool.clone();
    let apply = Box::new(move |tx: &mut WriteTx<'_>| fill(tx, &pool).map(|()| "{}".to_owned()));
    plane.write("W1", Arc::new(Caller::default()), None, apply).await.unwrap();
    plane.close().await;
}

fn round_trip(pool: &Pool, choice: Choice) -> (tempfile::TempDir, Header) {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("from/kaizen.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(plane(&from, pool));
    let lines = directory.path().join("plane.jsonl");
    let (header, ..) = files::write_by(&lines, |file| export::write(&from, choice, file)).unwrap();
    let to = directory.path().join("to.db");
    let (connection, read) = load(&lines, &to, &Caller::default()).unwrap();
    assert_eq!(read, header);
    drop(connection);
    (directory, header)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_complete_export_comes_back_row_for_row(pool in pool()) {
        let (directory, header) = round_trip(&pool, Choice { policy: true, test: true });
        prop_assert!(header.complete);
        let from = dump(&directory.path().join("from/kaizen.db"));
        let to = dump(&directory.path().join("to.db"));
        prop_assert_eq!(from, to);
    }

    #[test]
    fn a_partial_export_holds_no_test_records_and_nothing_that_hangs_in_the_air(pool in pool()) {
        let (directory, header) = round_trip(&pool, Choice { policy: false, test: false });
        prop_assert!(!header.complete && !header.tables.contains_key("private_policy"));
        let to = Connection::open(directory.path().join("to.db")).unwrap();
        let count = |sql: &str| -> i64 { to.query_row(sql, [], |row| row.get(0)).unwrap() };
        prop_assert_eq!(count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
        for (table, condition) in ORDER {
            prop_assert_eq!(count(&format!("SELECT count(*) FROM {table} WHERE {condition}")), 0);
        }
        // What is there is in the new journal.
        let (found, _) = integrity::look(&directory.path().join("to.db")).unwrap();
        prop_assert!(found.faults.iter().all(|fault| !matches!(fault.check.as_str(), "journal" | "row")), "{:?}", found);
    }
}
