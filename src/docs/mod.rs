//! Long reads about one subject each.

/// The command `msal-cache` (feature `cli`) shows, checks, repairs and moves the caches of this
/// crate and of the MSAL libraries. `msal-cache --help` tells what it can do, the help of each
/// subcommand has examples, and `msal-cache man` prints the manual.
///
/// No secret is printed unless a flag or a subcommand says so by its name: `--show-secrets`,
/// `get-token`. Of every other value than those that are known to be harmless it prints the length
/// and the beginning of a hash, which tells whether two are the same.
///
/// # For scripts
///
/// | exit code | |
/// |---|---|
/// | 0 | done, or found |
/// | 1 | nothing found; or what was looked for: `check` found a warning or an error, `lock` a holder |
/// | 2 | wrong usage, or input that can't be used |
/// | 3 | locked by somebody else until the deadline (`--lock-timeout`) |
/// | 4 | the store is not a token cache |
/// | 5 | others can open the store |
/// | 6 | the store is missing, or can't be read or written |
/// | 7 | the store failed in another way |
///
#[doc = concat!("```text\n", include_str!("json.txt"), "```")]
pub mod the_command {}

/// Whoever keeps tokens somewhere else writes a store for it. There are two doors into the crate.
///
/// | | the small door: [`BlobStore`](crate::BlobStore) | the big door: [`CacheStore`](crate::CacheStore) |
/// |---|---|---|
/// | for | one string somewhere: an object in a bucket, a secret of an orchestrator, a key chain | records: a database, a server |
/// | you write | `read` and `swap` | `load`, `commit`, `list` and `purge`, and `guard` if you can |
/// | you get | the document that all MSAL libraries read, in your string | look-ups and writes that don't grow with the number of users |
/// | the example | 19 lines | 53 lines |
///
/// # The small door
///
/// A [`Document`](crate::Document) makes a store of any string that can be read and swapped. Two
/// promises do it:
///
/// - `read` returns the string and a [`Revision`](crate::Revision) that stands for it. Asked with
///   the revision that the caller knows, it says `Unchanged` and copies nothing. An entity tag or
///   the generation of an object is such a revision; a time is not, because it may return. Where
///   there is nothing of the kind, [`Revision::of_contents`](crate::Revision::of_contents) makes
///   one of the string itself.
/// - `swap` replaces the string of the expected revision, or changes nothing and returns
///   [`Error::Conflict`](crate::Error::Conflict). Then the document reads again, merges its change
///   into what stands there by now, and tries again. Nearly every storage can do this, by
///   `If-Match` or a transaction; one that can't is not safe for two writers.
///
/// Nothing at all is an absent string, which is not the same as an empty one: an empty string is
/// a document that somebody has cut off.
///
#[doc = concat!("```rust\n", include_str!("../../examples/your_own_store.rs"), "\n```")]
///
/// # The big door
///
/// A [`CacheStore`](crate::CacheStore) keeps [`Record`](crate::Record)s: a section, a key and a
/// JSON text, of which it understands nothing. Each belongs to a
/// [`Partition`](crate::Partition), everything of one user for example, and the record tells to
/// which.
///
/// - `load` reads a partition as one commit left it, or says that it is still at the revision that
///   the caller knows.
/// - `commit` checks what the [`Batch`](crate::Batch) expects and applies its operations: all of
///   them, durably, or none. Two things are easily overlooked. The expectations have to be checked
///   in the same transaction that writes. And a change without operations still expects.
/// - `list` reads a section across partitions, in one question to your database.
/// - `purge` deletes what has expired in one step. [`Record::expires_on`](crate::Record::expires_on)
///   is the value for a column with an index.
/// - `guard` may be left out: then nobody is held off from refreshing a token while another one
///   does. [`Guards`](crate::Guards) is one for a store of a single process.
///
/// Revisions are yours to make. One must never stand for two different contents of a partition,
/// not after it was emptied and filled again, and not after a restart: so neither a count that
/// begins anew nor a clock will do. [`Revision::unique`](crate::Revision::unique) makes one that
/// nobody else makes, to be stored with the partition.
///
#[doc = concat!("```rust,no_run\n", include_str!("../../examples/store_in_redb.rs"), "\n```")]
///
/// # Is it right?
///
/// The feature `conformance` brings the promises of a store as tests, one for each, and a macro
/// that makes `#[test]`s of them. You say how to make a place and how to open it:
///
/// ```toml
/// [dev-dependencies]
/// msal-cache = { version = "0.1", features = ["conformance"] }
/// ```
///
/// The documentation of its module shows the whole of such a test. The stores of this crate and
/// both examples above run it; `tests/conformance.rs` has the latter. The suite has been tried on
/// some eighty stores that are broken on purpose, each in its own way, and catches all of them.
///
/// # Wrapping a store
///
/// A commit is data, so a store that wraps another one, to count, to encrypt or to fail on
/// purpose, forwards five calls: with `guard` left out, there is none. `Arc<S>`, `Box<dyn CacheStore>` and `&S` are stores, too. What
/// your store does by itself, such as waiting or repairing, it can tell whoever runs the app with
/// [`notice`](crate::notice), which makes `tracing` events where that feature is on.
pub mod a_store_of_your_own {}
