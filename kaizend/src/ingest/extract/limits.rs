//! How much a document may be, and how much its reading may take.

use serde::{Deserialize, Serialize};

/// The guards of an extraction. Each is checked before what it bounds is held in memory, so that a hostile file costs
/// no more than a large honest one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a file that is no PDF (64 MiB).
    pub bytes: u64,
    /// Bytes of a PDF (25 MiB; `KAIZEN_MAX_PDF_BYTES`).
    pub pdf_bytes: u64,
    /// Pages of a PDF (500; `KAIZEN_MAX_PDF_PAGES`).
    pub pdf_pages: u64,
    /// Bytes that a ZIP container, as DOCX and XLSX are, may unfold to (256 MiB).
    pub expanded_bytes: u64,
    /// Entries of a ZIP container (10,000).
    pub entries: u64,
    /// Levels of nesting in JSON and in the XML of DOCX (500).
    pub depth: u64,
    /// Blocks of one document (200,000).
    pub blocks: u64,
    /// Characters of all blocks with their section paths (33,554,432).
    pub characters: u64,
    /// Address space of the child process in bytes (1 GiB).
    pub memory_bytes: u64,
    /// Processor time of the child process in seconds (60).
    pub cpu_seconds: u64,
    /// Time that the child process may take in all, in seconds (120).
    pub wall_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 64 * 1024 * 1024,
            pdf_bytes: 26_214_400,
            pdf_pages: 500,
            expanded_bytes: 256 * 1024 * 1024,
            entries: 10_000,
            depth: 500,
            blocks: 200_000,
            characters: 32 * 1024 * 1024,
            memory_bytes: 1024 * 1024 * 1024,
            cpu_seconds: 60,
            wall_seconds: 120,
        }
    }
}

impl Limits {
    /// How large a file with this extension may be, in bytes.
    pub fn bytes_for(&self, extension: &str) -> u64 {
        if extension == ".pdf" { self.pdf_bytes } else { self.bytes }
    }
}
