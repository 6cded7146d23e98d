//! Which formats there are, by the last suffix of a file's name.

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Plain,
    Markdown,
    RestructuredText,
    AsciiDoc,
    /// Delimited values; the delimiter, when the name says it.
    Csv(Option<u8>),
    Html,
    Json,
    Xml,
    /// Lines of data: logs, lists of JSON values.
    Data,
    Source,
    Pdf,
    Docx,
    Xlsx,
    Picture,
}

impl Reader {
    /// Whether it reads in a child process: what parses complicated containers may crash, and need much of everything.
    pub(super) fn needs_child(self) -> bool {
        matches!(self, Reader::Pdf | Reader::Docx | Reader::Xlsx | Reader::Picture)
    }
}

/// A format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    /// Its media type.
    pub(super) media_type: &'static str,
    /// How it is read.
    pub(super) reader: Reader,
}

/// The format that an extension stands for, in lower case and with its dot.
pub(super) fn find(extension: &str) -> Option<Format> {
    let (_, media_type, reader) =
        DOCUMENTS.iter().find(|(extensions, _, _)| extensions.split(' ').any(|known| known == extension))?;
    Some(Format { media_type, reader: *reader })
}

/// Extensions, media types and readers.
const DOCUMENTS: &[(&str, &str, Reader)] = &[
    (".txt .text", "text/plain", Reader::Plain),
    (".md .markdown", "text/markdown", Reader::Markdown),
    (".csv", "text/csv", Reader::Csv(None)),
    (".tsv", "text/tab-separated-values", Reader::Csv(Some(b'\t'))),
    (".html .htm .xhtml", "text/html", Reader::Html),
    (".pdf", "application/pdf", Reader::Pdf),
    (".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", Reader::Docx),
    (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Reader::Xlsx),
    (".rst", "text/x-rst", Reader::RestructuredText),
    (".adoc .asciidoc", "text/asciidoc", Reader::AsciiDoc),
    (".json", "application/json", Reader::Json),
    (".jsonl .ndjson", "application/jsonl", Reader::Data),
    (".xml .xsd .xsl .svg", "application/xml", Reader::Xml),
    (".yaml .yml", "application/yaml", Reader::Source),
    (".toml", "application/toml", Reader::Source),
    (".log", "text/plain", Reader::Data),
    (".png", "image/png", Reader::Picture),
    (".jpg .jpeg", "image/jpeg", Reader::Picture),
    (".tif .tiff", "image/tiff", Reader::Picture),
    (".bmp", "image/bmp", Reader::Picture),
    (".rs", "text/x-rust", Reader::Source),
    (".py .pyi", "text/x-python", Reader::Source),
    (".js .jsx .mjs .cjs", "text/javascript", Reader::Source),
    (".ts .tsx .mts .cts", "text/x-typescript", Reader::Source),
    (".vue .svelte", "text/x-component", Reader::Source),
    (".go", "text/x-go", Reader::Source),
    (".c .h", "text/x-c", Reader::Source),
    (".cc .cpp .cxx .hh .hpp .hxx", "text/x-c++", Reader::Source),
    (".cs", "text/x-csharp", Reader::Source),
    (".java", "text/x-java", Reader::Source),
    (".kt .kts", "text/x-kotlin", Reader::Source),
    (".scala", "text/x-scala", Reader::Source),
    (".swift", "text/x-swift", Reader::Source),
    (".rb", "text/x-ruby", Reader::Source),
    (".php", "text/x-php", Reader::Source),
    (".pl .pm", "text/x-perl", Reader::Source),
    (".lua", "text/x-lua", Reader::Source),
    (".r", "text/x-r", Reader::Source),
    (".jl", "text/x-julia", Reader::Source),
    (".zig", "text/x-zig", Reader::Source),
    (".dart", "text/x-dart", Reader::Source),
    (".ex .exs", "text/x-elixir", Reader::Source),
    (".erl .hrl", "text/x-erlang", Reader::Source),
    (".hs", "text/x-haskell", Reader::Source),
    (".ml .mli", "text/x-ocaml", Reader::Source),
    (".clj .cljs", "text/x-clojure", Reader::Source),
    (".sh .bash .zsh .fish", "text/x-shellscript", Reader::Source),
    (".ps1 .psm1", "text/x-powershell", Reader::Source),
    (".bat .cmd", "text/x-bat", Reader::Source),
    (".sql", "text/x-sql", Reader::Source),
    (".css .scss .less", "text/css", Reader::Source),
    (".proto", "text/x-protobuf", Reader::Source),
    (".graphql .gql", "text/x-graphql", Reader::Source),
    (".tf .hcl", "text/x-hcl", Reader::Source),
    (".nix", "text/x-nix", Reader::Source),
    (".mk .cmake .gradle", "text/x-build", Reader::Source),
    (".ini .conf .cfg .properties .env .service", "text/plain", Reader::Source),
    (".tex", "text/x-tex", Reader::Plain),
    (".diff .patch", "text/x-diff", Reader::Data),
];

/// Every extension that is known, for tests.
#[cfg(test)]
pub(super) fn extensions() -> impl Iterator<Item = (&'static str, Reader)> {
    DOCUMENTS
        .iter()
        .flat_map(|(extensions, _, reader)| extensions.split(' ').map(|extension| (extension, *reader)))
}
