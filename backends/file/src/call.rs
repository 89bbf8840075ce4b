/// The kinds of calls to the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Call {
    Look,
    Open,
    Read,
    Create,
    CreateFolder,
    #[cfg_attr(windows, expect(dead_code, reason = "an open file is the lock there"))]
    Lock,
    Write,
    Sync,
    SetLen,
    SetTime,
    Link,
    Rename,
    Exchange,
    Remove,
    SyncFolder,
}
