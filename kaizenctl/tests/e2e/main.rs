//! End-to-end tests: the real programs, a real socket, a fresh HOME.

mod checks;
mod concurrency;
mod context;
mod denials;
mod lifecycle;
mod peers;
mod permissions;
mod rows;
mod storage;
mod work;
