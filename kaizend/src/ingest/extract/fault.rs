//! Why a document could not be taken apart, before it becomes a denial.

use kaizen_proto::denial::{Code, Denial};

/// What stops an extraction.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The file is not what its name says, or damaged.
    #[error("{0}")]
    Broken(String),
    /// A limit is exceeded.
    #[error("it has more than {limit} {what}")]
    TooMuch {
        /// What there is too much of, in the plural.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// A denial with a code of its own.
    #[error(transparent)]
    Denied(#[from] Denial),
}

impl Fault {
    /// A fault of the file, in the words of whoever found it.
    pub(super) fn broken(reason: impl std::fmt::Display) -> Self {
        Fault::Broken(reason.to_string())
    }

    /// The denial that the caller gets.
    pub(super) fn into_denial(self, extension: &str) -> Denial {
        let too_much = matches!(self, Fault::TooMuch { .. });
        match self {
            Fault::Denied(denial) => denial,
            other => {
                let denial = failed(extension, &other.to_string());
                if too_much { denial.action("Split the document into smaller files.") } else { denial }
            }
        }
    }
}

/// A file that could not be taken apart.
pub(super) fn failed(extension: &str, reason: &str) -> Denial {
    Denial::new(Code::ExtractionFailed).with("ext", extension).with("reason", reason)
}

/// Refuses what is larger than its limit.
pub(super) fn too_large(bytes: u64, max_bytes: u64) -> Denial {
    Denial::new(Code::FileTooLarge).with("bytes", bytes).with("max_bytes", max_bytes)
}

/// What a panic said.
pub(super) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() { "the reader failed".to_owned() } else { format!("the reader failed: {line}") }
}
