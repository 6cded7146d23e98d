//! Lab (O): proposals to improve a contract.

pub(crate) mod propose;

use kaizen_proto::families::lab::LabPropose;

use crate::registry::Registry;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry.write::<LabPropose>();
}
