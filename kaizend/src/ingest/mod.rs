//! Evidence: files become documents of blocks and chunks.
//!
//! [`block`] is what a file is taken apart into, whatever its format; [`watch`] finds the files.

pub mod block;
pub mod watch;
