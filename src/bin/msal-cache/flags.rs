//! Groups of arguments that several subcommands share. Doc comments are their help texts.

#![allow(clippy::doc_markdown, reason = "clap prints the doc comments verbatim")]

use clap::{Args, ValueEnum, ValueHint};

/// Options of every subcommand.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Print JSON, as documented in `msal-cache man` [example: --json | jq]
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// When to use color; `NO_COLOR` also turns it off [example: --color never]
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    /// Print full values instead of fitting the terminal width [example: --wide | less -S]
    #[arg(long, global = true)]
    pub(crate) wide: bool,

    /// Open the store even if other users can access it [example: --insecure]
    #[arg(long, global = true)]
    pub(crate) insecure: bool,

    /// How long to wait for a lock that another process holds [example: --lock-timeout 2]
    #[arg(long, global = true, value_name = "SECONDS", default_value = "15")]
    pub(crate) lock_timeout: u64,

    /// The time to use instead of the system clock, in seconds since the Unix epoch.
    #[arg(long, global = true, hide = true, value_name = "SECONDS")]
    pub(crate) now: Option<i64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Args, Debug)]
pub(crate) struct StoreArg {
    /// A path, file:PATH, sqlite:PATH, or a well-known location such as azure-cli
    #[arg(value_name = "STORE", value_hint = ValueHint::FilePath)]
    pub(crate) store: String,
}

#[derive(Args, Debug)]
pub(crate) struct DryRunArg {
    /// Print what would change, and change nothing [example: --dry-run]
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

/// Selects entries by owner.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OwnerFilter {
    /// User name or home account id, or a prefix; "" selects entries without a user
    /// [example: --account alice]
    #[arg(long, value_name = "USER")]
    pub(crate) account: Option<String>,

    /// Client id, or a prefix [example: --client 04b07795]
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,

    /// Tenant, or a prefix [example: --tenant organizations]
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,

    /// Authority host, or a prefix [example: --environment login.microsoftonline.com]
    #[arg(long, value_name = "HOST")]
    pub(crate) environment: Option<String>,
}

/// Selects entries.
#[derive(Args, Debug, Default)]
pub(crate) struct EntryFilter {
    /// Entry type; can be repeated [example: --type access --type refresh]
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<Type>,

    #[command(flatten)]
    pub(crate) owner: OwnerFilter,

    /// Scope that the token grants; repeat to require several [example: --scope User.Read]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,

    /// Only expired access tokens [example: --expired]
    #[arg(long, conflicts_with = "valid")]
    pub(crate) expired: bool,

    /// Only access tokens that have not expired [example: --valid]
    #[arg(long)]
    pub(crate) valid: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    Access,
    Refresh,
    Id,
    Account,
    App,
    Other,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProfileArg {
    Python,
    Family,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Sort {
    Account,
    Expires,
    Stored,
    Type,
    Client,
    Size,
}

/// A silent token request.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// Client id [example: --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46]
    #[arg(long, value_name = "ID")]
    pub(crate) client: String,

    /// User name or home account id, or an unambiguous prefix [example: --account alice]
    #[arg(long, value_name = "USER", required_unless_present = "app")]
    pub(crate) account: Option<String>,

    /// Request a token for the app itself, without a user [example: --app --tenant TENANT]
    #[arg(long, conflicts_with = "account")]
    pub(crate) app: bool,

    /// Scope; can be repeated [example: --scope User.Read --scope Mail.Read]
    #[arg(long, value_name = "SCOPE", required = true)]
    pub(crate) scope: Vec<String>,

    /// Tenant; by default those of the client's and the user's entries
    /// [example: --tenant contoso.onmicrosoft.com]
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,

    /// Authority host; by default those of the client's and the user's entries
    /// [example: --environment login.microsoftonline.us]
    #[arg(long, value_name = "HOST")]
    pub(crate) environment: Option<String>,
}
