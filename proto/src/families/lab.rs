//! Lab (O): proposals to improve a contract, and how they measure up.

pub mod report;

use self::report::{CasesAssembled, CasesToAssemble, ProposalsReported, ProposalsToReport};
use crate::operation::NO_TWINS;

crate::operations! {
    /// Gather eval cases, lessons and pitfalls for improving a contract
    O1 "lab-assemble" "lab.assemble" Write LabAssemble(CasesToAssemble) -> CasesAssembled,
        twins: NO_TWINS, keywords: "case set examples exemplars improvement document markdown file",
        example: "kaizenctl O1 --contract review-loop --json";
    /// Write a report on the proposals for a contract, the best first
    O3 "lab-report" "lab.report" Write LabReport(ProposalsToReport) -> ProposalsReported,
        twins: NO_TWINS, keywords: "improvement proposal ranking score delta document markdown file",
        example: "kaizenctl O3 --contract review-loop --json";
}
