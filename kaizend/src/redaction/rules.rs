//! The rules as data: what a class of secrets or personal details looks like, and texts that it must and must not find.
//!
//! Patterns are those of the `regex` crate; `\b` stands for an ASCII word boundary, so that a letter of another script
//! beside a secret does not hide it. The hit is the group `s` where a pattern has one, else the whole match. The test
//! vectors are put together with `concat!`, so that these sources hold nothing that a scanner would take for a secret.

use std::ops::Range;

use regex::Captures;

use super::assigned;

/// What a class is about, which decides what becomes of its hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Gives access to something.
    Secret,
    /// Tells who somebody is.
    Personal,
}

/// Judges a match: which part of the text is the hit, if any.
pub type Check = fn(&str, &Captures<'_>) -> Option<Range<usize>>;

/// One class of secrets or personal details.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The stable name.
    pub class: &'static str,
    /// What it is about.
    pub kind: Kind,
    /// A text without any of these, in any case of ASCII letters, is clean.
    pub keywords: &'static [&'static str],
    /// What it looks like.
    pub pattern: &'static str,
    /// Judges a match beyond what a pattern can say.
    pub check: Option<Check>,
    /// Texts that it must find.
    pub hits: &'static [&'static str],
    /// Texts that it must not find.
    pub clean: &'static [&'static str],
}

/// All rules, in the order in which their classes are reported: `email` is the last.
pub const RULES: &[Rule] = &[
    Rule {
        class: "anthropic_key",
        kind: Kind::Secret,
        keywords: &["sk-ant-"],
        pattern: r"sk-ant-[A-Za-z0-9_-]{16,}",
        check: None,
        hits: &[concat!("sk-", "ant-api03-abcdefGHIJKL_0123"), concat!("xsk-", "ant-0123456789abcdef.")],
        clean: &[concat!("sk-", "ant-short"), "sk-antenna-specification"],
    },
    Rule {
        class: "openai_key",
        kind: Kind::Secret,
        keywords: &["sk-"],
        pattern: r"(?:\b|_)(?P<s>sk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{20,}))",
        check: None,
        hits: &[
            concat!("sk-", "abcdefghij0123456789"),
            concat!("OPENAI_sk-", "abcdefghij0123456789"),
            concat!("key:sk-", "proj-abc_DEF-ghiJKL0123456789"),
            concat!("sk-", "svcacct-abc_DEF-ghiJKL0123456789"),
        ],
        clean: &[
            "task-abcdefghij0123456789",
            "disk-abcdefghijklmnopqrstuvwxyz",
            concat!("sk-", "abcdefghij012345678"),
            concat!("sk-", "ant-api03-abcdefGHIJKL_0123456789abcdef"),
        ],
    },
    Rule {
        class: "openrouter_key",
        kind: Kind::Secret,
        keywords: &["sk-or-v1-"],
        pattern: r"\bsk-or-v1-[0-9a-f]{32,}",
        check: None,
        hits: &[concat!("sk-or-", "v1-0123456789abcdef0123456789abcdef")],
        clean: &["sk-or-v1-documentation"],
    },
    Rule {
        class: "github_token",
        kind: Kind::Secret,
        keywords: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        pattern: r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
        check: None,
        hits: &[
            concat!("ghp", "_abcdefghij0123456789"),
            concat!("https://ghs", "_abcdefghij0123456789abcdefghij012345@x"),
            concat!("github", "_pat_11ABCDEFG0abcdefghij_klmnop"),
        ],
        clean: &["ghp_short", "ghx_abcdefghij0123456789", "github_pat_short"],
    },
    Rule {
        class: "gitlab_token",
        kind: Kind::Secret,
        keywords: &["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glagent-"],
        pattern: r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_-]{20,}",
        check: None,
        hits: &[concat!("glpat", "-abcdefghij0123456789")],
        clean: &["glpat-short", "xglpat-abcdefghij0123456789"],
    },
    Rule {
        class: "aws_access_key",
        kind: Kind::Secret,
        keywords: &["akia", "asia"],
        pattern: r"AKIA[0-9A-Z]{16}|\bASIA[0-9A-Z]{16}\b",
        check: None,
        hits: &[
            concat!("AKIA", "IOSFODNN7EXAMPLE"),
            concat!("x", "AKIA", "0123456789ABCDEF0"),
            concat!("ASIA", "IOSFODNN7EXAMPLE"),
        ],
        clean: &[
            "akiaiosfodnn7example",
            "AKIA0123456789ABCDE",
            "EURASIANCONTINENTALSHELFS",
            "ASIAPACIFICREGIONALOFFICES",
        ],
    },
    Rule {
        class: "google_api_key",
        kind: Kind::Secret,
        keywords: &["aiza"],
        pattern: r"AIza[0-9A-Za-z_-]{20,}",
        check: None,
        hits: &[concat!("AIza", "SyA-abcdefghij_0123456789")],
        clean: &["AIzawa", "aizasyaabcdefghij0123456789"],
    },
    Rule {
        class: "google_oauth_token",
        kind: Kind::Secret,
        keywords: &["ya29.", "gocspx-"],
        pattern: r"\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[0-9A-Za-z_-]{20,}",
        check: None,
        hits: &[concat!("ya29", ".a0AfB_byCdefghij0123456789"), concat!("GOCSPX", "-abcdefghij0123456789")],
        clean: &["ya29.short"],
    },
    Rule {
        class: "slack_token",
        kind: Kind::Secret,
        keywords: &["xox", "xapp-", "hooks.slack.com"],
        pattern: r"xox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
        check: None,
        hits: &[
            concat!("xoxb", "-0123456789-abc"),
            concat!("xapp", "-1-A0123456789-abc"),
            concat!("https://hooks.slack", ".com/services/T00000000/B00000000/abcdefgh"),
        ],
        clean: &["xoxb-short", "xoxz-0123456789", "https://hooks.slack.com/services/"],
    },
    Rule {
        class: "huggingface_token",
        kind: Kind::Secret,
        keywords: &["hf_"],
        pattern: r"\bhf_[A-Za-z0-9]{20,}\b",
        check: None,
        hits: &[concat!("hf", "_abcdefghij0123456789")],
        clean: &["hf_short123", "xhf_abcdefghij0123456789", "hf_abcdefghij0123456789_"],
    },
    Rule {
        class: "stripe_key",
        kind: Kind::Secret,
        keywords: &["k_live_", "k_test_", "whsec_"],
        pattern: r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}\b|\bwhsec_[A-Za-z0-9+/=]{24,}",
        check: None,
        hits: &[
            concat!("sk", "_live_abcdefghij012345"),
            concat!("rk", "_test_abcdefghij012345"),
            concat!("whsec", "_abcdefghij0123456789abcd"),
        ],
        clean: &["pk_live_abcdefghij012345", "sk_live_short", "task_test_abcdefghij012345"],
    },
    Rule {
        class: "npm_token",
        kind: Kind::Secret,
        keywords: &["npm_"],
        pattern: r"\bnpm_[A-Za-z0-9]{36}\b",
        check: None,
        hits: &[concat!("npm", "_abcdefghij0123456789abcdefghij012345")],
        clean: &["npm_config_registry", "npm_lifecycle_event"],
    },
    Rule {
        class: "pypi_token",
        kind: Kind::Secret,
        keywords: &["pypi-age"],
        pattern: r"\bpypi-AgE[A-Za-z0-9_-]{40,}",
        check: None,
        hits: &[concat!("pypi", "-AgEIcHlwaS5vcmcCJDAxMjM0NTY3LTg5YWItY2RlZi0wMTIz")],
        clean: &["pypi-agent", "pypi-AgEshort"],
    },
    Rule {
        class: "sendgrid_key",
        kind: Kind::Secret,
        keywords: &["sg."],
        pattern: r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        check: None,
        hits: &[concat!("SG", ".abcdefghij0123456789_-.abcdefghij0123456789")],
        clean: &["SG.module.function", "msg.abcdefghij0123456789.abcdefghij0123456789"],
    },
    Rule {
        class: "digitalocean_token",
        kind: Kind::Secret,
        keywords: &["_v1_"],
        pattern: r"\bdo[opr]_v1_[0-9a-f]{64}",
        check: None,
        hits: &[concat!("dop", "_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")],
        clean: &["dop_v1_0123456789abcdef", "schema_v1_0123456789abcdef"],
    },
    Rule {
        class: "telegram_bot_token",
        kind: Kind::Secret,
        keywords: &[":aa"],
        pattern: r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b",
        check: None,
        hits: &[concat!("123456789", ":AAabcdefghij0123456789abcdefghij012")],
        clean: &["12:AA:0f:33:44:55", "123456789:AAshort"],
    },
    Rule {
        class: "azure_account_key",
        kind: Kind::Secret,
        keywords: &["accountkey="],
        pattern: r"(?i)\bAccountKey=(?P<s>[A-Za-z0-9+/=]{40,})",
        check: None,
        hits: &[
            concat!("Account", "Key=abcdefghij0123456789abcdefghij0123456789+/=="),
            concat!("x;account", "key=abcdefghij0123456789abcdefghij0123456789"),
        ],
        clean: &["AccountKey=short", "AccountKey=<key>"],
    },
    Rule {
        class: "db_url_credentials",
        kind: Kind::Secret,
        keywords: &["://"],
        pattern: r#"(?i)\b(?:postgres|postgresql|mysql|mariadb|mongodb|mssql|sqlserver|clickhouse|rediss?|amqps?)(?:\+[a-z0-9]+)?://[^/\s:@"\[]*:(?P<s>[^@\s"]+)@"#,
        check: Some(url_password),
        hits: &[
            concat!("postgres", "://bob:hunter2@db.internal/app"),
            concat!("POSTGRESQL", "+psycopg2://bob:pass@localhost:5432/app"),
            concat!("mongodb", "+srv://bob:a/b@cluster0"),
            concat!("rediss", "://:hunter2@cache:6380/0"),
            concat!("amqps", "://guest:guest@mq"),
            concat!("postgres", "://u:p@h/d"),
        ],
        clean: &[
            "postgres://localhost:5432/app",
            "postgres://db:5432/app,bob@host",
            "postgres://bob@db.internal/app",
            "postgres://bob:${DB_PASSWORD}@db/app",
            // What is masked, and what stands in another string of a JSON text, is no password.
            "postgres://[REDACTED:email]/app\",\"x@y",
            "mysql://<user>:<password>@host/db",
        ],
    },
    Rule {
        class: "url_credentials",
        kind: Kind::Secret,
        keywords: &["://"],
        pattern: r#"(?i)\b(?:https?|ftps?|sftp|ssh|git|ldaps?|smtps?|imaps?)(?:\+[a-z]+)?://[^/\s:@"\[]*:(?P<s>[^/\s@"]+)@"#,
        check: Some(url_password),
        hits: &[
            concat!("https", "://x-access-token:v1.0123456789@git.corp/x.git"),
            concat!("ftp", "://bob:hunter2@files"),
        ],
        clean: &[
            "https://git.corp:8443/x",
            "https://bob@git.corp/x",
            "https://$USER:$TOKEN@git.corp/x",
            "https://user:password@host/x",
        ],
    },
    Rule {
        class: "private_key_block",
        kind: Kind::Secret,
        keywords: &["private key", "age-secret-key-1"],
        pattern: r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:(?s:.*?)-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\:,-]*)|AGE-SECRET-KEY-1[0-9A-Z]{58}",
        check: None,
        hits: &[
            concat!("-----BEGIN ", "PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nafter"),
            concat!("-----BEGIN OPENSSH ", "PRIVATE KEY-----"),
            concat!("-----BEGIN PGP ", "PRIVATE KEY BLOCK-----\nlQOY\n"),
        ],
        clean: &["-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "a private key"],
    },
    Rule {
        class: "jwt",
        kind: Kind::Secret,
        keywords: &["eyj"],
        pattern: r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
        check: Some(long_jwt),
        hits: &[concat!("eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlMDEyMzQ1")],
        clean: &["eyJa.b.c", "eyJs.map.js", "xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"],
    },
    Rule {
        class: "assigned_secret",
        kind: Kind::Secret,
        keywords: assigned::KEYWORDS,
        pattern: assigned::PATTERN,
        check: Some(assigned::check),
        hits: assigned::HITS,
        clean: assigned::CLEAN,
    },
    Rule {
        class: "bearer_header",
        kind: Kind::Secret,
        keywords: &["bearer"],
        pattern: r"(?i)\bbearer\s+(?P<s>[A-Za-z0-9._~+/=-]{12,})",
        check: Some(bearer_token),
        hits: &[concat!("Authorization: Bear", "er abcdef0123456789"), concat!("bear", "er  abcdefghijkl")],
        clean: &[
            "bearer short",
            "bearer authentication",
            "Bearer YOUR_ACCESS_TOKEN",
            "forbearer abcdef0123456789",
        ],
    },
    Rule {
        class: "basic_auth_header",
        kind: Kind::Secret,
        keywords: &["basic"],
        pattern: r"(?i)\bauthorization\b[^\sA-Za-z]{0,4}\s*[^\sA-Za-z]?basic\s+(?P<s>[A-Za-z0-9+/]{8,}={0,2})",
        check: None,
        hits: &[
            concat!("Authorization: Ba", "sic dXNlcjpodW50ZXIy"),
            concat!("\"authorization\": \"ba", "sic dXNlcjpodW50ZXIy\""),
        ],
        clean: &["Authorization: Basic <credentials>", "authorization is a basic requirement"],
    },
    Rule {
        class: "user_home_path",
        kind: Kind::Personal,
        keywords: &[r":\users", ":/users", r":\\users"],
        pattern: r#"(?i)[a-z]:[\\/]{1,2}users[\\/]{1,2}(?P<n>[^\\/\s"']+)"#,
        check: Some(whose_home),
        hits: &[r"C:\Users\victim\x", "d:/users/Bob", r"c:\\Users\\bob\\x"],
        clean: &[r"C:\Windows\x", r"C:\Users\%USERNAME%\x", r"\\server\users\bob"],
    },
    Rule {
        class: "posix_home_path",
        kind: Kind::Personal,
        keywords: &["/home/", "/users/"],
        pattern: r#"/(?:home|Users)/(?P<n>[^/\s"']+)"#,
        check: Some(posix_home),
        hits: &["/home/victim/.ssh/id", "(/home/bob)", "see /Users/bob/x", "=/home/bob"],
        clean: &[
            "file:///home/x",
            "x/home/bob",
            "./home/bob",
            "/homes/bob",
            "/users/bob",
            "/home/$USER/x",
            "/home/<name>/x",
        ],
    },
    Rule {
        class: "email",
        kind: Kind::Personal,
        keywords: &["@"],
        pattern: r"(?i)\b(?P<l>[A-Za-z0-9._%+-]+)@(?P<d>[A-Za-z0-9.-]+\.[A-Za-z]{2,})\b",
        check: Some(email),
        hits: &[
            "victim@gmail.com",
            "<Bob.X+tag@Mail.Example.co.uk>",
            "x@sub.example.com",
            "no-reply@corp.io",
        ],
        clean: &[
            "noreply@example.com",
            "x@example.com",
            "x@EXAMPLE.org",
            "x@anthropic.com",
            "noreply@corp.io",
            "git@github.com:o/r.git",
            "a@b",
            "react@18.2.0-rc.next",
            "icon@2x.png",
            "getty@tty1.service",
        ],
    },
];

/// The part of a match that is the hit when no check says otherwise.
pub(super) fn hit(captures: &Captures<'_>) -> Option<Range<usize>> {
    captures.name("s").or_else(|| captures.get(0)).map(|found| found.range())
}

/// A password in a URL, unless it is a reference or, in a URL that often stands in examples, the word itself.
fn url_password(_text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let (whole, password) = (captures.get(0)?, captures.name("s")?);
    // What looks like a password may be a port and a path, with an `@` further on.
    let port = password.as_str().split_once('/').map(|(port, _)| port);
    if port.is_some_and(|port| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let web = whole.as_str().get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http"));
    let word = matches!(password.as_str(), "password" | "pass" | "passwd" | "secret" | "token");
    let is_none = (web && word) || assigned::is_reference(password.as_str());
    (!is_none).then(|| password.range())
}

/// A JSON Web Token is longer than three short words with dots between them.
fn long_jwt(_text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let token = captures.get(0)?;
    let header = token.as_str().split('.').next().unwrap_or_default();
    (header.len() >= 10 && token.len() >= 30).then(|| token.range())
}

/// A token, and not the word that follows "bearer" in a sentence.
fn bearer_token(_text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    const WORDS: &[&str] =
        &["authent", "authori", "credential", "tokeni", "certificat", "instrument", "semantic"];
    let token = captures.name("s")?;
    let lower = token.as_str().to_ascii_lowercase();
    let is_word =
        token.as_str().bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'-'))
            && WORDS.iter().any(|word| lower.starts_with(word));
    (!is_word && !assigned::is_placeholder(token.as_str())).then(|| token.range())
}

fn whose_home(_text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let named = !captures.name("n")?.as_str().starts_with(['$', '<', '{', '*', '%', '[']);
    if named { captures.get(0).map(|found| found.range()) } else { None }
}

/// A home directory at the start of a path.
fn posix_home(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let before = text[..captures.get(0)?.start()].bytes().next_back();
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/')) {
        return None;
    }
    whose_home(text, captures)
}

/// An address, unless it is nobody's, or only looks like one: a remote of git, a version, a file, a unit of systemd.
fn email(_text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    const NOBODY: &[&str] = &["example.com", "example.org", "anthropic.com"];
    const NO_DOMAIN: &[&str] = &[
        "service", "socket", "timer", "target", "png", "jpg", "jpeg", "gif", "svg", "webp", "js", "jsx",
        "tsx", "json", "yaml", "yml", "toml", "lock", "tgz", "html", "css",
    ];
    let (whole, local) = (captures.get(0)?, captures.name("l")?.as_str().to_ascii_lowercase());
    let domain = captures.name("d")?.as_str().to_ascii_lowercase();
    let mut parts = domain.split('.');
    let version = parts.next().is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        && parts.next().is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let last = domain.rsplit('.').next().unwrap_or_default();
    let nobody = NOBODY.contains(&domain.as_str()) || matches!(local.as_str(), "noreply" | "git");
    (!nobody && !version && !NO_DOMAIN.contains(&last)).then(|| whole.range())
}
