//! End-to-end tests: the real programs, a real socket, a fresh HOME.

mod context;
mod work;
