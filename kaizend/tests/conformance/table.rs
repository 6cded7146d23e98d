//! What each operation may be denied with, beside what every call may meet: `DENIED_USAGE` for parameters that do not
//! fit, `DENIED_HELLO_REQUIRED`, the states of the data plane and of the daemon, and `DENIED_KEY_REUSED` for writes.

/// A code, its exit status, and the operations that are documented to deny with it.
pub(crate) const DENIALS: &[(&str, u64, &str)] = &[
    ("DENIED_TITLE_REQUIRED", 2, "W1 W3 G1 L1 Q3 X1 O2"),
    ("DENIED_SUMMARY_REQUIRED", 2, "W1 W2 W3 W4 W5 W6 W7 W8 G1 G5 L1 Q1 Q2 Q3 Q4 X1 X6 I1 I2 I3 I4 A1 E1"),
    (
        "DENIED_SUMMARY_TOO_LONG",
        2,
        "W1 W2 W3 W4 W5 W6 W7 W8 G1 G5 L1 Q1 Q2 Q3 Q4 Q5 X1 X6 S1 I1 I2 I3 I4 A1 T1 O2 E1 E6",
    ),
    (
        "DENIED_FIELD_WORD_LIMIT",
        2,
        "W1 W2 W3 W4 W5 W6 W7 W8 G1 G5 L1 Q1 Q2 Q3 Q4 Q5 X1 X6 S1 I1 I2 I3 I4 A1 T1 O2 E1 E6",
    ),
    (
        "DENIED_FIELD_SPLIT_REQUIRED",
        2,
        "W1 W2 W3 W4 W5 W6 W7 W8 G1 G5 L1 Q1 Q2 Q3 Q4 Q5 X1 X6 S1 I1 I2 I3 I4 A1 T1 O2 E1 E6",
    ),
    (
        "DENIED_TEXT_TOO_LONG",
        2,
        "W1 W2 W3 W4 W5 W6 W7 W8 G1 G3 G5 L1 L2 L3 L5 L8 L10 Q1 Q2 Q3 Q4 Q5 Q6 Q8 Q9 X1 X3 X6 S1 S2 I1 I2 I3 I4 A1 A4 \
         T1 T2 T4 O2 R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 K9 E1 E4 E6",
    ),
    (
        "DENIED_TEXT_INVALID",
        2,
        "W1 W2 W3 W4 W5 W6 W7 W8 G1 G5 L1 Q1 Q2 Q3 Q4 Q5 X1 X6 S1 I1 I2 I3 I4 A1 T1 O2 E1 E6",
    ),
    (
        "DENIED_SECRET",
        2,
        "W1 W2 W3 W4 W5 W6 W7 W8 G1 G5 L1 L2 L3 Q1 Q2 Q3 Q4 Q5 Q11 X1 X6 S1 I1 I2 I3 I4 I5 A1 O1 O2 O3 \
         R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 E1 E3 E6",
    ),
    ("DENIED_TRACE_REDACTION", 2, "T1 T2"),
    ("DENIED_ID_REQUIRED", 2, "W2 W4 W9 G4 G5 L2 L3 L6 L9 Q7 X4 X6 S3 A3 A5 T3 K8 K12 E3 E5 E6"),
    (
        "DENIED_RECORD_NOT_FOUND",
        1,
        "W2 W4 W9 W10 G2 G3 G4 G5 L2 L3 L4 L5 L6 L7 L8 L9 L10 Q4 Q6 Q7 Q9 X2 X3 X4 X6 S2 S3 A3 A4 A5 T2 T4 K8 K9 K12 E3 E4 E5 E6 E2",
    ),
    ("DENIED_ID_AMBIGUOUS", 2, "W2 W4 W9 G4 G5 L2 L3 L6 L9 Q7 X4 X6 S3 A3 A5 K8 K12 E3 E5 E6"),
    ("DENIED_QUERY_REQUIRED", 2, "G3 L5 L8 Q6 X3 R11 K9 E4"),
    ("DENIED_JSON_INVALID", 2, "W5 W6 W7 W8 Q1 Q2 Q4 Q8 Q11 T1 T2 O2"),
    ("DENIED_PAYLOAD_TYPE", 2, "W5 W6 W7 W8 T1 T2 O2"),
    ("DENIED_SCHEMA_REQUIRED", 2, "G1 Q8 T1 T2 O2"),
    ("DENIED_SCHEMA_UNKNOWN_FIELDS", 2, "Q8 Q11 T1 T2"),
    ("DENIED_SCHEMA_UNKNOWN_TYPE", 2, "Q8"),
    ("DENIED_SCHEMA_TYPE", 2, "Q8"),
    ("DENIED_SCHEMA_FIELD_TYPE", 2, "Q1 Q2 Q8 T1 T2"),
    ("DENIED_SCHEMA_ENUM", 2, "Q1 Q2 Q8 S1 T1 T2 T3 K9 R0 R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 I5 O1 O3 E1 E2"),
    ("DENIED_SCHEMA_RANGE", 2, "Q8 T1 E1 E3"),
    ("DENIED_REQUIRED_FIELDS", 2, "Q5 S1"),
    ("DENIED_ALREADY_PROMOTED", 2, "L2 L3"),
    ("DENIED_REVIEW_ID_REQUIRED", 2, "I2 I3 I4 I5"),
    ("DENIED_CONTRACT_REQUIRED", 2, "O1 O2 O3"),
    ("DENIED_CONTRACT_TEXT_REQUIRED", 2, "Q10"),
    ("DENIED_SCORE_VALUE", 2, "T2"),
    (
        "DENIED_TIME_INVALID",
        2,
        "W10 G2 G3 L4 L5 L7 L8 L10 Q6 Q9 X2 X3 S2 A4 T4 K9 R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 E4",
    ),
    ("DENIED_FILTER_UNSUPPORTED", 2, "R1 R2 R3 R5 R6 R7 R8 R9 R10 R11"),
    ("DENIED_PATH_REQUIRED", 2, "A1 A2 Q11 K11 K14 E1 E2"),
    ("DENIED_PATH_OUTSIDE_REPO", 2, "A1 A2 Q10 Q11 K11 K13 K14 M3 E1"),
    ("DENIED_FILE_NOT_FOUND", 1, "A2 A5 Q10 Q11 K11 K14 M3 E1"),
    ("DENIED_FILE_NOT_UTF8", 2, "Q10 Q11"),
    ("DENIED_UNSUPPORTED_MEDIA", 2, "E1"),
    ("DENIED_FILE_TOO_LARGE", 2, "E1"),
    ("DENIED_EXTRACTION_FAILED", 2, "E1"),
    ("DENIED_PDF_UNREADABLE", 2, "E1"),
    ("DENIED_NO_BLOCKS", 1, "E3"),
    ("DENIED_CHUNKER_UNSUPPORTED", 2, "E1 E3"),
    ("DENIED_BACKEND_UNCONFIGURED", 2, "E1 E3 E4"),
    ("DENIED_KIND_INVALID", 2, "E5"),
    ("DENIED_ROOT_NOT_ALLOWLISTED", 2, "M1 M2 M3 M4 M5"),
    ("DENIED_SURFACE_UNFIT", 1, "M3"),
    ("DENIED_UNDO_DIFFERS", 1, "M3"),
    ("DENIED_SCHEMA_STATUS", 2, "K1"),
    ("DENIED_CURSOR_RESET", 1, "K10"),
    ("DENIED_BACKUP_INVALID", 1, "K11"),
    ("DENIED_FOREIGN_DATABASE", 1, "K11"),
    ("DENIED_NOTHING_TO_ERASE", 2, "K12"),
    ("DENIED_FILE_EXISTS", 2, "K13"),
    ("DENIED_PLANE_NOT_EMPTY", 1, "K14"),
    ("DENIED_EXPORT_INVALID", 2, "K14"),
    ("DENIED_USAGE", 2, "K3 K12 Q8"),
];

/// The rows, one operation at a time.
pub(crate) fn rows() -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    DENIALS.iter().flat_map(|(code, exit_code, operations)| {
        operations.split_whitespace().map(|operation| (operation, *code, *exit_code))
    })
}

/// Whether an operation is documented to deny with this.
pub(crate) fn documents(operation: &str, code: &str, exit_code: u64) -> bool {
    rows().any(|row| row == (operation, code, exit_code))
}

/// Operations that work without a project.
pub(crate) const WITHOUT_PROJECT: &[&str] = &["K0", "Q8"];

#[test]
fn every_row_names_what_exists_once() {
    use kaizen_proto::{denial::Code, families};
    let mut seen = std::collections::BTreeSet::new();
    for (operation, code, exit_code) in rows() {
        assert!(families::find(operation).is_some_and(|card| card.code == operation), "{operation}");
        assert!(Code::ALL.iter().any(|known| known.text() == code), "{code}");
        assert!(seen.insert((operation, code, exit_code)), "{operation} {code} twice");
    }
}
