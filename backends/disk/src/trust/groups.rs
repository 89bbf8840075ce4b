//! Which other users the group of a folder and its access control list let in.

use std::fs;
use std::path::Path;

use super::users::TrustedUsers;

/// Who may write to a folder whose permission bits give its group the right to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OtherWriter {
    /// The members of this group.
    Group(u32),
    /// This user, by an access control list.
    User(u32),
    /// Unknown, because the access control list can't be read.
    Unknown,
}

/// Who else can write to a folder that has the right to write in its group bits; `None` where only
/// trusted users can. With an access control list, those bits are its mask.
pub(super) fn other_writer(
    folder: &Path,
    owner: u32,
    group: u32,
    users: TrustedUsers,
) -> Option<OtherWriter> {
    let by_group = || (!is_private(owner, group, users)).then_some(OtherWriter::Group(group));
    match access_list(folder) {
        Ok(None) => by_group(),
        Err(_) => Some(OtherWriter::Unknown),
        Ok(Some(list)) => writers(&list).find_map(|writer| match writer {
            ListedWriter::User(user) => (!users.trusts(user)).then_some(OtherWriter::User(user)),
            ListedWriter::Group(group) => Some(OtherWriter::Group(group)),
            ListedWriter::OwningGroup => by_group(),
        }),
    }
}

/// Whether the owner of a folder is the only member of its group, as with user private groups: the
/// group has the number of the user, `/etc/group` lists it, and no other user has it.
///
/// A group that `/etc/group` doesn't list may have members that a directory service knows.
fn is_private(owner: u32, group: u32, users: TrustedUsers) -> bool {
    let (Ok(groups), Ok(passwd)) =
        (fs::read_to_string("/etc/group"), fs::read_to_string("/etc/passwd"))
    else {
        return false;
    };
    owner == group && has_one_member(group, &groups, &passwd, users)
}

/// Whether the files, in the formats of `group(5)` and `passwd(5)`, list the group, and trusted
/// users only as its members.
fn has_one_member(group: u32, groups: &str, passwd: &str, users: TrustedUsers) -> bool {
    let user_of = |line: &str| -> Option<(String, u32, u32)> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let (user, primary) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((name, user, primary))
    };
    let known: Vec<_> = passwd.lines().filter_map(user_of).collect();
    if known.iter().any(|(_, user, primary)| *primary == group && !users.trusts(*user)) {
        return false;
    }
    let is_trusted =
        |member: &str| known.iter().any(|(name, user, _)| name == member && users.trusts(*user));
    let mut listed = false;
    for line in groups.lines() {
        let mut fields = line.split(':');
        if fields.nth(2).and_then(|number| number.parse().ok()) != Some(group) {
            continue;
        }
        listed = true;
        let members = fields.next().unwrap_or_default();
        if !members.split(',').filter(|member| !member.is_empty()).all(is_trusted) {
            return false;
        }
    }
    listed
}

/// An entry of an access control list that gives the right to write.
enum ListedWriter {
    User(u32),
    Group(u32),
    OwningGroup,
}

/// The entries that let others than the owner write. The list has the format of
/// `linux/posix_acl_xattr.h`: a version, then a tag, rights and a number for each entry, in little
/// endian.
fn writers(list: &[u8]) -> impl Iterator<Item = ListedWriter> {
    const WRITE: u16 = 2;
    let entries = list.get(4..).unwrap_or_default().chunks_exact(8);
    entries.filter_map(|entry| {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        let rights = u16::from_le_bytes([entry[2], entry[3]]);
        let number = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
        if rights & WRITE == 0 {
            return None;
        }
        match tag {
            0x02 => Some(ListedWriter::User(number)),
            0x04 => Some(ListedWriter::OwningGroup),
            0x08 => Some(ListedWriter::Group(number)),
            _ => None,
        }
    })
}

/// The access control list of a folder; `None` where it has none, or the system has no such lists.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn access_list(folder: &Path) -> rustix::io::Result<Option<Vec<u8>>> {
    use rustix::buffer::spare_capacity;
    use rustix::io::Errno;
    // The largest value of an extended attribute.
    let mut list = Vec::with_capacity(1 << 16);
    let name = c"system.posix_acl_access";
    match rustix::fs::lgetxattr(folder, name, spare_capacity(&mut list)) {
        Ok(_) => Ok(Some(list)),
        Err(error) if error == Errno::NODATA || error == Errno::NOTSUP => Ok(None),
        Err(error) => Err(error),
    }
}

/// These systems don't show their lists in the permission bits.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(clippy::unnecessary_wraps, reason = "it fails on Linux")]
fn access_list(_: &Path) -> rustix::io::Result<Option<Vec<u8>>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: TrustedUsers = TrustedUsers { ours: 1000 };
    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
                          bob:x:1001:1001::/home/bob:/bin/sh\n";

    #[test]
    fn a_group_is_private_if_its_only_member_is_trusted() {
        let one = |groups: &str| has_one_member(1000, groups, PASSWD, USERS);
        assert!(one("ann:x:1000:\n"));
        assert!(one("ann:x:1000:ann\n"));
        assert!(one("ann:x:1000:root,ann\n"));
        assert!(!one("ann:x:1000:bob\n"));
        assert!(!one("ann:x:1000:ann,carol\n"));
        assert!(!one("ann:x:1000:\nalias:x:1000:bob\n"));
        assert!(!one("bob:x:1001:\n"), "it is not listed");
        let shared = "ann:x:1000:1000::/:/bin/sh\ndan:x:1002:1000::/:/bin/sh\n";
        assert!(!has_one_member(1000, "ann:x:1000:\n", shared, USERS));
    }
}
