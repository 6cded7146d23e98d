//! Message framing on the local socket, without any I/O: bytes in, frames out.
//!
//! Two framings share one socket and are told apart by the first byte of a connection that is not JSON white space:
//!
//! - `{` or `[`: one JSON text per line, ended by `\n` or `\r\n`; blank lines are skipped;
//! - `C` or `c`: the base protocol of the Language Server Protocol (LSP 3.17, "Header Part"): `Content-Length: N`
//!   and any other headers (ignored), each ended by `\r\n`, an empty line, then N bytes of body.
//!
//! Memory follows what has arrived, never what is announced, and limits are checked before memory is reserved.

/// The longest header block in bytes, including the empty line that ends it.
pub const MAX_HEADER: usize = 4 * 1024;
/// The longest frame body in bytes, excluding the line end.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;
/// The most bytes to pass to one call of [`Decoder::feed`].
pub const MAX_FEED: usize = 64 * 1024;

/// An unfinished line, the carriage return that may belong to its end, and one more chunk.
const MAX_BUFFERED: usize = MAX_FRAME + 1 + MAX_FEED;
/// The buffer capacity in bytes that is worth keeping between frames.
const IDLE_CAPACITY: usize = 16 * 1024;
const JSON_SPACE: &[u8] = b" \t\n\r";
const HEADER_END: &[u8] = b"\r\n\r\n";

/// How one connection marks where its messages end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One compact JSON text per line.
    Lines,
    /// A `Content-Length` header block before each body.
    Headers,
}

/// Why a connection cannot be decoded any further: after any of these the next frame cannot be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A line or an announced body is longer than [`MAX_FRAME`], or the caller fed far more than it took out.
    #[error("a frame is longer than {MAX_FRAME} bytes")]
    TooLarge,
    /// A header block is longer than [`MAX_HEADER`].
    #[error("a header block is longer than {MAX_HEADER} bytes")]
    HeaderTooLarge,
    /// A header block is malformed, or does not have exactly one valid `Content-Length`.
    #[error("a header block is malformed or has no valid Content-Length")]
    BadHeader,
    /// The connection begins with a byte that starts neither framing.
    #[error("the connection starts with neither a JSON text nor a Content-Length header")]
    UnknownFraming,
}

/// Cuts the byte stream of one connection into frames. What comes out depends only on the bytes, not on how they
/// are split into calls of [`Decoder::feed`], and the work is linear in their number.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the unconsumed part of `buffer` begins.
    start: usize,
    /// How many unconsumed bytes were searched for the end of a line or header, so that none is searched again.
    searched: usize,
    /// The length of the body that comes next, once its header block is consumed.
    body: Option<usize>,
    framing: Option<Framing>,
    failed: Option<FrameError>,
}

impl Decoder {
    /// A decoder for a new connection. Allocates nothing yet.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// The framing of the connection, once its first byte is known.
    #[must_use]
    pub fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Takes the next bytes of the connection.
    ///
    /// Feed at most [`MAX_FEED`] bytes at a time, and call [`Decoder::next`] until it returns `Ok(None)` before
    /// feeding again. If bytes pile up beyond what an unfinished frame can need, the decoder fails with
    /// [`FrameError::TooLarge`] and drops what it holds. A failed decoder ignores all further bytes.
    pub fn feed(&mut self, chunk: &[u8]) {
        let needed = self.buffer.len() - self.start + chunk.len();
        if self.failed.is_none() && needed > MAX_BUFFERED {
            self.fail(FrameError::TooLarge);
        }
        if self.failed.is_some() {
            return;
        }
        self.compact();
        if needed > self.buffer.capacity() {
            // Doubling keeps appending linear; left to itself, `Vec` would double past the limit.
            let capacity = (self.buffer.capacity() * 2).clamp(needed, MAX_BUFFERED);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        self.buffer.extend_from_slice(chunk);
    }

    /// Returns the body of the next complete frame, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// See [`FrameError`]. Frames before the damage are returned first; from then on every call returns the same
    /// error, and the connection should be closed.
    // An `Iterator` would end at the first `None`; here `None` only means "not yet".
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let frame = self.failed.map_or_else(|| self.advance(), Err).map_err(|error| self.fail(error))?;
        let keep = (self.buffer.len() - self.start).max(IDLE_CAPACITY);
        if frame.is_none() && self.buffer.capacity() > 2 * keep {
            self.compact();
            self.buffer.shrink_to(keep);
        }
        Ok(frame)
    }

    fn advance(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        while self.framing.is_none() && self.start < self.buffer.len() {
            match self.buffer[self.start] {
                b'{' | b'[' => self.framing = Some(Framing::Lines),
                b'C' | b'c' => self.framing = Some(Framing::Headers),
                byte if JSON_SPACE.contains(&byte) => self.start += 1,
                _ => return Err(FrameError::UnknownFraming),
            }
        }
        match self.framing {
            None => Ok(None),
            Some(Framing::Lines) => self.next_line(),
            Some(Framing::Headers) => self.next_body(),
        }
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        loop {
            let unread = &self.buffer[self.start..];
            let found = unread[self.searched..].iter().position(|byte| *byte == b'\n');
            let end = found.map_or(unread.len(), |offset| self.searched + offset);
            let line = unread[..end].strip_suffix(b"\r").unwrap_or(&unread[..end]);
            let length = line.len();
            if length > MAX_FRAME {
                return Err(FrameError::TooLarge);
            }
            if found.is_none() {
                self.searched = end;
                return Ok(None);
            }
            self.searched = 0;
            if !line.iter().all(|byte| JSON_SPACE.contains(byte)) {
                return Ok(Some(self.take(length, end + 1)));
            }
            self.start += end + 1;
        }
    }

    fn next_body(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if self.body.is_none() {
            self.body = self.next_header()?;
        }
        let complete = self.body.take_if(|length| self.buffer.len() - self.start >= *length);
        Ok(complete.map(|length| self.take(length, length)))
    }

    fn next_header(&mut self) -> Result<Option<usize>, FrameError> {
        let unread = &self.buffer[self.start..];
        let block = &unread[..unread.len().min(MAX_HEADER)];
        // The end may arrive in pieces, so its first bytes may have been searched already.
        let from = self.searched.saturating_sub(HEADER_END.len() - 1);
        let mut windows = block[from..].windows(HEADER_END.len());
        let Some(offset) = windows.position(|window| window == HEADER_END) else {
            self.searched = block.len();
            return if block.len() < MAX_HEADER { Ok(None) } else { Err(FrameError::HeaderTooLarge) };
        };
        let length = content_length(&block[..from + offset])?;
        self.start += from + offset + HEADER_END.len();
        self.searched = 0;
        Ok(Some(length))
    }

    /// Returns the next `length` bytes and consumes `consumed`.
    fn take(&mut self, length: usize, consumed: usize) -> Vec<u8> {
        if self.start > 0 || length <= IDLE_CAPACITY {
            let frame = self.buffer[self.start..self.start + length].to_vec();
            self.start += consumed;
            return frame;
        }
        // A long frame fills the buffer from its beginning: hand the buffer over instead of copying it.
        let rest = self.buffer.split_off(consumed);
        let mut frame = std::mem::replace(&mut self.buffer, rest);
        frame.truncate(length);
        frame
    }

    /// Moves the unconsumed bytes to the beginning, where an unfinished frame stays: no frame is moved twice.
    fn compact(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
    }

    fn fail(&mut self, error: FrameError) -> FrameError {
        *self = Decoder { framing: self.framing, failed: Some(error), ..Decoder::default() };
        error
    }
}

/// Appends one frame with `body` to `out`. With [`Framing::Lines`], `body` must be compact JSON, which holds no
/// line feed. The receiver refuses a body longer than [`MAX_FRAME`].
pub fn encode(framing: Framing, body: &[u8], out: &mut Vec<u8>) {
    if framing == Framing::Headers {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    }
    out.reserve(body.len() + 1);
    out.extend_from_slice(body);
    if framing == Framing::Lines {
        debug_assert!(!body.contains(&b'\n'), "a line must not hold a line feed");
        out.push(b'\n');
    }
}

fn content_length(block: &[u8]) -> Result<usize, FrameError> {
    let block = std::str::from_utf8(block).map_err(|_| FrameError::BadHeader)?;
    let mut length = None;
    for line in block.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(FrameError::BadHeader)?;
        if name.eq_ignore_ascii_case("Content-Length") {
            let digits = value.trim_matches([' ', '\t']);
            // Two lengths would let two readers see different frames.
            if length.is_some() || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(FrameError::BadHeader);
            }
            // Only a number too big for `usize` can fail here.
            length = Some(digits.parse().unwrap_or(usize::MAX));
        }
    }
    let length = length.ok_or(FrameError::BadHeader)?;
    if length > MAX_FRAME { Err(FrameError::TooLarge) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use FrameError::{BadHeader, HeaderTooLarge, TooLarge, UnknownFraming};
    use proptest::prelude::*;

    use super::*;

    /// Feeds `pieces` by the rules; checks that memory is bounded, no byte is searched twice and failure is final.
    fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Option<FrameError>, Decoder) {
        let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
        for chunk in pieces.into_iter().flat_map(|piece| piece.chunks(MAX_FEED)) {
            decoder.feed(chunk);
            assert!(decoder.buffer.capacity() <= MAX_BUFFERED);
            while let Some(frame) = decoder.next().unwrap_or(None) {
                frames.push(frame);
            }
            if let Some(error) = decoder.failed {
                decoder.feed(b"{}\n");
                assert_eq!((decoder.next(), decoder.buffer.capacity()), (Err(error), 0));
                return (frames, Some(error), decoder);
            }
            let waiting = if decoder.body.is_some() { 0 } else { decoder.buffer.len() - decoder.start };
            assert_eq!(decoder.searched, waiting);
        }
        (frames, None, decoder)
    }

    #[test]
    fn both_framings_tolerate_what_they_should() {
        let (frames, error, decoder) = run([&b" \n{\"a\":1}\r\n\r\n \t\n[2]\n3\nrest"[..]]);
        assert_eq!((error, decoder.framing()), (None, Some(Framing::Lines)));
        assert_eq!(frames, [&b"{\"a\":1}"[..], b"[2]", b"3"]);
        let stream = b"content-type: x; y=\"z:\"\r\ncontent-LENGTH:\t2 \r\n\r\n{}Content-Length: 0\r\n\r\n";
        let (frames, error, decoder) = run([&stream[..]]);
        assert_eq!((error, decoder.framing()), (None, Some(Framing::Headers)));
        assert_eq!(frames, [&b"{}"[..], b""]);
    }

    #[test]
    fn damage_is_reported() {
        for stream in ["x", " \"", "\u{feff}{}", "\0"] {
            assert_eq!(run([stream.as_bytes()]).1, Some(UnknownFraming), "{stream:?}");
        }
        for rest in ["", ":", ": ", ": -1", ": +1", ": 1x", ": 1\n", ": 1\r\nb", ": 1\r\nContent-Length: 1"] {
            let stream = format!("Content-Length{rest}\r\n\r\n{{}}");
            assert_eq!(run([stream.as_bytes()]).1, Some(BadHeader), "{stream:?}");
        }
        assert_eq!(run([&b"c: 1\r\n\r\n"[..]]).1, Some(BadHeader));
        assert_eq!(run([&b"Content-Length: 99999999999999999999999\r\n\r\n"[..]]).1, Some(TooLarge));
    }

    #[test]
    fn limits_are_exact() {
        for (length, expected) in [(MAX_FRAME, None), (MAX_FRAME + 1, Some(TooLarge))] {
            for end in ["\n", "\r\n", "\r", ""] {
                let stream = format!("[{}{end}", "1".repeat(length - 1));
                assert_eq!(run([stream.as_bytes()]).1, expected, "{length} {end:?}");
            }
            assert_eq!(run([format!("Content-Length: {length}\r\n\r\n").as_bytes()]).1, expected);
        }
        for (length, expected) in [(MAX_HEADER, None), (MAX_HEADER + 1, Some(HeaderTooLarge))] {
            let stream = format!("Content-Length: 1\r\nx:{}\r\n\r\n", " ".repeat(length - 25));
            assert_eq!((stream.len(), run([stream.as_bytes()]).1), (length, expected));
        }
        let mut decoder = Decoder::new();
        decoder.feed(&vec![b'['; MAX_BUFFERED + 1]);
        assert_eq!((decoder.next(), decoder.buffer.capacity()), (Err(TooLarge), 0));
    }

    #[test]
    fn memory_is_given_back_after_a_large_frame() {
        for framing in [Framing::Lines, Framing::Headers] {
            let (large, mut stream) = (vec![b'['; MAX_FRAME], Vec::new());
            let bodies = [b"{}", &large[..], b"[]", &large[..40_000]];
            for body in bodies {
                encode(framing, body, &mut stream);
            }
            let (frames, error, decoder) = run([&stream[..], b"C"]);
            assert!(error.is_none() && frames == bodies, "{framing:?}");
            assert!(decoder.buffer.capacity() <= 2 * IDLE_CAPACITY, "{}", decoder.buffer.capacity());
        }
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            bodies in prop::collection::vec("\\{\"[a-zé\\\\]{0,40}\":[0-9]{1,9}\\}", 1..6),
            headers: bool,
            place: prop::sample::Index,
        ) {
            let (framing, mut stream) = (if headers { Framing::Headers } else { Framing::Lines }, Vec::new());
            for body in &bodies {
                encode(framing, body.as_bytes(), &mut stream);
            }
            let expected: Vec<_> = bodies.iter().map(String::as_bytes).collect();
            for cut in 0..=stream.len() {
                let (a, b) = (place.index(cut + 1), cut);
                prop_assert_eq!(&run([&stream[..a], &stream[a..b], &stream[b..]]).0, &expected);
            }
            prop_assert_eq!(&run(stream.chunks(1)).0, &expected);
        }

        #[test]
        fn garbage_never_panics(start in "(\\{|C|Content-Length: [0-9]\r\n|c:\r\n\r\n)?", rest: Vec<u8>) {
            let stream = [start.as_bytes(), &rest].concat();
            let (whole, bytewise) = (run([&stream[..]]), run(stream.chunks(1)));
            prop_assert_eq!((whole.0, whole.1), (bytewise.0, bytewise.1));
        }
    }
}
