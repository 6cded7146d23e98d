//! The handlers of each family: rules and SQL. A family knows neither sockets nor drivers.

pub mod artifact;
pub mod core;
pub mod evidence;
pub mod gotcha;
pub mod irl;
pub mod lab;
pub mod learning;
pub mod migration;
pub mod passage;
pub mod policy;
pub mod quality;
pub mod record;
pub mod report;
pub mod source;
pub mod trace;
pub mod work;

use crate::registry::Registry;

/// Registers the handlers of all families.
pub fn register(registry: &mut Registry) {
    core::register(registry);
    work::register(registry);
    gotcha::register(registry);
    learning::register(registry);
    quality::register(registry);
    migration::register(registry);
    report::register(registry);
    source::register(registry);
    irl::register(registry);
    artifact::register(registry);
    evidence::register(registry);
    policy::register(registry);
    trace::register(registry);
    lab::register(registry);
}
