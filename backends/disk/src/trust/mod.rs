//! Whether a path can be trusted with secrets: one check for all stores on disk.

mod advice;
mod folder;
#[cfg(unix)]
mod groups;
mod recent;
#[cfg(unix)]
mod users;
#[cfg(unix)]
mod walk;

pub use advice::not_a_file;
pub(crate) use advice::{insecure_file, keeps_no_modes};
pub use folder::FolderUse;
pub(crate) use folder::check_names;
