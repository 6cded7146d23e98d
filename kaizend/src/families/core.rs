//! Core (K): finding operations, and looking after the data plane as a whole.

mod purge;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{
    BackedUp, CheckPlane, FoundOperations, ManifestWritten, Nothing, OperationFind, OperationWanted,
    PlaneBackup, PlaneCheck, PlaneChecked, SchemaReport, SchemaState, SchemaStatus, TestPurge, WriteManifest,
};
use kaizen_proto::find;
use kaizen_proto::operation::Status;

use crate::care::{integrity, manifest};
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
        .write::<TestPurge>();
}

impl PlainOperation for OperationFind {
    async fn run(_context: &Context, params: OperationWanted) -> Result<FoundOperations, Denial> {
        Ok(find::operations(&params))
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
    async fn run(context: &Context, _params: Nothing) -> Result<BackedUp, Denial> {
        let plane = context.plane().await?;
        // The gate of every read.
        drop(plane.read().await?);
        manifest::back_up(&plane, context.binding.root()?).await
    }
}

impl PlainOperation for WriteManifest {
    async fn run(context: &Context, _params: Nothing) -> Result<ManifestWritten, Denial> {
        let plane = context.plane().await?;
        manifest::write(&plane, context.binding.root()?).await
    }
}
