//! The journal as a feed: where a reader stands, and the messages of a subscription.
//!
//! A subscription only says that there is something after an entry. The reader pulls it with `journal.read`, from its
//! own cursor, so a slow reader loses nothing and makes nobody wait.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::denial::{Code, Denial};
use crate::limits::{self, SHORT_BYTES};
use crate::operation::Status;

/// Subscriptions of one connection.
pub const MAX_SUBSCRIPTIONS: usize = 8;

/// Methods of the feed beside `journal.read`, which is the operation K10.
pub mod method {
    /// Begins a subscription.
    pub const SUBSCRIBE: &str = "journal.subscribe";
    /// Ends one.
    pub const UNSUBSCRIBE: &str = "journal.unsubscribe";
    /// The notification of the daemon: there is something after an entry.
    pub const CHANGED: &str = "journal.changed";
    /// The notification of a client: the reply to a call is no longer wanted. The Language Server Protocol's name.
    pub const CANCEL: &str = "$/cancelRequest";
}

/// A place in the journal of one data plane: after which entry a reader goes on. Written `PLANE_ID:SEQ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The data plane.
    pub plane_id: String,
    /// The number of the last entry that was seen; 0 before the first.
    pub seq: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.plane_id, self.seq)
    }
}

/// What a caller says of where it stands: a cursor, or the number of an entry alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    plane_id: Option<String>,
    /// The number of the last entry that was seen.
    pub seq: i64,
}

impl Since {
    /// Reads `PLANE_ID:SEQ` or `SEQ`.
    ///
    /// # Errors
    /// `DENIED_USAGE`, or what is wrong with the text.
    pub fn parse(field: &str, text: &str) -> Result<Self, Denial> {
        limits::check_bytes(field, text, SHORT_BYTES)?;
        let (plane_id, number) = match text.rsplit_once(':') {
            Some((plane_id, number)) if !plane_id.is_empty() => (Some(plane_id.to_owned()), number),
            Some(_) => (None, ""),
            None => (None, text),
        };
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let seq = digits.then(|| number.parse().ok()).flatten().ok_or_else(|| {
            Denial::usage(format!("{field} is neither the number of a journal entry nor a cursor"))
                .with("field", field)
                .action(
                    "Give the number of an entry, 0 for all of them, or the `cursor` of an earlier reply.",
                )
        })?;
        Ok(Since { plane_id, seq })
    }

    /// Checks that the journal which ends at `head` still leads on from here.
    ///
    /// # Errors
    /// `DENIED_CURSOR_RESET` for a cursor of another data plane, and for an entry that this one does not have (any
    /// more).
    pub fn check(&self, head: &Cursor) -> Result<(), Denial> {
        let reason = match &self.plane_id {
            Some(plane_id) if *plane_id != head.plane_id => "the cursor is one of another data plane",
            _ if self.seq > head.seq => "the journal does not reach that far",
            _ => return Ok(()),
        };
        let mut denial = Denial::new(Code::CursorReset).message(reason);
        if let Some(plane_id) = &self.plane_id {
            denial = denial.with("given_plane_id", plane_id.as_str());
        }
        Err(denial
            .with("given_seq", self.seq)
            .with("plane_id", head.plane_id.as_str())
            .with("seq", head.seq)
            .with("cursor", head.to_string()))
    }
}

/// Parameters of `journal.subscribe`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Subscribe {
    /// Where the reader stands: when the journal goes on after it, the first notification comes at once. Absent: the
    /// end of the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The reply to `journal.subscribe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscribed {
    /// OK.
    pub status: Status,
    /// The subscription's number on this connection.
    pub subscription: u64,
    /// The end of the journal at this moment.
    pub cursor: String,
    /// The data plane, as in the cursor.
    pub plane_id: String,
    /// The number of the last entry, as in the cursor.
    pub seq: i64,
}

/// Parameters of `journal.unsubscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    /// The subscription's number.
    pub subscription: u64,
}

/// The reply to `journal.unsubscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unsubscribed {
    /// OK.
    pub status: Status,
    /// Whether there was such a subscription.
    pub ended: bool,
}

/// Parameters of the notification `journal.changed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The subscription's number.
    pub subscription: u64,
    /// The end of the journal at this moment. What to read starts at the reader's own cursor, not here.
    pub cursor: String,
    /// The data plane is another one, or was cut back: cursors from before are good for nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head() -> Cursor {
        Cursor { plane_id: "plane_1".into(), seq: 7 }
    }

    #[test]
    fn a_cursor_leads_on_in_its_own_plane_only() {
        for good in ["0", "7", "plane_1:0", "plane_1:7", "007"] {
            Since::parse("since", good).unwrap().check(&head()).unwrap();
        }
        for reset in ["8", "plane_1:8", "plane_2:7", "plane_2:0", "a:b:1"] {
            let denial = Since::parse("since", reset).unwrap().check(&head()).unwrap_err();
            assert_eq!(denial.code, Code::CursorReset, "{reset}");
            assert_eq!(denial.field("cursor").unwrap(), "plane_1:7");
        }
    }

    #[test]
    fn what_is_no_cursor_is_denied() {
        for bad in
            ["", "-1", "+1", "1.5", "x", ":", ":1", "plane_1:", "plane_1:-1", "9223372036854775808", " 1"]
        {
            assert_eq!(Since::parse("since", bad).unwrap_err().code, Code::Usage, "{bad:?}");
        }
        assert_eq!(Since::parse("since", &"9".repeat(600)).unwrap_err().code, Code::TextTooLong);
        assert_eq!(Since::parse("since", "a\0:1").unwrap_err().code, Code::TextInvalid);
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back(plane_id in "[a-z_0-9:]{1,40}", seq in 0..i64::MAX) {
            let cursor = Cursor { plane_id, seq };
            let since = Since::parse("since", &cursor.to_string()).unwrap();
            prop_assert_eq!(since.seq, seq);
            prop_assert!(since.check(&cursor).is_ok());
        }
    }
}
