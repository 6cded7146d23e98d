//! Quality (Q): proofs and verifications, evals, anti-patterns, and checks of texts and payloads.

use serde_json::{Map, Value};

use super::record::{Inspected, QueryRecords, RecordMatches, Stored};
use crate::operation::{NO_TWINS, Status, Twin, TwinRule};
use crate::record_schema::vocabulary::Conclusion;

/// The conclusions that a verification may have.
pub const CONCLUSIONS: &[&str] = Conclusion::WORDS;
/// The conclusions that block until a later acceptable one covers the same task or proof.
pub const BLOCKING: &[&str] =
    &["VERIFICATION_FAILED", "NEEDS_HUMAN_DECISION", "STRUCTURAL_REWORK_RECOMMENDED"];
/// The conclusions that clear blocking ones.
pub const ACCEPTABLE: &[&str] = &["VERIFIED_ACCEPTABLE", "ACCEPTABLE_WITH_CONCERNS"];

crate::params! {
    /// A proof or a verification.
    NewVerification {
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// One of VERIFIED_ACCEPTABLE, ACCEPTABLE_WITH_CONCERNS, NEEDS_HUMAN_DECISION, STRUCTURAL_REWORK_RECOMMENDED,
        /// VERIFICATION_FAILED, PROOF_RECORDED.
        conclusion: Option<String>,
        /// The task that was verified.
        task_id: Option<String>,
        /// The proof that was verified.
        proof_id: Option<String>,
        /// JSON list of where the evidence is.
        evidence: Option<String>,
        /// JSON list of findings.
        findings: Option<String>,
        /// JSON list of remedies.
        remedies: Option<String>,
        /// JSON list of artifact ids.
        artifact_ids: Option<String>,
        /// How grave the findings are.
        severity: Option<String>,
        /// What the verification covers.
        scope_label: Option<String>,
        /// What can be done about the findings.
        actionability: Option<String>,
        /// Mark the verification as a test record.
        test: bool,
    }

    /// Which verifications to find. Filters are exact and all must match.
    VerificationsWanted {
        /// Only those of this task.
        task_id: Option<String>,
        /// Only those with this conclusion.
        conclusion: Option<String>,
        /// Only those of this severity.
        severity: Option<String>,
        /// Text to find in summary or body, as a substring.
        query: Option<String>,
        /// At most this many records; 20 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the record with this id, the last of the page before.
        after: Option<String>,
        /// Only those made at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only those made before this time; a day counts whole.
        until: Option<String>,
    }
}

crate::params! {
    /// A case that an agent's behaviour is tried with.
    NewEvalCase {
        /// Title in one line.
        title: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words: the prompt, or how to try it.
        body: Option<String>,
        /// behavior (default), should_trigger, should_not_trigger, routing, grounding, proof, security, freshness or
        /// learning_regression.
        category: Option<String>,
        /// project (default), global, skill or session.
        scope: Option<String>,
        /// Status; active by default.
        status: Option<String>,
        /// Path of a fixture, stored as it is given.
        path: Option<String>,
        /// What a good outcome looks like, stored as it is given.
        expected_json: Option<String>,
        /// Mark the case as a test record.
        test: bool,
    }

    /// One run of an eval case.
    NewEvalRun {
        /// The case that was run: its id, or an unambiguous start of it.
        eval_case_id: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// Status: recorded (default), passed, failed, skipped …
        status: Option<String>,
        /// JSON list of artifact ids.
        artifact_ids: Option<String>,
        /// Mark the run as a test record.
        test: bool,
    }

    /// Something that makes the project worse, and how to tell and mend it.
    NewAntiPattern {
        /// Title in one line.
        title: Option<String>,
        /// What it looks like.
        symptom: Option<String>,
        /// How it makes the project harder to maintain.
        maintainability_harm: Option<String>,
        /// What shows that it is there.
        trigger_evidence: Option<String>,
        /// What to do instead.
        preferred_correction: Option<String>,
        /// When it is right after all.
        valid_exceptions: Option<String>,
        /// How to tell that it is gone.
        verification: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// project (default), global, skill or session.
        scope: Option<String>,
        /// Status; active by default.
        status: Option<String>,
        /// Mark the anti-pattern as a test record.
        test: bool,
    }

    /// Which record to show whole.
    QualityRecord {
        /// verifier, eval-run, eval-case or anti-pattern; anything else is an artifact.
        kind: Option<String>,
        /// Id of the record, or an unambiguous start of it.
        id: Option<String>,
    }

    /// A payload to check.
    OutputToValidate {
        /// Record type; without it the record types are listed.
        kind: Option<String>,
        /// The payload, a JSON object.
        payload_json: Option<String>,
        /// Show the record type's JSON Schema instead.
        schema: bool,
    }

    /// A text to check for words that say nothing.
    TextToLint {
        /// The text.
        body: Option<String>,
        /// File that holds the text, relative to the project's root.
        path: Option<String>,
        /// Allow a file outside the project's root.
        allow_external: bool,
        /// Find phrases across several spaces and lines too, and do not end sentences at abbreviations.
        strict: bool,
    }

    /// Eval cases to take over from a file.
    EvalCasesToImport {
        /// File with a JSON object on each line: title, summary, and if need be body, category, scope, status, expected.
        path: Option<String>,
        /// Allow a file outside the project's root.
        allow_external: bool,
        /// Mark the cases as test records.
        test: bool,
    }
}

crate::record_types! {
    /// An eval case in a file.
    "eval_case" EvalCaseLine {
        /// Title in one line.
        title: String,
        /// Summary in one or two sentences.
        summary: String => summary(),
        /// Body.
        body: Option<String> => words(1000),
        /// Category.
        category: Option<String>,
        /// Scope.
        scope: Option<String>,
        /// Status.
        status: Option<String>,
        /// What a good outcome looks like: a text, or any JSON value.
        expected: Option<Value>,
    }
}

crate::outputs! {
    /// What Q8 found.
    Validated {
        /// OK.
        status: Status,
        /// The record types that exist, when none was named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schemas: Option<Vec<String>>,
        /// The record type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record_type: Option<String>,
        /// True: a payload that does not fit is denied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid: Option<bool>,
        /// The record type as a JSON Schema, when it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        json_schema: Option<Map<String, Value>>,
        /// Whether a JSON Schema library checks as well; false, because the rules are checked here.
        jsonschema_accelerator: bool,
    }

    /// A phrase that says nothing.
    FillerHit {
        /// wordy, hedge_phrase or colloquial.
        label: String,
        /// The phrase as it is written.
        text: String,
        /// Its first character and the one after its last, counted from 0.
        span: [usize; 2],
        /// What to write instead.
        suggestion: String,
    }

    /// A word that takes back what is said.
    HedgeHit {
        /// The word in lowercase.
        word: String,
        /// Its first character and the one after its last, counted from 0.
        span: [usize; 2],
    }

    /// Two sentences that say the same.
    DuplicateSentences {
        /// The first, counted from 0.
        a_index: usize,
        /// The second.
        b_index: usize,
        /// How much they share, from 0 to 1.
        jaccard: f64,
    }

    /// Hits that are counted and not listed.
    LintOmitted {
        /// Phrases.
        filler_hits: usize,
        /// Words.
        hedge_hits: usize,
        /// Pairs of sentences, as far as they were compared.
        duplicate_sentences: usize,
        /// Whether pairs of sentences were left uncompared because there are too many.
        uncompared: bool,
    }

    /// How plainly a text is written.
    Lint {
        /// OK.
        status: Status,
        /// contract-lint.
        op: String,
        /// pass or fail.
        verdict: String,
        /// Words.
        word_count: usize,
        /// Sentences.
        sentence_count: usize,
        /// Share of the words that say something.
        signal_per_token: f64,
        /// Share of the words that hedge.
        hedge_density: f64,
        /// Phrases that say nothing.
        filler_hits: Vec<FillerHit>,
        /// Words that hedge.
        hedge_hits: Vec<HedgeHit>,
        /// Sentences that say the same.
        duplicate_sentences: Vec<DuplicateSentences>,
        /// Why the verdict is fail.
        reasons: Vec<String>,
        /// How to read this.
        note: String,
        /// What the lists leave out, when they are cut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        omitted: Option<LintOmitted>,
    }

    /// An eval case of an import.
    ImportedCase {
        /// Id of the case, whether it was there before or not.
        id: String,
        /// Title.
        title: String,
        /// Whether it was added.
        added: bool,
    }

    /// What an import did.
    Imported {
        /// OK.
        status: Status,
        /// Cases that were added.
        added: usize,
        /// Cases that were there already.
        skipped: usize,
        /// The cases of the file, in its order.
        records: Vec<ImportedCase>,
    }

    /// A verification in a list.
    VerificationBrief {
        /// Id.
        id: String,
        /// When it was made.
        created_at: String,
        /// The task that was verified.
        task_id: Option<String>,
        /// The proof that was verified.
        proof_id: Option<String>,
        /// The conclusion.
        conclusion: String,
        /// How grave the findings are.
        severity: Option<String>,
        /// What it covers.
        scope_label: Option<String>,
        /// What can be done about the findings.
        actionability: Option<String>,
        /// Summary.
        summary: String,
    }

    /// Verifications, newest first.
    Verifications {
        /// OK.
        status: Status,
        /// The verifications.
        records: Vec<VerificationBrief>,
        /// How many this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
}

const VERIFICATION_TWINS: &[Twin] = &[
    Twin { field: "summary", rule: TwinRule::Inline },
    Twin { field: "body", rule: TwinRule::Inline },
    Twin { field: "evidence", rule: TwinRule::NonEmptyInline },
    Twin { field: "findings", rule: TwinRule::NonEmptyInline },
    Twin { field: "remedies", rule: TwinRule::NonEmptyInline },
    Twin { field: "artifact_ids", rule: TwinRule::NonEmptyInline },
];

const EVAL_CASE_TWINS: &[Twin] = &[
    Twin { field: "summary", rule: TwinRule::Inline },
    Twin { field: "body", rule: TwinRule::Inline },
    Twin { field: "expected_json", rule: TwinRule::Inline },
];
const EVAL_RUN_TWINS: &[Twin] = &[
    Twin { field: "summary", rule: TwinRule::Inline },
    Twin { field: "body", rule: TwinRule::Inline },
    Twin { field: "artifact_ids", rule: TwinRule::NonEmptyInline },
];
const SUMMARY_TWIN: &[Twin] = &[Twin { field: "summary", rule: TwinRule::Inline }];
const PAYLOAD_TWIN: &[Twin] = &[Twin { field: "payload_json", rule: TwinRule::FileOrNothing }];
const LINT_TWINS: &[Twin] = &[Twin { field: "body", rule: TwinRule::NonEmptyText }];

crate::operations! {
    /// Record a proof
    Q1 "proof-add" "proof.add" Write ProofAdd(NewVerification) -> Stored,
        twins: VERIFICATION_TWINS, keywords: "evidence test output log results prove works passed",
        example: "kaizenctl Q1 --task-id TASK_ID --summary \"All 40 tests pass.\" --evidence '[\"target/test.log\"]' --json";
    /// Record a verification and its conclusion
    Q2 "verification-add" "verification.add" Write VerificationAdd(NewVerification) -> Stored,
        twins: VERIFICATION_TWINS, keywords: "verify review check accept reject conclusion go no-go",
        example: "kaizenctl Q2 --task-id TASK_ID --conclusion VERIFIED_ACCEPTABLE --summary \"The fix holds under load.\" --evidence '[\"target/test.log\"]' --json";
    /// Add an eval case
    Q3 "eval-case-add" "eval_case.add" Write EvalCaseAdd(NewEvalCase) -> Stored,
        twins: EVAL_CASE_TWINS, keywords: "evaluation test scenario prompt behavior trigger regression",
        example: "kaizenctl Q3 --title \"Asks before deleting\" --summary \"The agent asks before it deletes a branch.\" --category behavior --json";
    /// Record a run of an eval case
    Q4 "eval-run-add" "eval_run.add" Write EvalRunAdd(NewEvalRun) -> Stored,
        twins: EVAL_RUN_TWINS, keywords: "evaluation result outcome pass fail",
        example: "kaizenctl Q4 --eval-case-id CASE_ID --status passed --summary \"It asked first.\" --json";
    /// Record an anti-pattern with its correction
    Q5 "anti-pattern-add" "anti_pattern.add" Write AntiPatternAdd(NewAntiPattern) -> Stored,
        twins: SUMMARY_TWIN, keywords: "smell avoid harm symptom correction antipattern",
        example: "kaizenctl Q5 --title \"Swallowed errors\" --symptom \"Empty catch blocks.\" --maintainability-harm \"Faults go unseen.\" --trigger-evidence \"grep finds let _ = on results.\" --preferred-correction \"Return the error.\" --valid-exceptions \"Best-effort clean-up.\" --verification \"The grep finds nothing.\" --summary \"Errors are dropped silently.\" --json";
    /// Find anti-patterns by text
    Q6 "anti-pattern-query" "anti_pattern.query" Read AntiPatternQuery(QueryRecords) -> RecordMatches,
        twins: NO_TWINS, keywords: "smell avoid search symptom antipattern",
        example: "kaizenctl Q6 --query \"errors\" --json";
    /// Show one verification, eval or anti-pattern whole
    Q7 "quality-inspect" "quality.inspect" Read QualityInspect(QualityRecord) -> Inspected<Map<String, Value>>,
        twins: NO_TWINS, keywords: "read detail proof verification eval case run antipattern artifact body",
        example: "kaizenctl Q7 --kind verifier --id VERIFICATION_ID --json";
    /// Check a payload against the schema of its record type
    Q8 "output-validate" "output.validate" Plain OutputValidate(OutputToValidate) -> Validated,
        twins: PAYLOAD_TWIN, keywords: "schema json fields types valid list record",
        example: "kaizenctl Q8 --kind trace_event --payload-json '{\"kind\": \"judge\", \"summary\": \"Judged.\"}' --json";
    /// Find proofs and verifications
    Q9 "verify-query" "verification.query" Read VerificationQuery(VerificationsWanted) -> Verifications,
        twins: NO_TWINS, keywords: "proof evidence search filter blocking conclusion blocked why",
        example: "kaizenctl Q9 --task-id TASK_ID --json";
    /// Check a text for filler, hedging and repetition
    Q10 "contract-lint" "contract.lint" Plain ContractLint(TextToLint) -> Lint,
        twins: LINT_TWINS, keywords: "plain language wordy hedge duplicate style text instructions",
        example: "kaizenctl Q10 --path AGENTS.md --json";
    /// Take over eval cases from a file
    Q11 "eval-case-import" "eval_case.import" Write EvalCaseImport(EvalCasesToImport) -> Imported,
        twins: NO_TWINS, keywords: "evaluation seed load jsonl bulk",
        example: "kaizenctl Q11 --path evals/seed-cases.jsonl --json";
}
