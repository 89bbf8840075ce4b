//! The errors of the check, with advice that the user of this process can follow.

use std::path::Path;

use msal_cache_core::Error;

#[cfg(unix)]
use super::groups::OtherWriter;
use crate::platform::{self, Exposure};

/// The error for a folder, pipe, socket or device in place of a file.
pub fn not_a_file(path: &Path) -> Error {
    insecure(path, "it is not a regular file".into(), "use another path".into())
}

/// The error for a file that others can access, or that another user owns.
pub(crate) fn insecure_file(path: &Path, exposure: Exposure) -> Error {
    match exposure {
        Exposure::Mode(mode) => {
            let can = match mode {
                mode if mode & 0o044 != 0 => "read",
                mode if mode & 0o022 != 0 => "write to",
                _ => "execute",
            };
            let remedy = chmod(path, &format!("chmod 600 {}", quoted(path)));
            insecure(path, format!("mode {mode:04o} lets others {can} it"), remedy)
        }
        Exposure::Owner { theirs, ours } => {
            let remedy = match (theirs, ours) {
                _ if platform::is_read_only(path) => read_only_remedy(),
                (_, 0) => run_as(theirs),
                (0, _) => format!("as root, run: chown {ours} {}", quoted(path)),
                _ => "use another path".into(),
            };
            insecure(path, belongs_to(theirs, ours), remedy)
        }
    }
}

/// The error for a file or a folder whose permissions didn't change when they were to be repaired.
pub(crate) fn keeps_no_modes(path: &Path, mode: u32, is_folder: bool) -> Error {
    let can = if is_folder { "replace the files in it" } else { "access it" };
    let reason = format!(
        "mode {mode:04o} lets others {can}, and the file system keeps no permissions (chmod has no \
         effect)"
    );
    insecure(path, reason, ELSEWHERE.into())
}

const ELSEWHERE: &str =
    "keep the cache on another file system, or accept the risk with Permissions::Ignore";

fn read_only_remedy() -> String {
    "it is mounted read-only: change it where it can be written, or accept the risk with \
     Permissions::Ignore"
        .into()
}

fn run_as(user: u32) -> String {
    format!("run this as that user: sudo -u '#{user}' COMMAND")
}

fn belongs_to(theirs: u32, ours: u32) -> String {
    format!("it belongs to user {theirs} and this process runs as user {ours}")
}

/// The advice to run a `chmod`, if it can have an effect.
fn chmod(path: &Path, command: &str) -> String {
    if platform::is_read_only(path) {
        read_only_remedy()
    } else if platform::may_keep_no_modes(path) {
        format!(
            "run: {command} (if the mode stays as it is, the file system keeps no permissions: \
             {ELSEWHERE})"
        )
    } else {
        format!("run: {command}")
    }
}

/// The error for a symbolic link of another user.
#[cfg(unix)]
pub(super) fn foreign_link(path: &Path, theirs: u32, ours: u32) -> Error {
    let remedy = match ours {
        0 => "use a path without it, or run this as that user".into(),
        _ => format!("use a path without it, or one whose links belong to user {ours}"),
    };
    let reason = format!(
        "it is a symbolic link of user {theirs}, who can change its target, and this process runs \
         as user {ours}"
    );
    insecure(path, reason, remedy)
}

/// The error for a folder of another user.
#[cfg(unix)]
pub(super) fn foreign_folder(path: &Path, theirs: u32, ours: u32) -> Error {
    let reason = format!(
        "it belongs to user {theirs}, who can replace what is in it, and this process runs as user \
         {ours}"
    );
    let remedy = match ours {
        0 => format!("{}, or use a folder of root", run_as(theirs)),
        _ => format!("use a folder that belongs to user {ours}"),
    };
    insecure(path, reason, remedy)
}

/// The error for a folder of this user in which others can replace the cache.
#[cfg(unix)]
pub(super) fn open_folder(path: &Path, mode: u32, writer: Option<OtherWriter>) -> Error {
    let remedy = chmod(path, &format!("chmod go-w {}", quoted(path)));
    insecure(path, lets_replace("files", mode, writer), remedy)
}

/// The error for a folder above, or for one of root, in which others can replace something.
#[cfg(unix)]
pub(super) fn open_folder_above(
    path: &Path,
    mode: u32,
    writer: Option<OtherWriter>,
    is_last: bool,
    ours: u32,
) -> Error {
    use std::os::unix::fs::MetadataExt;
    let owner = path.metadata().map_or(0, |found| found.uid());
    let what = if is_last { "files" } else { "folders" };
    let reason = lets_replace(what, mode, writer);
    // The sticky bit takes no right to create files away from those who share the folder.
    let command = format!("chmod +t {}", quoted(path));
    let elsewhere = "use a folder in which only this user and root can write";
    let remedy = if owner == ours || ours == 0 {
        chmod(path, &command)
    } else if platform::is_read_only(path) || platform::may_keep_no_modes(path) {
        format!("{elsewhere}, or accept the risk with Permissions::Ignore")
    } else {
        format!("{elsewhere}, or as user {owner}, run: {command}")
    };
    insecure(path, reason, remedy)
}

/// The error for a folder that is not repaired, because it holds other files.
#[cfg(unix)]
pub(super) fn folder_of_others(path: &Path, mode: u32) -> Error {
    let reason = format!(
        "mode {mode:04o} lets others replace the files in it, and it is not repaired, because it \
         also holds other files"
    );
    let remedy = chmod(path, &format!("chmod go-w {}", quoted(path)));
    insecure(path, reason, format!("use a folder of its own, or {remedy}"))
}

#[cfg(unix)]
fn lets_replace(what: &str, mode: u32, writer: Option<OtherWriter>) -> String {
    let can = format!("mode {mode:04o} lets others replace the {what} in it");
    match writer {
        None => can,
        Some(OtherWriter::Group(group)) => format!("{can} (the members of group {group})"),
        Some(OtherWriter::User(user)) => format!("{can} (user {user}, by an access control list)"),
        Some(OtherWriter::Unknown) => format!("{can} (its access control list can't be read)"),
    }
}

fn insecure(path: &Path, reason: String, remedy: String) -> Error {
    Error::Insecure { path: path.to_owned(), reason, remedy }
}

/// Quotes a path for a POSIX shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte);
    if path.bytes().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_mode_and_the_command() {
        let text = |exposure| insecure_file(Path::new("/p/cache.json"), exposure).to_string();
        assert_eq!(
            text(Exposure::Mode(0o644)),
            "/p/cache.json is not safe for tokens: mode 0644 lets others read it; \
             run: chmod 600 /p/cache.json"
        );
        assert!(text(Exposure::Mode(0o620)).contains("mode 0620 lets others write to it"));
        assert!(text(Exposure::Mode(0o601)).contains("mode 0601 lets others execute it"));
        assert!(text(Exposure::Owner { theirs: 7, ours: 8 }).contains("belongs to user 7"));
    }

    #[test]
    fn the_advice_can_be_followed_by_the_user_who_reads_it() {
        let text = |theirs, ours| {
            insecure_file(Path::new("/p/c"), Exposure::Owner { theirs, ours }).to_string()
        };
        assert!(text(0, 2001).ends_with("as root, run: chown 2001 /p/c"));
        assert!(text(2001, 0).ends_with("run this as that user: sudo -u '#2001' COMMAND"));
        assert!(text(2002, 2001).ends_with("use another path"));
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_the_quoted_path_as_one_word() {
        for name in ["plain-1.json", "two words", "$(touch x);`id`", "it's", "\"~*?[&|<>\\\n#", "é"]
        {
            let path = Path::new("/p").join(name);
            let error = insecure_file(&path, Exposure::Mode(0o644)).to_string();
            let (_, command) = error.split_once("run: chmod 600 ").unwrap();
            let script = format!("printf %s {command}");
            let shell = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), path.to_str().unwrap());
        }
        assert_eq!(quoted(Path::new("/home/u/.cache/msal+1.json")), "/home/u/.cache/msal+1.json");
    }
}
