//! Which of the breaks become the edges of chunks.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::breaks::{Break, Place, Scanner};
use super::unit::Level;
use super::{Options, Strategy};

/// From where to where a chunk goes.
pub(super) struct Span {
    pub(super) start: Place,
    pub(super) end: Place,
    /// The unit that it begins in.
    pub(super) unit: usize,
}

/// The spans of all chunks, in order.
pub(super) fn spans(mut scanner: Scanner<'_>, options: Options) -> Vec<Span> {
    let mut spans = Vec::new();
    let Some(mut start) = scanner.begin() else { return spans };
    let mut ahead: VecDeque<Break> = VecDeque::new();
    // How many of the breaks ahead lie within what the chunk before holds already.
    let mut held = 0;
    loop {
        let reach = start.start.tokens + options.tokens;
        while ahead.back().is_none_or(|last| last.end.tokens <= reach) && scanner.more(&mut ahead) {}
        let chosen = choose(&ahead, held, start.start.tokens, options);
        let Some(end) = ahead.get(chosen).copied() else { return spans };
        spans.push(Span { start: start.start, end: end.end, unit: start.unit });
        if end.level == Level::End {
            return spans;
        }
        while ahead.len() <= chosen + 1 && scanner.more(&mut ahead) {}
        let next = overlap(&ahead, chosen, options).unwrap_or(chosen);
        start = ahead[next];
        ahead.drain(..=next);
        held = chosen - next;
    }
}

/// Which break ends a chunk that begins at a number of tokens: the strongest in reach before which a quarter of the chunk is
/// filled, of several the last.
///
/// A section ends the chunk as soon as it is filled by a quarter, one of the outermost level by an eighth. With less it
/// is joined with the next section if that fits as a whole: a chunk of a line finds nothing, but one with the beginning
/// of another section would be found under the wrong heading.
fn choose(ahead: &VecDeque<Break>, held: usize, from: usize, options: Options) -> usize {
    let mut section = None;
    let mut best = None;
    let mut last = None;
    let mut glued = None;
    for (index, place) in ahead.iter().enumerate().skip(held) {
        let filled = place.end.tokens - from;
        if filled > options.tokens {
            break;
        }
        match place.level {
            Level::End => return index,
            Level::Top if filled >= options.tokens / 8 => return index,
            Level::Section if filled >= options.tokens / 4 => return index,
            Level::Top | Level::Section => section = Some(index),
            Level::Glued => glued = Some(index),
            _ => {
                last = Some(index);
                let rank = rank(place, options.strategy);
                if filled >= options.tokens / 4 && best.is_none_or(|(best, _)| rank >= best) {
                    best = Some((rank, index));
                }
            }
        }
    }
    // There is one in reach: what has no break within is never longer than a chunk.
    section.or(best.map(|(_, index)| index)).or(last).or(glued).unwrap_or(held)
}

/// How good a break is, for a way to cut.
fn rank(place: &Break, strategy: Strategy) -> (Level, Reverse<u8>) {
    match strategy {
        Strategy::Recursive | Strategy::Code => (place.level, Reverse(place.depth)),
        Strategy::Sentence => (place.level.min(Level::Sentence), Reverse(0)),
        Strategy::Token => (place.level.min(Level::Word), Reverse(0)),
    }
}

/// The break at which the chunk after `chosen` begins when it repeats the end of the one before.
fn overlap(ahead: &VecDeque<Break>, chosen: usize, options: Options) -> Option<usize> {
    let end = ahead[chosen];
    if end.level >= Level::Section {
        return None;
    }
    let following = ahead.get(chosen + 1)?.end.tokens;
    let mut sentence = None;
    let mut word = None;
    for index in (0..chosen).rev() {
        let place = &ahead[index];
        let shared = end.end.tokens - place.start.tokens;
        // What follows must still fit.
        if shared > options.overlap || following - place.start.tokens > options.tokens {
            break;
        }
        if place.level >= Level::Sentence {
            sentence = Some((index, shared));
        }
        if place.level >= Level::Word {
            word = Some(index);
        }
        if place.level >= Level::Section {
            break;
        }
    }
    match options.strategy {
        Strategy::Token => word,
        Strategy::Sentence => sentence.map(|(index, _)| index),
        Strategy::Recursive | Strategy::Code => {
            sentence.filter(|(_, shared)| *shared >= options.overlap / 2).map(|(index, _)| index).or(word)
        }
    }
}
