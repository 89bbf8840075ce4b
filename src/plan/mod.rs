//! The plan behind a token: what a silent acquisition would do, and why.
//!
//! [`Client::plan`](crate::Client::plan) returns a [`SilentPlan`].

// All decisions of the crate are here, without I/O: from what is stored and what is requested to a
// batch, a token or a request.

pub(crate) mod accounts;
pub(crate) mod batch;
pub(crate) mod candidates;
pub(crate) mod changes;
pub(crate) mod evidence;
mod explain;
pub(crate) mod facts;
mod family;
pub(crate) mod likeliest;
mod moments;
mod read_set;
pub(crate) mod records;
pub(crate) mod refresh;
mod request;
pub(crate) mod same_user;
pub(crate) mod sign_out;
pub(crate) mod silent;

pub(crate) use batch::Rules;
pub use candidates::{Candidate, Verdict};
pub(crate) use changes::WatchedChange;
pub(crate) use facts::Facts;
pub(crate) use read_set::ReadSet;
pub(crate) use request::ResolvedRequest;
pub use silent::{Attempt, ClientFamily, Role, SilentPlan};
