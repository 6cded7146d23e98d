//! Tables: rows that become blocks of bounded size, and CSV.

use super::collect::{Collector, one_line};
use super::fault::Fault;
use crate::ingest::block::BlockKind;

/// Bytes of a table's block, above which the next row starts another one.
const LONGEST_TABLE: usize = 2_000;
/// Bytes of a header that is still worth repeating.
const LONGEST_HEADER: usize = 500;

/// The cells of a row that hold something, with their columns, in order.
type Row = Vec<(usize, String)>;

/// A table that is written row by row. The first row counts as its header, which every block begins with.
#[derive(Default)]
pub(super) struct Table {
    header: Option<Row>,
    /// The rows of the block at hand, the header included.
    rows: Vec<Row>,
    bytes: usize,
}

impl Table {
    /// Adds a row of cells, each with its column. Blank cells count as absent, a row of them as no row.
    pub(super) fn row(
        &mut self,
        cells: impl IntoIterator<Item = (usize, String)>,
        blocks: &mut Collector<'_>,
    ) -> Result<(), Fault> {
        let cells = cells.into_iter().map(|(column, text)| (column, one_line(&text)));
        let row: Row = cells.filter(|(_, text)| !text.is_empty()).collect();
        if row.is_empty() {
            return Ok(());
        }
        let bytes = size(&row);
        if self.bytes + bytes > LONGEST_TABLE && self.rows.len() > usize::from(self.header.is_some()) {
            self.write(blocks)?;
        }
        if self.header.is_none() && self.rows.is_empty() {
            self.header = (bytes <= LONGEST_HEADER).then(|| row.clone());
        }
        self.bytes += bytes;
        self.rows.push(row);
        Ok(())
    }

    /// Writes what is left and forgets the header: what comes next is another table.
    pub(super) fn end(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        let header_alone = self.header.is_some() && self.rows.len() == 1;
        // The header that was put before rows which did not come.
        if header_alone && self.bytes == 0 {
            self.rows.clear();
        }
        if !self.rows.is_empty() {
            self.write(blocks)?;
        }
        *self = Table::default();
        Ok(())
    }

    /// Writes the block at hand and begins the next one with the header.
    fn write(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        blocks.push(BlockKind::Table, &lines(&self.rows))?;
        self.rows.clear();
        self.rows.extend(self.header.clone());
        self.bytes = 0;
        Ok(())
    }
}

fn size(row: &Row) -> usize {
    row.iter().map(|(_, text)| text.len() + 3).sum()
}

/// A row a line. Only columns that some row uses are shown, so that a cell far to the right costs no thousand
/// separators.
fn lines(rows: &[Row]) -> String {
    let mut columns: Vec<usize> = rows.iter().flatten().map(|(column, _)| *column).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut text = String::new();
    for row in rows {
        let mut cells = row.iter().peekable();
        let mut line = String::new();
        for column in &columns {
            if cells.peek().is_none() {
                break;
            }
            if column != &columns[0] {
                line.push_str(" | ");
            }
            if let Some((_, cell)) = cells.next_if(|(at, _)| at == column) {
                line.push_str(cell);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Delimited values. The delimiter is the one of `,`, `;`, tab and `|` that the first line has most of, unless it is
/// given.
pub(super) fn csv(text: &str, delimiter: Option<u8>, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let delimiter = delimiter.unwrap_or_else(|| guess_delimiter(text));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut table = Table::default();
    while reader.read_record(&mut record).map_err(Fault::broken)? {
        table.row(record.iter().map(str::to_owned).enumerate(), blocks)?;
    }
    table.end(blocks)
}

fn guess_delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in text.trim_start().bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            _ => counts
                .iter_mut()
                .filter(|(delimiter, _)| *delimiter == byte)
                .for_each(|(_, count)| *count += 1),
        }
    }
    // The first of several that are equally many.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| delimiter)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ingest::extract::limits::Limits;

    fn tables(text: &str) -> Vec<String> {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        csv(text, None, &mut blocks).unwrap();
        let (blocks, _) = blocks.finish();
        assert!(blocks.iter().all(|block| block.kind == BlockKind::Table));
        blocks.into_iter().map(|block| block.text).collect()
    }

    #[test]
    fn values_may_be_quoted_missing_or_delimited_otherwise() {
        assert_eq!(tables("a,b,c\n\"x, \n y\",,z\n,,\n\n1\n"), ["a | b | c\nx, y |  | z\n1"]);
        assert_eq!(tables("a;b\n1,5;2\n"), ["a | b\n1,5 | 2"]);
        assert_eq!(tables("a\tb\n1\t\"2\"\n"), ["a | b\n1 | 2"]);
        assert_eq!(tables(""), Vec::<String>::new());
        assert_eq!(tables("only\n"), ["only"]);
    }

    #[test]
    fn a_long_table_repeats_its_header() {
        let rows = (0..500).map(|row| format!("{row},value of {row}\n")).collect::<Vec<_>>().concat();
        let blocks = tables(&format!("id,text\n{rows}"));
        assert!(blocks.len() > 4);
        for block in &blocks {
            assert!(block.starts_with("id | text\n") && block.len() < LONGEST_TABLE + 200, "{block}");
        }
        let lines: usize = blocks.iter().map(|block| block.lines().count() - 1).sum();
        assert_eq!(lines, 500);
        assert!(blocks.last().unwrap().ends_with("499 | value of 499"));
    }

    #[test]
    fn a_wide_header_is_not_repeated_and_a_distant_cell_is_cheap() {
        let wide = (0..400).map(|column| format!("column {column},")).collect::<Vec<_>>().concat();
        let blocks = tables(&format!("{wide}\n{wide}\n{wide}\n"));
        assert_eq!(blocks.iter().map(|block| block.lines().count()).sum::<usize>(), 3);
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        let mut table = Table::default();
        table.row([(0, "a".to_owned()), (16_000, "z".to_owned())], &mut blocks).unwrap();
        table.row([(7, "m".to_owned())], &mut blocks).unwrap();
        table.end(&mut blocks).unwrap();
        assert_eq!(blocks.finish().0[0].text, "a |  | z\n | m");
    }
}
