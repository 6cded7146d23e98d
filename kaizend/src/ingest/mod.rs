//! Evidence: files become documents of blocks and chunks.
//!
//! [`block`] is what a file is taken apart into, whatever its format, and [`extract`] takes it apart.

pub mod block;
pub mod extract;
