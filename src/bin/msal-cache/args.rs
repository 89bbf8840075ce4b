//! What can be said on the command line. The comments here are the help that people read.

#![allow(clippy::doc_markdown, reason = "a terminal shows them as they are")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// See, check, repair and move the token caches of MSAL.
///
/// Works on the JSON file that every MSAL library shares, and on the databases of this crate.
/// No secret is printed unless a flag or a subcommand says so by its name.
#[derive(Debug, Parser)]
#[command(
    name = "msal-cache",
    version,
    arg_required_else_help = true,
    infer_subcommands = true,
    max_term_width = 100,
    after_help = "\
A store is named by its path, and follows the subcommand:
  token_cache.json        the JSON file of MSAL, or a SQLite database of ours
  file:PATH, sqlite:PATH  one or the other, whatever stands there
  azure-cli, app:NAME ..  a well-known place; `msal-cache places` lists them

Begin with:
  msal-cache accounts ~/.azure/msal_token_cache.json
  msal-cache check azure-cli

Exit codes:
  0  done, or found           4  the store is not a token cache
  1  nothing found, findings  5  others can open the store
  2  wrong usage              6  missing, or can't be read or written
  3  locked by somebody else  7  the store failed in another way"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every subcommand takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Common {
    /// Print JSON, on one line; see `msal-cache man` for its shape. Such as: --json | jq
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Use colours; `NO_COLOR` turns them off too. Such as: --color never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    /// Print full ids and texts, whatever the width. Such as: --wide | less -S
    #[arg(long, global = true)]
    pub(crate) wide: bool,

    /// Also work on a store that other users can open. Such as: --insecure, to have a look
    #[arg(long, global = true)]
    pub(crate) insecure: bool,

    /// How long to wait for others who write. Such as: --lock-timeout 2
    #[arg(long, global = true, value_name = "SECONDS", default_value = "15")]
    pub(crate) lock_timeout: u64,

    /// The time to go by, in seconds since the epoch.
    #[arg(long, global = true, hide = true, value_name = "SECONDS")]
    pub(crate) now: Option<i64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List who is signed in
    #[command(after_help = "\
Examples:
  msal-cache accounts token_cache.json
  msal-cache accounts azure-cli --json | jq -r '.accounts[].username'")]
    Accounts {
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        who: Who,
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
        store: Store,
        #[command(flatten)]
        filter: Filter,
        /// The order. Such as: --sort expires
        #[arg(long, value_name = "BY", default_value = "account")]
        sort: Sort,
        /// Turn the order round. Such as: --sort expires --reverse
        #[arg(long)]
        reverse: bool,
    },

    /// Show one entry, and what it would be found by
    #[command(after_help = "\
Examples:
  msal-cache show token_cache.json 3f2ab1c9
  msal-cache show token_cache.json 3f2a --show-secrets")]
    Show {
        #[command(flatten)]
        store: Store,
        /// The id of the entry as `tokens` prints it, or the beginning of it, or its key
        id: String,
        /// Print the secret in clear. Such as: --show-secrets
        #[arg(long)]
        show_secrets: bool,
    },

    /// Count: what is there, how large, how old, for whom, and what a purge would free
    #[command(after_help = "\
Examples:
  msal-cache stats token_cache.json
  msal-cache stats cache.db --json | jq .expired")]
    Stats {
        #[command(flatten)]
        store: Store,
    },

    /// Look for what is wrong, and say what it means for whom
    #[command(after_help = "\
Examples:
  msal-cache check token_cache.json
  msal-cache check azure-cli --all
  msal-cache check cache.db --json | jq -r '.findings[].kind' | sort | uniq -c

Notes alone leave the exit code at 0. Warnings and errors make it 1, a store
that others can open 5, one that can't be read as a cache 4.")]
    Check {
        #[command(flatten)]
        store: Store,
        /// Show every entry of a finding instead of the first three. Such as: --all | less
        #[arg(long)]
        all: bool,
    },

    /// Mend what can be mended without a loss, after a backup
    #[command(after_help = "\
Examples:
  msal-cache repair token_cache.json --dry-run
  msal-cache repair token_cache.json

A file that can't be read as a cache is set aside as NAME.corrupt-N, and what
can be read of it is put into a new one. A file that others can open is made
private.")]
    Repair {
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        dry: DryRun,
        /// Keep no copy beside the store. Such as: --no-backup, where it is a copy already
        #[arg(long)]
        no_backup: bool,
    },

    /// Tell which token an app would get without asking its user, or why none
    #[command(after_help = "\
Examples:
  msal-cache why azure-cli --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46 \\
      --account alice --scope https://graph.microsoft.com/.default
  msal-cache why token_cache.json --client CLIENT --app --scope SCOPE")]
    Why {
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        wanted: Wanted,
    },

    /// Print an access token that is in the cache and good, for scripts
    #[command(after_help = "\
Examples:
  curl -H \"Authorization: Bearer $(msal-cache get-token azure-cli \\
      --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46 --account alice \\
      --scope User.Read)\" https://graph.microsoft.com/v1.0/me
  msal-cache get-token token_cache.json --client CLIENT --app --scope SCOPE

It goes by the rules of the library and makes no request: where a token would
have to be refreshed, nothing is printed and the exit code is 1. On a terminal,
where it would stay on the screen, it asks for --show-secrets.")]
    GetToken {
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        wanted: Wanted,
        /// Print the token on a terminal too. Such as: --show-secrets
        #[arg(long)]
        show_secrets: bool,
    },

    /// Add the tokens of a response, as an app that got it would
    #[command(after_help = "\
Examples:
  msal-cache add token_cache.json event.json
  msal-cache add shared event.json --profile family
  get-a-token | msal-cache add cache.json --client CLIENT --scope User.Read \\
      --token-endpoint https://login.example/common/oauth2/v2.0/token

The input is the event that MSAL Python's TokenCache.add takes, which has a
`response`, or the response of a token endpoint alone; then the flags say what
was asked.")]
    Add {
        #[command(flatten)]
        store: Store,
        /// A file with the JSON, or - for standard input
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        input: PathBuf,
        /// The client that got the response. Such as: --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46
        #[arg(long, value_name = "ID")]
        client: Option<String>,
        /// The address that answered. Such as: --token-endpoint https://login.../oauth2/v2.0/token
        #[arg(long, value_name = "URL")]
        token_endpoint: Option<String>,
        /// A scope that was asked for; several times for several. Such as: --scope User.Read
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<String>,
        /// The grant type of the request. Such as: --grant-type client_credentials
        #[arg(long, value_name = "TYPE")]
        grant_type: Option<String>,
        /// For whom to write: as MSAL Python does, or so that every MSAL library can read it.
        /// Such as: --profile family
        #[arg(long, value_name = "PROFILE", default_value = "python")]
        profile: Profile,
    },

    /// Remove entries, by id or by what they are
    #[command(after_help = "\
Examples:
  msal-cache remove token_cache.json 3f2ab1c9
  msal-cache remove token_cache.json --type access --client CLIENT --dry-run")]
    Remove {
        #[command(flatten)]
        store: Store,
        /// Ids as `tokens` prints them, or the beginnings of them
        id: Vec<String>,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        dry: DryRun,
    },

    /// Sign a user out: nothing of the user is left in the store
    #[command(after_help = "\
Examples:
  msal-cache sign-out token_cache.json alice@contoso.com
  msal-cache sign-out azure-cli alice --dry-run")]
    SignOut {
        #[command(flatten)]
        store: Store,
        /// The user name, or the id of the home account; or the beginning of one, if no other
        /// user's begins like it
        account: String,
        #[command(flatten)]
        dry: DryRun,
    },

    /// Delete access tokens that have expired
    #[command(after_help = "\
Examples:
  msal-cache purge token_cache.json
  msal-cache purge cache.db --dry-run")]
    Purge {
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        dry: DryRun,
    },

    /// Delete everything
    #[command(after_help = "\
Examples:
  msal-cache clear token_cache.json
  msal-cache clear token_cache.json --yes")]
    Clear {
        #[command(flatten)]
        store: Store,
        /// Don't ask. Such as: --yes, in a script
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        dry: DryRun,
    },

    /// Print the cache as a JSON document, without its secrets
    #[command(after_help = "\
Examples:
  msal-cache export token_cache.json > for-a-bug-report.json
  msal-cache export token_cache.json --account alice
  msal-cache export cache.db --show-secrets --output token_cache.json")]
    Export {
        #[command(flatten)]
        store: Store,
        /// One user's entries alone. Such as: --account alice@contoso.com
        #[arg(long, value_name = "USER")]
        account: Option<String>,
        /// Export the tokens too, so that the document is a cache. Such as: --show-secrets
        #[arg(long)]
        show_secrets: bool,
        /// Write to a new file that nobody else can open. Such as: --output backup.json
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },

    /// Put the entries of a JSON document into a store
    #[command(after_help = "\
Examples:
  msal-cache import cache.db backup.json
  msal-cache import cache.db backup.json --replace
  ssh host msal-cache export azure-cli --show-secrets |
      msal-cache import token_cache.json")]
    Import {
        #[command(flatten)]
        store: Store,
        /// A file with the document, or - for standard input
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        input: PathBuf,
        /// Delete everything else that is there. Such as: --replace, to restore a backup
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        dry: DryRun,
    },

    /// Copy a cache from one store to another
    #[command(after_help = "\
Examples:
  msal-cache copy token_cache.json sqlite:cache.db
  msal-cache copy azure-cli file:mine.json --account alice

What stands there under the same key is replaced; all else stays.")]
    Copy {
        #[command(flatten)]
        store: Store,
        /// The store to copy to
        #[arg(value_hint = ValueHint::FilePath)]
        to: String,
        /// One user's entries alone. Such as: --account alice@contoso.com
        #[arg(long, value_name = "USER")]
        account: Option<String>,
        #[command(flatten)]
        dry: DryRun,
    },

    /// Show who changes what, as it happens
    #[command(after_help = "\
Examples:
  msal-cache watch azure-cli
  msal-cache watch token_cache.json --json | jq .change
  msal-cache watch token_cache.json --count 1 && echo changed")]
    Watch {
        #[command(flatten)]
        store: Store,
        /// End after so many changes. Such as: --count 1
        #[arg(long, value_name = "CHANGES")]
        count: Option<u64>,
        /// How often to look. Such as: --interval 100
        #[arg(long, value_name = "MILLISECONDS", default_value = "250")]
        interval: u64,
    },

    /// Tell who holds the lock of a file, since when, and whether they are alive
    #[command(after_help = "\
Examples:
  msal-cache lock token_cache.json
  msal-cache lock azure-cli --json | jq .process

The exit code is 1 while somebody holds it.")]
    Lock {
        #[command(flatten)]
        store: Store,
    },

    /// List the well-known places of caches, and which of them are there
    #[command(after_help = "\
Examples:
  msal-cache places
  msal-cache places --json | jq -r '.places[] | select(.exists) | .path'")]
    Places,

    /// Print the completions of a shell
    #[command(after_help = "\
Examples:
  msal-cache completions bash > /etc/bash_completion.d/msal-cache
  msal-cache completions fish > ~/.config/fish/completions/msal-cache.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },

    /// Print the manual, or write its pages into a folder
    #[command(after_help = "\
Examples:
  msal-cache man | man -l -
  msal-cache man --output ~/.local/share/man/man1")]
    Man {
        /// A folder for the page of each subcommand. Such as: --output /usr/local/share/man/man1
        #[arg(long, short, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        output: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Store {
    /// The store: a path, file:PATH, sqlite:PATH, or a well-known place such as azure-cli
    #[arg(value_name = "STORE", value_hint = ValueHint::FilePath)]
    pub(crate) store: String,
}

#[derive(Args, Debug)]
pub(crate) struct DryRun {
    /// Say what would be done and do nothing. Such as: --dry-run
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

/// Of whom.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Who {
    /// A user name or home account id, or its beginning; "" for no user. Such as: --account alice
    #[arg(long, value_name = "USER")]
    pub(crate) account: Option<String>,

    /// The id of a client, or its beginning. Such as: --client 04b07795
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,

    /// The tenant, or its beginning. Such as: --tenant organizations
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,

    /// The host of the authority. Such as: --environment login.microsoftonline.com
    #[arg(long, value_name = "HOST")]
    pub(crate) environment: Option<String>,
}

/// Which tokens.
#[derive(Args, Debug, Default)]
pub(crate) struct Filter {
    /// The type; several times for several. Such as: --type access --type refresh
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<Type>,

    #[command(flatten)]
    pub(crate) who: Who,

    /// A scope that the token is good for; several times for several. Such as: --scope User.Read
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,

    /// Access tokens that have expired. Such as: --expired
    #[arg(long, conflicts_with = "valid")]
    pub(crate) expired: bool,

    /// Access tokens that have not expired. Such as: --valid
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
pub(crate) enum Profile {
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

/// The token that an app asks for.
#[derive(Args, Debug)]
pub(crate) struct Wanted {
    /// The id of the client. Such as: --client 04b07795-8ddb-461a-bbee-02f9e1bf7b46
    #[arg(long, value_name = "ID")]
    pub(crate) client: String,

    /// The user name or home account id, or its beginning. Such as: --account alice
    #[arg(long, value_name = "USER", required_unless_present = "app")]
    pub(crate) account: Option<String>,

    /// A token of the app's own, of no user. Such as: --app --tenant TENANT
    #[arg(long, conflicts_with = "account")]
    pub(crate) app: bool,

    /// A scope; several times for several. Such as: --scope User.Read --scope Mail.Read
    #[arg(long, value_name = "SCOPE", required = true)]
    pub(crate) scope: Vec<String>,

    /// The tenant; unless given, those that the tokens of the client and the user are for. Such
    /// as: --tenant contoso.onmicrosoft.com
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,

    /// The host of the authority; unless given, as the tenant. Such as:
    /// --environment login.microsoftonline.us
    #[arg(long, value_name = "HOST")]
    pub(crate) environment: Option<String>,
}
