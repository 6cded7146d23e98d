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
/// Combinations of values that are counted at all.
const GROUPS: usize = 20_000;
/// Months that are shown at most.
const MONTHS: usize = 60;
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
                    "t.id IN (SELECT s.record_id FROM search_text f CROSS JOIN search_rows s ON s.number = f.rowid \
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

    /// How many rows there are.
    pub(in crate::families) async fn count(&self, tx: &mut ReadTx) -> Result<i64, Denial> {
        let rows = self.query(tx, "count(*) AS rows", "").await?;
        Ok(rows.first().map_or(0, |row| row.integer("rows")))
    }

    /// Counts the rows by some columns and by day, all in one look at each row.
    pub(in crate::families) async fn tally(
        &self,
        tx: &mut ReadTx,
        columns: &[&'static str],
    ) -> Result<Tally, Denial> {
        let mut select = String::from(
            "substr(t.created_at, 1, 10) AS day, count(*) AS rows, min(t.created_at) AS first, \
             max(t.created_at) AS last",
        );
        let mut groups = String::from("day");
        for column in columns {
            select.push_str(&format!(", coalesce(t.\"{column}\", '') AS \"by_{column}\""));
            groups.push_str(&format!(", \"by_{column}\""));
        }
        let rest = format!("GROUP BY {groups} ORDER BY day DESC LIMIT {GROUPS}");
        let mut tally = Tally::default();
        let mut counts = vec![BTreeMap::new(); columns.len()];
        let groups = self.query(tx, &select, &rest).await?;
        for group in &groups {
            let rows = group.integer("rows");
            tally.span.rows += rows;
            *tally.days.entry(group.text("day").to_owned()).or_default() += rows;
            let (first, last) = (group.text("first"), group.text("last"));
            if tally.span.first.is_empty() || first < tally.span.first.as_str() {
                first.clone_into(&mut tally.span.first);
            }
            if last > tally.span.last.as_str() {
                last.clone_into(&mut tally.span.last);
            }
            for (counts, column) in counts.iter_mut().zip(columns) {
                *counts.entry(group.text(&format!("by_{column}")).to_owned()).or_default() += rows;
            }
        }
        // Only words that nobody chose from a list make so many groups.
        let left = if groups.len() < GROUPS { 0 } else { self.count(tx).await? - tally.span.rows };
        tally.span.rows += left;
        for (counts, column) in counts.into_iter().zip(columns) {
            tally.counts.push((column, most_frequent(counts, left)));
        }
        Ok(tally)
    }
}

/// What a document counts of its records.
#[derive(Debug, Default)]
pub(in crate::families) struct Tally {
    pub(in crate::families) span: Span,
    counts: Vec<(&'static str, Vec<(String, i64)>)>,
    days: BTreeMap<String, i64>,
}

impl Tally {
    /// How many rows there are of each value of a column, the most frequent first.
    pub(in crate::families) fn by(&self, column: &str) -> &[(String, i64)] {
        self.counts.iter().find(|(name, _)| *name == column).map_or(&[], |(_, counts)| counts)
    }

    /// The lines for the table at the top: when the first and the last were made, and the counts by these columns.
    pub(in crate::families) fn facts(
        &self,
        columns: &[(&'static str, &'static str)],
    ) -> impl Iterator<Item = (&'static str, Inline)> {
        let range = self.span.range().map(|range| ("Time range", range));
        let counts = columns.iter().map(|(name, column)| (*name, self.by(column)));
        range.into_iter().chain(
            counts.filter(|(_, counts)| !counts.is_empty()).map(|(name, counts)| (name, in_words(counts))),
        )
    }

    /// A bar for each day, or for each month when there are many days.
    pub(in crate::families) fn activity(&self, title: &str, unit: &'static str) -> Chart {
        if let Some(points) = each_day(&self.days) {
            return Chart::Bars { title: format!("{title} a day"), unit, points };
        }
        let mut months: BTreeMap<String, i64> = BTreeMap::new();
        for (day, rows) in &self.days {
            *months.entry(day.get(..7).unwrap_or(day).to_owned()).or_default() += rows;
        }
        let earlier = months.len().saturating_sub(MONTHS);
        let points = months.into_iter().skip(earlier).map(|(month, rows)| (month, height(rows)));
        Chart::Bars { title: format!("{title} a month"), unit, points: points.collect() }
    }
}

/// Counts by value, the most frequent first; those after the first few, and what was not looked at, are one.
fn most_frequent(counts: BTreeMap<String, i64>, left: i64) -> Vec<(String, i64)> {
    let mut counts: Vec<(String, i64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let others = counts.split_off(counts.len().min(VALUES));
    let others = others.iter().map(|(_, count)| count).sum::<i64>() + left;
    if others > 0 {
        counts.push(("others".to_owned(), others));
    }
    counts
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
fn in_words(counts: &[(String, i64)]) -> Inline {
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

    #[test]
    fn many_days_become_the_latest_months() {
        let days = (0..70).map(|month| (format!("{}-{:02}-01", 2020 + month / 12, month % 12 + 1), 1));
        let tally = Tally { days: days.collect(), ..Tally::default() };
        let Chart::Bars { points, .. } = tally.activity("Events", "events") else { panic!("no bars") };
        assert_eq!((points.len(), &*points[0].0, &*points[59].0), (60, "2020-11", "2025-10"));
    }

    #[test]
    fn values_that_are_rare_or_were_not_looked_at_are_one() {
        let counts = |count: usize| (0..count).map(|at| (format!("v{at:02}"), 1)).collect();
        assert_eq!(most_frequent(counts(12), 0).len(), 12);
        let many = most_frequent(counts(20), 5);
        assert_eq!((many.len(), many[12].clone()), (13, ("others".to_owned(), 13)));
    }
}
