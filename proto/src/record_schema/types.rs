//! The record types.

use serde_json::{Map, Value};

use super::vocabulary::{
    AuthorityTier, Chunker, Conclusion, ExtractionMethod, GatewayEventType, GenerativeRoute,
    GenerativeStatus, OriginKind, ScoreDataType, ScoreSource, TraceKind, TraceLevel,
};
use super::{Record as _, RecordType};

/// Every record type that a caller can ask for by name.
pub const ALL: &[&RecordType] = &[
    EvalScore::TYPE,
    EvidenceChunk::TYPE,
    EvidenceDocument::TYPE,
    GatewayEvent::TYPE,
    GenerativeRun::TYPE,
    GenerativeRunRoute::TYPE,
    Gotcha::TYPE,
    ImprovementProposal::TYPE,
    PiiScan::TYPE,
    SourceLock::TYPE,
    TraceEvent::TYPE,
    Verification::TYPE,
];

crate::record_types! {
    /// A score of a trace event, an eval run or a verification.
    "eval_score" EvalScore {
        /// The trace event that is scored.
        trace_event_id: Option<String>,
        /// The eval run that is scored.
        eval_run_id: Option<String>,
        /// The verification that is scored.
        verification_id: Option<String>,
        /// What is measured.
        name: String => words(40),
        /// The value, read as data_type says.
        value: Value,
        /// How the value is read.
        data_type: ScoreDataType,
        /// Who gave the score.
        source: ScoreSource,
        /// A remark.
        comment: Option<String> => words(200),
    }

    /// A piece of a document.
    "evidence_chunk" EvidenceChunk asks ["text", "chunk_index", "chunker"] {
        /// The document.
        document_id: Option<String>,
        /// The source lock of the document.
        source_lock_id: Option<String>,
        /// Its place among the document's pieces, from 0.
        chunk_index: i64 => min(0),
        /// The text.
        text: String => words(1000),
        /// Where it starts in the document's text.
        start_index: Option<i64> => min(0),
        /// Where it ends.
        end_index: Option<i64> => min(0),
        /// Tokens.
        token_count: Option<i64> => min(0),
        /// What it is part of.
        context: Option<String> => words(60),
        /// How the document was cut.
        chunker: Chunker,
        /// What cut it.
        backend: Option<String> => words(10),
        /// The piece before.
        neighbor_prev_id: Option<String>,
        /// The piece after.
        neighbor_next_id: Option<String>,
    }

    /// A document that evidence was taken from.
    "evidence_document" EvidenceDocument {
        /// The source lock that it belongs to.
        source_lock_id: Option<String>,
        /// The task that it was read for.
        task_id: Option<String>,
        /// Where it comes from.
        origin_kind: OriginKind,
        /// Its path or address.
        origin_ref: String => reference(),
        /// Its media type.
        media_type: Option<String>,
        /// What read it.
        backend: String => words(10),
        /// The release of what read it.
        backend_version: Option<String>,
        /// How its text was got.
        extraction_method: Option<ExtractionMethod>,
        /// How sure the text is, from 0 to 1.
        extraction_confidence: Option<f64> => min(0) max(1),
        /// Blocks.
        block_count: Option<i64> => min(0),
        /// Pieces.
        chunk_count: Option<i64> => min(0),
        /// Summary in one or two sentences.
        summary: String => summary(),
    }

    /// An event of the agent gateway.
    "gateway_event" GatewayEvent {
        /// What it is about.
        event_type: GatewayEventType,
        /// Status.
        status: String => words(20),
        /// Summary in one or two sentences.
        summary: String => summary(),
        /// Body.
        body: Option<String> => words(1000),
        /// Details.
        payload: Option<Map<String, Value>>,
    }

    /// A run of a generative workflow.
    "generative_run" GenerativeRun {
        /// The task that it belongs to.
        task_id: Option<String>,
        /// What runs it.
        backend: String => words(10),
        /// The template.
        template: String => words(20),
        /// The address of what runs it.
        endpoint: Option<String> => reference(),
        /// Hash of the workflow.
        workflow_hash: String,
        /// The artifact that holds the workflow.
        workflow_artifact_id: Option<String>,
        /// Seed.
        seed: Option<String> => words(20),
        /// Models.
        models: Option<Vec<Value>>,
        /// How far it has come.
        status: GenerativeStatus,
        /// Its id at the backend.
        prompt_id: Option<String>,
        /// The artifacts that it made.
        output_artifact_ids: Option<Vec<Value>>,
        /// Where its files are.
        output_dir: Option<String> => reference(),
        /// Milliseconds that it took.
        latency_ms: Option<i64> => min(0),
        /// Summary in one or two sentences.
        summary: String => summary(),
    }

    /// The way by which a generative run was started.
    "generative_run_route" GenerativeRunRoute {
        /// The run.
        run_id: String,
        /// The way.
        route: GenerativeRoute,
        /// The profile of the runtime.
        runtime_profile: Option<String> => words(40),
        /// The MCP server.
        mcp_candidate: Option<String> => words(10),
        /// Its release.
        mcp_version: Option<String> => words(10),
        /// What ties the two runs of a comparison.
        ab_pair_id: Option<String>,
        /// Details.
        payload: Option<Map<String, Value>>,
    }

    /// A pitfall.
    "gotcha" Gotcha {
        /// Title in one line.
        title: String => words(40),
        /// Summary in one or two sentences.
        summary: String => summary(),
        /// What was seen, and how to see it again.
        body: String => words(1000),
        /// Scope.
        scope: Option<String>,
        /// Status.
        status: Option<String>,
        /// Who writes.
        writer_role: Option<String>,
        /// The task in which it was found.
        task_id: Option<String>,
    }

    /// A proposal to improve a contract.
    "improvement_proposal" ImprovementProposal {
        /// The contract.
        contract: String => words(20),
        /// Title in one line.
        title: String => words(40),
        /// Summary in one or two sentences.
        summary: String => summary(),
        /// The proposal.
        body: Option<String> => words(1000),
        /// What is measured.
        metric: Option<String> => words(20),
        /// The score without it.
        baseline_score: Option<f64>,
        /// The score with it.
        candidate_score: Option<f64>,
    }

    /// A search for personal data.
    "pii_scan" PiiScan {
        /// The task that it was made for.
        task_id: Option<String>,
        /// The trace that it was made for.
        trace_id: Option<String>,
        /// Where the text came from.
        source_ref: Option<String> => words(10),
        /// Hits of the patterns.
        regex_hit_count: i64 => min(0),
        /// Hits of the model.
        model_hit_count: i64 => min(0),
        /// The hits.
        hits: Option<Vec<Value>>,
        /// The model.
        model: Option<String> => words(20),
        /// Who runs the model.
        provider: Option<String> => words(20),
        /// Summary in one or two sentences.
        summary: String => summary(),
    }

    /// A source at a fixed version.
    "source_lock" SourceLock {
        /// A name for the source.
        source_id: String => words(40),
        /// How binding it is.
        authority_tier: AuthorityTier,
        /// Where it is.
        url_or_repository: String => reference(),
        /// Which version.
        version_or_commit: Option<String>,
        /// When it was read.
        retrieved_at: Option<String>,
        /// Hash of its content.
        content_hash: Option<String>,
        /// Licence.
        license: Option<String> => words(10),
        /// The source lock that it replaces.
        supersedes: Option<String>,
        /// Summary in one or two sentences.
        summary: String => summary(),
        /// Body.
        body: Option<String> => words(1000),
    }

    /// Something that an agent, a tool or a model did.
    "trace_event" TraceEvent {
        /// The task that it belongs to.
        task_id: Option<String>,
        /// The trace that it belongs to.
        trace_id: Option<String>,
        /// The event that it is part of.
        parent_event_id: Option<String>,
        /// What it records.
        kind: TraceKind,
        /// A name.
        name: Option<String> => words(40),
        /// How much it matters.
        level: Option<TraceLevel>,
        /// Where it ran.
        environment: Option<String> => words(20),
        /// The session.
        session_id: Option<String>,
        /// Status.
        status: Option<String> => words(20),
        /// What the status means.
        status_message: Option<String> => words(200),
        /// The model.
        model: Option<String> => words(20),
        /// Who runs the model.
        provider: Option<String> => words(20),
        /// Tokens that went in.
        prompt_tokens: Option<i64> => min(0),
        /// Tokens that came out.
        completion_tokens: Option<i64> => min(0),
        /// Tokens in all.
        total_tokens: Option<i64> => min(0),
        /// What it cost.
        cost: Option<f64> => min(0),
        /// Milliseconds that it took.
        latency_ms: Option<i64> => min(0),
        /// Tags.
        tags: Option<Vec<Value>>,
        /// What went in: a hash, an id or a path.
        input_ref: Option<String> => reference(),
        /// What came out: a hash, an id or a path.
        output_ref: Option<String> => reference(),
        /// Summary in one or two sentences.
        summary: String => summary(),
        /// Body.
        body: Option<String> => words(1000),
    }

    /// A proof or a verification.
    "verification" Verification {
        /// The task that was verified.
        task_id: Option<String>,
        /// The proof that was verified.
        proof_id: Option<String>,
        /// What it comes to.
        conclusion: Option<Conclusion>,
        /// Summary in one or two sentences.
        summary: String => summary(),
        /// Body.
        body: Option<String> => words(1000),
        /// Where the evidence is.
        evidence: Option<Vec<Value>>,
        /// Findings.
        findings: Option<Vec<Value>>,
        /// Remedies.
        remedies: Option<Vec<Value>>,
        /// How grave the findings are.
        severity: Option<String> => words(10),
        /// What the verification covers.
        scope_label: Option<String> => words(10),
        /// What can be done about the findings.
        actionability: Option<String> => words(10),
        /// Artifacts.
        artifact_ids: Option<Vec<Value>>,
    }
}
