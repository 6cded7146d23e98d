//! The words that fields of records may have.

crate::vocabulary! {
    /// What a verification comes to.
    Conclusion {
        VerifiedAcceptable "VERIFIED_ACCEPTABLE",
        AcceptableWithConcerns "ACCEPTABLE_WITH_CONCERNS",
        NeedsHumanDecision "NEEDS_HUMAN_DECISION",
        StructuralReworkRecommended "STRUCTURAL_REWORK_RECOMMENDED",
        VerificationFailed "VERIFICATION_FAILED",
        ProofRecorded "PROOF_RECORDED",
    }

    /// What a trace event records.
    TraceKind {
        ModelCall "model_call",
        ToolCall "tool_call",
        EvidenceRead "evidence_read",
        Verifier "verifier",
        Subagent "subagent",
        GenerativeRun "generative_run",
        Judge "judge",
    }

    /// How much a trace event matters.
    TraceLevel { Debug "debug", Default "default", Warning "warning", Error "error" }

    /// How the value of a score is read.
    ScoreDataType { Numeric "numeric", Categorical "categorical", Boolean "boolean" }

    /// Who gave a score.
    ScoreSource { Deterministic "deterministic", Human "human", Model "model" }

    /// How the text of a document was got.
    ExtractionMethod { Native "native", PdfText "pdftext", Ocr "ocr", Llm "llm", Manual "manual" }

    /// How a document was cut.
    Chunker {
        Token "token",
        Sentence "sentence",
        Recursive "recursive",
        Code "code",
        Semantic "semantic",
        Neural "neural",
    }

    /// How binding a source is.
    AuthorityTier {
        Normative "normative",
        OfficialDocs "official_docs",
        Implementation "implementation",
        DesignGuidance "design_guidance",
    }

    /// How far a generative run has come.
    GenerativeStatus { Queued "queued", Running "running", Completed "completed", Failed "failed" }

    /// The way by which a generative run is started.
    GenerativeRoute { Api "api", Mcp "mcp" }

    /// What an event of the gateway is about.
    GatewayEventType { ComfyuiRun "comfyui_run" }

    /// Where a document comes from.
    OriginKind { File "file", Web "web" }
}

/// Categories of eval cases. Others are accepted with a warning.
pub const EVAL_CATEGORIES: &[&str] = &[
    "behavior",
    "should_trigger",
    "should_not_trigger",
    "routing",
    "grounding",
    "proof",
    "security",
    "freshness",
    "learning_regression",
];
