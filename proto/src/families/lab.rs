//! Lab (O): proposals to improve a contract, and how they measure up.

pub mod report;

use self::report::{CasesAssembled, CasesToAssemble, ProposalsReported, ProposalsToReport};
use super::record::Stored;
use crate::operation::{NO_TWINS, Twin, TwinRule};

crate::params! {
    /// A proposal to improve a contract.
    NewProposal {
        /// The contract that is to be improved: a skill, a prompt, a rule.
        contract: Option<String>,
        /// Title in one line, at most 40 words.
        title: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// The proposal, at most 1,000 words.
        body: Option<String>,
        /// What is measured.
        metric: Option<String>,
        /// The score without the proposal.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true, value_parser = no_infinity))]
        baseline_score: Option<f64>,
        /// The score with it.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true, value_parser = no_infinity))]
        candidate_score: Option<f64>,
        /// proposed (default), accepted, rejected …
        status: Option<String>,
        /// Details as a JSON object.
        payload_json: Option<String>,
        /// Mark the proposal as a test record.
        test: bool,
    }
}

/// Reads a score. Infinity has no form in JSON; "nan" stands for no score.
#[cfg(feature = "cli")]
fn no_infinity(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(score) if !score.is_infinite() => Ok(score),
        _ => Err("a finite number is expected".into()),
    }
}

const PROPOSAL_TWINS: &[Twin] = &[
    Twin { field: "summary", rule: TwinRule::Inline },
    Twin { field: "body", rule: TwinRule::Inline },
    Twin { field: "payload_json", rule: TwinRule::FileOrNothing },
];

crate::operations! {
    /// Gather eval cases, lessons and pitfalls for improving a contract
    O1 "lab-assemble" "lab.assemble" Write LabAssemble(CasesToAssemble) -> CasesAssembled,
        twins: NO_TWINS, keywords: "case set examples exemplars improvement document markdown file",
        example: "kaizenctl O1 --contract review-loop --json";
    /// Propose an improvement of a contract
    O2 "lab-propose" "lab.propose" Write LabPropose(NewProposal) -> Stored,
        twins: PROPOSAL_TWINS, keywords: "improvement proposal candidate baseline score metric experiment improve prompt instruction",
        example: "kaizenctl O2 --contract review-loop --title \"Ask once\" --summary \"One question instead of three.\" --metric pass_rate --baseline-score 0.7 --candidate-score 0.8 --json";
    /// Write a report on the proposals for a contract, the best first
    O3 "lab-report" "lab.report" Write LabReport(ProposalsToReport) -> ProposalsReported,
        twins: NO_TWINS, keywords: "improvement proposal ranking score delta document markdown file",
        example: "kaizenctl O3 --contract review-loop --json";
}
