//! What K15 and K16 take and say.

use crate::operation::Status;

crate::params! {
    /// What to examine.
    WhatToExamine {
        /// Look for what would leak if the project were published: records under AI/, secrets, personal paths.
        publish: bool,
    }
}

crate::outputs! {
    /// Something that was examined.
    Finding {
        /// What was looked at.
        check: String,
        /// ok, warn or fail.
        level: String,
        /// What was found.
        detail: String,
        /// What to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fix: Option<String>,
    }

    /// What the examination found.
    Examined {
        /// OK.
        status: Status,
        /// The sum of it.
        message: String,
        /// Whether nothing fails.
        healthy: bool,
        /// How many findings fail.
        failed: usize,
        /// How many findings warn.
        warned: usize,
        /// What was looked at.
        findings: Vec<Finding>,
    }

    /// One setting.
    SettingShown {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Where it comes from: default, kaizen.toml, a variable or a flag.
        source: String,
    }

    /// The settings that take effect.
    Settings {
        /// OK.
        status: Status,
        /// The file that was read, or would be.
        path: String,
        /// Whether the file exists.
        exists: bool,
        /// How many settings there are.
        count: usize,
        /// The settings.
        records: Vec<SettingShown>,
    }
}
