//! Files to blocks: one reader for each format, with guards for what a file may cost.
//!
//! [`extract`] is the whole of it as a function of bytes. [`extract_file`] is what the daemon calls: it lets the readers
//! of complicated formats run in a child process ([`child`] inside, `run` outside), so that no file can take the daemon
//! along, whatever it does to its reader.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use serde::{Deserialize, Serialize};

use super::block::Block;

pub mod child;
mod code;
mod collect;
mod docx;
mod fault;
mod formats;
mod html;
mod limits;
mod markdown;
mod markup;
mod ocr;
mod pdf;
mod run;
mod table;
mod text;
mod xlsx;
mod xml;
mod zipped;

pub use limits::Limits;

use collect::Collector;
use fault::Fault;
use formats::{Format, Reader};

/// The versions of the readers that are named as backends, as Cargo.lock has them.
const PDF_EXTRACT: &str = "0.12.1";
const QUICK_XML: &str = "0.42.0";
const CALAMINE: &str = "0.38.0";

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// Its media type, by its extension.
    pub media_type: String,
    /// Who read it: `native` for what needs no reader of a format, else the reader's name.
    pub backend: String,
    /// The reader's version, where there is a reader to name.
    pub backend_version: Option<String>,
    /// How the text came out: `native`, `pdftext` or `ocr`.
    pub method: String,
    /// How far the text can be relied on, from 0 to 1.
    pub confidence: f64,
    /// Its blocks in reading order; none for an empty file.
    pub blocks: Vec<Block>,
    /// How many pages it has, for formats that have pages.
    pub pages: Option<u32>,
    /// What was left out or doubtful, for people.
    pub notes: Vec<String>,
}

/// Where the bytes of a document come from.
#[derive(Debug)]
pub enum Source {
    /// An open regular file, read from its beginning.
    File(File),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

/// A document to be read.
#[derive(Debug)]
pub struct Job {
    /// What denials call the file.
    pub path: String,
    /// The last suffix of its name in lower case with its dot; empty when there is none.
    pub extension: String,
    /// Its bytes.
    pub source: Source,
    /// Whether text in pictures is to be recognised.
    pub ocr: bool,
}

/// The last suffix of a file's name in lower case with its dot; empty when there is none, as for `.md`.
pub fn extension_of(path: &Path) -> String {
    path.extension()
        .map(|extension| format!(".{}", extension.to_string_lossy().to_lowercase()))
        .unwrap_or_default()
}

/// Takes a document apart. Pure, and single-threaded; it may panic when a reader has a fault, and need much memory: for
/// files of others there is [`extract_file`].
///
/// # Errors
/// `DENIED_UNSUPPORTED_MEDIA`, `DENIED_FILE_TOO_LARGE`, `DENIED_EXTRACTION_FAILED`, and `DENIED_PDF_ENCRYPTED`,
/// `DENIED_PDF_TOO_MANY_PAGES`, `DENIED_PDF_UNREADABLE` and `DENIED_PDF_NO_TEXT` for PDFs.
pub fn extract(extension: &str, bytes: &[u8], limits: &Limits) -> Result<Extracted, Denial> {
    read(extension, bytes, limits, false)
}

/// Takes a document apart, where it can do no harm. `program` is the `kaizend` that becomes the child.
///
/// # Errors
/// As [`extract`], with the file's `path`; also when its reader crashes, takes too long or too much memory, and
/// `DENIED_OCR_UNAVAILABLE`.
pub async fn extract_file(job: Job, limits: &Limits, program: &Path) -> Result<Extracted, Denial> {
    let Job { path, extension, source, ocr } = job;
    let extracted = match format_of(&extension, ocr) {
        Err(denial) => return Err(denial),
        Ok(format) if format.reader.needs_child() => {
            run::in_child(&extension, source, ocr, limits, program).await
        }
        Ok(_) => in_process(&extension, source, limits).await,
    };
    extracted.map_err(|denial| denial.with("path", path))
}

/// The program that this process runs, also when its file has been replaced by a newer one.
pub fn own_program() -> PathBuf {
    let own = Path::new("/proc/self/exe");
    if own.exists() {
        own.to_path_buf()
    } else {
        std::env::current_exe().unwrap_or_else(|_| "kaizend".into())
    }
}

/// The format of an extension, unless it is none that can be read.
fn format_of(extension: &str, ocr: bool) -> Result<Format, Denial> {
    let unsupported = || Denial::new(Code::UnsupportedMedia).with("ext", extension);
    match formats::find(extension) {
        Some(Format { reader: Reader::Picture, .. }) if !ocr => Err(unsupported()
            .action("Pass --ocr to have the text in the picture recognised, or convert the file to text.")),
        Some(format) => Ok(format),
        None => Err(unsupported()),
    }
}

fn read(extension: &str, bytes: &[u8], limits: &Limits, ocr: bool) -> Result<Extracted, Denial> {
    let format = format_of(extension, ocr)?;
    let max_bytes = limits.bytes_for(extension);
    if bytes.len() as u64 > max_bytes {
        return Err(fault::too_large(bytes.len() as u64, max_bytes));
    }
    let mut blocks = Collector::new(limits);
    let read = read_into(format.reader, bytes, &mut blocks).map_err(|fault| fault.into_denial(extension))?;
    let (blocks, notes) = blocks.finish();
    Ok(Extracted {
        media_type: format.media_type.to_owned(),
        backend: read.backend.to_owned(),
        backend_version: read.version,
        method: read.method.to_owned(),
        confidence: read.confidence,
        blocks,
        pages: read.pages,
        notes,
    })
}

/// How a file was read.
struct How {
    backend: &'static str,
    version: Option<String>,
    method: &'static str,
    confidence: f64,
    pages: Option<u32>,
}

impl How {
    fn by(backend: &'static str, version: &str, confidence: f64) -> Self {
        How { backend, version: Some(version.to_owned()), method: "native", confidence, pages: None }
    }
}

fn read_into(reader: Reader, bytes: &[u8], blocks: &mut Collector<'_>) -> Result<How, Fault> {
    let native =
        |confidence| How { backend: "native", version: None, method: "native", confidence, pages: None };
    let text = || text::decode(bytes);
    match reader {
        Reader::Plain => text::plain(&text(), blocks)?,
        Reader::Markdown => markdown::markdown(&text(), blocks)?,
        Reader::RestructuredText => markup::rst(&text(), blocks)?,
        Reader::AsciiDoc => markup::asciidoc(&text(), blocks)?,
        Reader::Csv(delimiter) => table::csv(&text(), delimiter, blocks)?,
        Reader::Json => code::json(&text(), blocks)?,
        Reader::Xml => code::xml(&text(), blocks)?,
        Reader::Data => code::data(&text(), blocks)?,
        Reader::Source => code::source(&text(), blocks)?,
        Reader::Html => {
            html::html(&html::decode(bytes), blocks)?;
            return Ok(native(0.9));
        }
        Reader::Pdf => {
            let pages = pdf::pdf(bytes, blocks)?;
            return Ok(How {
                method: "pdftext",
                pages: Some(pages),
                ..How::by("pdf-extract", PDF_EXTRACT, 0.8)
            });
        }
        Reader::Docx => {
            docx::docx(bytes, blocks)?;
            return Ok(How::by("quick-xml", QUICK_XML, 0.9));
        }
        Reader::Xlsx => {
            xlsx::xlsx(bytes, blocks)?;
            return Ok(How::by("calamine", CALAMINE, 0.9));
        }
        Reader::Picture => {
            let ocr::Recognised { version, confidence } = ocr::recognise(bytes, blocks)?;
            return Ok(How { backend: "tesseract", version, method: "ocr", confidence, pages: None });
        }
    }
    Ok(native(1.0))
}

/// Reads on a thread that may block. What these readers do grows with the file only, and they use no stack by its depth.
async fn in_process(extension: &str, source: Source, limits: &Limits) -> Result<Extracted, Denial> {
    let (extension, limits) = (extension.to_owned(), limits.clone());
    crate::care::blocking(move || {
        let bytes = bytes_of(source, &extension, &limits)?;
        let work = || extract(&extension, &bytes, &limits);
        catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|payload| Err(fault::failed(&extension, &fault::panic_text(payload.as_ref()))))
    })
    .await
}

/// The bytes of a document, as many as its format may have.
fn bytes_of(source: Source, extension: &str, limits: &Limits) -> Result<Vec<u8>, Denial> {
    let max_bytes = limits.bytes_for(extension);
    let mut file = match source {
        Source::File(file) => file,
        Source::Bytes(bytes) => return Ok(bytes),
    };
    let failed = |error: std::io::Error| fault::failed(extension, &error.to_string());
    let size = rewind(&mut file).map_err(failed)?;
    if size > max_bytes {
        return Err(fault::too_large(size, max_bytes));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Goes to the beginning of a file, and gives back its size.
fn rewind(file: &mut File) -> std::io::Result<u64> {
    file.rewind()?;
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests;
