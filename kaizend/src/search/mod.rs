//! Search over what documents say. The records' own search is part of their families.

pub mod text;
