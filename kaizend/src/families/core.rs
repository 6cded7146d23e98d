//! Core (K): finding operations, and looking after the data plane as a whole.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families;
use kaizen_proto::families::core::{
    BackedUp, CheckPlane, FoundOperation, FoundOperations, ManifestWritten, Nothing, OperationFind, OperationWanted,
    PlaneBackup, PlaneCheck, PlaneChecked, SchemaReport, SchemaState, SchemaStatus, WriteManifest,
};
use kaizen_proto::operation::{Card, Status};
use rusqlite::{Connection, OpenFlags};

use crate::care::{integrity, manifest};
use crate::daemon::Binding;
use crate::plane::{fault, open, schema};
use crate::registry::{Context, PlainOperation, Registry};

/// Operations in a reply of K0 when the caller does not say how many.
const DEFAULT_FOUND: i64 = 5;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .plain::<OperationFind>()
        .plain::<PlaneCheck>()
        .plain::<SchemaStatus>()
        .plain::<PlaneBackup>()
        .plain::<WriteManifest>();
}

/// Words that say nothing about what is wanted.
const STOP_WORDS: &[&str] = &["a", "an", "the", "of", "to", "for", "in", "on", "and", "or", "with", "is", "it", "my"];

fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A word without the plural's `s`.
fn singular(word: &str) -> &str {
    if word.len() > 3 { word.strip_suffix('s').unwrap_or(word) } else { word }
}

/// How well an operation fits the words of a query: 2 for each word that it has, 1 for each that is part of one.
fn score(card: &Card, query: &[String]) -> u64 {
    let names: Vec<&str> = card.names().collect();
    let haystack = format!("{} {} {}", names.join(" "), card.purpose, card.keywords).to_lowercase();
    let known = words(&haystack);
    query
        .iter()
        .map(|word| {
            if known.iter().any(|other| other == word || singular(other) == word) {
                2
            } else {
                u64::from(haystack.contains(word.as_str()))
            }
        })
        .sum()
}

impl PlainOperation for OperationFind {
    async fn run(_context: &Context, params: OperationWanted) -> Result<FoundOperations, Denial> {
        let mut cards: Vec<&Card> = families::cards().collect();
        cards.sort_by_key(|card| card.order());
        let found = |card: &Card, score: Option<u64>| FoundOperation {
            code: card.code.into(),
            alias: card.alias.into(),
            purpose: card.purpose.into(),
            example: card.example.into(),
            score,
        };
        let Some(query) = params.query.filter(|query| !query.is_empty()) else {
            let records: Vec<_> = cards.into_iter().map(|card| found(card, None)).collect();
            return Ok(FoundOperations {
                status: Status::Ok,
                query: None,
                count: records.len(),
                records,
                required_action: None,
            });
        };
        let all: Vec<String> = words(&query).iter().map(|word| singular(word).to_owned()).collect();
        let telling: Vec<String> = all.iter().filter(|word| !STOP_WORDS.contains(&word.as_str())).cloned().collect();
        let wanted = if telling.is_empty() { all } else { telling };
        let mut scored: Vec<(u64, &Card)> =
            cards.into_iter().map(|card| (score(card, &wanted), card)).filter(|(score, _)| *score > 0).collect();
        scored.sort_by_key(|(score, card)| (std::cmp::Reverse(*score), card.order()));
        let limit = params.limit.filter(|limit| *limit != 0).unwrap_or(DEFAULT_FOUND);
        let kept = match usize::try_from(limit) {
            Ok(limit) => limit,
            // A negative limit leaves that many off the end.
            Err(_) => scored.len().saturating_sub(usize::try_from(limit.unsigned_abs()).unwrap_or(usize::MAX)),
        };
        scored.truncate(kept);
        let records: Vec<_> = scored.into_iter().map(|(score, card)| found(card, Some(score))).collect();
        let required_action = records
            .is_empty()
            .then(|| "Nothing fits; try other words, or K0 without --query for every operation.".to_owned());
        Ok(FoundOperations { status: Status::Ok, query: Some(query), count: records.len(), records, required_action })
    }
}

/// The state of the schema as the file has it, without opening the plane.
fn look(binding: &Binding) -> Result<SchemaState, Denial> {
    let path = &binding.db_path;
    binding.root()?;
    if !path.exists() {
        return Ok(schema::absent(path));
    }
    open::sniff(path)?;
    let fail = |error: rusqlite::Error| fault::from_rusqlite("read the schema", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(fail)?;
    schema::state(&connection, path).map_err(fail)
}

impl PlainOperation for SchemaStatus {
    async fn run(context: &Context, _params: Nothing) -> Result<SchemaReport, Denial> {
        Ok(SchemaReport { status: Status::Ok, schema: look(&context.binding)? })
    }
}

impl PlainOperation for PlaneCheck {
    async fn run(context: &Context, params: CheckPlane) -> Result<PlaneChecked, Denial> {
        let mut checked = PlaneChecked {
            status: Status::Ok,
            message: None,
            schema: None,
            integrity: None,
            restamped: None,
            old_manifest_hash: None,
            manifest_hash: None,
            note: None,
        };
        if params.restamp_manifest {
            restamp(context, &mut checked).await?;
            return Ok(checked);
        }
        let plane = context.plane().await?;
        checked.schema = Some(plane.chore(|writer| integrity::repair_version(writer)).await?);
        checked.message = Some("The data plane is open.".into());
        if params.integrity {
            checked.integrity = Some(integrity::check(&plane).await?);
        }
        Ok(checked)
    }
}

async fn restamp(context: &Context, checked: &mut PlaneChecked) -> Result<(), Denial> {
    let state = look(&context.binding)?;
    let db_path = context.binding.db_path.display().to_string();
    if !state.exists {
        return Err(Denial::new(Code::SchemaStatus)
            .with("db_path", db_path)
            .message("there is no data plane yet")
            .action("Run `kaizenctl K1` to create it.")
            .exit(2));
    }
    if !state.schema_ok {
        return Err(Denial::new(Code::SchemaStatus)
            .with("db_path", db_path)
            .with("reason", state.reason.unwrap_or_default())
            .exit(2));
    }
    checked.manifest_hash = Some(schema::manifest_hash().to_owned());
    if state.manifest_match == Some(true) {
        checked.restamped = Some(false);
        checked.note = Some("The stored manifest hash is the expected one already.".into());
        return Ok(());
    }
    let plane = context.plane().await?;
    plane.chore(integrity::restamp).await?;
    checked.restamped = Some(true);
    checked.old_manifest_hash = state.manifest_hash;
    Ok(())
}

impl PlainOperation for PlaneBackup {
    async fn run(context: &Context, _params: Nothing) -> Result<BackedUp, Denial> {
        let plane = context.plane().await?;
        manifest::back_up(&plane, context.binding.root()?).await
    }
}

impl PlainOperation for WriteManifest {
    async fn run(context: &Context, _params: Nothing) -> Result<ManifestWritten, Denial> {
        let plane = context.plane().await?;
        manifest::write(&plane, context.binding.root()?).await
    }
}
