//! O3: the proposals for a contract, the best first.

use std::sync::Arc;

use kaizen_proto::denial::Denial;
use kaizen_proto::families::lab::LabReport;
use kaizen_proto::families::lab::report::{ProposalsReported, ProposalsToReport, TopProposal};
use kaizen_proto::operation::Status;

use super::super::report::selection::Selection;
use crate::care::blocking;
use crate::plane::{Cell, Row, WriteTx};
use crate::registry::{Context, WriteOperation};
use crate::report::file::{self, Name, Written};
use crate::report::{Block, Chart, Document, Entry, Format, Inline, Section, Tags};

/// Proposals in a report at most.
const MAX_PROPOSALS: i64 = 10_000;
/// Proposals with both scores first, then the largest gain, then the newest.
const ORDER: &str = "(t.candidate_score IS NULL OR t.baseline_score IS NULL), \
     coalesce(t.candidate_score, 0) - coalesce(t.baseline_score, 0) DESC, t.created_at DESC, t.id DESC";
/// How a proposal becomes what is done.
const PROMOTION_PATH: &str = "Review the proposal, verify it with Q2, then record the lesson with L1 and, once it is \
     built in, with L3. Nothing is promoted by a score alone.";

/// A report whose file is written and whose row is to come.
pub struct Report {
    contract: String,
    proposals: usize,
    top: Option<TopProposal>,
    file: Arc<Written>,
    test: bool,
}

impl WriteOperation for LabReport {
    type Prepared = Report;

    async fn prepare(context: &Context, params: ProposalsToReport) -> Result<Report, Denial> {
        let contract = super::contract(params.contract)?;
        let format = Format::of(params.format.as_deref())?;
        let alone = file::alone().await;
        let plane = context.plane().await?;
        let mut tx = plane.read().await?;
        let proposals = Selection::of("improvement_proposals", params.include_test)
            .only("t.contract = ?", Cell::Text(&contract));
        let columns =
            "t.id, t.created_at, t.status, t.title, t.summary, t.baseline_score, t.candidate_score, t.metric";
        let rows = proposals.ordered(&mut tx, columns, ORDER, MAX_PROPOSALS).await?;
        let mut document = Document::new(format!("Lab report: {contract}"));
        document.head = vec![("Proposals", rows.len().to_string())];
        let tally = proposals.tally(&mut tx, &["status", "metric"]).await?;
        document.facts.extend(tally.facts(&[("By status", "status"), ("By metric", "metric")]));
        let top = rows.first().map(top);
        if let Some(top) = &top {
            document.facts.push(("First", Inline::new().record(&*top.id, Some(top.title.clone()))));
        }
        document.facts.push(("What next", PROMOTION_PATH.into()));
        let mut gains: Vec<(String, f64)> = rows
            .iter()
            .filter_map(|row| {
                Some((row.text("created_at").get(5..16)?.replace('T', " "), score(row, "candidate_score")?))
            })
            .collect();
        gains.sort_by(|left, right| left.0.cmp(&right.0));
        if gains.len() > 1 {
            let title = "Candidate scores over time".to_owned();
            let chart = Block::Chart(Chart::Line { title, unit: "score", points: gains });
            document.sections.push(Section::new("Trend").with(chart));
        }
        if !rows.is_empty() {
            let entries = rows.iter().map(entry).collect();
            document.sections.push(Section::new("Proposals").with(Block::Records(entries)));
        }
        let extension = format.extension();
        let slug = super::slug(&contract);
        let name =
            file::fixed_name(context, &plane, &mut tx, "lab-report", slug, &contract, extension).await?;
        drop(tx);
        let contents = blocking(move || document.render(format)).await?;
        let file = file::write(context, &plane, Name::Fixed(name, alone), extension, contents).await?;
        Ok(Report { contract, proposals: rows.len(), top, file, test: params.test })
    }

    fn file(report: &Report) -> Option<Arc<Written>> {
        Some(report.file.clone())
    }

    fn apply(tx: &mut WriteTx<'_>, report: &Report) -> Result<ProposalsReported, Denial> {
        let summary = match report.proposals {
            1 => "Lab report of 1 proposal.".to_owned(),
            proposals => format!("Lab report of {proposals} proposals."),
        };
        let report_id = report.file.record(tx, "lab-report", &report.contract, &summary, report.test)?;
        Ok(ProposalsReported {
            status: Status::Ok,
            contract: report.contract.clone(),
            proposals: report.proposals,
            top_proposal: report.top.clone(),
            promotion_path: PROMOTION_PATH.into(),
            path: report.file.path.clone(),
            sha256: report.file.sha256.clone(),
            report_id,
        })
    }
}

fn score(row: &Row, column: &str) -> Option<f64> {
    match row.get(column) {
        Cell::Real(score) => Some(score),
        _ => None,
    }
}

fn top(row: &Row) -> TopProposal {
    TopProposal {
        id: row.text("id").to_owned(),
        title: row.text("title").to_owned(),
        candidate_score: score(row, "candidate_score"),
        baseline_score: score(row, "baseline_score"),
        metric: row.optional_text("metric").map(str::to_owned),
    }
}

/// A difference without the digits that only tell how floats are kept: 0.8 - 0.7 is 0.1.
fn rounded(difference: f64) -> f64 {
    const DIGITS: f64 = 1e9;
    let rounded = (difference * DIGITS).round() / DIGITS;
    if rounded.is_finite() && rounded != 0.0 { rounded } else { difference }
}

fn entry(row: &Row) -> Entry {
    let shown = |score: Option<f64>| score.map_or_else(|| "n/a".into(), |score| format!("{score:?}"));
    let (baseline, candidate) = (score(row, "baseline_score"), score(row, "candidate_score"));
    let delta = match (baseline, candidate) {
        (Some(baseline), Some(candidate)) => format!("{:+?}", rounded(candidate - baseline)),
        _ => "n/a".into(),
    };
    Entry {
        id: row.text("id").to_owned(),
        created_at: row.text("created_at").to_owned(),
        tags: Tags::Named(vec![
            ("status", row.text("status").to_owned()),
            ("metric", row.text("metric").to_owned()),
            ("baseline", shown(baseline)),
            ("candidate", shown(candidate)),
            ("delta", delta),
        ]),
        summary: row.text("summary").to_owned(),
        detail: Inline::new().strong(row.text("title")),
        ..Entry::default()
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn a_difference_is_what_one_would_write_down() {
        assert_eq!(format!("{:+?} {:+?}", rounded(0.8 - 0.7), rounded(0.6 - 0.7)), "+0.1 -0.1");
        assert_eq!(
            format!("{:?} {:?} {:?}", rounded(0.0), rounded(1e-12), rounded(1e300)),
            "0.0 1e-12 1e300"
        );
    }
}
