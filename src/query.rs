use std::borrow::Cow;
use std::fmt;

use msal_cache_core::{CredentialType, Partition};

use crate::Entry;

/// What to search for: scopes, and fields with the values they must have.
///
/// A query without fields finds everything of its type. Fields are compared as texts, so the
/// number `1` and the string `"1"` are equal, as different libraries write both; environments
/// are compared without regard to case. `None` finds records in which the field is `null` or
/// missing, so `home_account_id(None)` finds the tokens that an app has for itself.
///
/// Scopes are a set: order, repetition and ASCII case don't matter, and a token with more scopes
/// than asked for is found too.
///
/// ```
/// use msal_cache::Query;
///
/// let mail = Query::new()
///     .home_account_id("uid.utid")
///     .environment("login.microsoftonline.com")
///     .target(["Mail.Read"]);
/// let app_only = Query::new().client_id("client").home_account_id(None);
/// let family = Query::new().field("family_id", "1");
/// # let _ = (mail, app_only, family);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query {
    target: Vec<String>,
    fields: Vec<(Cow<'static, str>, Option<String>)>,
}

/// What a field must be: a text, or nothing. It may be a secret, so `Debug` doesn't print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted(Option<String>);

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Wanted([a text])" } else { "Wanted(nothing)" })
    }
}

impl From<&str> for Wanted {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<&String> for Wanted {
    fn from(text: &String) -> Self {
        Self(Some(text.clone()))
    }
}

impl From<String> for Wanted {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<Option<&str>> for Wanted {
    fn from(text: Option<&str>) -> Self {
        Self(text.map(str::to_owned))
    }
}

macro_rules! setters {
    ($($name:ident: $doc:literal),* $(,)?) => {$(
        #[doc = concat!("Asks for records with this ", $doc, ".")]
        pub fn $name(self, value: impl Into<Wanted>) -> Self {
            self.field(stringify!($name), value)
        }
    )*};
}

impl Query {
    /// A query that everything matches.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for tokens that are good for at least these scopes. Each item may hold several,
    /// separated by blanks.
    pub fn target<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.target = scopes
            .into_iter()
            .flat_map(|item| {
                item.as_ref().split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        self
    }

    setters! {
        home_account_id: "user, or those of no user",
        environment: "host of the authority",
        client_id: "client",
        realm: "tenant",
        family_id: "family of clients",
        key_id: "key of a proof of possession",
        ext_cache_key: "extended cache key (see [`ext_cache_key`](crate::ext_cache_key))",
        token_type: "type of access token",
        local_account_id: "user within a tenant",
        username: "user name",
    }

    /// Asks for records in which a field, under the name that it has in the schema, has a value.
    pub fn field(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Wanted>) -> Self {
        let name = name.into();
        let mut value = value.into().0;
        if name == "environment" {
            value = value.map(|value| value.to_lowercase());
        }
        self.fields.retain(|(known, _)| *known != name);
        self.fields.push((name, value));
        self
    }

    /// The scopes that are asked for.
    pub(crate) fn scopes(&self) -> &[String] {
        &self.target
    }

    /// The partition in which all matches are, if they can't be in several.
    pub(crate) fn partition(&self, credential_type: &CredentialType) -> Option<Partition> {
        if *credential_type == CredentialType::AppMetadata {
            return Some(Partition::app_metadata());
        }
        match self.value("home_account_id")? {
            Some(home) if !home.is_empty() => Some(Partition::user(home)),
            _ => {
                let client = self.value("client_id")?.as_deref()?;
                let realm = self.value("realm")?.as_deref()?;
                let ext = self.value("ext_cache_key").and_then(Option::as_deref);
                Some(Partition::app(client, realm, ext.filter(|ext| !ext.is_empty())))
            }
        }
    }

    /// Whether an entry has every field and every scope that is asked for.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        self.fields.iter().all(|(name, wanted)| self.field_matches(entry, name, wanted.as_deref()))
            // The tokens of an extended key are for requests with that key alone.
            && (entry.ext_cache_key().is_none() || self.value("ext_cache_key").is_some())
            && self.target.iter().all(|wanted| {
                entry.scopes().any(|scope| scope.eq_ignore_ascii_case(wanted))
            })
    }

    fn field_matches(&self, entry: &Entry, name: &str, wanted: Option<&str>) -> bool {
        let _ = self;
        match name {
            "ext_cache_key" => entry.ext_cache_key() == wanted.filter(|key| !key.is_empty()),
            // Other libraries write an app's own tokens with an empty home account, or none.
            "home_account_id" => {
                let empty_is_none = |home: &str| !home.is_empty();
                entry.text(name).as_deref().filter(|home| empty_is_none(home))
                    == wanted.filter(|home| empty_is_none(home))
            }
            "environment" => match (entry.text(name), wanted) {
                (Some(it), Some(wanted)) => it == wanted || it.to_lowercase() == wanted,
                (it, wanted) => it.is_none() && wanted.is_none(),
            },
            _ => match wanted {
                Some(wanted) => entry.text(name).as_deref() == Some(wanted),
                None => entry.is_null_or_missing(name),
            },
        }
    }

    fn value(&self, name: &str) -> Option<&Option<String>> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for Query {
    /// Prints what is asked for; a value of `secret` is hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        if !self.target.is_empty() {
            map.entry(&"target", &self.target);
        }
        for (name, value) in &self.fields {
            if name == "secret" {
                map.entry(name, &format_args!("[redacted]"));
            } else {
                map.entry(name, value);
            }
        }
        map.finish()
    }
}
