//! Parameters and replies of O1 and O3.

use crate::operation::Status;

crate::params! {
    /// For which contract to gather cases.
    CasesToAssemble {
        /// The contract that is to be improved: a skill, a prompt, a rule.
        contract: Option<String>,
        /// Only eval cases of this category.
        category: Option<String>,
        /// Form of the file: md (default) or json.
        format: Option<String>,
        /// Gather test records too.
        include_test: bool,
        /// Mark the report itself as a test record.
        test: bool,
    }

    /// For which contract to compare the proposals.
    ProposalsToReport {
        /// The contract that is to be improved: a skill, a prompt, a rule.
        contract: Option<String>,
        /// Form of the file: md (default) or json.
        format: Option<String>,
        /// Report on test records too.
        include_test: bool,
        /// Mark the report itself as a test record.
        test: bool,
    }
}

crate::outputs! {
    /// The cases for a contract were gathered.
    CasesAssembled {
        /// OK.
        status: Status,
        /// The contract.
        contract: String,
        /// How many eval cases it lists.
        eval_cases: usize,
        /// How many learned lessons it lists.
        exemplars: usize,
        /// How many active gotchas it lists.
        active_gotchas: usize,
        /// The file, under the project's root.
        path: String,
        /// SHA-256 of the file.
        sha256: String,
        /// Id of the report.
        report_id: String,
    }

    /// The proposal that stands first.
    TopProposal {
        /// Id.
        id: String,
        /// Title.
        title: String,
        /// The score with it.
        candidate_score: Option<f64>,
        /// The score without it.
        baseline_score: Option<f64>,
        /// What is measured.
        metric: Option<String>,
    }

    /// The proposals for a contract were compared.
    ProposalsReported {
        /// OK.
        status: Status,
        /// The contract.
        contract: String,
        /// How many proposals there are.
        proposals: usize,
        /// The one that stands first; null when there is none.
        top_proposal: Option<TopProposal>,
        /// How a proposal becomes what is done.
        promotion_path: String,
        /// The file, under the project's root.
        path: String,
        /// SHA-256 of the file.
        sha256: String,
        /// Id of the report.
        report_id: String,
    }
}
