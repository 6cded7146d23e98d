//! Secrets that are told by the name that they are assigned to: `password=…`, `"api_key": "…"`.
//!
//! What stands behind such a name in a code project is more often a reference than a secret. A name of the first kind
//! (password, secret, API key …) makes a secret of every value that is not plainly a reference, a placeholder, code or
//! prose. A name of the second kind (token, pwd …, or one that goes on, like `password_hint`) needs a value that looks
//! random.

use std::ops::Range;

use regex::Captures;

pub(super) const KEYWORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "private_key",
    "private-key",
    "privatekey",
    "token",
    "bearer",
    "pwd",
    "credential",
];

pub(super) const PATTERN: &str = concat!(
    r"(?i)(?P<name>(?P<strong>password|passwd|passphrase|secret(?:[_-]?(?:access[_-]?)?key)?|api[_-]?key",
    r"|(?:access|auth|refresh)[_-]?token|private[_-]?key|\bbearer)|token|pwd|credential)s?[0-9]{0,3}",
    r#"(?P<more>(?:[_-][a-z0-9]+){0,4})(?:\\?["'`]|\])?[\t\p{Zs}]{0,8}(?P<sep>:=|=>|[:=：＝])(?P<space>[\t\p{Zs}]{0,8})"#,
);

pub(super) const HITS: &[&str] = &[
    "password=hunter2secret",
    "password=supersecret1",
    "api_key = abcdef123456",
    "Password: hunter2",
    "passwd:correcthorse",
    "my_password=hunter2secret",
    "passwords=hunter2secret",
    "DB_PASSWORD=\"correct horse battery\"",
    "{\"password\": \"hunter2secret\"}",
    "{\\\"client_secret\\\":\\\"hunter2secret\\\"}",
    "apikey:abcdef123456",
    "API-KEY=abcdef123456",
    "access_token=abcdef123456",
    "accessToken: abcdef123456",
    "bearer: abcdef123456",
    "secret := 'swordfish'",
    "PASSWORD=changeme",
    "password = s3cr3t(!)",
    "password: $2b$12$abcdefghijk",
    "secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzEXAMPLEKEY",
    "token: 8fK2mQ9xT4vB7nL1",
    "password_prod=8fK2mQ9xT4vB7nL1",
    "?access_token=abcdef123456&x=1",
    "password\u{a0}=\u{a0}hunter2secret",
    "password：hunter2secret",
];

pub(super) const CLEAN: &[&str] = &[
    "password",
    "password=",
    "password=abc",
    "password = os.environ[\"X\"]",
    "password=os.getenv('DB_PASSWORD')",
    "secret: ${{ secrets.X }}",
    "secret: ${SECRET_VALUE}",
    "token=$TOKEN",
    "password=$PASSWORD",
    "password=%PASSWORD%",
    "password=\"{password}\"",
    "password = <your password>",
    "api_key=YOUR_API_KEY",
    "api_key: your-api-key-here",
    "api_key: str",
    "api_key: Optional[str] = None",
    "password: String,",
    "secret: Option<String>",
    "password: &'a str",
    "pub pw_passwd: *const c_char,",
    "pub const SYS_MEMFD_SECRET: c_long = 447;",
    "pub const WRONG_PASSWORD: _bindgen_ty_3 = 7;",
    "\"password\": {\"type\": \"string\"}",
    "\"api_key\": \"string\"",
    "\"secret\": false}",
    "password=********",
    "password: [REDACTED:assigned_secret]",
    "password=[REDACTED:assigned_secret]",
    "connect(password=db_password)",
    "api_key=api_key,",
    "self.api_key = settings.API_KEY",
    "password = new_password",
    "if password == expected_value",
    "secret=/run/secrets/db_password",
    "secret: https://vault.corp/v1/db",
    "secret: op://vault/db/password",
    "secret: rotate them every month",
    "password: should be at least twelve characters",
    "password_hash: 0123456789abcdef0123456789abcdef",
    "password_file=/etc/app/password",
    "password_min_length = 12345678",
    "secret_name: database-credentials",
    "token: t_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
    "token: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "token=550e8400-e29b-41d4-a716-446655440000",
    "token: kaizen-write-scope-default",
    "tokens: 4096",
    "input type=\"password\" placeholder=\"Password\"",
    "let secret = load_secret(&path)?;",
    "api key: required.",
    "secret: \"...\"",
];

/// Bytes of a value that are looked at, so that a long run costs no more than a short one.
const LOOKED_AT: usize = 128;
/// Characters that a secret has at least.
const SHORTEST: usize = 6;
/// Characters that a value of a weak name has at least.
const SHORTEST_WEAK: usize = 16;
/// Bits of entropy that a character of a random value has at least.
const RANDOM_BITS: f64 = 3.4;
/// What names of secrets are made of.
const SECRET_WORDS: &[&str] =
    &["password", "passwd", "passphrase", "secret", "key", "token", "pwd", "credential", "pass"];
/// Words that stand where a secret could, and are none.
const WORDS: &[&str] = &[
    "string",
    "boolean",
    "integer",
    "number",
    "object",
    "secretstr",
    "secretstring",
    "undefined",
    "nullable",
    "optional",
    "required",
    "missing",
    "invalid",
    "incorrect",
    "expired",
    "disabled",
    "enabled",
    "unknown",
    "hidden",
    "masked",
    "redacted",
    "removed",
    "placeholder",
    "rotated",
    "default",
    "password",
    "secret",
];

/// Judges what stands behind a name.
pub(super) fn check(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let start = captures.get(0)?.end();
    let name = captures.name("name")?.as_str();
    // The name of our own class in a mask.
    if text[..captures.get(0)?.start()].ends_with("[REDACTED:assigned_") {
        return None;
    }
    let separator = captures.name("sep")?.as_str();
    let spaced = !captures.name("space")?.as_str().is_empty();
    let is_weak = captures.name("strong").is_none() || !captures.name("more")?.as_str().is_empty();
    let value = Value::at(text, start)?;
    let judged = Judged { name, colon: matches!(separator, ":" | "："), spaced, value: &value };
    let is_secret = if is_weak { judged.looks_random() } else { judged.is_literal() };
    is_secret.then(|| value.range(text))
}

/// Whether a value is a secret for being the value of a key with this name, as in an object of JSON.
pub(super) fn is_secret_pair(name: &str, value: &str) -> bool {
    if name.contains("[REDACTED:") {
        return false;
    }
    let text = format!("{name}=");
    let pattern = super::scan::assigned_pattern();
    let Some(captures) = pattern
        .captures_iter(&text)
        .find(|captures| captures.get(0).is_some_and(|all| all.end() == text.len()))
    else {
        return false;
    };
    let weak = captures.name("strong").is_none()
        || captures.name("more").is_some_and(|more| !more.as_str().is_empty());
    let value =
        Value { text: &value[..value.floor_char_boundary(LOOKED_AT)], start: 0, quote: Some('"'), after: "" };
    let judged = Judged {
        name: captures.name("name").map_or("", |name| name.as_str()),
        colon: false,
        spaced: false,
        value: &value,
    };
    if weak { judged.looks_random() } else { judged.is_literal() }
}

/// What stands behind a name and its separator.
struct Value<'t> {
    text: &'t str,
    start: usize,
    quote: Option<char>,
    /// What follows it, from the punctuation that was trimmed on.
    after: &'t str,
}

impl<'t> Value<'t> {
    /// The value that starts here, as far as it is looked at.
    fn at(text: &'t str, start: usize) -> Option<Self> {
        let rest = &text[start..];
        let rest = &rest[..rest.floor_char_boundary(LOOKED_AT)];
        let opening = rest.find(|character: char| !matches!(character, '\\' | 'b' | 'f' | 'r' | 'u'))?;
        let quote = rest[opening..].chars().next().filter(|first| matches!(first, '"' | '\'' | '`'));
        if let Some(quote) = quote.filter(|_| opening <= 2) {
            let inner = &rest[opening + 1..];
            let value = inner[..quoted_end(inner, quote)].trim_end_matches('\\');
            let after = &inner[value.len()..];
            return Some(Value { text: value, start: start + opening + 1, quote: Some(quote), after });
        }
        let value = trimmed(&rest[..run_end(rest)]);
        Some(Value { text: value, start, quote: None, after: &rest[value.len()..] })
    }

    /// The whole value.
    fn range(&self, text: &str) -> Range<usize> {
        let rest = &text[self.start..];
        // Found to be a secret, so it is looked at to its end only once.
        let length = match self.quote {
            _ if self.text.len() + 8 < LOOKED_AT => self.text.len(),
            Some(quote) => rest[..quoted_end(rest, quote)].trim_end_matches('\\').len(),
            None => trimmed(&rest[..run_end(rest)]).len(),
        };
        self.start..self.start + length.max(self.text.len())
    }
}

fn quoted_end(text: &str, quote: char) -> usize {
    text.find([quote, '\n']).unwrap_or(text.len())
}

fn run_end(text: &str) -> usize {
    text.find(char::is_whitespace).unwrap_or(text.len())
}

/// Without the punctuation of the sentence or the code around it.
fn trimmed(run: &str) -> &str {
    run.trim_end_matches(['"', '\'', '`', ',', ';', '.', ')', '}', ']', '>', '\\'])
}

struct Judged<'v> {
    name: &'v str,
    colon: bool,
    spaced: bool,
    value: &'v Value<'v>,
}

impl Judged<'_> {
    /// Whether the value is neither a reference nor a placeholder, code or prose.
    fn is_literal(&self) -> bool {
        let value = self.value.text;
        if value.chars().nth(SHORTEST - 1).is_none() || is_reference(value) || is_placeholder(value) {
            return false;
        }
        if is_word(value) || is_place(value) {
            return false;
        }
        self.value.quote.is_some() || !(self.is_code(value) || self.is_prose(value))
    }

    /// Whether the value is long and random enough to be a secret whatever its name says.
    fn looks_random(&self) -> bool {
        let value = self.value.text;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_.~-".contains(&byte);
        value.len() >= SHORTEST_WEAK
            && value.bytes().all(is_plain)
            && value.bytes().any(|byte| byte.is_ascii_digit())
            && value.bytes().any(|byte| byte.is_ascii_alphabetic())
            && !is_hash_or_id(value)
            && !is_place(value)
            && !is_placeholder(value)
            && !is_made_of_words(value)
            && entropy(value) >= RANDOM_BITS
    }

    /// Whether an unquoted value is an expression of a programming language.
    fn is_code(&self, value: &str) -> bool {
        let first = value.chars().next().unwrap_or_default();
        if matches!(first, '&' | '=' | '(' | '[' | '|' | '{') || matches!(value, "*const" | "*mut") {
            return true;
        }
        let identifier =
            value.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        let starts_like_name = first.is_ascii_alphabetic() || first == '_';
        if !starts_like_name {
            return false;
        }
        if let Some(end) = identifier {
            let rest = &value[end..];
            let has_no_digit = !value[..end].bytes().any(|byte| byte.is_ascii_digit());
            let next_name = |mark: &str| {
                rest.strip_prefix(mark)
                    .and_then(|rest| rest.chars().next())
                    .is_some_and(|next| next.is_ascii_alphabetic() || next == '_')
            };
            return has_no_digit
                && (rest.starts_with(['(', '[', '<'])
                    || rest.starts_with("!(")
                    || [".", "::", "->", "?."].iter().any(|mark| next_name(mark)));
        }
        // `trimmed` has taken the closing mark away.
        let lower = value.to_ascii_lowercase();
        let names_a_secret = SECRET_WORDS.iter().any(|word| lower.ends_with(word));
        let in_code = self.spaced || self.is_followed_by([',', ')', ';']);
        // `SYS_memfd_secret: c_long = 447`
        let is_typed = self.colon && self.spaced && self.is_followed_by(['=']);
        is_typed
            || lower == self.name.to_ascii_lowercase()
            || (names_a_secret && lower.contains('_') && in_code)
            || (self.colon && is_type(value) && self.is_followed_by([',', ')', ';', '=', '}']))
    }

    /// Whether a value after a colon is the beginning of a sentence.
    fn is_prose(&self, value: &str) -> bool {
        let letters = |text: &str| {
            text.chars().all(|character| character.is_alphabetic() || matches!(character, '-' | '\''))
        };
        self.colon && self.spaced && letters(value) && self.goes_on()
    }

    /// Whether another word follows on the line.
    fn goes_on(&self) -> bool {
        let rest = self.after().trim_start_matches([',', ';', '.', ')', '"', '\'']);
        rest.starts_with([' ', '\t'])
            && rest.trim_start_matches([' ', '\t']).starts_with(char::is_alphanumeric)
    }

    fn is_followed_by(&self, marks: impl IntoIterator<Item = char>) -> bool {
        let next = self.after().trim_start_matches([' ', '\t']).chars().next();
        next.is_some_and(|next| marks.into_iter().any(|mark| mark == next))
    }

    fn after(&self) -> &str {
        self.value.after
    }
}

/// `$TOKEN`, `${{ secrets.X }}`, `{password}`, `<password>`, `%s`, `****`, a mask of ours.
pub(super) fn is_reference(value: &str) -> bool {
    let mut characters = value.chars();
    let (first, second) = (characters.next().unwrap_or_default(), characters.next().unwrap_or_default());
    let starts = match first {
        '$' => second.is_ascii_alphabetic() || matches!(second, '{' | '(' | '_'),
        '{' | '<' => true,
        '#' | '@' => second == '{',
        '%' => second.is_ascii_uppercase() || matches!(second, 's' | 'd' | 'v' | '(' | '{'),
        '!' => value[1..].chars().all(|character| character.is_ascii_alphabetic() || character == ':'),
        '[' => value.starts_with("[REDACTED"),
        _ => false,
    };
    starts
        || value.chars().all(|other| matches!(other, '*' | '.' | '…' | '•' | '-' | '_' | '?'))
        || (value.len() > 2 && value.chars().all(|other| other == first))
}

/// `YOUR_API_KEY`, `your-token-here`, `xxxx-xxxx`.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let shouted = value.contains('_')
        && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && SECRET_WORDS.iter().any(|word| lower.contains(word));
    let asked_for = ["your", "insert", "replace", "put-", "put_", "enter-", "enter_"];
    let crossed_out = lower.chars().all(|other| matches!(other, 'x' | '-' | '_' | '*'));
    shouted || crossed_out || asked_for.iter().any(|start| lower.starts_with(start))
}

fn is_word(value: &str) -> bool {
    let word = trimmed(value).to_ascii_lowercase();
    WORDS.contains(&word.as_str()) || matches!(word.as_str(), "false" | "true" | "null" | "none")
}

/// Where a secret is kept, rather than a secret.
fn is_place(value: &str) -> bool {
    const STARTS: &[&str] =
        &["./", "../", "~/", "/run/", "/etc/", "/var/", "/path/", "/tmp/", "/opt/", "/home/", "/usr/"];
    const SCHEMES: &[&str] = &[
        "http://",
        "https://",
        "file:",
        "op://",
        "vault:",
        "vault://",
        "env:",
        "arn:",
        "ssm:",
        "keyring:",
        "keychain:",
        "sha256:",
        "sha512:",
    ];
    let lower = value.to_ascii_lowercase();
    STARTS.iter().chain(SCHEMES).any(|start| lower.starts_with(start))
}

/// `String`, `SecretBox`.
fn is_type(value: &str) -> bool {
    value.starts_with(|first: char| first.is_ascii_uppercase())
        && value.bytes().all(|byte| byte.is_ascii_alphabetic())
        || value.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// A digest, a UUID or an id like ours.
fn is_hash_or_id(value: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits: String = value.chars().filter(|character| *character != '-').collect();
    let whole = |text: &str| is_hex(text) && matches!(text.len(), 32 | 40 | 56 | 64 | 96 | 128);
    whole(&digits) || value.rsplit_once('_').is_some_and(|(_, digits)| whole(digits))
}

/// `kaizen-write-scope-v2`: words and small numbers with marks between them.
fn is_made_of_words(value: &str) -> bool {
    let is_word = |part: &str| {
        let letters = part.trim_end_matches(|last: char| last.is_ascii_digit());
        part.len() - letters.len() <= 4
            && (letters.bytes().all(|byte| byte.is_ascii_lowercase())
                || letters.bytes().all(|byte| byte.is_ascii_uppercase())
                || letters.bytes().skip(1).all(|byte| byte.is_ascii_lowercase()))
    };
    value.contains(['-', '_', '.', '/']) && value.split(['-', '_', '.', '/']).all(is_word)
}

/// Bits of entropy per byte.
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let bits = |count: u32| {
        let share = f64::from(count) / length;
        -share * share.log2()
    };
    counts.into_iter().filter(|count| *count > 0).map(bits).sum()
}
