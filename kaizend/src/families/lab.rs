//! Lab (O): proposals to improve a contract, and how they measure up.

mod assemble;
pub(crate) mod propose;
mod report;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::lab::{LabAssemble, LabPropose, LabReport};

use super::record;
use crate::registry::Registry;
use crate::report::escape;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry.write::<LabAssemble>().write::<LabPropose>().write::<LabReport>();
}

/// The contract that a caller named.
///
/// # Errors
/// `DENIED_CONTRACT_REQUIRED`, or what is wrong with its text.
fn contract(given: Option<String>) -> Result<String, Denial> {
    let contract = record::given(given).ok_or_else(|| Denial::new(Code::ContractRequired))?;
    record::check_short(&[("contract", &contract)])?;
    Ok(contract)
}

/// The part of a file name for a contract. Contracts with the same one are told apart by whose file came first.
fn slug(contract: &str) -> (String, bool) {
    (escape::slug(&contract.trim().to_lowercase(), "contract").0, true)
}
