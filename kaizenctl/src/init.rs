//! `kaizenctl init`: makes the working directory, or the one that `--project` names, a project.

use kaizen_proto::families::core::PlaneCheck;
use kaizen_proto::hello::RootSource;
use kaizen_proto::operation::Operation as _;

use crate::arguments::Globals;
use crate::{Failure, Output, connect, operation};

/// Creates the data plane here.
pub(crate) fn run(globals: &Globals) -> Result<Output, Failure> {
    let mut hello = operation::hello(globals)?;
    if globals.project.is_none() {
        hello.project_root.clone_from(&hello.cwd);
    }
    hello.root_source = RootSource::Named;
    Ok(Output::Reply(connect::call(&hello, PlaneCheck::METHOD, "{}")?))
}
