//! The full check of a data plane.

use kaizen_proto::denial::Denial;
use kaizen_proto::families::core::{Integrity, SchemaState};
use kaizen_proto::time::Timestamp;

use crate::plane::writer::Writer;
use crate::plane::{Plane, fault, migrate, schema};

/// Restores a version row that is missing, and returns the state of the schema.
pub(crate) fn repair_version(writer: &mut Writer) -> Result<SchemaState, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("read the schema", &error);
    let path = writer.shared().db_path.clone();
    let state = schema::state(writer.connection(), &path).map_err(fail)?;
    if state.schema_version.is_some() {
        return Ok(state);
    }
    migrate::stamp(writer.connection(), schema::manifest_hash(), &Timestamp::now().to_string())
        .map_err(fail)?;
    schema::state(writer.connection(), &path).map_err(fail)
}

/// Stores the manifest hash of this release.
pub(crate) fn restamp(writer: &mut Writer) -> Result<(), Denial> {
    migrate::stamp(writer.connection(), schema::manifest_hash(), &Timestamp::now().to_string())
        .map_err(|error| fault::from_rusqlite("store the manifest hash", &error))
}

/// Checks everything.
pub async fn check(_plane: &Plane) -> Result<Integrity, Denial> {
    Err(fault::unexpected("check", &"not written yet"))
}
