//! XLSX workbooks: the values that cells had when the workbook was saved, sheet by sheet.

use std::io::Cursor;

use calamine::{DataRef, ExcelDateTime, Reader as _, SheetVisible, Xlsx};

use super::collect::Collector;
use super::fault::Fault;
use super::table::Table;
use super::zipped;

/// Takes a workbook apart. Each sheet is a section; an empty row ends a table.
pub(super) fn xlsx(bytes: &[u8], blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let mut container = zipped::open(bytes, blocks.limits())?;
    zipped::measure(&mut container, blocks.limits())?;
    drop(container);
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(Fault::broken)?;
    let hidden: Vec<String> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.visible != SheetVisible::Visible)
        .map(|sheet| sheet.name.clone())
        .collect();
    for name in book.sheet_names() {
        // Sheets of charts and macros have no cells.
        if let Some(error) = sheet(&mut book, &name, blocks)? {
            blocks.note(format!("the sheet {name} was left out: {error}"));
        }
    }
    if !hidden.is_empty() {
        blocks.note(format!("these sheets are hidden in the workbook: {}", hidden.join(", ")));
    }
    Ok(())
}

/// One sheet; gives back why it has no cells.
fn sheet(
    book: &mut Xlsx<Cursor<&[u8]>>,
    name: &str,
    blocks: &mut Collector<'_>,
) -> Result<Option<String>, Fault> {
    // Cells are read one by one, as they stand in the file: a sheet may claim a million rows of which two hold something.
    let mut cells = match book.worksheet_cells_reader(name) {
        Ok(cells) => cells,
        Err(calamine::XlsxError::NotAWorksheet(kind)) => return Ok(Some(format!("it is a {kind}"))),
        Err(error) => return Err(Fault::broken(error)),
    };
    let mut table = Table::default();
    let mut row: Vec<(usize, String)> = Vec::new();
    let mut at = None;
    let mut is_named = false;
    while let Some(cell) = cells.next_cell().map_err(Fault::broken)? {
        let (line, column) = cell.get_position();
        let text = shown(cell.get_value());
        if text.is_empty() {
            continue;
        }
        if !is_named {
            blocks.heading(1, name)?;
            is_named = true;
        }
        if let Some(last) = at
            && last != line
        {
            end_row(&mut row, &mut table, blocks)?;
            if line != last + 1 {
                table.end(blocks)?;
            }
        }
        at = Some(line);
        row.push((usize::try_from(column).unwrap_or(usize::MAX), text));
    }
    end_row(&mut row, &mut table, blocks)?;
    table.end(blocks)?;
    Ok(None)
}

fn end_row(
    row: &mut Vec<(usize, String)>,
    table: &mut Table,
    blocks: &mut Collector<'_>,
) -> Result<(), Fault> {
    let mut cells = std::mem::take(row);
    cells.sort_by_key(|(column, _)| *column);
    table.row(cells, blocks)
}

/// A value as its sheet shows it, apart from its number format.
fn shown(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty => String::new(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(truth) => if *truth { "TRUE" } else { "FALSE" }.to_owned(),
        DataRef::DateTime(moment) => date(moment),
        DataRef::Error(error) => error.to_string(),
    }
}

/// A date as ISO 8601 has it; a duration and what is before 1900 as a number.
fn date(moment: &ExcelDateTime) -> String {
    let value = moment.as_f64();
    if !moment.is_datetime() || !(0.0..2_958_466.0).contains(&value) {
        return value.to_string();
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    if value < 1.0 {
        return format!("{hour:02}:{minute:02}:{second:02}");
    }
    let day = format!("{year:04}-{month:02}-{day:02}");
    if (hour, minute, second) == (0, 0, 0) { day } else { format!("{day} {hour:02}:{minute:02}:{second:02}") }
}

/// Makes workbooks for tests.
#[cfg(test)]
pub(super) mod making {
    use super::super::zipped::making::container;

    /// A workbook whose sheets have this XML in their `sheetData`.
    pub(in crate::ingest::extract) fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
        const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
        let (mut named, mut related, mut entries) = (String::new(), String::new(), Vec::new());
        for (number, (name, data)) in sheets.iter().enumerate() {
            let number = number + 1;
            let state = if name.starts_with("Hidden") { "hidden" } else { "visible" };
            named += &format!(
                "<sheet name=\"{name}\" sheetId=\"{number}\" state=\"{state}\" r:id=\"r{number}\"/>"
            );
            related += &format!(
                "<Relationship Id=\"r{number}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
            );
            let sheet = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{data}</sheetData></worksheet>");
            entries.push((format!("xl/worksheets/sheet{number}.xml"), sheet));
        }
        let workbook =
            format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{named}</sheets></workbook>");
        let relations = format!("<Relationships xmlns=\"{PACKAGE}\">{related}</Relationships>");
        let styles = format!(
            "<styleSheet xmlns=\"{MAIN}\"><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
        );
        let root = format!(
            "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"r1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
        );
        let mut all: Vec<(&str, &str)> = vec![
            ("_rels/.rels", &root),
            ("xl/workbook.xml", &workbook),
            ("xl/_rels/workbook.xml.rels", &relations),
            ("xl/styles.xml", &styles),
        ];
        all.extend(entries.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        container(&all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ingest::extract::limits::Limits;

    fn read(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), Fault> {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        xlsx(bytes, &mut blocks)?;
        let (blocks, notes) = blocks.finish();
        let show = |block: crate::ingest::block::Block| {
            format!("{} {}: {}", block.kind.name(), block.section.join("/"), block.text)
        };
        Ok((blocks.into_iter().map(show).collect(), notes))
    }

    #[test]
    fn sheets_rows_and_kinds_of_values() {
        let text =
            |cell: &str, text: &str| format!("<c r=\"{cell}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
        let first = format!(
            "<row r=\"2\">{}{}</row><row r=\"3\"><c r=\"A3\"><v>1.5</v></c><c r=\"B3\" s=\"1\"><v>45000</v></c></row>\
             <row r=\"4\"><c r=\"A4\" t=\"b\"><v>1</v></c><c r=\"C4\" t=\"e\"><v>#DIV/0!</v></c></row>\
             <row r=\"9\"><c r=\"A9\"><f>1+1</f><v>2</v></c></row>",
            text("A2", "Name &amp; more"),
            text("B2", "Day")
        );
        let bytes = making::workbook(&[
            ("One", &first),
            ("Hidden", &format!("<row r=\"1\">{}</row>", text("XFD1", "x"))),
            ("Empty", ""),
        ]);
        let (blocks, notes) = read(&bytes).unwrap();
        let expected = [
            "SectionHeader : One",
            "Table One: Name & more | Day\n1.5 | 2023-03-15\nTRUE |  | #DIV/0!",
            "Table One: 2",
            "SectionHeader : Hidden",
            "Table Hidden: x",
        ];
        assert_eq!(blocks, expected);
        assert_eq!(notes, ["these sheets are hidden in the workbook: Hidden"]);
    }

    #[test]
    fn two_distant_cells_do_not_make_a_sheet_of_billions() {
        let bytes = making::workbook(&[(
            "S",
            "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row><row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row>",
        )]);
        assert_eq!(read(&bytes).unwrap().0, ["SectionHeader : S", "Table S: 1", "Table S: 2"]);
    }

    #[test]
    fn what_is_no_workbook_is_broken() {
        let whole = making::workbook(&[("S", "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>")]);
        for bytes in [
            &whole[..whole.len() / 2],
            b"",
            b"PK\x05\x06",
            &super::super::zipped::making::container(&[("a", "b")]),
        ] {
            assert!(read(bytes).is_err());
        }
    }
}
