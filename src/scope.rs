//! Scopes, compared without regard to ASCII case.

/// A number that two scopes share if they differ in case alone, and few others do. What shares it
/// has to be compared; what doesn't need not.
pub(crate) fn tag(scope: &str) -> u32 {
    // Upper and lower case differ in this bit.
    const CASE: u64 = 0x2020_2020_2020_2020;
    let mix = |tag: u64, chunk: [u8; 8]| {
        let chunk = u64::from_le_bytes(chunk) | CASE;
        (tag ^ chunk).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    };
    let (chunks, rest) = scope.as_bytes().as_chunks::<8>();
    let tag = chunks.iter().fold(scope.len() as u64, |tag, chunk| mix(tag, *chunk));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let tag = mix(tag, last);
    (tag >> 32) as u32
}

/// Calls `each` with every scope of a text in which they are separated by blanks.
pub(crate) fn for_each<'a>(text: &'a str, each: impl FnMut(&'a str)) {
    let blank = text.bytes().fold(false, |any, byte| any | byte.is_ascii_whitespace());
    if blank || text.is_empty() {
        text.split_ascii_whitespace().for_each(each);
    } else {
        // Most callers give them one by one.
        std::iter::once(text).for_each(each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_alone_makes_no_difference() {
        for scope in ["", "a", "User.Read", "https://graph.microsoft.com/Calendars.Read", "\u{e9}x"]
        {
            assert_eq!(tag(scope), tag(&scope.to_ascii_uppercase()));
            assert_eq!(tag(scope), tag(&scope.to_ascii_lowercase()));
            assert_ne!(tag(scope), tag(&format!("{scope}x")));
            assert_ne!(tag("https://graph.microsoft.com/User.Read"), tag(scope));
        }
    }

    #[test]
    fn blanks_separate() {
        let all = |text: &'static str| {
            let mut all = Vec::new();
            for_each(text, |scope| all.push(scope));
            all
        };
        assert_eq!(all(" a  b\tc "), ["a", "b", "c"]);
        assert_eq!(all("a"), ["a"]);
        assert_eq!(all(""), [""; 0]);
        assert_eq!(all(" "), [""; 0]);
    }
}
