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
mod concurrency;
mod config;
mod context;
mod core;
mod denials;
mod doctor;
mod export;
mod gotcha;
mod help;
mod learning;
mod lifecycle;
mod output;
mod peers;
mod permissions;
mod policy;
mod project;
mod purge;
mod quality;
mod record;
mod replaced;
mod report;
mod restore;
mod rows;
mod rpc;
mod storage;
mod work;
