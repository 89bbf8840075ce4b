//! The situations: who runs, what to do about exposed files, what is there, the answer, and what is
//! there afterwards.
//!
//! Each situation is a folder of root. `c` is the cache, in the folder that the third column names
//! last with `@`. The steps are separated by `;`:
//!
//! | step | creates |
//! |---|---|
//! | `d MODE OWNER PATH` | a folder; OWNER may be `user:group` |
//! | `f MODE OWNER PATH` | a file with a cache in it |
//! | `n MODE OWNER PATH` | a file with something else in it |
//! | `l OWNER PATH TARGET` | a symbolic link |
//! | `p OWNER PATH` | a pipe |
//! | `a PATH KIND NUMBER RIGHTS` | an access control list with one entry more; KIND is `u` or `g` |
//!
//! Users are `me`, `other` and `root`; `team` is a group in which none of them is. The answer is `ok`,
//! `io`, or a part of the text of [`Error::Insecure`](msal_cache::Error::Insecure).

/// Who runs, permissions, steps, answer, and `MODE PATH` afterwards.
pub(crate) type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
pub(crate) const TABLE: &[Row] = &[
    // The file.
    ("me", "refuse", "d 0700 me x; @ x/c", "ok", "0600 x/c"),
    ("me", "refuse", "d 0700 me x; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 0700 me x; f 0644 me x/c; @ x/c", "mode 0644 lets others read it; run: chmod 600", "0644 x/c"),
    ("me", "refuse", "d 0700 me x; f 0640 me x/c; @ x/c", "mode 0640 lets others read it", ""),
    ("me", "refuse", "d 0700 me x; f 0604 me x/c; @ x/c", "mode 0604 lets others read it", ""),
    ("me", "refuse", "d 0700 me x; f 0620 me x/c; @ x/c", "mode 0620 lets others write to it", ""),
    ("me", "refuse", "d 0700 me x; f 0602 me x/c; @ x/c", "mode 0602 lets others write to it", ""),
    ("me", "refuse", "d 0700 me x; f 0666 me x/c; @ x/c", "mode 0666", ""),
    ("me", "refuse", "d 0700 me x; f 0777 me x/c; @ x/c", "mode 0777", ""),
    ("me", "refuse", "d 0700 me x; f 0610 me x/c; @ x/c", "mode 0610 lets others execute it", ""),
    ("me", "refuse", "d 0700 me x; f 0601 me x/c; @ x/c", "mode 0601 lets others execute it", ""),
    ("me", "refuse", "d 0700 me x; f 0660 me:team x/c; @ x/c", "mode 0660", ""),
    ("me", "refuse", "d 0700 me x; f 0600 me:team x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 0700 me x; f 0600 other x/c; @ x/c", "belongs to user 2002 and this process runs as user 2001; use another path", ""),
    ("me", "refuse", "d 0700 me x; f 0644 other x/c; @ x/c", "belongs to user 2002", ""),
    ("me", "refuse", "d 0700 me x; f 0600 root x/c; @ x/c", "belongs to user 0 and this process runs as user 2001; as root, run: chown 2001", ""),
    ("me", "refuse", "d 0700 me x; f 0644 root x/c; @ x/c", "as root, run: chown 2001", ""),
    ("me", "refuse", "d 0700 me x; f 0600 me x/c; a x/c u 2002 4; @ x/c", "mode 0640 lets others read it", ""),
    ("me", "refuse", "d 0700 me x; p me x/c; @ x/c", "it is not a regular file", ""),
    ("me", "refuse", "d 0700 me x; l me x/c /dev/null; @ x/c", "it is not a regular file", ""),
    // Its folder.
    ("me", "refuse", "d 0755 me x; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 0750 me:team x; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 0711 me x; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 0777 me x; f 0600 me x/c; @ x/c", "mode 0777 lets others replace the files in it; run: chmod go-w", "0777 x"),
    ("me", "refuse", "d 0777 me x; @ x/c", "mode 0777 lets others replace the files in it", ""),
    ("me", "refuse", "d 0702 me x; f 0600 me x/c; @ x/c", "mode 0702", ""),
    ("me", "refuse", "d 0770 me:team x; f 0600 me x/c; @ x/c", "(the members of group 2003); run: chmod go-w", ""),
    ("me", "refuse", "d 0775 me x; f 0600 me x/c; @ x/c", "(the members of group 2001); run: chmod go-w", ""),
    ("me", "refuse", "d 2775 root:team x; f 0600 me x/c; @ x/c", "use a folder in which only this user and root can write, or as user 0, run: chmod +t", ""),
    ("me", "refuse", "d 0777 root x; f 0600 me x/c; @ x/c", "mode 0777 lets others replace the files in it; use a folder in which only this user", ""),
    ("me", "refuse", "d 1777 me x; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 1777 root x; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 1777 root x; @ x/c", "ok", "0600 x/c"),
    ("me", "refuse", "d 1775 root:team x; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 1777 root x; f 0644 other x/c; @ x/c", "belongs to user 2002", ""),
    ("me", "refuse", "d 1777 other x; f 0600 me x/c; @ x/c", "belongs to user 2002, who can replace what is in it", ""),
    ("me", "refuse", "d 0755 other x; f 0600 me x/c; @ x/c", "use a folder that belongs to user 2001", ""),
    ("me", "refuse", "d 0777 other x; @ x/c", "belongs to user 2002, who can replace", ""),
    ("me", "refuse", "d 0755 root x; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 0700 me x; a x u 2002 7; f 0600 me x/c; @ x/c", "(user 2002, by an access control list); run: chmod go-w", ""),
    ("me", "refuse", "d 0700 me x; a x u 2002 5; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 0700 me x; a x u 0 7; f 0600 me x/c; @ x/c", "ok", ""),
    ("me", "refuse", "d 0700 me x; a x g 2003 7; f 0600 me x/c; @ x/c", "(the members of group 2003)", ""),
    // The folders above.
    ("me", "refuse", "d 0755 root x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "ok", ""),
    ("me", "refuse", "d 1777 root x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "ok", ""),
    ("me", "refuse", "d 0777 me x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "mode 0777 lets others replace the folders in it; run: chmod +t", ""),
    ("me", "refuse", "d 0777 root x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "as user 0, run: chmod +t", ""),
    ("me", "refuse", "d 0770 me:team x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "replace the folders in it (the members of group 2003)", ""),
    ("me", "refuse", "d 2775 root:team x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "replace the folders in it (the members of group 2003)", ""),
    ("me", "refuse", "d 3775 root:team x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "ok", ""),
    ("me", "refuse", "d 0755 other x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "belongs to user 2002, who can replace", ""),
    ("me", "refuse", "d 1777 other x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "belongs to user 2002, who can replace", ""),
    ("me", "refuse", "d 0755 me x; a x u 2002 7; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "replace the folders in it (user 2002, by an access control list)", ""),
    ("me", "refuse", "d 0777 me x; @ x/y/c", "mode 0777 lets others replace", ""),
    ("me", "refuse", "d 0700 me x; @ x/y/z/c", "ok", "0700 x/y"),
    ("me", "refuse", "d 0777 me x; d 0700 me x/y; d 0700 me x/y/z; f 0600 me x/y/z/c; @ x/y/z/c", "replace the folders in it", ""),
    // Links.
    ("me", "refuse", "d 0700 me x; f 0600 me x/real; l me x/c real; @ x/c", "ok", ""),
    ("me", "refuse", "d 0700 me x; f 0600 me x/real; l root x/c real; @ x/c", "ok", ""),
    ("me", "refuse", "d 1777 root x; f 0600 me x/real; l other x/c real; @ x/c", "it is a symbolic link of user 2002, who can change its target", ""),
    ("me", "refuse", "d 1777 root x; d 0700 me y; f 0600 me y/mine; l other x/c ../y/mine; @ x/c", "it is a symbolic link of user 2002", "0600 y/mine"),
    ("me", "refuse", "d 1777 root x; l other x/c none; @ x/c", "it is a symbolic link of user 2002", ""),
    ("me", "refuse", "d 0700 me x; l me x/c none; @ x/c", "ok", "0600 x/none"),
    ("me", "refuse", "d 0700 me x; f 0600 other x/real; l me x/c real; @ x/c", "belongs to user 2002", ""),
    ("me", "refuse", "d 0700 me x; l me x/c second; l other x/second real; f 0600 me x/real; @ x/c", "it is a symbolic link of user 2002", ""),
    ("me", "refuse", "d 0777 me x; d 0700 me y; f 0600 me y/real; l me x/c ../y/real; @ x/c", "mode 0777", ""),
    ("me", "refuse", "d 0700 me x; d 0777 me y; f 0600 me y/real; l me x/c ../y/real; @ x/c", "mode 0777", ""),
    ("me", "refuse", "d 0700 me x; d 0700 me y; f 0600 me y/c; l me x/way ../y; @ x/way/c", "ok", ""),
    ("me", "refuse", "d 1777 root x; d 0700 me y; f 0600 me y/c; l other x/way ../y; @ x/way/c", "it is a symbolic link of user 2002", ""),
    ("me", "refuse", "d 0700 me x; l me x/way ../gone; @ x/way/y/c", "io", ""),
    ("me", "refuse", "d 0700 me x; l me x/c c; @ x/c", "io", ""),
    // Root.
    ("root", "refuse", "d 0700 root x; f 0600 root x/c; @ x/c", "ok", ""),
    ("root", "refuse", "d 0700 root x; @ x/c", "ok", "0600 x/c"),
    ("root", "refuse", "d 0700 me x; @ x/c", "belongs to user 2001, who can replace what is in it, and this process runs as user 0; run this as that user: sudo -u '#2001' COMMAND, or use a folder of root", ""),
    ("root", "refuse", "d 0700 me x; f 0600 me x/c; @ x/c", "sudo -u '#2001'", ""),
    ("root", "refuse", "d 0700 me x; f 0600 root x/c; @ x/c", "belongs to user 2001", ""),
    ("root", "refuse", "d 0700 root x; f 0600 me x/c; @ x/c", "it belongs to user 2001 and this process runs as user 0; run this as that user", ""),
    ("root", "refuse", "d 0755 me x; d 0700 root x/y; f 0600 root x/y/c; @ x/y/c", "belongs to user 2001, who can replace", ""),
    ("root", "refuse", "d 1777 root x; f 0600 root x/real; l me x/c real; @ x/c", "it is a symbolic link of user 2001", "0600 x/real"),
    ("root", "refuse", "d 1777 root x; f 0600 root x/real; l root x/c real; @ x/c", "ok", ""),
    // Repair.
    ("me", "repair", "d 0700 me x; f 0644 me x/c; @ x/c", "ok", "0600 x/c"),
    ("me", "repair", "d 0777 me x; f 0600 me x/c; @ x/c", "ok", "0755 x"),
    ("me", "repair", "d 0777 me x; f 0600 me x/c; n 0600 me x/notes; @ x/c", "it is not repaired, because it also holds other files; use a folder of its own, or run: chmod go-w", "0777 x"),
    ("me", "repair", "d 0777 me x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "run: chmod +t", "0777 x"),
    ("me", "repair", "d 2775 root:team x; f 0600 me x/c; @ x/c", "lets others replace", "2775 x"),
    ("me", "repair", "d 0700 me x; f 0666 other x/c; @ x/c", "belongs to user 2002", "0666 x/c"),
    ("me", "repair", "d 1777 root x; d 0700 me y; n 0644 me y/mine; l other x/c ../y/mine; @ x/c", "it is a symbolic link of user 2002", "0644 y/mine"),
    ("root", "repair", "d 0777 me x; f 0600 root x/c; @ x/c", "belongs to user 2001", "0777 x"),
    // Ignore.
    ("me", "ignore", "d 0700 me x; f 0666 me x/c; @ x/c", "ok", ""),
    ("me", "ignore", "d 0777 me x; f 0600 me x/c; @ x/c", "ok", "0777 x"),
    ("me", "ignore", "d 0777 me x; d 0700 me x/y; f 0600 me x/y/c; @ x/y/c", "ok", ""),
    ("me", "ignore", "d 0700 me x; p me x/c; @ x/c", "it is not a regular file", ""),
];
