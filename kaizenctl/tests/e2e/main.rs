//! End-to-end tests: the real programs, a real socket, a fresh HOME.

mod artifact;
mod checks;
mod cli;
mod concurrency;
mod context;
mod core;
mod denials;
mod gotcha;
mod help;
mod learning;
mod lifecycle;
mod output;
mod peers;
mod permissions;
mod policy;
mod project;
mod quality;
mod record;
mod replaced;
mod report;
mod rows;
mod rpc;
mod storage;
mod work;
