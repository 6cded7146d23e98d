//! The daemon's program. That these tests exist also makes cargo build it for the end-to-end tests.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected stops right there")]

use std::process::Command;

#[test]
fn an_unknown_argument_is_refused_with_the_help() {
    let output = Command::new(env!("CARGO_BIN_EXE_kaizend")).arg("--dettach").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("Usage: kaizend"));
}
