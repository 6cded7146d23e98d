//! Reading documents in a child process, with the real program and with programs that behave badly.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kaizen_proto::denial::{Code, Denial};
use kaizend::ingest::extract::{Extracted, Job, Limits, Source, extract_file};

#[path = "../src/ingest/extract/pdf/making.rs"]
mod making;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kaizend");

fn run(job: Job, limits: &Limits, program: &Path) -> Result<Extracted, Denial> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(extract_file(job, limits, program))
}

fn job(extension: &str, bytes: Vec<u8>) -> Job {
    Job {
        path: "docs/file".to_owned(),
        extension: extension.to_owned(),
        source: Source::Bytes(bytes),
        ocr: false,
    }
}

fn read(extension: &str, bytes: Vec<u8>) -> Result<Extracted, Denial> {
    run(job(extension, bytes), &Limits::default(), Path::new(PROGRAM))
}

fn container(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A program that does what this shell script says, whatever it is asked.
fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("program");
    // Written under another name: a program that is still open for writing somewhere cannot be run.
    let written = directory.join("written");
    fs::write(&written, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&written, fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(&written, &path).unwrap();
    path
}

fn reason(denial: &Denial) -> String {
    assert_eq!(denial.code, Code::ExtractionFailed, "{denial}");
    assert_eq!(denial.field("path").unwrap(), "docs/file");
    denial.field("reason").unwrap().as_str().unwrap().to_owned()
}

#[test]
fn bytes_and_files_come_back_as_blocks() {
    let pdf = making::pages(&[&making::text(50, 700, 10, "Hello from the child.")]);
    let found = read(".pdf", pdf.clone()).unwrap();
    assert_eq!(found.blocks[0].text, "Hello from the child.");
    assert_eq!((found.backend.as_str(), found.pages), ("pdf-extract", Some(1)));
    let docx = container(&[("word/document.xml", "<d><p><r><t>In words</t></r></p></d>")]);
    assert_eq!(read(".docx", docx).unwrap().blocks[0].text, "In words");
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in [(".pdf", pdf), (".md", b"Hello from the child.".to_vec())] {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mut file = File::open(&path).unwrap();
        // Somebody has read it to the end already, for its hash.
        std::io::copy(&mut file, &mut std::io::sink()).unwrap();
        let job = Job { source: Source::File(file), ..job(name, Vec::new()) };
        assert_eq!(
            run(job, &Limits::default(), Path::new(PROGRAM)).unwrap().blocks[0].text,
            "Hello from the child."
        );
    }
}

#[test]
fn denials_of_the_child_come_with_their_fields() {
    let denial = read(".pdf", making::pages(&[""])).unwrap_err();
    assert_eq!((denial.code, denial.exit_code()), (Code::PdfNoText, 2));
    assert_eq!(denial.field("path").unwrap(), "docs/file");
    let limits = Limits { pdf_pages: 1, pdf_bytes: 100_000, ..Limits::default() };
    let two = run(job(".pdf", making::pages(&["", ""])), &limits, Path::new(PROGRAM)).unwrap_err();
    assert_eq!((two.code, two.field("pages").unwrap()), (Code::PdfTooManyPages, &2.into()));
    let large = run(job(".pdf", vec![b' '; 100_001]), &limits, Path::new("/nowhere")).unwrap_err();
    assert_eq!(large.code, Code::FileTooLarge);
    assert_eq!(read(".exe", Vec::new()).unwrap_err().code, Code::UnsupportedMedia);
    assert_eq!(read(".docx", b"no container".to_vec()).unwrap_err().code, Code::ExtractionFailed);
}

#[test]
fn a_file_that_refers_to_itself_ends_the_child_only() {
    // The page inherits its resources from itself, for ever.
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Count 1 /Kids [3 0 R] >>".to_owned(),
        "<< /Type /Page /Parent 3 0 R /Contents 4 0 R >>".to_owned(),
        making::stream("BT ET"),
    ];
    let denial = read(".pdf", making::file(&objects, "")).unwrap_err();
    assert_eq!(reason(&denial), "it is nested too deeply, or refers to itself");
}

#[test]
fn memory_ends_at_its_limit() {
    // Content that unfolds to a thousand times its size.
    let mut squeezed = Vec::new();
    let spaces = vec![b' '; 400 * 1024 * 1024];
    flate(&spaces, &mut squeezed);
    drop(spaces);
    let mut content = format!("<< /Filter /FlateDecode /Length {} >>\nstream\n", squeezed.len()).into_bytes();
    content.extend(squeezed);
    content.extend(b"\nendstream");
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << >> >>".to_vec(),
        content,
    ];
    let limits = Limits { memory_bytes: 300 * 1024 * 1024, ..Limits::default() };
    let denial = run(job(".pdf", making::file(&objects, "")), &limits, Path::new(PROGRAM)).unwrap_err();
    assert!(reason(&denial).contains("memory"), "{denial}");
}

/// Deflates by way of a container, whose entry is cut out.
fn flate(bytes: &[u8], into: &mut Vec<u8>) {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(bytes).unwrap();
    let whole = writer.finish().unwrap().into_inner();
    let mut archive = zip::ZipArchive::new(Cursor::new(&whole)).unwrap();
    let entry = archive.by_index(0).unwrap();
    let start = usize::try_from(entry.data_start().unwrap()).unwrap();
    // A header of zlib; its checksum at the end is missed by nobody.
    into.extend([0x78, 0x9c]);
    into.extend(&whole[start..start + usize::try_from(entry.compressed_size()).unwrap()]);
}

#[test]
fn a_child_that_never_ends_is_ended_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let program = script(directory.path(), &format!("sleep 1000 & echo $! > {}; wait", pid.display()));
    let limits = Limits { wall_seconds: 2, ..Limits::default() };
    let began = Instant::now();
    let denial = run(job(".pdf", vec![b' '; 1_000_000]), &limits, &program).unwrap_err();
    assert_eq!(reason(&denial), "it took more than 2 seconds");
    assert!(began.elapsed() < Duration::from_secs(30));
    let pid: u32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    assert_gone(pid);
}

#[test]
fn a_caller_that_goes_away_takes_the_child_along() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let program = script(
        directory.path(),
        &format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", pid.display()),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limits = Limits::default();
        let mut work = Box::pin(extract_file(job(".pdf", Vec::new()), &limits, &program));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !pid.exists() {
            assert!(Instant::now() < deadline, "the program was not started");
            let _ = tokio::time::timeout(Duration::from_millis(10), &mut work).await;
        }
    });
    let pid: u32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    assert_gone(pid);
}

/// Waits until a process has ended; one that nobody has waited for counts as ended.
fn assert_gone(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = status.rsplit(") ").next().and_then(|rest| rest.chars().next());
        if matches!(state, None | Some('Z' | 'X')) {
            return;
        }
        assert!(Instant::now() < deadline, "{pid} goes on: {status}");
        std::thread::yield_now();
    }
}

#[test]
fn nonsense_is_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let whole = r#"{"media_type":"x","backend":"x","backend_version":null,"method":"x","confidence":1,"blocks":[],"pages":null,"notes":[]}"#;
    let cases = [
        ("echo nonsense", "its reader gave no answer (exit status: 0)"),
        ("echo '{}'; exit 1", "its reader gave no answer (exit status: 1)"),
        ("echo '{\"code\":\"DENIED_BUSY\"}'; exit 1", "its reader gave no answer (exit status: 1)"),
        (&format!("echo '{whole}'; exit 7"), "its reader gave no answer (exit status: 7)"),
        ("kill -SEGV $$", "its reader crashed with signal 11"),
        (
            "cat /dev/zero | head -c 1000000 >&2; echo 'memory allocation of 9 bytes failed' >&2; exit 3",
            "its reader gave no answer (exit status: 3)",
        ),
        (
            "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$",
            "reading it takes more than 1073741824 bytes of memory",
        ),
    ];
    for (text, expected) in cases {
        let program = script(directory.path(), text);
        let denial = run(job(".pdf", vec![b'x'; 300_000]), &Limits::default(), &program).unwrap_err();
        assert_eq!(reason(&denial), expected, "{text}");
    }
    let program = script(directory.path(), &format!("cat > /dev/null; echo '{whole}'"));
    assert!(run(job(".pdf", vec![b'x'; 300_000]), &Limits::default(), &program).unwrap().blocks.is_empty());
    let missing = run(job(".pdf", Vec::new()), &Limits::default(), Path::new("/nowhere")).unwrap_err();
    assert!(reason(&missing).starts_with("its reader could not be started"));
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let program = script(directory.path(), "exec cat /dev/zero");
    let denial = run(job(".pdf", Vec::new()), &Limits::default(), &program).unwrap_err();
    assert_eq!(reason(&denial), "its reader gave an answer without end");
}

#[test]
fn processor_time_ends_at_its_limit() {
    // Megabytes of text take longer than no time at all.
    let drawn = making::text(50, 700, 10, &"many words and more ".repeat(40_000));
    let limits = Limits { cpu_seconds: 0, ..Limits::default() };
    let denial =
        run(job(".pdf", making::pages(&[drawn.as_str(); 20])), &limits, Path::new(PROGRAM)).unwrap_err();
    assert!(reason(&denial).contains("processor time"), "{denial}");
}

#[test]
fn the_hidden_command_answers_in_json() {
    let mut child = Command::new(PROGRAM)
        .args(["extract", "--ext", ".docx"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"PK\x03\x04").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["code"], "DENIED_EXTRACTION_FAILED");
    assert_eq!(output.stderr, b"");
    let status = Command::new(PROGRAM).args(["extract", "--nonsense"]).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

/// A picture with nothing on it.
fn blank_picture() -> Vec<u8> {
    let (width, height) = (64_u32, 64_u32);
    let mut bytes = b"BM".to_vec();
    let pixels = vec![0xff; (width * height * 3) as usize];
    bytes.extend((54 + width * height * 3).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(54_u32.to_le_bytes());
    bytes.extend(40_u32.to_le_bytes());
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    bytes.extend(pixels);
    bytes
}

#[test]
fn pictures_need_to_be_asked_for_and_a_program() {
    let asked = |bytes| Job { ocr: true, ..job(".bmp", bytes) };
    assert_eq!(read(".bmp", blank_picture()).unwrap_err().code, Code::UnsupportedMedia);
    let outcome = run(asked(blank_picture()), &Limits::default(), Path::new(PROGRAM));
    let installed = Command::new("tesseract").arg("--version").output().is_ok();
    if installed {
        let found = outcome.unwrap();
        assert_eq!(
            (found.backend.as_str(), found.method.as_str(), found.blocks.len()),
            ("tesseract", "ocr", 0)
        );
        assert!(found.backend_version.is_some());
        let broken = run(asked(b"no picture".to_vec()), &Limits::default(), Path::new(PROGRAM)).unwrap_err();
        assert!(reason(&broken).contains("could not read the picture"));
    } else {
        assert_eq!(outcome.unwrap_err().code, Code::OcrUnavailable);
    }
}
