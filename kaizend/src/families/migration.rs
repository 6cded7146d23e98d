//! Migration (M): turning Markdown files of lessons into command surfaces, and back. Works on files alone: no data
//! plane is needed, and none is touched.

mod apply;
mod manifest;
mod plan;
mod surface;
#[cfg(all(test, unix))]
mod tests;
mod tree;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::migration::{
    ApplyMigration, MigrationApplied, MigrationApply, MigrationDryRun, MigrationPlanned, MigrationReport,
    MigrationReported, MigrationScan, MigrationVerified, MigrationVerify, RootsWanted, Scanned, Verdict,
};
use kaizen_proto::hello::RootSource;
use kaizen_proto::operation::Status;

use crate::care::blocking;
use crate::daemon::Binding;
use crate::files;
use crate::registry::{Context, PlainOperation, Registry};
use manifest::Work;
use plan::Step;
use tree::{Scope, Warnings};

/// One migration at a time. Projects may share a directory of skills, so a lock for each project is not enough.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .plain::<MigrationScan>()
        .plain::<MigrationDryRun>()
        .plain::<MigrationApply>()
        .plain::<MigrationVerify>()
        .plain::<MigrationReport>();
}

/// Does the work in the scope that the caller named, off the threads that serve calls.
async fn in_scope<T: Send + 'static>(
    context: &Context,
    params: RootsWanted,
    work: impl FnOnce(&Binding, &Scope) -> Result<T, Denial> + Send + 'static,
) -> Result<T, Denial> {
    let binding = context.binding.clone();
    blocking(move || work(&binding, &Scope::of(&binding, &params.root)?)).await
}

/// What is written needs a project to belong to; a directory for want of a project is none.
fn require_project(binding: &Binding) -> Result<(), Denial> {
    if binding.root_source == RootSource::Fallback && !binding.db_path.exists() {
        return Err(Denial::new(Code::ProjectRequired)
            .with("directory", binding.root()?.display().to_string())
            .message("there is no project here or in any directory above"));
    }
    Ok(())
}

impl PlainOperation for MigrationScan {
    async fn run(context: &Context, params: RootsWanted) -> Result<Scanned, Denial> {
        in_scope(context, params, |_, scope| {
            let mut warnings = Warnings::default();
            let roots = plan::scan(scope, &mut warnings)?;
            Ok(Scanned { status: Status::Ok, roots, warnings: warnings.into_list() })
        })
        .await
    }
}

impl PlainOperation for MigrationDryRun {
    async fn run(context: &Context, params: RootsWanted) -> Result<MigrationPlanned, Denial> {
        in_scope(context, params, |_, scope| {
            let mut warnings = Warnings::default();
            let steps = plan::make(scope, &mut warnings)?;
            Ok(MigrationPlanned {
                status: Status::Ok,
                dry_run: true,
                count: steps.len(),
                actions: steps.iter().map(Step::shown).collect(),
                warnings: warnings.into_list(),
            })
        })
        .await
    }
}

impl PlainOperation for MigrationApply {
    async fn run(context: &Context, params: ApplyMigration) -> Result<MigrationApplied, Denial> {
        require_project(&context.binding)?;
        let ApplyMigration { root, undo } = params;
        if undo.is_some() && !root.is_empty() {
            return Err(Denial::usage("--undo takes no --root: the manifest names the files"));
        }
        let turn = TURN.lock().await;
        in_scope(context, RootsWanted { root }, move |binding, scope| {
            // Held until the work is done, even when the caller has gone meanwhile.
            let _turn = turn;
            let work = Work::of(binding.root()?, &scope.allowed)?;
            match undo {
                Some(named) => apply::undo(&work, &scope.allowed, &named),
                None => apply::apply(&work, scope),
            }
        })
        .await
    }
}

impl PlainOperation for MigrationVerify {
    async fn run(context: &Context, params: RootsWanted) -> Result<MigrationVerified, Denial> {
        in_scope(context, params, |_, scope| {
            let mut warnings = Warnings::default();
            let unmigrated = plan::unmigrated(scope, &mut warnings)?;
            Ok(MigrationVerified {
                status: if unmigrated.is_empty() { Verdict::Ok } else { Verdict::Failed },
                count: unmigrated.len(),
                unmigrated,
                warnings: warnings.into_list(),
            })
        })
        .await
    }
}

impl PlainOperation for MigrationReport {
    async fn run(context: &Context, params: RootsWanted) -> Result<MigrationReported, Denial> {
        require_project(&context.binding)?;
        in_scope(context, params, |binding, scope| {
            let mut warnings = Warnings::default();
            let steps = plan::make(scope, &mut warnings)?;
            let work = Work::of(binding.root()?, &scope.allowed)?;
            let path = work.report()?;
            files::write(&path, report(&steps).as_bytes())?;
            Ok(MigrationReported {
                status: Status::Ok,
                path: work.shown(&path),
                count: steps.len(),
                warnings: warnings.into_list(),
            })
        })
        .await
    }
}

/// A plan as Markdown.
fn report(steps: &[Step]) -> String {
    let mut text = format!("# Kaizen Migration Report\n\nActions: {}\n\n", steps.len());
    for step in steps {
        let step = step.shown();
        // A name with a line feed must not become a line of its own.
        let path: String =
            step.path.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
        text.push_str(&format!("- {}: `{path}`\n", step.action.name()));
    }
    text
}
