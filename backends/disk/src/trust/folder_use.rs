/// What other users can do in a folder that is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderUse {
    /// Nothing: only this user and root can create and remove files in it.
    Private,
    /// Create files under free names, as in `/tmp`: it is sticky, so a file can only be removed or
    /// renamed by its owner.
    Shared,
}
