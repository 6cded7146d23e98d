//! Traces (T): what agents, tools and models did, and how it was scored.

mod report;

use kaizen_proto::families::trace::TraceReport;

use crate::registry::Registry;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry.write::<TraceReport>();
}
