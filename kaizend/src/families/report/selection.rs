//! What a document reads from its snapshot: the records that fit, how many of them there are by their fields and by day,
//! and the titles of what they refer to.

use std::collections::BTreeMap;

use kaizen_proto::denial::Denial;
use kaizen_proto::time::Timestamp;

use super::super::record::Window;
use crate::plane::search_index::{candidates, covers, like_pattern};
use crate::plane::value::OwnedCell;
use crate::plane::{Cell, ReadTx, Row};
use crate::report::{Chart, Inline};

/// Ids in one look for titles.
const TITLES: usize = 500;
/// Values of a field that are counted one by one.
const VALUES: usize = 12;
/// Values of a field that are counted at all.
const MOST_VALUES: usize = 10_000;
/// Days that are shown one by one; a longer time is shown by months.
const DAYS: usize = 31;

/// Which rows of a table, called `t` in the conditions.
#[derive(Clone, Debug)]
pub(in crate::families) struct Selection {
    table: &'static str,
    conditions: Vec<String>,
    parameters: Vec<OwnedCell>,
}

impl Selection {
    /// All rows but those of test records, unless they are wanted too.
    pub(in crate::families) fn of(table: &'static str, include_test: bool) -> Self {
        let conditions = if include_test { Vec::new() } else { vec!["t.is_test = 0".to_owned()] };
        Selection { table, conditions, parameters: Vec::new() }
    }

    /// Only rows of which this condition holds; `?` stands for the value.
    #[must_use]
    pub(in crate::families) fn only(mut self, condition: &str, value: Cell<'_>) -> Self {
        self.parameters.push(value.into());
        self.conditions.push(condition.replace('?', &format!("${}", self.parameters.len())));
        self
    }

    /// Only rows of which this condition holds.
    #[must_use]
    pub(in crate::families) fn when(mut self, condition: impl Into<String>) -> Self {
        self.conditions.push(condition.into());
        self
    }

    /// Only rows that hold a text in one of these columns.
    #[must_use]
    pub(in crate::families) fn holding(self, columns: &[&str], query: Option<&str>) -> Self {
        let Some(query) = query else { return self };
        let table = self.table;
        // The index only says which rows to look at; whether they hold the text is seen with LIKE.
        let found = match candidates(query) {
            Some(expression) if covers(table, columns) => self.only(
                &format!(
                    "t.id IN (SELECT s.record_id FROM search_text f JOIN search_rows s ON s.number = f.rowid \
                     WHERE search_text MATCH ? AND s.record_table = '{table}')"
                ),
                Cell::Text(&expression),
            ),
            _ => self,
        };
        let like: Vec<String> =
            columns.iter().map(|column| format!("t.\"{column}\" LIKE ? ESCAPE '\\'")).collect();
        found.only(&format!("({})", like.join(" OR ")), Cell::Text(&like_pattern(query)))
    }

    /// Only rows whose time in this column is in the window.
    #[must_use]
    pub(in crate::families) fn within(mut self, column: &str, window: &Window) -> Self {
        for (end, compare) in [(&window.since, ">="), (&window.until, "<")] {
            if let Some(end) = end {
                self = self.only(&format!("t.\"{column}\" {compare} ?"), Cell::Text(end));
            }
        }
        self
    }

    pub(in crate::families) async fn query(
        &self,
        tx: &mut ReadTx,
        select: &str,
        rest: &str,
    ) -> Result<Vec<Row>, Denial> {
        let filter = if self.conditions.is_empty() { "" } else { "WHERE " };
        let sql =
            format!("SELECT {select} FROM {} t {filter}{} {rest}", self.table, self.conditions.join(" AND "));
        let parameters: Vec<Cell<'_>> = self.parameters.iter().map(OwnedCell::as_cell).collect();
        tx.query(&sql, &parameters).await
    }

    /// The rows, newest first.
    pub(in crate::families) async fn rows(
        &self,
        tx: &mut ReadTx,
        columns: &str,
        limit: i64,
    ) -> Result<Vec<Row>, Denial> {
        self.query(tx, columns, &format!("ORDER BY t.created_at DESC, t.id DESC LIMIT {limit}")).await
    }

    /// The rows in this order.
    pub(in crate::families) async fn ordered(
        &self,
        tx: &mut ReadTx,
        columns: &str,
        order: &str,
        limit: i64,
    ) -> Result<Vec<Row>, Denial> {
        self.query(tx, columns, &format!("ORDER BY {order} LIMIT {limit}")).await
    }

    /// How many rows there are, and the times of the first and the last.
    pub(in crate::families) async fn span(&self, tx: &mut ReadTx) -> Result<Span, Denial> {
        let select = "count(*) AS rows, min(t.created_at) AS first, max(t.created_at) AS last";
        let row = self.query(tx, select, "").await?.into_iter().next();
        Ok(row.map_or_else(Span::default, |row| Span {
            rows: row.integer("rows"),
            first: row.text("first").to_owned(),
            last: row.text("last").to_owned(),
        }))
    }

    /// How many rows there are.
    pub(in crate::families) async fn count(&self, tx: &mut ReadTx) -> Result<i64, Denial> {
        let rows = self.query(tx, "count(*) AS rows", "").await?;
        Ok(rows.first().map_or(0, |row| row.integer("rows")))
    }

    /// How many rows there are of each value of a column, the most frequent first.
    pub(in crate::families) async fn by(
        &self,
        tx: &mut ReadTx,
        column: &str,
    ) -> Result<Vec<(String, i64)>, Denial> {
        let select = format!("coalesce(t.\"{column}\", '') AS name, count(*) AS rows");
        let rest = format!("GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_VALUES}");
        let rows = self.query(tx, &select, &rest).await?;
        let mut counts: Vec<(String, i64)> =
            rows.iter().map(|row| (row.text("name").to_owned(), row.integer("rows"))).collect();
        let others = counts.split_off(counts.len().min(VALUES));
        if !others.is_empty() {
            counts.push(("others".to_owned(), others.iter().map(|(_, count)| count).sum()));
        }
        Ok(counts)
    }

    /// A bar for each day, or for each month when there are many days.
    pub(in crate::families) async fn activity(
        &self,
        tx: &mut ReadTx,
        title: &str,
        unit: &'static str,
    ) -> Result<Chart, Denial> {
        let by = |length: usize| format!("substr(t.created_at, 1, {length}) AS name, count(*) AS rows");
        let rest = "GROUP BY 1 ORDER BY 1 DESC LIMIT 60";
        let rows = self.query(tx, &by(10), rest).await?;
        let counts: BTreeMap<String, i64> =
            rows.iter().map(|row| (row.text("name").to_owned(), row.integer("rows"))).collect();
        if let Some(points) = each_day(&counts) {
            return Ok(Chart::Bars { title: format!("{title} a day"), unit, points });
        }
        let rows = self.query(tx, &by(7), rest).await?;
        let points = rows.iter().rev().map(|row| (row.text("name").to_owned(), height(row.integer("rows"))));
        Ok(Chart::Bars { title: format!("{title} a month"), unit, points: points.collect() })
    }
}

/// A count as the height of a bar.
pub(in crate::families) fn height(count: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no chart shows sixteen digits")]
    let height = count as f64;
    height
}

/// Each day from the first to the last, those without anything too; none when there are too many.
fn each_day(counts: &BTreeMap<String, i64>) -> Option<Vec<(String, f64)>> {
    let day = |name: &str| Timestamp::parse(&format!("{name}T00:00:00Z"));
    let mut at = day(counts.first_key_value()?.0)?;
    let last = day(counts.last_key_value()?.0)?;
    let mut points = Vec::new();
    while at <= last {
        if points.len() == DAYS {
            return None;
        }
        let name = at.to_string();
        points.push((name[5..10].to_owned(), height(counts.get(&name[..10]).copied().unwrap_or(0))));
        at = at.minus_days(-1);
    }
    Some(points)
}

/// How many rows there are, and when the first and the last were made.
#[derive(Clone, Debug, Default)]
pub(in crate::families) struct Span {
    pub(in crate::families) rows: i64,
    pub(in crate::families) first: String,
    pub(in crate::families) last: String,
}

impl Span {
    /// The times, as the table at the top shows them; none when there are no rows.
    pub(in crate::families) fn range(&self) -> Option<Inline> {
        let minute = |time: &str| time.get(..16).unwrap_or(time).replace('T', " ");
        let (first, last) = (minute(&self.first), minute(&self.last));
        let range = if first == last { format!("{first} UTC") } else { format!("{first} – {last} UTC") };
        (self.rows > 0).then(|| range.into())
    }
}

/// Counts in words: `done 12 · active 3`.
pub(in crate::families) fn in_words(counts: &[(String, i64)]) -> Inline {
    counts.iter().fold(Inline::new(), |line, (name, count)| {
        let name = if name.is_empty() { "none" } else { name };
        line.and().text(format!("{name} {count}"))
    })
}

/// The titles of records, by id.
pub(in crate::families) async fn titles(
    tx: &mut ReadTx,
    table: &str,
    key: &str,
    ids: impl IntoIterator<Item = &str>,
) -> Result<BTreeMap<String, (String, String)>, Denial> {
    let mut ids: Vec<&str> = ids.into_iter().filter(|id| !id.is_empty()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut found = BTreeMap::new();
    for some in ids.chunks(TITLES) {
        let places: Vec<String> = (1..=some.len()).map(|at| format!("${at}")).collect();
        let sql = format!(
            "SELECT {key} AS key, id, title FROM {table} WHERE {key} IN ({}) ORDER BY id",
            places.join(", ")
        );
        let cells: Vec<Cell<'_>> = some.iter().map(|id| Cell::Text(id)).collect();
        for row in tx.query(&sql, &cells).await? {
            let value = (row.text("id").to_owned(), row.text("title").to_owned());
            found.insert(row.text("key").to_owned(), value);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn days_without_anything_have_a_place_too() {
        let counts = |days: &[(&str, i64)]| days.iter().map(|(day, n)| ((*day).to_owned(), *n)).collect();
        let days = each_day(&counts(&[("2026-02-27", 2), ("2026-03-01", 1)])).unwrap();
        assert_eq!(days, [("02-27".into(), 2.0), ("02-28".into(), 0.0), ("03-01".into(), 1.0)]);
        assert_eq!(each_day(&counts(&[("2026-01-01", 1), ("2026-03-01", 1)])), None);
        assert_eq!(each_day(&BTreeMap::new()), None);
        assert_eq!(each_day(&counts(&[("no day", 1)])), None);
    }
}
