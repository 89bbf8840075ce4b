//! Whether a path can be trusted with secrets: one check for all stores on disk.

mod advice;
mod folder;
mod folder_use;
#[cfg(unix)]
mod groups;
#[cfg(unix)]
mod recent;
#[cfg(unix)]
mod users;
#[cfg(unix)]
mod walk;

pub use advice::not_a_file;
pub(crate) use advice::{insecure_file, keeps_no_modes};
pub(crate) use folder::check_names;
pub use folder_use::FolderUse;
