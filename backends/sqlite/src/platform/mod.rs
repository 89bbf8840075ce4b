//! What differs between operating systems.

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(any(target_os = "linux", target_vendor = "apple"))))]
mod other_unix;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_vendor = "apple")]
pub(crate) use apple::is_local;
#[cfg(target_os = "linux")]
pub(crate) use linux::is_local;
#[cfg(all(unix, not(any(target_os = "linux", target_vendor = "apple"))))]
pub(crate) use other_unix::is_local;
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// Escapes a path for a URI.
fn escape(path: &[u8]) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path {
        let plain = byte.is_ascii_alphanumeric() || b"/-_.:".contains(byte);
        let hex = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
        if plain {
            escaped.push(char::from(*byte));
        } else {
            escaped.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_with_a_meaning_in_a_uri_are_escaped() {
        assert_eq!(escape(b"/a b/c?x=1#%\xFF.db"), "/a%20b/c%3Fx%3D1%23%25%FF.db");
    }
}
