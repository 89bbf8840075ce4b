use std::fmt;

/// A secret within an [`Entry`](crate::Entry): a token.
///
/// It has no `Display`, its `Debug` prints nothing of it, and it compares to nothing. The text
/// comes out by [`expose`](Self::expose) alone, which is easy to search for in a review.
#[derive(Clone, Copy)]
pub struct Secret<'a>(&'a str);

impl<'a> Secret<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The secret in clear.
    pub fn expose(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}
