#![allow(clippy::unwrap_used)]

use super::*;
use crate::ingest::extract::zipped::making::container;

const STYLES: &str = r#"<w:styles xmlns:w="w">
<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Eigene"><w:name w:val="Eigene"/><w:basedOn w:val="berschrift1"/></w:style>
<w:style w:styleId="Outlined"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:styleId="T"><w:name w:val="Title"/></w:style>
<w:style w:styleId="C"><w:name w:val="caption"/></w:style>
<w:style w:styleId="K"><w:name w:val="Source Code"/></w:style>
<w:style w:styleId="V"><w:name w:val="toc 1"/></w:style>
<w:style w:styleId="L"><w:name w:val="List Number"/><w:pPr><w:numPr><w:numId w:val="2"/></w:numPr></w:pPr></w:style>
<w:style w:styleId="Loop"><w:name w:val="loop"/><w:basedOn w:val="Loop"/></w:style>
</w:styles>"#;
const NUMBERING: &str = r#"<w:numbering xmlns:w="w">
<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>
</w:numbering>"#;
const FOOTNOTES: &str = r#"<w:footnotes xmlns:w="w"><w:footnote w:type="separator" w:id="0"><w:p><w:r><w:t>no</w:t></w:r></w:p></w:footnote>
<w:footnote w:id="5"><w:p><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote></w:footnotes>"#;

fn paragraph(style: &str, text: &str) -> String {
    format!("<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

fn item(list: u8, level: u8, text: &str) -> String {
    format!(
        "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"{list}\"/></w:numPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
    )
}

fn document(body: &str) -> Vec<u8> {
    container(&[
        ("word/document.xml", &format!("<w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>")),
        ("word/styles.xml", STYLES),
        ("word/numbering.xml", NUMBERING),
        ("word/footnotes.xml", FOOTNOTES),
    ])
}

fn read(bytes: &[u8]) -> Result<Vec<String>, Fault> {
    let limits = Limits::default();
    let mut blocks = Collector::new(&limits);
    docx(bytes, &mut blocks)?;
    let show = |block: crate::ingest::block::Block| {
        format!("{} {}: {}", block.kind.name(), block.section.join("/"), block.text)
    };
    Ok(blocks.finish().0.into_iter().map(show).collect())
}

#[test]
fn styles_lists_and_notes() {
    let body = [
        paragraph("T", "The document"),
        paragraph("V", "One 1"),
        paragraph("berschrift1", "One"),
        "<w:p><w:pPr><w:tabs><w:tab w:val=\"left\"/></w:tabs></w:pPr><w:r><w:t xml:space=\"preserve\">a &amp; </w:t><w:tab/><w:t>b</w:t></w:r>\
         <w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:footnoteReference w:id=\"5\"/><w:br/><w:t>c</w:t><w:instrText>PAGE</w:instrText></w:r></w:p>"
            .to_owned(),
        paragraph("Outlined", "Two"),
        item(1, 0, "x"),
        item(1, 1, "y"),
        item(1, 1, "z"),
        item(1, 0, "w"),
        item(1, 1, "again"),
        paragraph("L", "first"),
        paragraph("L", "second"),
        item(0, 0, "no item"),
        paragraph("K", "fn a() {"),
        "<w:p/>".to_owned(),
        paragraph("K", "}"),
        paragraph("C", "Figure 1"),
        paragraph("Eigene", "Three"),
        paragraph("Loop", "end"),
    ];
    let expected = [
        "Title : The document",
        "SectionHeader : One",
        "Text One: a & \tb[1]\nc",
        "SectionHeader One: Two",
        "ListItem One/Two: - x\n  1. y\n  2. z",
        "ListItem One/Two: - w\n  1. again",
        "ListItem One/Two: 1. first",
        "ListItem One/Two: 2. second",
        "Text One/Two: no item",
        "Code One/Two: fn a() {\n\n}",
        "Caption One/Two: Figure 1",
        "SectionHeader : Three",
        "Text Three: end",
        "Footnote Three: [1] The note.",
    ];
    assert_eq!(read(&document(&body.concat())).unwrap(), expected);
}

#[test]
fn tables_and_text_boxes() {
    let cell = |inner: &str| format!("<w:tc>{inner}</w:tc>");
    let text = |text: &str| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>");
    let row = |cells: &[String]| format!("<w:tr>{}</w:tr>", cells.concat());
    let inner = format!("<w:tbl>{}</w:tbl>", row(&[cell(&text("i")), cell(&text("j"))]));
    let table = format!(
        "<w:tbl>{}{}</w:tbl>",
        row(&[cell(&text("h1")), cell(&text("h2"))]),
        row(&[cell(&(text("a") + &text("b"))), cell(&(inner + &text("k")))])
    );
    let boxed = "<w:p><w:r><w:t>outer</w:t><mc:AlternateContent xmlns:mc=\"mc\"><mc:Choice><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Choice>\
        <mc:Fallback><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Fallback></mc:AlternateContent><w:t> end</w:t></w:r></w:p>";
    let expected = ["Table : h1 | h2\na b | i j k", "Text : box", "Text : outer end"];
    assert_eq!(read(&document(&(table + boxed))).unwrap(), expected);
}

#[test]
fn a_document_may_stand_elsewhere() {
    let relations = "<Relationships><Relationship Type=\"http://x/officeDocument\" Target=\"/doc/main.xml\"/></Relationships>";
    let bytes = container(&[("_rels/.rels", relations), ("doc/main.xml", "<d><p><t>x</t></p></d>")]);
    assert_eq!(read(&bytes).unwrap(), ["Text : x"]);
}

#[test]
fn what_is_no_document_is_broken() {
    let whole = document(&paragraph("T", "x"));
    for bytes in [
        &whole[..whole.len() / 2],
        b"",
        &container(&[("a", "b")]),
        &container(&[("word/document.xml", "<a><b></a>")]),
    ] {
        assert!(matches!(read(bytes), Err(Fault::Broken(_))));
    }
    let deep = "<w:tbl><w:tr><w:tc>".repeat(100_000);
    assert!(matches!(read(&document(&deep)), Err(Fault::TooMuch { .. })));
}
