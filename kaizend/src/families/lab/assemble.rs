//! O1: what there is to learn from when a contract is to be improved.

use std::sync::Arc;

use kaizen_proto::denial::Denial;
use kaizen_proto::families::lab::LabAssemble;
use kaizen_proto::families::lab::report::{CasesAssembled, CasesToAssemble};
use kaizen_proto::limits;
use kaizen_proto::operation::Status;

use super::super::record;
use super::super::report::selection::Selection;
use crate::care::blocking;
use crate::plane::search_index::like_pattern;
use crate::plane::{Cell, ReadTx, Row, WriteTx};
use crate::registry::{Context, WriteOperation};
use crate::report::file::{self, Name, Written};
use crate::report::{Block, Document, Entry, Format, Inline, Section, Tags};

/// Records of each kind.
const LIMIT: i64 = 50;

/// A report whose file is written and whose row is to come.
pub struct Report {
    contract: String,
    counts: [usize; 3],
    file: Arc<Written>,
    test: bool,
}

/// One of the kinds of records that are gathered.
struct Part {
    title: &'static str,
    fact: &'static str,
    records: Selection,
    /// The column that stands in brackets.
    tag: &'static str,
    /// Columns that may name the contract.
    texts: &'static [&'static str],
}

impl WriteOperation for LabAssemble {
    type Prepared = Report;

    async fn prepare(context: &Context, params: CasesToAssemble) -> Result<Report, Denial> {
        let contract = super::contract(params.contract)?;
        let category = record::given(params.category);
        limits::check_bytes("category", category.as_deref().unwrap_or_default(), limits::SHORT_BYTES)?;
        let format = Format::of(params.format.as_deref())?;
        let alone = file::alone().await;
        let plane = context.plane().await?;
        let mut tx = plane.read().await?;
        let all = |table| Selection::of(table, params.include_test);
        let mut cases = all("eval_cases");
        if let Some(category) = &category {
            cases = cases.only("t.category = ?", Cell::Text(category));
        }
        let texts: &[&str] = &["title", "summary", "body"];
        let parts = [
            Part {
                title: "Eval cases",
                fact: "Eval cases",
                records: cases,
                tag: "category",
                texts: &["category", "title", "summary", "body", "expected_json"],
            },
            Part { title: "Exemplars", fact: "Exemplars", records: all("learned"), tag: "scope", texts },
            Part {
                title: "Active gotchas",
                fact: "Active gotchas",
                records: all("gotcha").when("t.status = 'active'"),
                tag: "scope",
                texts,
            },
        ];
        let mut document = Document::new(format!("Lab case set: {contract}"));
        document.facts.extend(category.map(|category| ("Category", category.into())));
        let mut counts = [0; 3];
        for (part, count) in parts.iter().zip(&mut counts) {
            let (section, listed) = gather(&mut tx, part, &contract).await?;
            *count = listed;
            document.head.push((part.fact, listed.to_string()));
            document.sections.push(section);
        }
        let extension = format.extension();
        let slug = super::slug(&contract);
        let name =
            file::fixed_name(context, &plane, &mut tx, "lab-caseset", slug, &contract, extension).await?;
        drop(tx);
        let contents = blocking(move || document.render(format)).await?;
        let file = file::write(context, &plane, Name::Fixed(name, alone), extension, contents).await?;
        Ok(Report { contract, counts, file, test: params.test })
    }

    fn file(report: &Report) -> Option<Arc<Written>> {
        Some(report.file.clone())
    }

    fn apply(tx: &mut WriteTx<'_>, report: &Report) -> Result<CasesAssembled, Denial> {
        let [eval_cases, exemplars, active_gotchas] = report.counts;
        let summary = format!("Lab case set of {} records.", eval_cases + exemplars + active_gotchas);
        let report_id = report.file.record(tx, "lab-caseset", &report.contract, &summary, report.test)?;
        Ok(CasesAssembled {
            status: Status::Ok,
            contract: report.contract.clone(),
            eval_cases,
            exemplars,
            active_gotchas,
            path: report.file.path.clone(),
            sha256: report.file.sha256.clone(),
            report_id,
        })
    }
}

/// The records of a kind, those that name the contract first, then the newest.
async fn gather(tx: &mut ReadTx, part: &Part, contract: &str) -> Result<(Section, usize), Denial> {
    // People write the same name with spaces, hyphens or underscores. `_` stands for any one character here.
    let loose = like_pattern(contract.trim()).replace("\\_", "_").replace([' ', '-'], "_");
    let naming: Vec<String> = part.texts.iter().map(|column| format!("coalesce(t.{column}, '')")).collect();
    let named = format!("({}) LIKE ? ESCAPE '\\'", naming.join(" || ' ' || "));
    let columns = format!("t.id, t.created_at, t.title, t.{} AS tag, t.summary", part.tag);
    let pattern = Cell::Text(&loose);
    let about = part.records.clone().only(&named, pattern).rows(tx, &columns, LIMIT).await?;
    let left = LIMIT - i64::try_from(about.len()).unwrap_or(LIMIT);
    let others = part.records.clone().only(&format!("NOT {named}"), pattern);
    let others = others.rows(tx, &columns, left).await?;
    let listed = about.len() + others.len();
    let mut section = Section::new(part.title);
    if listed == 0 {
        section = section.with(Block::Note("None.".into()));
    }
    let entries = |rows: &[Row]| Block::Records(rows.iter().map(|row| entry(row, part.tag)).collect());
    if !about.is_empty() && !others.is_empty() {
        section = section.with(Block::Note("These name the contract:".into()));
    }
    section = section.with(entries(&about));
    if !about.is_empty() && !others.is_empty() {
        section = section.with(Block::Note("Others, the newest first:".into()));
    }
    Ok((section.with(entries(&others)), listed))
}

fn entry(row: &Row, tag: &'static str) -> Entry {
    Entry {
        id: row.text("id").to_owned(),
        created_at: row.text("created_at").to_owned(),
        tags: Tags::Named(vec![(tag, row.text("tag").to_owned())]),
        summary: row.text("summary").to_owned(),
        detail: Inline::new().strong(row.text("title")),
        ..Entry::default()
    }
}
