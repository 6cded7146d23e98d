//! The frame decoder under streams that were damaged on purpose, cut anywhere: what comes out depends on the bytes alone,
//! is never longer than allowed, and what came before the damage still comes out.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected stops right there")]

use kaizen_proto::frame::{Decoder, FrameError, Framing, MAX_FEED, MAX_FRAME, encode};
use proptest::prelude::*;
use proptest::sample::Index;

/// Decodes a stream that arrives in pieces of these sizes, over and over.
fn decode(stream: &[u8], sizes: &[usize]) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    let (mut rest, mut sizes) = (stream, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(1).clamp(1, MAX_FEED).min(rest.len());
        let (chunk, after) = rest.split_at(size);
        decoder.feed(chunk);
        rest = after;
        loop {
            match decoder.next() {
                Ok(Some(frame)) => {
                    assert!(frame.len() <= MAX_FRAME);
                    frames.push(frame);
                }
                Ok(None) => break,
                Err(error) => {
                    // Final: neither more bytes nor another try change it.
                    decoder.feed(rest);
                    assert_eq!(decoder.next(), Err(error));
                    return (frames, Some(error));
                }
            }
        }
    }
    (frames, None)
}

/// A body as a client would send it: compact JSON, now and then a long one.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let long =
        (15_000_usize..200_000).prop_map(|length| format!("[\"{}\"]", "x".repeat(length)).into_bytes());
    prop_oneof![
        8 => "\\{\"[a-zé\\\\🚀]{0,60}\":[0-9]{1,9}\\}".prop_map(String::into_bytes),
        1 => Just(b"[]".to_vec()),
        1 => long,
    ]
}

/// What a peer may put between frames, or before the length, without meaning anything.
fn padding(framing: Framing) -> BoxedStrategy<Vec<u8>> {
    match framing {
        Framing::Lines => "[ \t\r]{0,3}\n?".prop_map(String::into_bytes).boxed(),
        Framing::Headers => prop_oneof![
            3 => Just(Vec::new()),
            1 => "Content-Type: [a-z/;=\\-0-9 ]{0,40}\r\n".prop_map(String::into_bytes),
        ]
        .boxed(),
    }
}

/// A stream of frames in one framing, with its bodies.
fn stream() -> impl Strategy<Value = (Framing, Vec<Vec<u8>>, Vec<u8>)> {
    prop_oneof![Just(Framing::Lines), Just(Framing::Headers)].prop_flat_map(|framing| {
        proptest::collection::vec((padding(framing), body()), 1..12).prop_map(move |parts| {
            let mut stream = Vec::new();
            for (at, (padding, body)) in parts.iter().enumerate() {
                // The first byte decides the framing; a header may come first, white space too.
                if at > 0 || framing == Framing::Headers {
                    stream.extend_from_slice(padding);
                }
                encode(framing, body, &mut stream);
            }
            (framing, parts.into_iter().map(|(_, body)| body).collect(), stream)
        })
    })
}

/// Damage: which byte, and what becomes of it.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let odd = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..8),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"Content-Length: 4\r\n".to_vec()),
        Just(b"Content-Length: 99999999999999999999\r\n\r\n".to_vec()),
        Just(vec![b' '; 5000]),
    ];
    prop_oneof![
        (any::<Index>(), 1_u8..=255).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), odd).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

/// Applies the damage. Returns where the first change is.
fn apply(stream: &mut Vec<u8>, damage: &Damage) -> usize {
    match damage {
        Damage::Flip(at, bits) => {
            let at = at.index(stream.len());
            stream[at] ^= bits;
            at
        }
        Damage::Cut(at) => {
            let at = at.index(stream.len());
            stream.truncate(at);
            at
        }
        Damage::Insert(at, bytes) => {
            let at = at.index(stream.len());
            stream.splice(at..at, bytes.iter().copied());
            at
        }
        Damage::Repeat(one, other) => {
            let (one, other) = (one.index(stream.len()), other.index(stream.len()));
            let (from, to) = (one.min(other), one.max(other));
            let piece = stream[from..to].to_vec();
            stream.splice(to..to, piece);
            to
        }
    }
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![4 => 1_usize..40, 2 => 1_usize..5000, 1 => 1_usize..=MAX_FEED];
    proptest::collection::vec(size, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_pieces_the_same_frames_come_out((_, bodies, stream) in stream(), sizes in sizes()) {
        let (frames, error) = decode(&stream, &sizes);
        prop_assert_eq!(error, None);
        // White space around a text belongs to its line.
        let trimmed: Vec<&[u8]> = frames.iter().map(|frame| frame.trim_ascii()).collect();
        prop_assert_eq!(trimmed, bodies);
    }

    #[test]
    fn damage_is_told_alike_however_it_arrives(
        (_, bodies, mut stream) in stream(),
        damages in proptest::collection::vec(damage(), 1..4),
        one in sizes(),
        other in sizes(),
    ) {
        let whole = stream.clone();
        let mut first = stream.len();
        for damage in &damages {
            if !stream.is_empty() {
                first = first.min(apply(&mut stream, damage));
            }
        }
        let decoded = decode(&stream, &one);
        prop_assert_eq!(&decoded, &decode(&stream, &other));
        prop_assert_eq!(&decoded, &decode(&stream, &[MAX_FEED]));
        // What was complete before the damage is not lost to it.
        let (before, _) = decode(&whole[..first], &[MAX_FEED]);
        prop_assert!(before.len() <= bodies.len());
        prop_assert!(decoded.0.starts_with(&before), "{} frames of {}", decoded.0.len(), before.len());
    }
}
