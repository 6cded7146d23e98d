//! Text in pictures, by the program `tesseract` when it is installed.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use kaizen_proto::denial::{Code, Denial};

use super::collect::Collector;
use super::fault::Fault;
use crate::ingest::block::BlockKind;

/// The program, looked for in PATH.
const PROGRAM: &str = "tesseract";
/// Bytes of its answer.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// What was recognised beside the blocks.
pub(super) struct Recognised {
    /// The program's version.
    pub(super) version: Option<String>,
    /// The mean of the words' confidence, from 0 to 1.
    pub(super) confidence: f64,
}

/// Recognises the text in a picture: a block for each paragraph.
pub(super) fn recognise(picture: &[u8], blocks: &mut Collector<'_>) -> Result<Recognised, Fault> {
    let version =
        Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).output().map_err(unavailable)?;
    // Older versions name themselves on standard error.
    let version = [version.stdout, version.stderr].concat();
    let version = String::from_utf8_lossy(&version);
    let version = version.lines().next().and_then(|line| line.strip_prefix("tesseract ")).map(str::to_owned);
    let mut child = Command::new(PROGRAM)
        .args(["stdin", "stdout", "tsv"])
        // More threads than one make it slower, and each of them takes address space.
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(unavailable)?;
    let stdin = child.stdin.take();
    let mut answer = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A program that does not read to the end says so by its status.
                let _ = stdin.write_all(picture);
            }
        });
        let stdout = child.stdout.take();
        stdout.map_or(Ok(0), |stdout| stdout.take(LONGEST_ANSWER).read_to_end(&mut answer))
    })
    .map_err(Fault::broken)?;
    let status = child.wait().map_err(Fault::broken)?;
    if !status.success() {
        return Err(Fault::broken(format!("tesseract could not read the picture ({status})")));
    }
    let confidence = paragraphs(&String::from_utf8_lossy(&answer), blocks)?;
    Ok(Recognised { version, confidence })
}

fn unavailable(error: std::io::Error) -> Fault {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Fault::Denied(Denial::new(Code::OcrUnavailable).with("program", PROGRAM));
    }
    Fault::broken(error)
}

/// Reads the table that tesseract writes: a line for each word, with its place in pages, blocks, paragraphs and lines.
/// Gives back the mean confidence.
fn paragraphs(table: &str, blocks: &mut Collector<'_>) -> Result<f64, Fault> {
    let mut text = String::new();
    let mut place = Vec::new();
    let (mut sum, mut words) = (0.0, 0_u32);
    for line in table.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        // level, page, block, paragraph, line, word, left, top, width, height, confidence, text
        let ["5", page, block, paragraph, row, _, _, _, _, _, confidence, word] = columns[..] else {
            continue;
        };
        let Ok(confidence) = confidence.parse::<f64>() else { continue };
        if word.trim().is_empty() || confidence < 0.0 {
            continue;
        }
        let next = vec![page, block, paragraph, row];
        if place.get(..3) == next.get(..3) {
            text.push(if place == next { ' ' } else { '\n' });
        } else {
            blocks.push(BlockKind::Text, &text)?;
            text.clear();
            blocks.set_page(page.parse().unwrap_or(1));
        }
        text.push_str(word);
        place = next;
        sum += confidence;
        words += 1;
    }
    blocks.push(BlockKind::Text, &text)?;
    Ok(if words == 0 { 0.0 } else { (sum / f64::from(words) / 100.0).clamp(0.0, 1.0) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ingest::extract::limits::Limits;

    #[test]
    fn words_become_paragraphs() {
        let table = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
            1\t1\t0\t0\t0\t0\t0\t0\t9\t9\t-1\t\n\
            5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t90.5\tHello\n\
            5\t1\t1\t1\t1\t2\t0\t0\t9\t9\t80.5\tbig\n\
            5\t1\t1\t1\t2\t1\t0\t0\t9\t9\t90\tworld\n\
            5\t1\t1\t1\t2\t2\t0\t0\t9\t9\t95\t \n\
            5\t1\t2\t1\t1\t1\t0\t0\t9\t9\t99\tNext\n";
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        let confidence = paragraphs(table, &mut blocks).unwrap();
        assert!((confidence - 0.9).abs() < 1e-9, "{confidence}");
        let (blocks, _) = blocks.finish();
        let shown: Vec<_> = blocks.iter().map(|block| (block.text.as_str(), block.page)).collect();
        assert_eq!(shown, [("Hello big\nworld", Some(1)), ("Next", Some(1))]);
        assert!(paragraphs("", &mut Collector::new(&limits)).unwrap().abs() < f64::EPSILON);
    }
}
