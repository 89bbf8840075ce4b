//! The command line. Doc comments on arguments are their help texts.

#![allow(clippy::doc_markdown, reason = "clap prints the doc comments verbatim")]

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueHint};

#[cfg(feature = "http")]
use crate::flags::SignInArgs;
use crate::flags::{
    DeleteArgs, DryRunArg, EntryFilter, GlobalArgs, KeyChange, OwnerFilter, ProfileArg, RedeemArgs,
    RefreshArgs, Sort, StoreArg, TokenArgs, selector,
};

/// Inspect, check, repair and move MSAL token caches.
///
/// Works with the JSON file that the MSAL libraries share, and with the SQLite databases and
/// the servers of this crate. Secrets are printed only by `get-token` and with `--show-secrets`.
#[derive(Debug, Parser)]
#[command(
    name = "msal-cache",
    version,
    arg_required_else_help = true,
    infer_subcommands = true,
    max_term_width = 100,
    after_help = "\
STORE is one of:
  token_cache.json        an MSAL JSON file, or a SQLite database of this crate
  file:PATH, sqlite:PATH  a path, with the kind of store given explicitly
  azure-cli, app:NAME     a well-known location; see `msal-cache places`
  redis://HOST#NAME       a cache on Redis or Valkey; rediss:// with TLS
  postgres://HOST/DATABASE?schema=SCHEMA#NAME
                          a cache in a PostgreSQL database
  secret-service:PLACE    app:NAME, shared or dotnet in the desktop's key store
  -                       an MSAL JSON document on standard input, to be read

A sealed STORE is opened with its keys, such as --key-file cache.keys. Its
backups and exports are sealed, too.

Other users can read the arguments of a process. Set REDISCLI_AUTH or
PGPASSWORD to the password of a server instead of writing it into its address.

Getting started:
  msal-cache accounts ~/.azure/msal_token_cache.json
  msal-cache check azure-cli
  msal-cache stats redis://app@cache.example:6379#web
  msal-cache tokens cache.db --key-file cache.keys --seal-name my-app

Exit codes:
  0  success                      5  other users can access the store
  1  no match, or problems found  6  missing, or can't be read or written
  2  invalid usage or input       7  any other failure of the store
  3  locked by another process    8  the server refused, or didn't respond
  4  the store is not a token     9  sealed, and the keys are missing or wrong;
     cache                           or not sealed, and keys are given"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List signed-in users
    #[command(after_help = "\
Examples:
  msal-cache accounts token_cache.json
  msal-cache accounts azure-cli --json | jq -r '.accounts[].username'")]
    Accounts {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        owner: OwnerFilter,
    },

    /// List tokens
    #[command(after_help = "\
Examples:
  msal-cache tokens token_cache.json
  msal-cache tokens azure-cli --type access --valid --sort expires
  msal-cache tokens cache.db --account alice --scope User.Read --wide
  msal-cache tokens sqlite:cache.db --expired --json | jq '.tokens | length'")]
    Tokens {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        filter: EntryFilter,
        /// Sort order [example: --sort expires]
        #[arg(long, value_name = "BY", default_value = "account")]
        sort: Sort,
        /// Reverse the order [example: --sort expires --reverse]
        #[arg(long)]
        reverse: bool,
    },

    /// Show one entry and the requests that match it
    #[command(after_help = "\
Examples:
  msal-cache show token_cache.json 3f2ab1c9
  msal-cache show token_cache.json 3f2a --show-secrets")]
    Show {
        #[command(flatten)]
        store: StoreArg,
        /// Entry id as printed by `tokens`, a prefix of the id, or the entry's key
        #[arg(value_parser = selector)]
        id: String,
        /// Print secrets in clear text [example: --show-secrets]
        #[arg(long)]
        show_secrets: bool,
    },

    /// Show counts, sizes and ages, and what `purge` would free
    #[command(after_help = "\
Examples:
  msal-cache stats token_cache.json
  msal-cache stats cache.db --json | jq .expired")]
    Stats {
        #[command(flatten)]
        store: StoreArg,
    },

    /// Report problems and which MSAL libraries they affect
    #[command(after_help = "\
Examples:
  msal-cache check token_cache.json
  msal-cache check azure-cli --all
  msal-cache check cache.db --json | jq -r '.findings[].kind' | sort | uniq -c

Of a sealed store, it says which keys are needed, and what is legible without.

The exit code is 0 if there are only notes, 1 if there are warnings or errors,
5 if other users can access the store, 4 if it isn't a token cache, and 9 if it
is sealed and the keys are missing or wrong.")]
    Check {
        #[command(flatten)]
        store: StoreArg,
        /// List every affected entry instead of the first three [example: --all | less]
        #[arg(long)]
        all: bool,
    },

    /// Fix problems without losing data, after a backup
    #[command(after_help = "\
Examples:
  msal-cache repair token_cache.json --dry-run
  msal-cache repair token_cache.json

A file that isn't a valid token cache is renamed to NAME.corrupt-N, and its
readable records are written to a new file. If it has none, it may belong to
another program or be encrypted: it is left as it is, unless --force is given.
A file that other users can access is made private.")]
    Repair {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        dry: DryRunArg,
        /// Don't write a backup next to the store [example: --no-backup]
        #[arg(long)]
        no_backup: bool,
        /// Replace a file that has no readable record by an empty cache [example: --force]
        #[arg(long)]
        force: bool,
    },

    /// Explain which token a silent request returns, or why it returns none
    #[command(after_help = "\
Examples:
  msal-cache why azure-cli --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46 \\
      --account alice --scope https://graph.microsoft.com/.default
  msal-cache why token_cache.json --client CLIENT --app --scope SCOPE")]
    Why {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        request: TokenArgs,
    },

    /// Print a valid access token from the cache, for scripts
    #[command(after_help = "\
Examples:
  curl -H \"Authorization: Bearer $(msal-cache get-token azure-cli \\
      --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46 --account alice \\
      --scope User.Read)\" https://graph.microsoft.com/v1.0/me
  msal-cache get-token token_cache.json --client CLIENT --app --scope SCOPE

The library's rules choose the token. Without --refresh (feature http), no
network request is made: if the token would have to be refreshed, nothing is
printed and the exit code is 1. On a terminal, --show-secrets is required.")]
    GetToken {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        request: TokenArgs,
        #[command(flatten)]
        refresh: RefreshArgs,
        /// Print the token even if standard output is a terminal [example: --show-secrets]
        #[arg(long)]
        show_secrets: bool,
    },

    /// Sign a user in, by the system browser or a device code
    #[cfg(feature = "http")]
    #[command(after_help = "\
Examples:
  msal-cache sign-in token_cache.json --client CLIENT --tenant organizations \\
      --scope User.Read
  msal-cache sign-in app:my-tool --client CLIENT --tenant contoso.com \\
      --scope User.Read --device-code
  msal-cache sign-in cache.db --client CLIENT --tenant contoso.com \\
      --scope User.Read --no-browser --port 8400
  msal-cache sign-in cache.db --client CLIENT --scope api.read \\
      --issuer https://idp.example/realms/staff --device-code

CLIENT is the id of your own app registration: none is built in. For a sign-in
by browser, register the redirect URI http://localhost for mobile and desktop
applications. On a remote machine, forward the port of --no-browser
(`ssh -L 8400:localhost:8400`). The store is created if it is missing.")]
    SignIn {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        request: SignInArgs,
    },

    /// Add the tokens of a token response, as the requesting app would
    #[command(after_help = "\
Examples:
  msal-cache add token_cache.json event.json
  msal-cache add shared event.json --profile family
  get-a-token | msal-cache add cache.json --client CLIENT --scope User.Read \\
      --token-endpoint https://login.example/common/oauth2/v2.0/token

The input is an event as passed to MSAL Python's TokenCache.add, which has a
`response` member, or a token response alone. In the second case, the options
describe the request.")]
    Add {
        #[command(flatten)]
        store: StoreArg,
        /// JSON file to read, or - for standard input
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        input: PathBuf,
        /// Client that sent the request [example: --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46]
        #[arg(long, value_name = "ID", value_parser = selector)]
        client: Option<String>,
        /// Token endpoint that answered [example: --token-endpoint https://login.../oauth2/v2.0/token]
        #[arg(long, value_name = "URL", value_parser = selector)]
        token_endpoint: Option<String>,
        /// Requested scope; can be repeated [example: --scope User.Read]
        #[arg(long, value_name = "SCOPE", value_parser = selector)]
        scope: Vec<String>,
        /// Grant type of the request [example: --grant-type client_credentials]
        #[arg(long, value_name = "TYPE")]
        grant_type: Option<String>,
        /// Write records as MSAL Python does, or so that every MSAL library can read them
        /// [example: --profile family]
        #[arg(long, value_name = "PROFILE", default_value = "python")]
        profile: ProfileArg,
    },

    /// Remove entries by id or by filter
    #[command(after_help = "\
Examples:
  msal-cache remove token_cache.json 3f2ab1c9
  msal-cache remove token_cache.json --type access --client CLIENT --dry-run
  msal-cache remove token_cache.json --tenant contoso.onmicrosoft.com --yes

Asks for confirmation on a terminal, and requires --yes elsewhere. The entries
are first written to a backup next to the store, which contains tokens.")]
    Remove {
        #[command(flatten)]
        store: StoreArg,
        /// Entry ids as printed by `tokens`, or prefixes of ids
        #[arg(value_parser = selector)]
        id: Vec<String>,
        #[command(flatten)]
        filter: EntryFilter,
        #[command(flatten)]
        delete: DeleteArgs,
    },

    /// Sign a user out by removing all of the user's entries
    #[command(after_help = "\
Examples:
  msal-cache sign-out token_cache.json alice@contoso.com
  msal-cache sign-out azure-cli alice --dry-run")]
    SignOut {
        #[command(flatten)]
        store: StoreArg,
        /// User name or home account id, or an unambiguous prefix of one
        #[arg(value_parser = selector)]
        account: String,
        #[command(flatten)]
        dry: DryRunArg,
    },

    /// Delete expired access tokens
    #[command(after_help = "\
Examples:
  msal-cache purge token_cache.json
  msal-cache purge cache.db --dry-run")]
    Purge {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        dry: DryRunArg,
    },

    /// Delete all entries
    #[command(after_help = "\
Examples:
  msal-cache clear token_cache.json
  msal-cache clear token_cache.json --yes

Asks for confirmation on a terminal, and requires --yes elsewhere. The entries
are first written to a backup next to the store, which contains tokens.")]
    Clear {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        delete: DeleteArgs,
    },

    /// Print the cache as a JSON document, with secrets redacted
    #[command(after_help = "\
Examples:
  msal-cache export token_cache.json > for-a-bug-report.json
  msal-cache export token_cache.json --account alice
  msal-cache export cache.db --show-secrets --output token_cache.json
  msal-cache export cache.db --key-file cache.keys --show-secrets --output copy

The file of a sealed store is sealed by its keys, and `import` reads it. With
--plain, it is plain text.")]
    Export {
        #[command(flatten)]
        store: StoreArg,
        /// Only the entries of this user [example: --account alice@contoso.com]
        #[arg(long, value_name = "USER", value_parser = selector)]
        account: Option<String>,
        /// Include the secrets, so that the document can be imported [example: --show-secrets]
        #[arg(long)]
        show_secrets: bool,
        /// Write to a new file that only its owner can access [example: --output backup.json]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Write secrets of a sealed store or of the key store in plain text [example: --plain]
        #[arg(long, requires = "output")]
        plain: bool,
    },

    /// Import the entries of a JSON document
    #[command(after_help = "\
Examples:
  msal-cache import cache.db backup.json
  msal-cache import cache.db backup.json --replace
  ssh host msal-cache export azure-cli --show-secrets |
      msal-cache import token_cache.json

A cache of ADAL, the predecessor of MSAL, needs --redeem (feature http): its
refresh tokens are redeemed, and the responses are stored. Those that the
server replaces are spent for the program that uses ADAL.

With --replace, it asks for confirmation on a terminal and requires --yes
elsewhere if entries would be deleted. All entries are first written to a
backup next to the store, which contains tokens.")]
    Import {
        #[command(flatten)]
        store: StoreArg,
        /// JSON document to read, or - for standard input
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        input: PathBuf,
        /// Delete all entries that are not in the document [example: --replace]
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        redeem: RedeemArgs,
        #[command(flatten)]
        delete: DeleteArgs,
    },

    /// Copy entries from one store to another
    #[command(after_help = "\
Examples:
  msal-cache copy token_cache.json sqlite:cache.db
  msal-cache copy azure-cli file:mine.json --account alice
  msal-cache copy token_cache.json sqlite:sealed.db --key-file cache.keys

Entries with the same key are overwritten; all other entries are kept. With
keys, the destination is sealed, and STORE may be sealed or not.")]
    Copy {
        #[command(flatten)]
        store: StoreArg,
        /// Destination store, named like STORE
        #[arg(value_hint = ValueHint::FilePath)]
        to: OsString,
        /// Only the entries of this user [example: --account alice@contoso.com]
        #[arg(long, value_name = "USER", value_parser = selector)]
        account: Option<String>,
        /// Write to a destination that is not sealed, also from a sealed store or the key store
        /// [example: --plain]
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        dry: DryRunArg,
    },

    /// Seal a plain store, and its backups
    #[command(after_help = "\
Examples:
  msal-cache seal cache.db --key-file cache.keys --seal-name my-app
  msal-cache seal app:my-app --key-secret-service my-app
  msal-cache seal redis://cache.example#web --key-env CACHE_KEYS --hide-names
  msal-cache seal cache.db --key-file cache.keys --dry-run

All entries are sealed in one step, or none. Files next to the store that hold
older contents (NAME.backup-TIME.json, NAME.corrupt-N) are sealed, too, and the
log and free pages of a database are emptied. Apps have to open the store with
the same keys and the same name. What it can't reach are snapshots, and blocks
that a disk has freed. The exit code is 1 if a database could not be emptied.")]
    Seal {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        dry: DryRunArg,
    },

    /// Make a sealed store plain, and its backups
    #[command(after_help = "\
Examples:
  msal-cache unseal cache.db --key-file cache.keys --seal-name my-app
  msal-cache unseal app:my-app --key-secret-service my-app --dry-run")]
    Unseal {
        #[command(flatten)]
        store: StoreArg,
        #[command(flatten)]
        dry: DryRunArg,
    },

    /// Seal a sealed store anew, by the newest key
    #[command(after_help = "\
Examples:
  msal-cache rekey cache.db --key-file cache.keys --seal-name my-app --new-key
  msal-cache rekey redis://cache.example#web --key-credential cache-keys

Apps go on working. If it is interrupted, run it again: it seals what another
key than the newest has sealed. Afterwards it says which keys are still needed.
The exit code is 1 if an app has sealed by an older key meanwhile: reload its
keys or restart it, and run it again. Then `keys --remove` removes old keys.")]
    Rekey {
        #[command(flatten)]
        store: StoreArg,
        /// Add a new key first, to a file or to the key store [example: --new-key]
        #[arg(long)]
        new_key: bool,
        #[command(flatten)]
        dry: DryRunArg,
    },

    /// List, create, add and remove keys
    #[command(after_help = "\
Examples:
  msal-cache keys --create --key-file cache.keys
  msal-cache keys --key-file cache.keys
  msal-cache keys --add --key-secret-service my-app
  msal-cache keys cache.db --key-file cache.keys --seal-name my-app --remove 1

No key is printed. With STORE, it counts what each key has sealed there and in
the backups beside it. A key that they need isn't removed: other backups aren't
known.")]
    Keys {
        /// Sealed store, named like STORE of the other subcommands
        #[arg(value_name = "STORE", value_hint = ValueHint::FilePath)]
        store: Option<OsString>,
        #[command(flatten)]
        change: KeyChange,
    },

    /// Print changes as they happen, and the process that made them
    #[command(after_help = "\
Examples:
  msal-cache watch azure-cli
  msal-cache watch token_cache.json --json | jq .change
  msal-cache watch token_cache.json --count 1 && echo changed")]
    Watch {
        #[command(flatten)]
        store: StoreArg,
        /// Exit after this number of changes [example: --count 1]
        #[arg(long, value_name = "CHANGES")]
        count: Option<u64>,
        /// Polling interval [example: --interval 100]
        #[arg(long, value_name = "MILLISECONDS", default_value = "250")]
        interval: u64,
    },

    /// Show which process holds the lock of a file, and whether it is running
    #[command(after_help = "\
Examples:
  msal-cache lock token_cache.json
  msal-cache lock azure-cli --json | jq .process

The exit code is 1 if the lock is held.")]
    Lock {
        #[command(flatten)]
        store: StoreArg,
    },

    /// Print the SQL that creates the tables of a PostgreSQL store
    #[cfg(feature = "postgres")]
    #[command(after_help = "\
Examples:
  msal-cache ddl | psql -1 postgres://owner@db.example/tokens
  msal-cache ddl --schema web --role app > tables.sql
  msal-cache ddl --row-level-security

For operators who don't let applications create tables. It connects to no
server.
Applications then connect with `create_tables(false)`.")]
    Ddl {
        /// Schema of the tables, created if it is missing [example: --schema web]
        #[arg(long, value_name = "NAME", default_value = "public")]
        schema: String,
        /// What the names of the tables begin with [example: --prefix web_]
        #[arg(long, value_name = "TEXT", default_value = "msal_")]
        prefix: String,
        /// Grant this role the rights that an application needs; can be repeated
        /// [example: --role app]
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// Let each role see only the cache that has the name of the role
        /// [example: --row-level-security]
        #[arg(long)]
        row_level_security: bool,
    },

    /// List well-known caches, in files and in the key store
    #[command(after_help = "\
Examples:
  msal-cache places
  msal-cache places --json | jq -r '.places[] | select(.exists) | .name'

With the feature secret-service, it lists caches in the key store of the Linux
desktop, too, and unlocks nothing: those of the developer tools and of apps.")]
    Places,

    /// Print a shell completion script
    #[command(after_help = "\
Examples:
  msal-cache completions bash > /etc/bash_completion.d/msal-cache
  msal-cache completions fish > ~/.config/fish/completions/msal-cache.fish")]
    Completions {
        /// Shell that loads the script
        shell: clap_complete::Shell,
    },

    /// Print the manual page, or write all pages to a directory
    #[command(after_help = "\
Examples:
  msal-cache man | man -l -
  msal-cache man --output ~/.local/share/man/man1")]
    Man {
        /// Directory for the pages [example: --output /usr/local/share/man/man1]
        #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
        output: Option<PathBuf>,
    },
}
