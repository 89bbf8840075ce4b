use std::fmt;

/// A secret within an [`Entry`](crate::Entry): a token.
///
/// It has no `Display` and no comparison, and its `Debug` prints nothing of it. Only
/// [`expose`](Self::expose) returns the text, so that a review can find each use.
#[derive(Clone, Copy)]
pub struct Secret<'a>(&'a str);

impl<'a> Secret<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The secret in clear text.
    pub fn expose(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}
