//! HTML: what a reader sees of a page, by a tokenizer of the WHATWG's standard and a few rules about elements.
//!
//! No tree is built, so that neither depth nor missing end tags cost anything.

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::collect::Collector;
use super::fault::Fault;
use super::limits::Limits;
use super::table::Table;
use crate::ingest::block::BlockKind;

mod page;

use page::Page;

/// Bytes at the start of a page in which the name of its encoding may stand.
const PRESCAN: usize = 1024;

/// Decodes a page: as every text, unless it is no UTF-8 and names another encoding.
pub(super) fn decode(bytes: &[u8]) -> String {
    let named = || {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(PRESCAN)]).to_ascii_lowercase();
        let (_, after) = head.split_once("charset=")?;
        let label = after.trim_start_matches(['"', '\'']);
        let end = label.find(['"', '\'', ' ', '>', ';', '/']).unwrap_or(label.len());
        encoding_rs::Encoding::for_label(&label.as_bytes()[..end])
    };
    if std::str::from_utf8(bytes).is_err()
        && let Some(encoding) = named()
    {
        let (text, _, _) = encoding.decode(bytes);
        return super::text::decode(text.as_bytes());
    }
    super::text::decode(bytes)
}

/// A whole page. Its title comes first, unless a heading of the first level says the same.
pub(super) fn html(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let title = read(text, blocks)?;
    match title {
        Some(title) => blocks.title(&title),
        None => Ok(()),
    }
}

/// A piece of HTML within another document.
pub(super) fn fragment(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    read(text, blocks).map(drop)
}

/// The text of a piece of HTML, a block a line.
pub(super) fn text(html: &str, limits: &Limits) -> Result<String, Fault> {
    let mut blocks = Collector::new(limits);
    read(html, &mut blocks)?;
    let texts: Vec<_> = blocks.finish().0.into_iter().map(|block| block.text).collect();
    Ok(texts.join("\n"))
}

/// Whether a name in lower case is that of an element which HTML has, and not, say, that of a type parameter.
pub(super) fn is_element(name: &str) -> bool {
    const INLINE: &[&str] = &[
        "a", "abbr", "audio", "b", "bdi", "bdo", "big", "br", "button", "canvas", "cite", "code", "col",
        "colgroup", "data", "del", "dfn", "em", "embed", "font", "head", "i", "iframe", "img", "input",
        "ins", "kbd", "label", "link", "map", "mark", "meta", "meter", "noscript", "object", "output",
        "param", "picture", "progress", "q", "rp", "rt", "ruby", "s", "samp", "script", "select", "slot",
        "small", "source", "span", "strike", "strong", "style", "sub", "sup", "svg", "template", "textarea",
        "time", "title", "tt", "u", "var", "video", "wbr",
    ];
    INLINE.contains(&name) || page::is_block(name)
}

/// Reads all tokens; gives back the title, when the document has one that no heading says.
fn read(text: &str, blocks: &mut Collector<'_>) -> Result<Option<String>, Fault> {
    let mut page = Page::default();
    let emitter = {
        let (page, blocks) = (&mut page, &mut *blocks);
        let mut name = Vec::new();
        let mut emitter =
            CallbackEmitter::new(move |event: CallbackEvent<'_>, _: Span<()>| -> Option<Fault> {
                let told = match event {
                    CallbackEvent::OpenStartTag { name: opened } => {
                        name.clear();
                        name.extend_from_slice(opened);
                        Ok(())
                    }
                    CallbackEvent::CloseStartTag { self_closing } => page.start(&name, self_closing, blocks),
                    CallbackEvent::EndTag { name } => page.end(name, blocks),
                    CallbackEvent::String { value } => page.text(&String::from_utf8_lossy(value), blocks),
                    _ => Ok(()),
                };
                told.err()
            });
        // Else the content of scripts would be read as markup.
        emitter.naively_switch_states(true);
        emitter
    };
    // What the tokenizer yields are the faults, so that it runs to the end when there is none.
    match Tokenizer::new_with_emitter(text, emitter).next() {
        Some(Ok(fault)) => Err(fault),
        None => page.finish(blocks),
    }
}
