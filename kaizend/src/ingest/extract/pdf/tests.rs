#![allow(clippy::unwrap_used)]

use kaizen_proto::denial::Code;

use super::making::{file, pages, stream, text};
use crate::ingest::extract::{Extracted, Limits, extract};

fn read(bytes: &[u8]) -> Extracted {
    extract(".pdf", bytes, &Limits::default()).unwrap()
}

fn denied(bytes: &[u8]) -> Code {
    extract(".pdf", bytes, &Limits::default()).unwrap_err().code
}

fn shown(bytes: &[u8]) -> Vec<String> {
    let show = |block: &crate::ingest::block::Block| {
        let page = block.page.unwrap();
        format!("{page} {} {}: {}", block.kind.name(), block.section.join("/"), block.text)
    };
    read(bytes).blocks.iter().map(show).collect()
}

/// Lines one below the other, 12 units apart.
fn lines(x: i32, y: i32, texts: &[&str]) -> String {
    (0..).zip(texts).map(|(number, line)| text(x, y - 12 * number, 10, line)).collect()
}

#[test]
fn headings_paragraphs_items_and_pages() {
    let first = text(50, 760, 20, "The Whole")
        + &text(50, 730, 14, "First part")
        + &lines(50, 700, &["This is a para-", "graph of several lines that", "goes on for a while."])
        + &lines(50, 640, &["Another one."])
        + &lines(60, 610, &["\\225 one item", "  that goes on", "\\225 another item"]);
    let second = lines(50, 760, &["On the next page."])
        + &text(50, 700, 14, "Second part")
        + &lines(50, 680, &["End."]);
    let expected = [
        "1 SectionHeader : The Whole",
        "1 SectionHeader The Whole: First part",
        "1 Text The Whole/First part: This is a paragraph of several lines that goes on for a while.",
        "1 Text The Whole/First part: Another one.",
        "1 ListItem The Whole/First part: • one item that goes on",
        "1 ListItem The Whole/First part: • another item",
        "2 Text The Whole/First part: On the next page.",
        "2 SectionHeader The Whole: Second part",
        "2 Text The Whole/Second part: End.",
    ];
    let bytes = pages(&[&first, &second]);
    assert_eq!(shown(&bytes), expected);
    let found = read(&bytes);
    assert_eq!((found.pages, found.method.as_str(), found.notes.len()), (Some(2), "pdftext", 0));
}

#[test]
fn columns_are_read_one_after_the_other_and_tables_in_rows() {
    let columns = lines(50, 700, &["left one", "left two", "left three"])
        + &lines(350, 700, &["right one", "right two"]);
    assert_eq!(
        shown(&pages(&[&columns])),
        ["1 Text : left one left two left three", "1 Text : right one right two"]
    );
    let row = |y: i32, cells: [&str; 3]| {
        (0..).zip(cells).map(|(column, cell)| text(50 + 150 * column, y, 10, cell)).collect::<String>()
    };
    let table = lines(50, 720, &["Before it."])
        + &row(690, ["Name", "Amount", "Note"])
        + &row(675, ["Bolt", "12", "M6 long"])
        + &row(660, ["Nut", "7", "M6"])
        + &lines(50, 630, &["After it."]);
    let expected = [
        "1 Text : Before it.",
        "1 Table : Name | Amount | Note\nBolt | 12 | M6 long\nNut | 7 | M6",
        "1 Text : After it.",
    ];
    assert_eq!(shown(&pages(&[&table])), expected);
}

#[test]
fn running_heads_are_left_out_but_once() {
    let page = |number: u32| {
        text(50, 780, 8, &format!("Handbook, page {number} of 9"))
            + &lines(
                50,
                700,
                &[&format!("Text {} of this page.", ["a", "b", "c", "d", "e"][number as usize])],
            )
            + &text(300, 20, 8, &number.to_string())
    };
    let contents: Vec<String> = (0..5).map(page).collect();
    let bytes = pages(&contents.iter().map(String::as_str).collect::<Vec<_>>());
    let texts: Vec<_> = read(&bytes).blocks.into_iter().map(|block| block.text).collect();
    assert_eq!(texts[0], "Handbook, page 0 of 9");
    assert_eq!(texts[1..], ["a", "b", "c", "d", "e"].map(|letter| format!("Text {letter} of this page.")));
    assert!(read(&bytes).notes[0].starts_with("9 repeated headers"));
}

#[test]
fn turned_text_and_kerning() {
    let turned = "BT /F1 10 Tf 0 1 -1 0 100 100 Tm (up the side) Tj ET\n".to_owned()
        + "BT /F1 10 Tf 50 700 Td [(Ker) 40 (ning) -600 (and) -250 (space)] TJ ET\n"
        + "BT /F1 10 Tf 50 600 Td (E = mc) Tj 4 Ts /F1 6 Tf (2) Tj 0 Ts /F1 10 Tf ( holds) Tj ET\n";
    assert_eq!(
        shown(&pages(&[&turned])),
        ["1 Text : up the side", "1 Text : Kerning and space", "1 Text : E = mc2 holds"]
    );
}

#[test]
fn guards_come_in_their_order() {
    let limits = Limits { pdf_bytes: 10, ..Limits::default() };
    assert_eq!(extract(".pdf", b"no pdf at all", &limits).unwrap_err().code, Code::FileTooLarge);
    let drawn = text(50, 700, 10, "x");
    let many = pages(&[drawn.as_str(); 3]);
    let limits = Limits { pdf_pages: 2, ..Limits::default() };
    let denial = extract(".pdf", &many, &limits).unwrap_err();
    assert_eq!(denial.code, Code::PdfTooManyPages);
    assert_eq!((denial.field("pages").unwrap(), denial.field("max_pages").unwrap()), (&3.into(), &2.into()));
    assert_eq!(denied(b"%PDF-1.5 and nothing"), Code::PdfUnreadable);
    assert_eq!(denied(b""), Code::PdfUnreadable);
    assert_eq!(denied(&many[..many.len() / 2]), Code::PdfUnreadable);
    assert_eq!(denied(&pages(&["", "  "])), Code::PdfNoText);
    assert_eq!(denied(&pages(&[])), Code::PdfUnreadable);
    let encrypted = file(
        &[
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Count 0 /Kids [] >>".to_owned(),
            format!("<< /Filter /Standard /V 1 /R 2 /P -4 /O <{0}> /U <{0}> >>", "ab".repeat(32)),
        ],
        &format!("/Encrypt 3 0 R /ID [<{0}> <{0}>]", "01".repeat(16)),
    );
    assert_eq!(denied(&encrypted), Code::PdfEncrypted);
    let limits = Limits { characters: 100, ..Limits::default() };
    let long = lines(50, 700, &["a text of many characters that goes on"; 5]);
    assert_eq!(extract(".pdf", &pages(&[&long]), &limits).unwrap_err().code, Code::ExtractionFailed);
}

#[test]
fn ten_thousand_empty_pages_are_too_many() {
    let bytes = pages(&vec![""; 10_000]);
    assert_eq!(denied(&bytes), Code::PdfTooManyPages);
}

#[test]
fn a_page_tree_that_leads_back_ends() {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Count 2 /Kids [3 0 R] >>",
        "<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [2 0 R 3 0 R] >>",
    ];
    assert_eq!(denied(&file(&objects.map(str::to_owned), "")), Code::PdfUnreadable);
}

#[test]
fn a_page_that_breaks_its_reader_does_not_take_the_others_along() {
    // A colour space that nobody declared.
    let broken = "/None cs ".to_owned() + &text(50, 700, 10, "lost by one reader");
    let whole = text(50, 700, 10, "whole");
    let found = read(&pages(&[&broken, &whole]));
    let texts: Vec<_> = found.blocks.iter().map(|block| (block.page, block.text.as_str())).collect();
    assert_eq!(texts, [(Some(1), "lost by one reader"), (Some(2), "whole")]);
    assert!(found.notes[0].starts_with("1 of 2 pages could be read only in part: 1 ("), "{}", found.notes[0]);
    assert_eq!(denied(&pages(&["/None cs"])), Code::PdfUnreadable);
    // A page without a size.
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Count 1 /Kids [3 0 R] >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>".to_owned(),
        stream("BT ET"),
    ];
    assert_eq!(denied(&file(&objects, "")), Code::PdfUnreadable);
}
