//! Secrets that got in all the same, as if before there was a rule for them, and nothing of them left afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use kaizen_proto::canonical_json::hex;
use kaizen_proto::denial::Code;
use kaizen_proto::families::artifact::ArtifactAdd;
use kaizen_proto::families::gotcha::{GotchaAdd, GotchaUpdate};
use kaizen_proto::families::learning::{PromoteGotcha, PromoteLearning};
use kaizen_proto::families::quality::ProofAdd;
use kaizen_proto::families::work::{SubagentPacketCreate, TaskStart, TaskUpdate};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::backups::WORKSHOP;
use super::*;
use crate::care::integrity;
use crate::care::integrity::tests::lab::{Lab, filled};
use crate::care::{backup, manifest};
use crate::files;

/// A secret of the class `aws_access_key`.
const KEY: &str = concat!("AKIA", "IOSFODNN7EXAMPLE");

fn copies(directory: &Path, secret: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(copies(&path, secret));
        } else if fs::read(&path).unwrap().windows(secret.len()).any(|bytes| bytes == secret.as_bytes()) {
            found.push(path);
        }
    }
    found
}

fn wanted(id: &str, field: &str, whole: bool) -> Request {
    let reason = Some("It leaked.".to_owned());
    request(WhatToErase { id: Some(id.into()), field: Some(field.into()), whole, reason }).unwrap()
}

async fn erase_in(lab: &Lab, request: Request) -> Result<RecordErased, Denial> {
    super::run(lab.plane(), &lab.root(), lab.caller.clone(), request).await
}

async fn assert_sound(lab: &Lab) {
    let found = integrity::check(lab.plane()).await.unwrap();
    assert!(found.ok && found.total_faults == 0, "{found:#?}");
}

fn id(reply: &Value) -> String {
    reply["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_secret_is_taken_out_of_records_copies_and_backups() {
    let (mut lab, ids) = filled().await;
    let leak = format!("The log has {KEY} in it.");
    let new =
        json!({"title": "Leak", "summary": leak, "body": format!("{leak}\n{leak}"), "task_id": ids.task});
    let gotcha = id(&lab.write::<GotchaAdd>(new.clone()).await);
    manifest::back_up(lab.plane(), &lab.root(), backup::Kind::Manual, None).await.unwrap();
    lab.write::<GotchaUpdate>(json!({"id": gotcha, "summary": "It is gone from here.", "body": "Gone."}))
        .await;
    let other = id(&lab.write::<GotchaAdd>(new).await);
    let learning = id(&lab.write::<PromoteGotcha>(json!({"id": other})).await);
    lab.write::<PromoteLearning>(json!({"id": learning})).await;
    lab.write::<TaskUpdate>(json!({"id": ids.task, "summary": leak, "task_id": ids.task})).await;
    lab.write::<SubagentPacketCreate>(
        json!({"summary": "S.", "payload_json": json!({"k": [leak]}).to_string()}),
    )
    .await;
    lab.write::<ProofAdd>(json!({"summary": "S.", "evidence": json!([{"at": leak}]).to_string()})).await;
    lab.write::<ArtifactAdd>(json!({"path": "file.txt", "body": leak})).await;
    manifest::back_up(lab.plane(), &lab.root(), backup::Kind::Manual, None).await.unwrap();
    let export = lab.root().join("AI/db/exports/report.md");
    files::write(&export, leak.as_bytes()).unwrap();
    assert!(copies(&lab.root(), KEY).len() >= 4);

    // The secret is in an old revision only; the other copies are found by it.
    let ambiguous = erase_in(&lab, wanted("g_", "body", false)).await.unwrap_err();
    assert_eq!(ambiguous.code, Code::IdAmbiguous);
    let erased = erase_in(&lab, wanted(&gotcha, "body", false)).await.unwrap();
    assert_eq!((erased.id.as_str(), erased.table.as_str()), (gotcha.as_str(), "gotcha"));
    assert_eq!(erased.classes, ["aws_access_key"]);
    for table in [
        "gotcha",
        "gotcha_revision",
        "learning",
        "learned",
        "tasks",
        "ledger_events",
        "subagent_packets",
        "verification_events",
        "artifacts",
    ] {
        assert!(erased.rows.contains_key(table), "{table}: {:?}", erased.rows);
    }
    assert_eq!(erased.backups_rewritten.len(), 2, "{erased:?}");
    assert_eq!(erased.files, ["AI/db/exports/report.md"]);
    fs::remove_file(export).unwrap();
    assert_eq!(copies(&lab.root(), KEY), Vec::<PathBuf>::new());
    assert_sound(&lab).await;

    // The journal names the operation, and the ledger says why.
    let reason =
        "SELECT count(*) AS n FROM ledger_events WHERE source_command = 'K12' AND summary = 'It leaked.'";
    let mut tx = lab.plane().read().await.unwrap();
    assert_eq!(tx.query_row(reason, &[]).await.unwrap().unwrap().integer("n"), 1);
    let entry = "SELECT operation, seq FROM journal ORDER BY seq DESC LIMIT 1";
    let entry = tx.query_row(entry, &[]).await.unwrap().unwrap();
    assert_eq!((entry.text("operation"), entry.integer("seq")), (OPERATION, erased.seq));
    drop(tx);

    // Every backup is whole, agrees with its manifest, and passes the full check where it is opened.
    let root = lab.root();
    lab.close().await;
    for backup in &erased.backups_rewritten {
        let directory = root.join(backup);
        let manifest: Value =
            serde_json::from_slice(&fs::read(directory.join("backup-manifest.json")).unwrap()).unwrap();
        let contents = fs::read(directory.join("kaizen.db")).unwrap();
        assert_eq!(manifest["files"][0]["sha256"], hex(&Sha256::digest(&contents)), "{manifest}");
        assert_eq!(manifest["files"][0]["bytes"], contents.len());
        assert_eq!(manifest["rewritten"]["by"], OPERATION);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
        fs::copy(directory.join("kaizen.db"), lab.db_path()).unwrap();
        lab.open();
        assert_eq!(manifest["seq"], lab.plane().seq());
        assert_sound(&lab).await;
        lab.close().await;
    }
}

#[tokio::test]
async fn what_a_crash_left_undone_is_done_by_the_same_call() {
    let lab = Lab::new();
    let task = id(&lab.write::<TaskStart>(json!({"title": "T", "summary": "S.", "body": KEY})).await);
    manifest::back_up(lab.plane(), &lab.root(), backup::Kind::Manual, None).await.unwrap();
    // The write alone, and a workshop of a backup, as a crash leaves them.
    let unwanted = Shared::default();
    write(lab.plane(), lab.caller.clone(), &wanted(&task, "body", false), &unwanted, true).await.unwrap();
    let workshop = lab.root().join("AI/db/backups").join(format!("{WORKSHOP}left"));
    files::write(&workshop.join("kaizen.db"), KEY.as_bytes()).unwrap();
    assert!(copies(&lab.root(), KEY).len() >= 2);
    let erased = erase_in(&lab, wanted(&task, "body", false)).await.unwrap();
    assert_eq!(erased.classes, Vec::<String>::new());
    assert_eq!(erased.backups_rewritten.len(), 1, "{erased:?}");
    assert_eq!(copies(&lab.root(), KEY), Vec::<PathBuf>::new());
    assert_sound(&lab).await;
    // Nothing is written over a third time.
    let again = erase_in(&lab, wanted(&task, "body", false)).await.unwrap();
    assert_eq!((again.backups_rewritten.len(), again.rows.len()), (0, 0), "{again:?}");
}

#[tokio::test]
async fn a_whole_field_and_its_copies_are_erased() {
    let lab = Lab::new();
    let secret = "correct horse battery \"staple\"";
    let payload = json!({"note": secret, "n": 1}).to_string();
    let task = id(&lab.write::<TaskStart>(json!({"title": "T", "summary": "S.", "body": secret})).await);
    lab.write::<TaskUpdate>(json!({"id": task, "status": "done"})).await;
    let packet =
        id(&lab.write::<SubagentPacketCreate>(json!({"summary": "S.", "payload_json": payload})).await);
    let broken = lab.root().join("AI/db/backups/broken/kaizen.db");
    files::write(&broken, format!("no database, but {secret}").as_bytes()).unwrap();

    let refused = erase_in(&lab, wanted(&task, "body", false)).await.unwrap_err();
    assert_eq!(refused.code, Code::NothingToErase);
    let refused = erase_in(&lab, wanted(&task, "content_hash", true)).await.unwrap_err();
    assert_eq!(refused.code, Code::Usage);
    let refused = erase_in(&lab, wanted("t_absent", "body", true)).await.unwrap_err();
    assert_eq!(refused.code, Code::RecordNotFound);

    let erased = erase_in(&lab, wanted(&task, "body", true)).await.unwrap();
    assert_eq!(erased.classes, [WHOLE]);
    assert_eq!(erased.backups_removed, ["AI/db/backups/broken"]);
    let mut tx = lab.plane().read().await.unwrap();
    let body = tx.query_row("SELECT body FROM tasks", &[]).await.unwrap().unwrap();
    assert_eq!(body.text("body"), ERASED);
    let stored = tx.query_row("SELECT payload_json FROM subagent_packets", &[]).await.unwrap().unwrap();
    assert_eq!(stored.text("payload_json"), r#"{"note":"[ERASED]","n":1}"#);
    drop(tx);
    assert_eq!(copies(&lab.root(), "horse battery"), Vec::<PathBuf>::new());
    erase_in(&lab, wanted(&packet, "payload_json", true)).await.unwrap();
    let mut tx = lab.plane().read().await.unwrap();
    let stored = tx.query_row("SELECT payload_json FROM subagent_packets", &[]).await.unwrap().unwrap();
    assert_eq!(stored.text("payload_json"), r#"{"erased":"[ERASED]"}"#);
    drop(tx);
    assert_sound(&lab).await;
}

#[test]
fn a_reason_is_bounded_and_holds_no_secret_itself() {
    let with = |reason: &str| {
        let reason = Some(reason.to_owned());
        request(WhatToErase { id: Some("t_1".into()), field: Some("body".into()), whole: false, reason })
    };
    assert!(with("It leaked.").is_ok());
    assert_eq!(with(&format!("It was {KEY}.")).unwrap_err().code, Code::Secret);
    assert_eq!(with("One. Two. Three.").unwrap_err().code, Code::SummaryTooLong);
    assert_eq!(request(WhatToErase::default()).unwrap_err().code, Code::IdRequired);
}
