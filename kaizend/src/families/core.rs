//! Core (K): finding operations, and looking after the data plane as a whole.

mod find;
mod inspect;
mod journal;
mod purge;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{
    BackUp, BackedUp, CheckPlane, ConfigShow, Doctor, Examined, ExportPlane, Exported, FoundOperations,
    ImportPlane, Imported, JournalRead, ManifestWritten, Nothing, OperationFind, OperationWanted,
    PlaneBackup, PlaneCheck, PlaneChecked, PlaneExport, PlaneImport, PlaneRestore, RecordErase, RecordErased,
    RecordFind, RecordInspect, RestoreBackup, Restored, SchemaReport, SchemaState, SchemaStatus,
    SettingShown, Settings, TestPurge, WhatToErase, WhatToExamine, WriteManifest,
};
use kaizen_proto::hello::RootSource;
use kaizen_proto::operation::Status;

use crate::care::config::Span;
use crate::care::{backup, doctor, erase, export, import, integrity, manifest, restore};
use crate::lifecycle;
use crate::plane::schema;
use crate::registry::{Context, PlainOperation, Registry};

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .plain::<OperationFind>()
        .plain::<PlaneCheck>()
        .plain::<SchemaStatus>()
        .plain::<PlaneBackup>()
        .plain::<WriteManifest>()
        .read::<RecordInspect>()
        .read::<RecordFind>()
        .read::<JournalRead>()
        .plain::<RecordErase>()
        .write::<TestPurge>()
        .plain::<Doctor>()
        .plain::<PlaneRestore>()
        .plain::<PlaneExport>()
        .plain::<PlaneImport>()
        .plain::<ConfigShow>();
}

impl PlainOperation for OperationFind {
    async fn run(_context: &Context, params: OperationWanted) -> Result<FoundOperations, Denial> {
        Ok(kaizen_proto::find::operations(&params))
    }
}

/// The state of the schema: through the plane when it is open, else as the file has it, without opening the plane.
async fn look(context: &Context) -> Result<SchemaState, Denial> {
    let binding = &context.binding;
    binding.root()?;
    match context.daemon.projects.plane_or(binding, || schema::look(&binding.db_path)).await {
        Ok(plane) => plane.schema_state().await,
        Err(state) => state,
    }
}

impl PlainOperation for SchemaStatus {
    async fn run(context: &Context, _params: Nothing) -> Result<SchemaReport, Denial> {
        Ok(SchemaReport { status: Status::Ok, schema: look(context).await? })
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
        if !params.integrity {
            // With --integrity it is a finding.
            plane.chore(integrity::create_missing).await?;
        }
        checked.schema = Some(plane.chore(integrity::repair_version).await?);
        checked.message = Some("The data plane is open.".into());
        if params.integrity {
            checked.integrity = Some(integrity::check(&plane).await?);
        }
        Ok(checked)
    }
}

async fn restamp(context: &Context, checked: &mut PlaneChecked) -> Result<(), Denial> {
    let state = look(context).await?;
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
    async fn run(context: &Context, params: BackUp) -> Result<BackedUp, Denial> {
        let keep = match params.keep {
            None => None,
            Some(keep) => Some(usize::try_from(keep).ok().filter(|keep| *keep > 0).ok_or_else(|| {
                Denial::usage("--keep takes a number from 1 on; the new backup is one of them")
            })?),
        };
        let root = context.binding.root()?;
        if params.list {
            if keep.is_some() {
                return Err(Denial::usage("--list makes no backup, so it takes no --keep"));
            }
            return manifest::list_backups(context.binding.db_path.clone(), root.clone()).await;
        }
        let plane = context.plane().await?;
        // The gate of every read.
        drop(plane.read().await?);
        manifest::back_up(&plane, root, backup::Kind::Manual, keep).await
    }
}

impl PlainOperation for WriteManifest {
    async fn run(context: &Context, _params: Nothing) -> Result<ManifestWritten, Denial> {
        let plane = context.plane().await?;
        manifest::write(&plane, context.binding.root()?).await
    }
}

impl PlainOperation for RecordErase {
    async fn run(context: &Context, params: WhatToErase) -> Result<RecordErased, Denial> {
        let request = erase::request(params)?;
        let caller = context.binding.caller(false, &mut Vec::new())?;
        let plane = context.plane().await?;
        erase::run(&plane, context.binding.root()?, caller, request).await
    }
}

impl PlainOperation for PlaneRestore {
    async fn run(context: &Context, params: RestoreBackup) -> Result<Restored, Denial> {
        restore::restore(context, params).await
    }
}

impl PlainOperation for PlaneExport {
    async fn run(context: &Context, params: ExportPlane) -> Result<Exported, Denial> {
        export::export(context, params).await
    }
}

impl PlainOperation for PlaneImport {
    async fn run(context: &Context, params: ImportPlane) -> Result<Imported, Denial> {
        import::import(context, params).await
    }
}

impl PlainOperation for Doctor {
    async fn run(context: &Context, params: WhatToExamine) -> Result<Examined, Denial> {
        doctor::examine(context, params).await
    }
}

impl PlainOperation for ConfigShow {
    async fn run(context: &Context, _params: Nothing) -> Result<Settings, Denial> {
        let (binding, root) = (&context.binding, context.binding.root()?);
        let path = root.join("kaizen.toml");
        let by_environment = lifecycle::idle_exit_of_environment();
        let idle = by_environment.unwrap_or(lifecycle::DAEMON_IDLE);
        let idle = Span(std::time::Duration::from_secs(idle));
        let shown = |name: &str, value: String, source: &str| SettingShown {
            name: name.to_owned(),
            value,
            source: source.to_owned(),
        };
        let found = match binding.root_source {
            RootSource::Named => "--project or KAIZEN_REPO_ROOT",
            RootSource::Found => "found upwards",
            RootSource::Fallback => "working directory",
        };
        let mut records = vec![shown("project.root", root.display().to_string(), found)];
        for setting in binding.config.settings(root, idle) {
            let source = if setting.is_set { "kaizen.toml" } else { "default" };
            records.push(match by_environment {
                Some(_) if setting.name == "daemon.idle_exit" => {
                    shown(setting.name, idle.to_string(), "KAIZEN_IDLE_EXIT")
                }
                _ => shown(setting.name, setting.value, source),
            });
        }
        let runtime = context.daemon.runtime.path().display().to_string();
        let is_named = std::env::var_os("KAIZEN_RUNTIME_DIR").is_some_and(|value| !value.is_empty());
        records.push(shown(
            "daemon.runtime_dir",
            runtime,
            if is_named { "KAIZEN_RUNTIME_DIR" } else { "default" },
        ));
        let log = ["KAIZEN_LOG", "RUST_LOG"].into_iter().find_map(|name| {
            std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (name, value))
        });
        let (source, log) = log.unwrap_or(("default", "info".to_owned()));
        records.push(shown("daemon.log", log, source));
        for (name, value, source) in [
            ("caller.actor", &binding.caller.actor, "--actor or KAIZEN_ACTOR"),
            ("caller.session", &binding.caller.session, "--session or KAIZEN_SESSION"),
        ] {
            let source = if value.is_some() { source } else { "default" };
            records.push(shown(name, value.clone().unwrap_or_default(), source));
        }
        Ok(Settings {
            status: Status::Ok,
            exists: path.exists(),
            path: path.display().to_string(),
            count: records.len(),
            records,
        })
    }
}
