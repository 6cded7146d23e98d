//! Evidence: files become documents of blocks and chunks.
//!
//! [`watch`] finds the files, [`block`] is what a file is taken apart into, whatever its format; [`extract`] takes it
//! apart, and [`chunk`] cuts its blocks into pieces that can be found.

pub mod block;
pub mod chunk;
pub mod extract;
pub mod watch;
