//! Which users are trusted with a folder or a link: this one, and root.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::geteuid;

/// The user that owns what belongs to the system on Android, beside root.
const ANDROID_SYSTEM: u32 = 1000;

/// The users whose folders and links this process relies on.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrustedUsers {
    pub(super) ours: u32,
}

impl TrustedUsers {
    pub(super) fn now() -> Self {
        Self { ours: geteuid().as_raw() }
    }

    /// Whether a folder or link of this user is as safe as one of this process or of root.
    pub(super) fn trusts(self, owner: u32) -> bool {
        owner == self.ours
            || owner == 0
            || (cfg!(target_os = "android") && owner == ANDROID_SYSTEM)
            || is_system_outside(owner)
    }
}

/// Whether `owner` is the number of all users outside of this user namespace, and the root folder
/// belongs to it. In a namespace without the root of the system, such as that of `unshare -r`, root
/// has no other number.
fn is_system_outside(owner: u32) -> bool {
    let number = |path: &str| fs::read_to_string(path).ok();
    let Some(overflow) = number("/proc/sys/kernel/overflowuid") else { return false };
    if overflow.trim().parse() != Ok(owner) {
        return false;
    }
    let Some(map) = number("/proc/self/uid_map") else { return false };
    is_unmapped(owner, &map) && fs::metadata("/").is_ok_and(|root| root.uid() == owner)
}

/// Whether no line of a `uid_map` (first number inside, first number outside, count) has the user.
fn is_unmapped(user: u32, map: &str) -> bool {
    !map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), _, Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(user))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_mapped_if_a_range_has_it() {
        assert!(!is_unmapped(65534, "         0          0 4294967295\n"));
        assert!(is_unmapped(65534, "         0       1000          1\n"));
        assert!(is_unmapped(65534, "0 1000 1\n1 100000 65533\n"));
        assert!(!is_unmapped(65534, "0 1000 1\n1 100000 65536\n"));
    }

    #[test]
    fn this_user_and_root_are_trusted() {
        let users = TrustedUsers::now();
        assert!(users.trusts(users.ours) && users.trusts(0));
        assert!(!users.trusts(users.ours + 54_321));
    }
}
