//! What an operation is: one row of facts, from which the command line, the RPC method, the schemas and the
//! documents are made.

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Serialize, de::DeserializeOwned};

/// What an operation may touch. It decides which handler signature the daemon accepts for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Works without the records of a data plane, or looks after the plane as a whole.
    Plain,
    /// Reads one snapshot of the data plane.
    Read,
    /// Writes records: serialised, journalled, durable when answered.
    Write,
}

/// Which of an inline value and its `*-file` twin counts when both could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TwinRule {
    /// The inline value whenever it was given, even when it is empty.
    Inline,
    /// The inline value when it is not empty.
    NonEmptyInline,
    /// The file whenever it was given.
    File,
    /// The file whenever it was given; an empty one counts as nothing.
    FileOrNothing,
    /// The inline text when it is not empty, else the file's, which may be.
    NonEmptyText,
}

/// A parameter that can also be read from a file by the client: `--<field>-file PATH`, `-` for stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Twin {
    /// The parameter's name as in the schema, with underscores.
    pub field: &'static str,
    /// Which value counts when both are given.
    pub rule: TwinRule,
}

/// No `*-file` twins.
pub const NO_TWINS: &[Twin] = &[];
/// `--summary-file` and `--body-file`.
pub const TEXT_TWINS: &[Twin] =
    &[Twin { field: "summary", rule: TwinRule::Inline }, Twin { field: "body", rule: TwinRule::Inline }];

/// One operation of the contract. Implemented by the rows of [`operations!`](crate::operations) only.
pub trait Operation: 'static {
    /// The code, a family's letter and a number: `W1`.
    const CODE: &'static str;
    /// The main alias: `task-start`.
    const ALIAS: &'static str;
    /// Further accepted names.
    const ALSO: &'static [&'static str];
    /// The JSON-RPC method: `task.start`.
    const METHOD: &'static str;
    /// What it may touch.
    const ACCESS: Access;
    /// One short phrase.
    const PURPOSE: &'static str;
    /// Words by which `K0` finds it beside its names and purpose.
    const KEYWORDS: &'static str;
    /// A command line that can be pasted.
    const EXAMPLE: &'static str;
    /// Parameters that have a file twin at the client.
    const TWINS: &'static [Twin];
    /// The parameters.
    #[cfg(feature = "cli")]
    type Params: clap::Args + Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// The parameters.
    #[cfg(not(feature = "cli"))]
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// The reply.
    type Output: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// An operation with its types erased: what tables, help and dispatch are built from.
#[derive(Clone, Copy)]
pub struct Card {
    /// See [`Operation::CODE`].
    pub code: &'static str,
    /// See [`Operation::ALIAS`].
    pub alias: &'static str,
    /// See [`Operation::ALSO`].
    pub also: &'static [&'static str],
    /// See [`Operation::METHOD`].
    pub method: &'static str,
    /// See [`Operation::ACCESS`].
    pub access: Access,
    /// See [`Operation::PURPOSE`].
    pub purpose: &'static str,
    /// See [`Operation::KEYWORDS`].
    pub keywords: &'static str,
    /// See [`Operation::EXAMPLE`].
    pub example: &'static str,
    /// See [`Operation::TWINS`].
    pub twins: &'static [Twin],
    /// JSON Schema of the parameters.
    pub params_schema: fn() -> Schema,
    /// JSON Schema of the reply.
    pub output_schema: fn() -> Schema,
    /// Adds the parameters as flags to a command.
    #[cfg(feature = "cli")]
    pub augment: fn(clap::Command) -> clap::Command,
    /// Reads the parameters back from the matches of such a command.
    #[cfg(feature = "cli")]
    pub parse: fn(&clap::ArgMatches) -> Result<serde_json::Value, clap::Error>,
}

impl Card {
    /// The card of one operation.
    pub const fn of<O: Operation>() -> Self {
        Card {
            code: O::CODE,
            alias: O::ALIAS,
            also: O::ALSO,
            method: O::METHOD,
            access: O::ACCESS,
            purpose: O::PURPOSE,
            keywords: O::KEYWORDS,
            example: O::EXAMPLE,
            twins: O::TWINS,
            params_schema: || schema_for!(O::Params),
            output_schema: || schema_for!(O::Output),
            #[cfg(feature = "cli")]
            augment: |command| <O::Params as clap::Args>::augment_args(command),
            #[cfg(feature = "cli")]
            parse: |matches| {
                let params = <O::Params as clap::FromArgMatches>::from_arg_matches(matches)?;
                serde_json::to_value(params)
                    .map_err(|error| clap::Error::raw(clap::error::ErrorKind::ValueValidation, error))
            },
        }
    }

    /// Whether `name` is this operation's code or one of its aliases, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The code and all aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.code, self.alias].into_iter().chain(self.also.iter().copied())
    }

    /// Whether a flag, without its dashes, is one of the operation's own or of its file twins.
    pub fn takes(&self, flag: &str) -> bool {
        let field = flag.replace('-', "_");
        let is_twin = |field: &str| self.twins.iter().any(|twin| twin.field == field);
        let schema = (self.params_schema)();
        let fields = schema.get("properties").and_then(serde_json::Value::as_object);
        fields.is_some_and(|fields| fields.contains_key(&field))
            || field.strip_suffix("_file").is_some_and(is_twin)
    }

    /// The code split into its letter and number, by which operations are ordered.
    pub fn order(&self) -> (&'static str, u32) {
        let (letter, number) = self.code.split_at(1);
        (letter, number.parse().unwrap_or(0))
    }
}

/// Declares the operations of one family: a row each, from which [`Operation`] is implemented and `CARDS` is made.
#[macro_export]
macro_rules! operations {
    ($( #[doc = $purpose:literal] $code:ident $alias:literal $(also $also:literal)* $method:literal $access:ident
        $operation:ident ($params:ty) -> $output:ty,
        twins: $twins:expr, keywords: $keywords:literal, example: $example:literal; )+) => {
        $( #[doc = concat!(stringify!($code), ":", $purpose, ".")]
           pub enum $operation {}
           impl $crate::operation::Operation for $operation {
               const CODE: &'static str = stringify!($code);
               const ALIAS: &'static str = $alias;
               const ALSO: &'static [&'static str] = &[$($also),*];
               const METHOD: &'static str = $method;
               const ACCESS: $crate::operation::Access = $crate::operation::Access::$access;
               const PURPOSE: &'static str = $purpose.trim_ascii_start();
               const KEYWORDS: &'static str = $keywords;
               const EXAMPLE: &'static str = $example;
               const TWINS: &'static [$crate::operation::Twin] = $twins;
               type Params = $params;
               type Output = $output;
           } )+
        /// The operations of this family, in the order of their codes.
        pub const CARDS: &[$crate::operation::Card] = &[ $( $crate::operation::Card::of::<$operation>() ),+ ];
    };
}

/// Declares parameter structs: flat, every field optional, unknown fields refused. The doc comment of a field is its
/// help on the command line, its description in the schema and in the documents.
#[macro_export]
macro_rules! params {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$field_meta:meta])* $field:ident : $type:ty ),* $(,)? } )+) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[cfg_attr(feature = "cli", derive(clap::Args))]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $( $(#[$field_meta])*
               #[cfg_attr(feature = "cli", arg(long))]
               #[serde(skip_serializing_if = "crate::operation::is_default")]
               pub $field: $type, )*
        }
    )+ };
}

/// Declares reply structs: they tolerate unknown fields, so that an older client can talk to a newer daemon.
#[macro_export]
macro_rules! outputs {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$field_meta:meta])* $field:ident : $type:ty ),* $(,)? } )+) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $type, )* }
    )+ };
}

/// Whether a parameter has its default value and need not be sent.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The `status` of every reply that is not a denial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
pub enum Status {
    /// The operation was carried out.
    #[default]
    #[serde(rename = "OK")]
    Ok,
}
