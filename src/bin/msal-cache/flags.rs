//! Groups of arguments that several subcommands share. Doc comments are their help texts.

#![allow(clippy::doc_markdown, reason = "clap prints the doc comments verbatim")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

/// Options of every subcommand.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub(crate) struct GlobalArgs {
    /// Print JSON, as documented in `msal-cache man`; short for `-o json` [example: --json | jq]
    #[arg(long, global = true)]
    json: bool,

    /// Output format; tsv prints a line of tab-separated values for each row, as documented in
    /// `msal-cache man` [example: --format tsv | cut -f 1]
    #[arg(long, short = 'o', global = true, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<Format>,

    /// Print errors only: no result, no hint and no progress [example: --quiet]
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print on standard error what is read and written [example: --verbose]
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,

    /// When to use color; `NO_COLOR` also turns it off [example: --color never]
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    /// Print full values instead of fitting the terminal width [example: --wide | less -S]
    #[arg(long, global = true)]
    pub(crate) wide: bool,

    /// Open the store even if other users can access it [example: --insecure]
    #[arg(long, global = true)]
    pub(crate) insecure: bool,

    /// How long to wait for a lock that another process holds [example: --lock-timeout 0.5]
    #[arg(long, global = true, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    pub(crate) lock_timeout: Duration,

    /// The time to use instead of the system clock, in seconds since the Unix epoch.
    #[arg(long, global = true, hide = true, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) now: Option<i64>,

    #[command(flatten)]
    pub(crate) keys: KeyArgs,
}

/// The keys of a sealed store, and how it is sealed.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Sealed stores")]
pub(crate) struct KeyArgs {
    /// File with the keys [example: --key-file cache.keys]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["key_credential", "key_env", "key_secret_service"]
    )]
    pub(crate) key_file: Option<PathBuf>,

    /// Credential of systemd with the keys [example: --key-credential cache-keys]
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        value_parser = selector,
        conflicts_with_all = ["key_env", "key_secret_service"]
    )]
    pub(crate) key_credential: Option<String>,

    /// Environment variable with the keys [example: --key-env CACHE_KEYS]
    #[arg(
        long,
        global = true,
        value_name = "VARIABLE",
        value_parser = selector,
        conflicts_with = "key_secret_service"
    )]
    pub(crate) key_env: Option<String>,

    /// App whose keys are in the key store of the desktop [example: --key-secret-service my-app]
    #[arg(long, global = true, value_name = "APP", value_parser = selector)]
    pub(crate) key_secret_service: Option<String>,

    /// Name by which the app seals its cache; by default that of app:NAME and of a server's #NAME,
    /// else msal-cache [example: --seal-name my-app]
    #[arg(long, global = true, value_name = "NAME", value_parser = selector)]
    pub(crate) seal_name: Option<String>,

    /// Hide the ids of users, clients and tenants in a database or on a server when `seal`, or the
    /// first entry, seals it; a sealed store stays as it is [example: --hide-names]
    #[arg(long, global = true)]
    pub(crate) hide_names: bool,
}

impl KeyArgs {
    /// Whether keys are given.
    pub(crate) fn any(&self) -> bool {
        self.key_file.is_some()
            || self.key_credential.is_some()
            || self.key_env.is_some()
            || self.key_secret_service.is_some()
    }
}

/// What to do to a key ring.
#[derive(Args, Debug, Default)]
pub(crate) struct KeyChange {
    /// Create the file, or the entry of the key store, with new keys [example: --create]
    #[arg(long, conflicts_with_all = ["add", "remove"])]
    pub(crate) create: bool,

    /// Add a new key, which then seals [example: --add]
    #[arg(long, conflicts_with = "remove")]
    pub(crate) add: bool,

    /// Remove the key of this number, which STORE must not need [example: --remove 1]
    #[arg(long, value_name = "NUMBER", requires = "store")]
    pub(crate) remove: Option<u32>,
}

impl GlobalArgs {
    /// The format of results.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format.unwrap_or(Format::Table) }
    }
}

/// The format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Table,
    Tsv,
}

/// Parses a number of seconds, which may have a fraction. A longer time than a year is a year.
fn seconds(text: &str) -> Result<Duration, String> {
    const YEAR: f64 = 365.0 * 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Ok(Duration::from_secs_f64(seconds.min(YEAR))),
        _ => Err("it is not a number of seconds, such as 2 or 0.5".into()),
    }
}

/// Parses a text that selects something. Scripts pass an empty one where a variable is unset.
pub(crate) fn selector(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty, and selects nothing".into());
    }
    Ok(text.to_owned())
}

/// As [`selector`]; the empty text selects entries without a user.
fn user_or_none(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { selector(text) }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Args, Debug)]
pub(crate) struct StoreArg {
    /// A path, file:PATH, sqlite:PATH, the address of a server such as redis://HOST#NAME, a
    /// well-known location such as azure-cli, secret-service:app:NAME in the key store of the
    /// desktop, or - for a document on standard input
    #[arg(value_name = "STORE", value_hint = ValueHint::FilePath)]
    pub(crate) store: OsString,
}

/// Options of subcommands that delete.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// Don't ask for confirmation [example: --yes]
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Don't write a backup next to the store [example: --no-backup]
    #[arg(long)]
    pub(crate) no_backup: bool,

    #[command(flatten)]
    pub(crate) dry: DryRunArg,
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
    #[arg(long, value_name = "USER", value_parser = user_or_none)]
    pub(crate) account: Option<String>,

    /// Client id, or a prefix [example: --client 04b07795]
    #[arg(long, value_name = "ID", value_parser = selector)]
    pub(crate) client: Option<String>,

    /// Tenant, or a prefix [example: --tenant organizations]
    #[arg(long, value_name = "TENANT", value_parser = selector)]
    pub(crate) tenant: Option<String>,

    /// Authority host, or a prefix [example: --environment login.microsoftonline.com]
    #[arg(long, value_name = "HOST", value_parser = selector)]
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
    #[arg(long, value_name = "SCOPE", value_parser = selector)]
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

/// A refresh by the token endpoint.
#[derive(Args, Debug, Default)]
pub(crate) struct RefreshArgs {
    /// Acquire a new token over HTTPS if the cache has no valid one, by its refresh tokens
    /// [example: --refresh]
    #[cfg(feature = "http")]
    #[arg(long, conflicts_with = "app")]
    pub(crate) refresh: bool,

    /// Token endpoint, if it doesn't follow from the authority
    /// [example: --token-endpoint https://login.example/contoso/oauth2/v2.0/token]
    #[cfg(feature = "http")]
    #[arg(long, value_name = "URL", requires = "refresh", value_parser = selector)]
    pub(crate) token_endpoint: Option<String>,

    /// Issuer of an OpenID Connect provider that isn't Microsoft's
    /// [example: --issuer https://idp.example/realms/staff]
    #[cfg(feature = "http")]
    #[arg(
        long,
        value_name = "URL",
        requires = "refresh",
        conflicts_with_all = ["tenant", "environment", "token_endpoint"],
        value_parser = selector
    )]
    pub(crate) issuer: Option<String>,

    /// Don't ask Microsoft about a host that isn't known, such as that of a private cloud
    /// [example: --no-instance-discovery]
    #[cfg(feature = "http")]
    #[arg(long, requires = "refresh", conflicts_with = "issuer")]
    pub(crate) no_instance_discovery: bool,
}

/// An import of refresh tokens that are redeemed.
#[derive(Args, Debug, Default)]
pub(crate) struct RedeemArgs {
    /// Redeem the refresh tokens of a cache of ADAL over HTTPS [example: --redeem]
    #[cfg(feature = "http")]
    #[arg(long, conflicts_with = "replace")]
    pub(crate) redeem: bool,

    /// Token endpoint, if it doesn't follow from the authorities in the document
    /// [example: --token-endpoint https://login.example/contoso/oauth2/v2.0/token]
    #[cfg(feature = "http")]
    #[arg(long, value_name = "URL", requires = "redeem", value_parser = selector)]
    pub(crate) token_endpoint: Option<String>,

    /// Don't ask Microsoft about a host that isn't known, such as that of a private cloud
    /// [example: --no-instance-discovery]
    #[cfg(feature = "http")]
    #[arg(long, requires = "redeem")]
    pub(crate) no_instance_discovery: bool,
}

/// A sign-in.
#[cfg(feature = "http")]
#[derive(Args, Debug)]
pub(crate) struct SignInArgs {
    /// Client id of your own app registration [example: --client CLIENT]
    #[arg(long, value_name = "ID", value_parser = selector)]
    pub(crate) client: String,

    /// Tenant [example: --tenant contoso.onmicrosoft.com]
    #[arg(long, value_name = "TENANT", required_unless_present = "issuer", value_parser = selector)]
    pub(crate) tenant: Option<String>,

    /// Scope; can be repeated [example: --scope User.Read --scope Mail.Read]
    #[arg(long, value_name = "SCOPE", required = true, value_parser = selector)]
    pub(crate) scope: Vec<String>,

    /// Authority host [example: --environment login.microsoftonline.us]
    #[arg(long, value_name = "HOST", default_value = "login.microsoftonline.com", value_parser = selector)]
    pub(crate) environment: String,

    /// User name to fill in [example: --account alice@contoso.com]
    #[arg(long, value_name = "USER", conflicts_with = "device_code", value_parser = selector)]
    pub(crate) account: Option<String>,

    /// Print a code, which the user enters in a browser on any device [example: --device-code]
    #[arg(long)]
    pub(crate) device_code: bool,

    /// Print the address instead of opening a browser [example: --no-browser --port 8400]
    #[arg(long, conflicts_with = "device_code")]
    pub(crate) no_browser: bool,

    /// Port of the redirect URI http://localhost; any free one by default [example: --port 8400]
    #[arg(
        long,
        value_name = "PORT",
        default_value = "0",
        hide_default_value = true,
        conflicts_with = "device_code"
    )]
    pub(crate) port: u16,

    /// How long to wait for the user [example: --timeout 60]
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Token endpoint, if it doesn't follow from the authority
    /// [example: --token-endpoint https://login.example/contoso/oauth2/v2.0/token]
    #[arg(long, value_name = "URL", value_parser = selector)]
    pub(crate) token_endpoint: Option<String>,

    /// Authorization endpoint, if it doesn't follow from the authority
    /// [example: --authorization-endpoint https://login.example/contoso/oauth2/v2.0/authorize]
    #[arg(long, value_name = "URL", conflicts_with = "device_code", value_parser = selector)]
    pub(crate) authorization_endpoint: Option<String>,

    /// Issuer of an OpenID Connect provider that isn't Microsoft's
    /// [example: --issuer https://idp.example/realms/staff]
    #[arg(
        long,
        value_name = "URL",
        conflicts_with_all = ["tenant", "environment", "token_endpoint", "authorization_endpoint"],
        value_parser = selector
    )]
    pub(crate) issuer: Option<String>,

    /// Don't ask Microsoft about a host that isn't known, such as that of a private cloud
    /// [example: --no-instance-discovery]
    #[arg(long, conflicts_with = "issuer")]
    pub(crate) no_instance_discovery: bool,
}

/// A silent token request.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// Client id [example: --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46]
    #[arg(long, value_name = "ID", value_parser = selector)]
    pub(crate) client: String,

    /// User name or home account id, or an unambiguous prefix [example: --account alice]
    #[arg(long, value_name = "USER", required_unless_present = "app", value_parser = selector)]
    pub(crate) account: Option<String>,

    /// Request a token for the app itself, without a user [example: --app --tenant TENANT]
    #[arg(long, conflicts_with = "account")]
    pub(crate) app: bool,

    /// Scope; can be repeated [example: --scope User.Read --scope Mail.Read]
    #[arg(long, value_name = "SCOPE", required = true, value_parser = selector)]
    pub(crate) scope: Vec<String>,

    /// Tenant; by default those of the client's and the user's entries
    /// [example: --tenant contoso.onmicrosoft.com]
    #[arg(long, value_name = "TENANT", value_parser = selector)]
    pub(crate) tenant: Option<String>,

    /// Authority host; by default those of the client's and the user's entries
    /// [example: --environment login.microsoftonline.us]
    #[arg(long, value_name = "HOST", value_parser = selector)]
    pub(crate) environment: Option<String>,
}
