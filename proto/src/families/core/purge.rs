//! What K7 says.

use serde_json::{Map, Value};

use crate::operation::Status;

crate::outputs! {
    /// A record whose promotion was taken back, because the copy was a test record.
    RestoredSource {
        /// The table it is in.
        table: String,
        /// Its id.
        id: String,
        /// The status it had before the promotion, and has again.
        status: String,
    }

    /// The test records were deleted.
    TestPurged {
        /// OK.
        status: Status,
        /// What was done.
        message: String,
        /// Test records that were deleted, by table.
        purged: Map<String, Value>,
        /// All of them together.
        total: i64,
        /// Rows that went with a record that they belonged to, by table.
        children: Map<String, Value>,
        /// Records whose promotion was taken back, because the copy was a test record.
        restored: Vec<RestoredSource>,
        /// Files of deleted reports that were deleted too: those that were as the report had left them.
        files: Vec<String>,
        /// Whether there are more test records than one call deletes.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        remaining: bool,
    }
}
