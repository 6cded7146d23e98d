//! Reading: a small pool of connections that cannot write, and a transaction that sees one snapshot.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kaizen_proto::denial::Denial;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{Column, Row as _, Sqlite, TypeInfo, ValueRef};

use super::value::{Cell, OwnedCell, Row};
use super::{fault, schema};

/// Connections of one plane that read.
const READERS: u32 = 4;

/// Journal entries below which a plane is small.
const SMALL: i64 = 1_000;

/// Opens the pool. No connection is made before the first query.
pub(super) fn pool(db_path: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(db_path)
        .read_only(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("trusted_schema", "OFF")
        .pragma("cache_size", "-8000")
        .pragma("query_only", "ON")
        .statement_cache_capacity(128);
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// A snapshot of the plane: all queries of it see the same state.
pub struct ReadTx {
    transaction: sqlx::Transaction<'static, Sqlite>,
    seq: i64,
}

impl ReadTx {
    /// Begins a snapshot and checks that the schema is one that can be read.
    pub(super) async fn begin(pool: &SqlitePool, db_path: &Path) -> Result<Self, Denial> {
        let transaction = pool.begin().await.map_err(|error| fault::from_sqlx("begin to read", &error))?;
        let mut tx = ReadTx { transaction, seq: 0 };
        let row = tx.query_row(schema::READ_SQL, &[]).await?;
        tx.seq = row.as_ref().map_or(0, |row| row.integer("seq"));
        match schema::judge(row.as_ref()) {
            schema::Verdict::Wrong { reason } => Err(schema::status(db_path, &reason)),
            schema::Verdict::Good | schema::Verdict::Drifted { .. } => Ok(tx),
        }
    }

    /// The first row of a query that needs neither a snapshot nor a schema that can be read.
    pub(super) async fn ungated(pool: &SqlitePool, sql: &str) -> Result<Option<Row>, Denial> {
        let transaction = pool.begin().await.map_err(|error| fault::from_sqlx("begin to read", &error))?;
        ReadTx { transaction, seq: 0 }.query_row(sql, &[]).await
    }

    /// Number of the last journal entry that the snapshot holds.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// Whether so little has been written that reading the records themselves costs no more than what is derived from
    /// them. It is also right when somebody has changed a record with another program.
    pub fn is_small(&self) -> bool {
        self.seq < SMALL
    }

    /// The first row of a query.
    ///
    /// # Errors
    /// What SQLite denies.
    pub async fn query_row(&mut self, sql: &str, parameters: &[Cell<'_>]) -> Result<Option<Row>, Denial> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// What SQLite denies.
    pub async fn query(&mut self, sql: &str, parameters: &[Cell<'_>]) -> Result<Vec<Row>, Denial> {
        tracing::trace!(target: "kaizend::sql", "{sql}");
        // The texts are literals beside their operations; what users give comes in as parameters.
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for cell in parameters {
            query = match *cell {
                Cell::Null => query.bind(None::<i64>),
                Cell::Integer(number) => query.bind(number),
                Cell::Real(number) => query.bind(number),
                Cell::Text(text) => query.bind(text.to_owned()),
                Cell::Blob(bytes) => query.bind(bytes.to_vec()),
            };
        }
        let rows = query
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|error| fault::from_sqlx("read", &error))?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let columns: Arc<[String]> = first.columns().iter().map(|column| column.name().to_owned()).collect();
        rows.iter()
            .map(|row| Ok(Row { columns: columns.clone(), cells: cells(row)? }))
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|error| fault::from_sqlx("read", &error))
    }
}

fn cells(row: &SqliteRow) -> Result<Vec<OwnedCell>, sqlx::Error> {
    (0..row.len())
        .map(|at| {
            let raw = row.try_get_raw(at)?;
            if raw.is_null() {
                return Ok(OwnedCell::Null);
            }
            Ok(match raw.type_info().name() {
                "INTEGER" => OwnedCell::Integer(row.try_get_unchecked(at)?),
                "REAL" => OwnedCell::Real(row.try_get_unchecked(at)?),
                "BLOB" => OwnedCell::Blob(row.try_get_unchecked(at)?),
                _ => OwnedCell::Text(row.try_get_unchecked(at)?),
            })
        })
        .collect()
}
