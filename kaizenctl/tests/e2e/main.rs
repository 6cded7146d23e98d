//! End-to-end tests: the real programs, a real socket, a fresh HOME.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that meets the unexpected stops right there, and may say what it saw"
)]

mod artifact;
mod backup;
mod checks;
mod cli;
mod completions;
mod concurrency;
mod config;
mod conformance;
mod context;
mod core;
mod denials;
mod docs;
mod doctor;
mod evidence;
mod export;
mod gotcha;
mod help;
mod init;
mod irl;
mod journal;
mod lab;
mod lab_report;
mod learning;
mod lifecycle;
mod migrate;
mod migration;
mod output;
mod peers;
mod permissions;
mod policy;
mod project;
mod purge;
mod quality;
mod reading;
mod record;
mod redaction;
mod replaced;
mod report;
mod restore;
mod rows;
mod rpc;
mod setup;
mod source;
mod storage;
mod trace;
mod trace_report;
mod work;
