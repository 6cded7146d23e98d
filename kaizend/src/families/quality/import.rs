//! Q11: taking over eval cases from a file, all of them or none.

use std::collections::{BTreeSet, HashMap};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::quality::{
    EvalCaseImport, EvalCaseLine, EvalCasesToImport, Imported, ImportedCase,
};
use kaizen_proto::operation::{Operation as _, Status};
use kaizen_proto::{limits, record_schema};
use serde_json::Value;

use super::super::{artifact, record};
use super::eval::{self, Case};
use crate::plane::{Cell, WriteTx};
use crate::redaction::gate;
use crate::registry::{Context, WriteOperation};

/// Bytes of the file at most.
const FILE_BYTES: usize = 4 * limits::PAYLOAD_BYTES;
/// Cases of a file at most: they are written at once, and other writers wait meanwhile.
const MAX_CASES: usize = 2000;

/// The cases of a file, ready to be written.
pub struct Import {
    cases: Vec<Case>,
    warnings: Vec<String>,
}

impl WriteOperation for EvalCaseImport {
    type Prepared = Import;

    async fn prepare(context: &Context, params: EvalCasesToImport) -> Result<Import, Denial> {
        let text =
            artifact::read_text(context, params.path.as_ref(), params.allow_external, FILE_BYTES).await?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let count = lines.clone().count();
        if count > MAX_CASES {
            return Err(Denial::new(Code::FileTooLarge)
                .with("path", params.path.unwrap_or_default())
                .with("lines", count)
                .with("limit", MAX_CASES)
                .action("Split the file into several."));
        }
        let mut import = Import { cases: Vec::with_capacity(count), warnings: Vec::new() };
        for (at, line) in lines {
            // People count lines from 1.
            let number = at + 1;
            let (case, warnings) = case(line, params.test).map_err(|denial| denial.with("line", number))?;
            import.cases.push(case);
            import.warnings.extend(warnings.into_iter().map(|warning| format!("line {number}: {warning}")));
        }
        Ok(import)
    }

    fn apply(tx: &mut WriteTx<'_>, import: &Import) -> Result<Imported, Denial> {
        let Import { cases, warnings } = import;
        warnings.iter().for_each(|warning| tx.warn(warning.as_str()));
        let mut known = known(tx, cases)?;
        let mut warned = BTreeSet::new();
        let mut records = Vec::with_capacity(cases.len());
        for case in cases {
            let key = (case.category.clone(), case.title.clone());
            let title = case.title.clone();
            if let Some(id) = known.get(&key) {
                records.push(ImportedCase { id: id.clone(), title, added: false });
                continue;
            }
            // One warning for each word, not for each case.
            if warned.insert((&case.category, &case.status, &case.scope)) {
                eval::warn(tx, case);
            }
            let (id, _) = eval::store(tx, case)?;
            known.insert(key, id.clone());
            records.push(ImportedCase { id, title, added: true });
        }
        let added = records.iter().filter(|record| record.added).count();
        Ok(Imported { status: Status::Ok, added, skipped: records.len() - added, records })
    }
}

/// The case on a line, and what was masked in it. What a file holds passes the same gate as parameters do.
fn case(line: &str, test: bool) -> Result<(Case, Vec<String>), Denial> {
    let mut payload = record::parse_json("line", line)?;
    let warnings = match &mut payload {
        Value::Object(fields) => gate::check(EvalCaseImport::CODE, false, fields)
            .map_err(|denial| denial.action("Take the secret out of the file."))?,
        _ => Vec::new(),
    };
    let line: EvalCaseLine = record_schema::read(payload)?;
    let expected_json = match line.expected {
        None | Some(Value::Null) => None,
        Some(Value::String(expected)) => record::given(Some(expected)),
        Some(other) => Some(other.to_string()),
    };
    let case = Case {
        title: line.title,
        summary: line.summary,
        body: line.body.unwrap_or_default(),
        category: record::given_or(line.category, "behavior"),
        scope: record::given_or(line.scope, "project"),
        status: record::given_or(line.status, "active"),
        fixture_path: None,
        expected_json,
        test,
    };
    case.check_short()?;
    Ok((case, warnings))
}

/// The cases of these categories that are there, by category and title. Test records are apart from the others, as they
/// are purged.
fn known(tx: &WriteTx<'_>, cases: &[Case]) -> Result<HashMap<(String, String), String>, Denial> {
    let mut known = HashMap::new();
    let kinds: BTreeSet<(&str, bool)> =
        cases.iter().map(|case| (case.category.as_str(), case.test)).collect();
    for (category, test) in kinds {
        let sql = "SELECT id, title FROM eval_cases WHERE category = $1 AND is_test = $2 \
                   ORDER BY created_at DESC, id DESC";
        for row in tx.query(sql, &[Cell::Text(category), Cell::from(test)])? {
            known.insert((category.to_owned(), row.text("title").to_owned()), row.text("id").to_owned());
        }
    }
    Ok(known)
}
