//! What Linux says of a file system.

use std::io;
use std::path::Path;

/// The kinds of file systems whose files other machines, or the host of a virtual one, may have
/// open, by their magic numbers in `linux/magic.h` and in the sources of those outside the
/// kernel. Memory is not shared with them, and the write-ahead log needs that.
const SHARED: [u32; 22] = [
    0x0000_6969, // NFS
    0x0000_517B, // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB2
    0x0102_1997, // 9P, of virtual machines and of WSL
    0x6573_5546, // FUSE: sshfs, s3fs, virtiofs and all that say nothing more
    0x5346_414F, // AFS
    0x6B41_4653, // AFS of the kernel
    0x00C3_6400, // Ceph
    0x7375_7245, // Coda
    0x0000_564C, // NCP
    0x7461_636F, // OCFS2
    0x0116_1970, // GFS2
    0x0BD0_0BD0, // Lustre
    0x1983_0326, // BeeGFS
    0x4750_4653, // GPFS
    0x2003_0528, // OrangeFS
    0xAAD7_AAEA, // PanFS
    0xBEEF_DEAD, // StorNext
    0x786F_4256, // folders shared by VirtualBox
    0x7C7C_6673, // by Parallels
    0xBACB_ACBC, // by VMware
];

/// Whether processes on this machine alone can have the files of a folder open.
pub(crate) fn is_local(folder: &Path) -> io::Result<bool> {
    let found = rustix::fs::statfs(folder)?.f_type;
    // The field has a sign and a width of its own on each architecture; the numbers have 32 bits.
    Ok(!SHARED.iter().any(|kind| same(i128::from(found), *kind)))
}

fn same(found: i128, kind: u32) -> bool {
    found & 0xFFFF_FFFF == i128::from(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_known_whatever_its_sign() {
        let cifs = 0xFF53_4D42_u32;
        assert!(same(i128::from(cifs), cifs));
        assert!(same(i128::from(cifs.cast_signed()), cifs));
        assert!(!same(0xEF53, cifs), "ext4");
    }

    #[test]
    fn memory_and_proc_are_local() {
        assert!(is_local(Path::new("/proc")).unwrap());
        assert!(is_local(Path::new("/nowhere/at/all")).is_err());
    }
}
