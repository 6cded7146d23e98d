//! The one error type of the contract: why a call was not carried out, and what to do about it.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::operation::Card;

/// What sort of mistake a denial is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The call's words are off.
    Usage,
    /// A value breaks a rule.
    Invalid,
    /// Something named does not exist.
    NotFound,
    /// The present state forbids it.
    Conflict,
    /// Not now; the same call may succeed later.
    Busy,
    /// The daemon is on its way out; the same call succeeds with the next one.
    Draining,
    /// The caller took the call back.
    Cancelled,
    /// A fault on our side or of the machine.
    Internal,
}

impl Kind {
    /// The JSON-RPC error code for this kind.
    pub fn rpc_code(self) -> i32 {
        match self {
            Kind::Usage => -32602,
            Kind::Internal => -32603,
            Kind::Invalid => -32010,
            Kind::NotFound => -32011,
            Kind::Conflict => -32012,
            Kind::Busy => -32013,
            Kind::Draining => -32014,
            // The Language Server Protocol's `RequestCancelled`.
            Kind::Cancelled => -32800,
        }
    }
}

macro_rules! codes {
    ($( $variant:ident $text:literal $kind:ident $exit:literal $action:literal $(example $example:literal)?; )+) => {
        /// Every code a denial can carry. The texts are stable; scripts match on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $( #[doc = concat!("`", $text, "`")] $variant ),+ }

        impl Code {
            /// All codes, in the order of their declaration.
            pub const ALL: &'static [Code] = &[ $( Code::$variant ),+ ];

            /// The stable text.
            pub fn text(self) -> &'static str { match self { $( Code::$variant => $text ),+ } }
            /// What sort of mistake it is.
            pub fn kind(self) -> Kind { match self { $( Code::$variant => Kind::$kind ),+ } }
            /// The exit status of kaizenctl.
            pub fn exit_code(self) -> u8 { match self { $( Code::$variant => $exit ),+ } }
            /// What the caller should do, unless the place that denies knows better.
            pub fn required_action(self) -> &'static str { match self { $( Code::$variant => $action ),+ } }
            /// A command line that shows the remedy; `{op}` stands for the operation's code.
            pub fn example(self) -> Option<&'static str> {
                match self { $( Code::$variant => [$( $example )?].first().copied() ),+ }
            }
        }
    };
}

codes! {
    Usage "DENIED_USAGE" Usage 2 "Correct the call; `kaizenctl OPERATION --help` lists the accepted flags.";
    TitleRequired "DENIED_TITLE_REQUIRED" Invalid 2 "Give a title."
        example "kaizenctl {op} --title \"Short title\" --summary \"One or two sentences.\" --json";
    SummaryRequired "DENIED_SUMMARY_REQUIRED" Invalid 2 "Give a summary of one or two sentences."
        example "kaizenctl {op} --title \"Short title\" --summary \"One or two sentences.\" --json";
    SummaryTooLong "DENIED_SUMMARY_TOO_LONG" Invalid 2 "Shorten the summary to two sentences; details belong in the body."
        example "kaizenctl {op} --title \"Short title\" --summary \"One sentence. And a second.\" --body-file details.md --json";
    FieldWordLimit "DENIED_FIELD_WORD_LIMIT" Invalid 2 "Shorten the field to its word limit."
        example "kaizenctl {op} --title \"Short title\" --summary \"One or two sentences.\" --body-file short.md --json";
    FieldSplitRequired "DENIED_FIELD_SPLIT_REQUIRED" Invalid 2 "Split the text into several entries.";
    TextTooLong "DENIED_TEXT_TOO_LONG" Invalid 2 "Shorten the field to its byte limit, or keep the text in a file and record it with A1.";
    TextInvalid "DENIED_TEXT_INVALID" Invalid 2 "Remove the character that cannot be stored from the field.";
    Secret "DENIED_SECRET" Invalid 2 "Take the secret out, or repeat the call with --redact, which stores [REDACTED:class] in its place; a secret that somebody may have seen should be changed.";
    NothingToErase "DENIED_NOTHING_TO_ERASE" Conflict 2 "Name the field that holds the secret, or pass --whole to replace the whole field by [ERASED].";
    TraceRedaction "DENIED_TRACE_REDACTION" Invalid 2 "Take the secrets and personal details out of the fields that are named, or repeat the call with --redact.";
    IdRequired "DENIED_ID_REQUIRED" Invalid 2 "Name the record."
        example "kaizenctl {op} --id RECORD_ID --json";
    IdAmbiguous "DENIED_ID_AMBIGUOUS" Invalid 2 "Give more of the id; the candidates are listed.";
    QueryRequired "DENIED_QUERY_REQUIRED" Invalid 2 "Give a text to search for."
        example "kaizenctl {op} --query \"text to find\" --json";
    JsonInvalid "DENIED_JSON_INVALID" Invalid 2 "Pass valid JSON; shells eat quotes, so a file is the safe way."
        example "kaizenctl {op} --summary \"One sentence.\" --payload-json-file payload.json --json";
    PayloadType "DENIED_PAYLOAD_TYPE" Invalid 2 "Pass a JSON object."
        example "kaizenctl {op} --summary \"One sentence.\" --payload-json '{\"key\": \"value\"}' --json";
    PathRequired "DENIED_PATH_REQUIRED" Invalid 2 "Name a file of the project."
        example "kaizenctl {op} --path docs/report.md --json";
    PathOutsideRepo "DENIED_PATH_OUTSIDE_REPO" Invalid 2 "Name a file under the project's root.";
    RootNotAllowlisted "DENIED_ROOT_NOT_ALLOWLISTED" Invalid 2 "Name a directory below one of the allowed roots; KAIZEN_SKILLS_ROOT allows one outside the project.";
    TreeTooLarge "DENIED_TREE_TOO_LARGE" Invalid 2 "Name smaller directories with --root, one call after the other.";
    SurfaceUnfit "DENIED_SURFACE_UNFIT" Conflict 1 "Move it out of the way, or name other directories with --root; nothing was changed.";
    UndoDiffers "DENIED_UNDO_DIFFERS" Conflict 1 "Nothing was changed. Take what you need from the backups beside the manifest by hand.";
    FileNotFound "DENIED_FILE_NOT_FOUND" NotFound 1 "Name a regular file that exists."
        example "kaizenctl {op} --path docs/report.md --json";
    FileNotUtf8 "DENIED_FILE_NOT_UTF8" Invalid 2 "Save the file as UTF-8.";
    FileUnreadable "DENIED_FILE_UNREADABLE" Invalid 1 "Make the file readable for this user.";
    FileTooLarge "DENIED_FILE_TOO_LARGE" Invalid 2 "Pass a smaller file.";
    UnsupportedMedia "DENIED_UNSUPPORTED_MEDIA" Invalid 2 "Convert the file to a format that can be read, such as Markdown, HTML, PDF, DOCX, XLSX, CSV or plain text.";
    ExtractionFailed "DENIED_EXTRACTION_FAILED" Invalid 2 "Open the file in its own program and save it again, or export it as plain text; `reason` says what is wrong with it.";
    PdfEncrypted "DENIED_PDF_ENCRYPTED" Invalid 2 "Save the PDF without a password and without restrictions, for example with `qpdf --decrypt in.pdf out.pdf`.";
    PdfTooManyPages "DENIED_PDF_TOO_MANY_PAGES" Invalid 2 "Split the PDF into smaller files, or raise KAIZEN_MAX_PDF_PAGES.";
    PdfUnreadable "DENIED_PDF_UNREADABLE" Invalid 2 "Repair the PDF (`qpdf in.pdf out.pdf`, or print it to a new one); `reason` says what is wrong with it.";
    PdfNoText "DENIED_PDF_NO_TEXT" Invalid 2 "Run text recognition over the PDF first, for example with `ocrmypdf in.pdf out.pdf`: its pages hold pictures only.";
    OcrUnavailable "DENIED_OCR_UNAVAILABLE" Invalid 2 "Install Tesseract (Debian: `apt-get install tesseract-ocr`; macOS: `brew install tesseract`), or leave --ocr out.";
    SchemaUnknownType "DENIED_SCHEMA_UNKNOWN_TYPE" Invalid 2 "Use one of the known types; `kaizenctl Q8 --json` lists them.";
    SchemaType "DENIED_SCHEMA_TYPE" Invalid 2 "Pass a JSON object.";
    SchemaUnknownFields "DENIED_SCHEMA_UNKNOWN_FIELDS" Invalid 2 "Remove the fields that the record type does not have.";
    SchemaRange "DENIED_SCHEMA_RANGE" Invalid 2 "Give the field a value within its range.";
    SchemaRequired "DENIED_SCHEMA_REQUIRED" Invalid 2 "Give the missing fields.";
    SchemaFieldType "DENIED_SCHEMA_FIELD_TYPE" Invalid 2 "Give the field a value of the expected type.";
    SchemaEnum "DENIED_SCHEMA_ENUM" Invalid 2 "Use one of the allowed values.";
    FilterUnsupported "DENIED_FILTER_UNSUPPORTED" Invalid 2 "Leave the flag out, or use the report that has it.";
    NoBlocks "DENIED_NO_BLOCKS" Conflict 1 "Ingest a file that has text; this document has none.";
    ChunkerUnsupported "DENIED_CHUNKER_UNSUPPORTED" Invalid 2 "Use one of the chunkers that are implemented.";
    KindInvalid "DENIED_KIND_INVALID" Invalid 2 "Use one of the allowed kinds.";
    BackendUnconfigured "DENIED_BACKEND_UNCONFIGURED" Invalid 2 "Leave the flag out: search by words needs no model. This release has no models yet.";
    ReviewIdRequired "DENIED_REVIEW_ID_REQUIRED" Invalid 2 "Name the review."
        example "kaizenctl {op} --review-id REVIEW_ID --summary \"One or two sentences.\" --json";
    TimeInvalid "DENIED_TIME_INVALID" Invalid 2 "Give a time like 2026-11-23T07:10:05Z, a day like 2026-11-23, or a span back from now like 24h or 7d.";
    RequiredFields "DENIED_REQUIRED_FIELDS" Invalid 2 "Give all the fields that are named.";
    ContractRequired "DENIED_CONTRACT_REQUIRED" Invalid 2 "Name the contract that is to be improved."
        example "kaizenctl {op} --contract review-loop --json";
    ContractTextRequired "DENIED_CONTRACT_TEXT_REQUIRED" Invalid 2 "Give the text: --body, --body-file or --path.";
    ScoreValue "DENIED_SCORE_VALUE" Invalid 2 "Give a value that fits data_type; a numeric score is a finite number.";
    RecordNotFound "DENIED_RECORD_NOT_FOUND" NotFound 1 "Check the id; list or query the records to find it.";
    AlreadyPromoted "DENIED_ALREADY_PROMOTED" Conflict 2 "Use the record that exists, or revise it.";
    CursorReset "DENIED_CURSOR_RESET" Conflict 1 "Forget what was read, read the state anew (K10 --since 0 gives the whole journal), and go on from the `cursor` given here."
        example "kaizenctl {op} --since 0 --json";
    KeyReused "DENIED_KEY_REUSED" Conflict 2 "Use a new idempotency key for a new call.";
    ProjectRequired "DENIED_PROJECT_REQUIRED" Conflict 2 "Run `kaizenctl init` in the project's root, or pass --project DIR.";
    ProjectNotFound "DENIED_PROJECT_NOT_FOUND" NotFound 1 "Pass a directory that exists.";
    HelloRequired "DENIED_HELLO_REQUIRED" Usage 2 "Send `hello` with a project_root before the first call.";
    Protocol "DENIED_PROTOCOL" Conflict 1 "Install the same release of kaizenctl and kaizend, then run `kaizenctl daemon restart`.";
    FrameTooLarge "DENIED_FRAME_TOO_LARGE" Usage 2 "Send smaller messages.";
    SchemaStatus "DENIED_SCHEMA_STATUS" Conflict 1 "Run `kaizenctl K2 --json` and install a matching release, or `kaizenctl K1` to repair a missing version row.";
    SchemaDrift "DENIED_SCHEMA_DRIFT" Conflict 1 "Inspect the change; if it is wanted, run `kaizenctl K1 --restamp-manifest --json`.";
    ForeignDatabase "DENIED_FOREIGN_DATABASE" Conflict 1 "Keep the file aside. Where it was the data plane, put a backup in its place: `kaizenctl K11 --path AI/db/backups/NAME`; a file of another engine has to become plain SQLite first.";
    DatabaseLocked "DENIED_DATABASE_LOCKED" Busy 75 "Close the program that holds the database, then repeat the call.";
    DatabaseDamaged "DENIED_DATABASE_DAMAGED" Internal 1 "Stop writing, keep a copy of the file, and put a backup in its place: `kaizenctl K11 --path AI/db/backups/NAME`.";
    PlaneReplaced "DENIED_PLANE_REPLACED" Busy 75 "Repeat the call; the data plane is opened again.";
    PlaneSuspect "DENIED_PLANE_SUSPECT" Conflict 1 "Run `kaizenctl K1 --integrity`; writes open again when it passes.";
    Owned "DENIED_OWNED" Conflict 1 "Use the daemon that owns the data plane, or stop it there.";
    Filesystem "DENIED_FILESYSTEM" Conflict 1 "Put the database on a local disk: [db] path in kaizen.toml.";
    StorageFull "DENIED_STORAGE_FULL" Busy 75 "Free some disk space, then repeat the call.";
    StorageReadOnly "DENIED_STORAGE_READ_ONLY" Conflict 1 "Make the project's AI directory a directory that this user can write.";
    StorageError "DENIED_STORAGE_ERROR" Busy 75 "Check the disk, then repeat the call with the same idempotency key, which keeps it from happening twice.";
    Busy "DENIED_BUSY" Busy 75 "Repeat the call a little later.";
    Timeout "DENIED_TIMEOUT" Busy 75 "Look at the daemon (`kaizenctl daemon status`), then repeat the call; a write with the same --key happens once.";
    Cancelled "DENIED_CANCELLED" Cancelled 130 "Nothing; the caller took the call back.";
    Draining "DENIED_DRAINING" Draining 75 "Repeat the call; a new daemon takes it.";
    BackupInvalid "DENIED_BACKUP_INVALID" Conflict 1 "Restore another backup; `kaizenctl K3 --list` shows them and checks their hashes.";
    PlaneNotEmpty "DENIED_PLANE_NOT_EMPTY" Conflict 1 "Import into a project without records, such as a new directory after `kaizenctl init`.";
    ExportInvalid "DENIED_EXPORT_INVALID" Invalid 2 "Export again with `kaizenctl K13`, and copy the whole file.";
    FileExists "DENIED_FILE_EXISTS" Conflict 2 "Name a file that does not exist yet, or leave --path out.";
    Config "DENIED_CONFIG" Invalid 2 "Correct kaizen.toml.";
    RuntimeDir "DENIED_RUNTIME_DIR" Conflict 1 "Make the directory writable for this user alone, or set KAIZEN_RUNTIME_DIR to one that is.";
    DaemonUnreachable "DENIED_DAEMON_UNREACHABLE" Internal 1 "Allow this process to use the local socket that is named.";
    DaemonStart "DENIED_DAEMON_START" Internal 1 "Read the log that is quoted; `kaizend --version` shows whether the daemon is installed.";
    Peer "DENIED_PEER" Conflict 1 "Only the user who runs the daemon may talk to it.";
    Unexpected "ERROR_UNEXPECTED" Internal 1 "Report the incident with the daemon's log: `kaizenctl daemon logs`.";
}

/// Bytes of a field's text, above which it is cut: as long as the longest path.
const LONGEST_FIELD: usize = 4096;

/// Why a call was not carried out. Serialises to the object that kaizenctl prints and that JSON-RPC errors carry as
/// `data`: `status`, `code`, the code's own fields, `exit_code`, `retryable` when it is, `example` when there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// The stable code.
    pub code: Code,
    exit_code: u8,
    example: Option<String>,
    fields: Map<String, Value>,
}

impl Denial {
    /// A denial with the code's own required action.
    pub fn new(code: Code) -> Self {
        let mut fields = Map::new();
        fields.insert("required_action".into(), Value::from(code.required_action()));
        Denial { code, exit_code: code.exit_code(), example: None, fields }
    }

    /// A call whose words are off.
    pub fn usage(message: impl Into<String>) -> Self {
        Denial::new(Code::Usage).message(message)
    }

    /// A record that does not exist in `table`.
    pub fn record_not_found(id: &str, table: &str) -> Self {
        Denial::new(Code::RecordNotFound).with("id", id).with("table", table)
    }

    /// A fault on our side. `incident` stands in the daemon's log beside the cause.
    pub fn unexpected(message: impl Into<String>, incident: &str) -> Self {
        Denial::new(Code::Unexpected).message(message).with("incident", incident)
    }

    /// Sets or adds a field. Fields keep the order in which they were added, `required_action` stays last.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let action = self.fields.shift_remove("required_action");
        let mut value = value.into();
        // A denial does not repeat the whole of what it refuses.
        if let Value::String(text) = &mut value
            && text.len() > LONGEST_FIELD
        {
            text.truncate(text.floor_char_boundary(LONGEST_FIELD));
            text.push('…');
        }
        self.fields.insert(name.into(), value);
        if let Some(action) = action {
            self.fields.insert("required_action".into(), action);
        }
        self
    }

    /// Says in words what is wrong.
    #[must_use]
    pub fn message(self, message: impl Into<String>) -> Self {
        self.with("message", message.into())
    }

    /// Replaces the code's own required action.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.fields.insert("required_action".into(), Value::from(action.into()));
        self
    }

    /// Replaces the code's own exit status.
    #[must_use]
    pub fn exit(mut self, exit_code: u8) -> Self {
        self.exit_code = exit_code;
        self
    }

    /// Replaces the code's own example with one that fits the call better.
    #[must_use]
    pub fn example(mut self, example: impl Into<String>) -> Self {
        self.example = Some(example.into());
        self
    }

    /// Fills in the example for the operation that denies, when the code has one: the code's own when the operation
    /// takes all of its flags, else the operation's.
    #[must_use]
    pub fn for_operation(mut self, card: &Card) -> Self {
        if self.example.is_none()
            && let Some(template) = self.code.example()
        {
            // The operation's own example says better which file it wants.
            let path = |example: &str| example.contains("--path ");
            let template = if path(template) && path(card.example) { card.example } else { template };
            let mut flags = template.split_whitespace().filter_map(|word| word.strip_prefix("--"));
            let fits = flags.all(|flag| flag == "json" || card.takes(flag));
            self.example =
                Some(if fits { template.replace("{op}", card.code) } else { card.example.to_owned() });
        }
        self
    }

    /// Whether the same call may succeed later without any change.
    pub fn retryable(&self) -> bool {
        matches!(self.code.kind(), Kind::Busy | Kind::Draining)
    }

    /// The exit status of kaizenctl.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The denial as it is printed and sent.
    pub fn to_json(&self) -> Value {
        let status = if self.code == Code::Unexpected { "ERROR" } else { "DENIED" };
        let mut object = Map::new();
        object.insert("status".into(), json!(status));
        object.insert("code".into(), json!(self.code.text()));
        object.extend(self.fields.clone());
        if self.retryable() {
            object.insert("retryable".into(), json!(true));
        }
        object.insert("exit_code".into(), json!(self.exit_code));
        if let Some(example) = &self.example {
            object.insert("example".into(), json!(example));
        }
        Value::Object(object)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.text())?;
        let detail =
            ["message", "reason", "field", "id", "path"].iter().find_map(|name| self.fields.get(*name));
        match detail {
            Some(Value::String(text)) => write!(f, ": {text}"),
            Some(other) => write!(f, ": {other}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::families::artifact::ArtifactVerify;
    use crate::families::gotcha::GotchaAdd;
    use crate::families::work::TaskUpdate;
    use crate::operation::Operation as _;

    const G1: Card = Card::of::<GotchaAdd>();

    #[test]
    fn an_example_has_only_flags_that_its_operation_takes() {
        let example = |code, card: &Card| Denial::new(code).for_operation(card).to_json()["example"].clone();
        assert_eq!(example(Code::SummaryRequired, &Card::of::<TaskUpdate>()), TaskUpdate::EXAMPLE);
        assert_eq!(example(Code::FileNotFound, &Card::of::<ArtifactVerify>()), ArtifactVerify::EXAMPLE);
        assert_eq!(example(Code::DatabaseLocked, &G1), Value::Null);
    }

    #[test]
    fn a_denial_does_not_repeat_the_whole_input() {
        let denial = Denial::record_not_found(&"ü".repeat(100_000), "tasks").message("x".repeat(4096));
        let id = denial.field("id").and_then(Value::as_str).unwrap();
        assert!(id.len() < 4100 && id.starts_with("üü") && id.ends_with("ü…"), "{}", id.len());
        assert_eq!(denial.field("message").and_then(Value::as_str).map(str::len), Some(4096));
    }

    #[test]
    fn codes_are_unique() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
    }

    #[test]
    fn keys_come_in_the_documented_order() {
        let denial = Denial::new(Code::TitleRequired).with("field", "title").for_operation(&G1);
        assert_eq!(
            denial.to_json().to_string(),
            r#"{"status":"DENIED","code":"DENIED_TITLE_REQUIRED","field":"title","required_action":"Give a title.","exit_code":2,"example":"kaizenctl G1 --title \"Short title\" --summary \"One or two sentences.\" --json"}"#
        );
    }
}
