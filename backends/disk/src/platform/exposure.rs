/// Why a file or folder is not safe for secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// These permission bits give other users access.
    Mode(u32),
    /// It belongs to another user.
    Owner {
        /// The user id of the owner.
        theirs: u32,
        /// The effective user id of this process.
        ours: u32,
    },
}
