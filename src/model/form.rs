use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

/// The parameters of a request to a token endpoint, in the order in which they are sent
/// (`application/x-www-form-urlencoded`, RFC 6749, appendix B).
///
/// Any value may be a secret, so `Debug` prints the names alone, and the values are overwritten
/// when the form is dropped.
///
/// ```
/// use msal_cache::endpoint::Form;
///
/// let form = Form::new().with("grant_type", "refresh_token").with("refresh_token", "s3cret");
/// assert_eq!(form.get("grant_type"), Some("refresh_token"));
/// assert_eq!(format!("{form:?}"), r#"Form{"grant_type", "refresh_token"}"#);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(Cow<'static, str>, Zeroizing<String>)>);

impl Form {
    /// A form without parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter at the end; one of the same name is replaced in its place, since a
    /// parameter must not occur twice (RFC 6749, section 3.2).
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), Zeroizing::new(value.into()));
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
        self
    }

    /// The value of a parameter, secrets and all.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, secrets and all, in their order. Nothing is encoded yet.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form")?;
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
