//! Tests with a file system that fails, hangs, or is used by another program at the same time.

mod hanging;
mod links;
mod promise;
mod reads;
