//! End-to-end tests: the real programs, a real socket, a fresh HOME.

mod checks;
mod concurrency;
mod context;
mod denials;
mod gotcha;
mod learning;
mod lifecycle;
mod peers;
mod permissions;
mod policy;
mod quality;
mod record;
mod replaced;
mod rows;
mod rpc;
mod storage;
mod work;
