//! PDF: guards, and the glyphs of each page in the order in which they are drawn.
//!
//! The reader panics on much that is odd in a file, and what it decompresses has no limit: it belongs into a child
//! process, and one page that it cannot read shall not take the others along.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kaizen_proto::denial::{Code, Denial};
use pdf_extract::{Document, Error, MediaBox, OutputDev, OutputError, Transform};

use super::collect::Collector;
use super::fault::{Fault, panic_text};
use super::limits::Limits;

mod layout;
mod lines;
mod widths;

use lines::{Glyph, Lines};

/// Takes a PDF apart; gives back how many pages it has. Its size was checked before.
pub(super) fn pdf(bytes: &[u8], blocks: &mut Collector<'_>) -> Result<u32, Fault> {
    let limits = blocks.limits();
    let document = guarded(|| Document::load_mem(bytes)).map_err(unreadable)?;
    let mut document = match document {
        Ok(document) if document.is_encrypted() || document.was_encrypted() => return Err(encrypted()),
        Ok(document) => document,
        Err(
            Error::InvalidPassword
            | Error::Decryption(_)
            | Error::UnsupportedSecurityHandler(_)
            | Error::AlreadyEncrypted,
        ) => return Err(encrypted()),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    widths::mend(&mut document);
    let pages = document.get_pages().len();
    if pages as u64 > limits.pdf_pages {
        let denial = Denial::new(Code::PdfTooManyPages).with("pages", pages);
        return Err(denial.with("max_pages", limits.pdf_pages).into());
    }
    let pages = u32::try_from(pages).unwrap_or(u32::MAX);
    if pages == 0 {
        return Err(unreadable("it has no pages".to_owned()));
    }
    let mut ink = Ink { lines: Lines::default(), characters: 0, limits };
    let mut faults = Vec::new();
    for page in 1..=pages {
        ink.lines.begin_page(page);
        if let Err(reason) = draw(&document, page, &mut ink) {
            ink.check()?;
            faults.push((page, reason));
        }
    }
    tell(&faults, pages, blocks);
    layout::layout(ink.lines.finish(), blocks)?;
    if !blocks.is_empty() {
        return Ok(pages);
    }
    match faults.into_iter().next() {
        Some((_, reason)) => Err(unreadable(reason)),
        None => Err(Denial::new(Code::PdfNoText).with("pages", pages).into()),
    }
}

/// Draws a page into the lines. What the reader fails over is tried again with a plainer one, which knows no places.
fn draw(document: &Document, page: u32, ink: &mut Ink<'_>) -> Result<(), String> {
    let drawn = guarded(|| pdf_extract::output_doc_page(document, ink, page));
    let reason = match drawn {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic,
    };
    if ink.check().is_ok() && ink.lines.is_blank(page) {
        let plain = guarded(|| document.extract_text(&[page]));
        if let Ok(Ok(text)) = plain {
            ink.lines.plain_page(page, &text);
        }
    }
    Err(reason)
}

/// Says which pages were not read as they should be.
fn tell(faults: &[(u32, String)], pages: u32, blocks: &mut Collector<'_>) {
    /// How many of them are named.
    const NAMED: usize = 10;
    if let Some((_, reason)) = faults.first() {
        let named: Vec<String> = faults.iter().take(NAMED).map(|(page, _)| page.to_string()).collect();
        let more = if faults.len() > NAMED { ", …" } else { "" };
        blocks.note(format!(
            "{} of {pages} pages could be read only in part: {}{more} ({reason})",
            faults.len(),
            named.join(", ")
        ));
    }
}

/// Keeps a panic of the reader from going further than the page.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| panic_text(payload.as_ref()))
}

fn unreadable(reason: impl Into<String>) -> Fault {
    Denial::new(Code::PdfUnreadable).with("reason", reason.into()).into()
}

fn encrypted() -> Fault {
    Denial::new(Code::PdfEncrypted).into()
}

/// What the reader draws on.
struct Ink<'a> {
    lines: Lines,
    characters: u64,
    limits: &'a Limits,
}

impl Ink<'_> {
    fn check(&self) -> Result<(), Fault> {
        if self.characters > self.limits.characters {
            return Err(Fault::TooMuch { what: "characters", limit: self.limits.characters });
        }
        Ok(())
    }
}

impl OutputDev for Ink<'_> {
    fn begin_page(
        &mut self,
        _page: u32,
        _media: &MediaBox,
        _art: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn output_character(
        &mut self,
        place: &Transform,
        width: f64,
        _spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        self.characters += text.chars().count() as u64;
        if self.check().is_err() {
            return Err(OutputError::FormatError(std::fmt::Error));
        }
        // The direction of the text, and its size, from the matrix [a b c d] (ISO 32000-1, 8.3.3 and 9.4.4).
        let stretch = place.m11.hypot(place.m12);
        let area = place.m11 * place.m22 - place.m12 * place.m21;
        let size = font_size.abs() * area.abs().sqrt();
        let sign = font_size.signum() / stretch;
        let direction = (place.m11 * sign, place.m12 * sign);
        let advance = width * font_size.abs() * stretch;
        let (x, y) = (place.m31, place.m32);
        if [x, y, size, direction.0, direction.1, advance].iter().all(|number| number.is_finite()) {
            self.lines.glyph(&Glyph { x, y, size, direction, advance, text });
        }
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

#[cfg(test)]
mod making;
#[cfg(test)]
mod tests;
