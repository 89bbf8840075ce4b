//! File systems on Linux.

use std::io;
use std::path::Path;

/// The kinds of file systems whose files other machines, or the host of a virtual machine, may
/// have open. The write-ahead log needs shared memory, which they don't have. The magic numbers are
/// from `linux/magic.h`, or from the sources of file systems outside the kernel.
const SHARED: [u32; 22] = [
    0x0000_6969, // NFS
    0x0000_517B, // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB2
    0x0102_1997, // 9P, of virtual machines and of WSL
    0x6573_5546, // FUSE: sshfs, s3fs, virtiofs and others
    0x5346_414F, // AFS
    0x6B41_4653, // AFS in the kernel
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
    0x786F_4256, // shared folders of VirtualBox
    0x7C7C_6673, // shared folders of Parallels
    0xBACB_ACBC, // shared folders of VMware
];

/// Whether only processes on this machine can open the files of a folder.
pub(crate) fn is_local(folder: &Path) -> io::Result<bool> {
    let found = rustix::fs::statfs(folder)?.f_type;
    // Its sign and width depend on the architecture; the magic numbers have 32 bits.
    Ok(!SHARED.iter().any(|kind| same(i128::from(found), *kind)))
}

fn same(found: i128, kind: u32) -> bool {
    found & 0xFFFF_FFFF == i128::from(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_magic_number_is_recognized_with_either_sign() {
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
