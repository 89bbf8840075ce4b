use std::borrow::Cow;
use std::fmt;

use arrayvec::ArrayString;
use msal_cache_core::{CredentialType, Partition};
use smallvec::SmallVec;

use crate::model::field::Field;
use crate::model::{Entry, schema};

/// What to search for: scopes, and fields with their required values.
///
/// A query without fields finds all entries of a type. Fields are compared as strings, so the
/// number `1` and the string `"1"` are equal, since different libraries write both; environments
/// are compared ignoring case. `None` finds records in which the field is `null` or
/// missing, so `home_account_id(None)` finds the tokens that an app has for itself.
///
/// Scopes are a set: order, repetition and ASCII case don't matter, and a token with more scopes
/// than requested is found too.
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
#[derive(Clone, Default)]
pub struct Query {
    /// All texts, one after the other.
    text: Text,
    /// The scopes and their hashes.
    target: SmallVec<[(Span, u32); 4]>,
    fields: SmallVec<[(Field, Option<Span>); 6]>,
    ext_cache_key: ExtCacheKey,
    /// Fields that the schema doesn't have.
    others: Vec<(Cow<'static, str>, Option<Span>)>,
}

/// A text that is built without an allocation, unless it is long: each look-up makes a query, and
/// takes little longer than an allocation.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "it is large to spare an allocation")]
enum Text {
    Short(ArrayString<SHORT>),
    Long(String),
}

/// Enough for the ids of a token and some scopes.
const SHORT: usize = 352;

/// The range of a text among all texts of a query.
type Span = (u32, u32);

/// Not a field, since each library gives it another name.
#[derive(Clone, Copy, Default)]
enum ExtCacheKey {
    #[default]
    NotAskedFor,
    Wanted(Option<Span>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Short(ArrayString::new())
    }
}

impl Text {
    #[inline]
    fn as_str(&self) -> &str {
        match self {
            Self::Short(text) => text,
            Self::Long(text) => text,
        }
    }

    #[expect(clippy::inline_always, reason = "so that a query is built in place and not moved")]
    #[inline(always)]
    fn push(&mut self, more: &str) -> Span {
        let start = self.as_str().len();
        match self {
            Self::Long(text) => text.push_str(more),
            Self::Short(text) => {
                if text.try_push_str(more).is_err() {
                    *self = Self::Long([self.as_str(), more].concat());
                }
            }
        }
        // A text beyond 4 GiB equals no stored one.
        let at = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        (at(start), at(start + more.len()))
    }

    #[inline]
    fn get(&self, (start, end): Span) -> &str {
        self.as_str().get(start as usize..end as usize).unwrap_or_default()
    }
}

/// The value that a field must have: a text, or none. It may be a secret, so `Debug` doesn't print
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted<'a>(Option<Cow<'a, str>>);

impl fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Wanted([redacted])" } else { "Wanted(none)" })
    }
}

impl<'a> From<&'a str> for Wanted<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self(Some(Cow::Borrowed(text)))
    }
}

impl<'a> From<&'a String> for Wanted<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        Self(Some(Cow::Borrowed(text)))
    }
}

impl From<String> for Wanted<'_> {
    fn from(text: String) -> Self {
        Self(Some(Cow::Owned(text)))
    }
}

impl<'a> From<Option<&'a str>> for Wanted<'a> {
    #[inline]
    fn from(text: Option<&'a str>) -> Self {
        Self(text.map(Cow::Borrowed))
    }
}

macro_rules! setters {
    ($($name:ident($field:ident): $doc:literal),* $(,)?) => {$(
        #[doc = concat!("Requires this ", $doc, ".")]
        #[inline]
        pub fn $name<'a>(mut self, value: impl Into<Wanted<'a>>) -> Self {
            self.set(Field::$field, value.into().0.as_deref());
            self
        }
    )*};
}

impl Query {
    /// A query that matches everything.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires tokens with at least these scopes. Each item may hold several, separated by
    /// spaces. Without an item, any scopes fit; if all items are blank, none do, as in MSAL Python.
    #[inline]
    pub fn target<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.target.clear();
        let mut is_given = false;
        for item in scopes {
            is_given = true;
            schema::for_each_scope(item.as_ref(), |scope| {
                self.target.push((self.text.push(scope), schema::scope_hash(scope)));
            });
        }
        if is_given && self.target.is_empty() {
            // An empty scope, which no token has.
            self.target.push(((0, 0), 0));
        }
        self
    }

    setters! {
        home_account_id(HomeAccountId): "user, or of no user",
        environment(Environment): "host of the authority",
        client_id(ClientId): "client",
        realm(Realm): "tenant",
        family_id(FamilyId): "family of clients",
        key_id(KeyId): "key of a proof of possession",
        token_type(TokenType): "type of access token",
        local_account_id(LocalAccountId): "user within a tenant",
        username(Username): "user name",
    }

    /// Requires this extended cache key (see
    /// [`ext_cache_key`](crate::store::ext_cache_key)).
    #[inline]
    pub fn ext_cache_key<'a>(mut self, value: impl Into<Wanted<'a>>) -> Self {
        let value = value.into().0.as_deref().map(|value| self.text.push(value));
        self.ext_cache_key = ExtCacheKey::Wanted(value);
        self
    }

    /// Requires a value of a field, which is given by its name in the schema.
    pub fn field<'a>(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Wanted<'a>>,
    ) -> Self {
        let (name, value) = (name.into(), value.into());
        if name == "ext_cache_key" {
            return self.ext_cache_key(value);
        }
        let value = value.0.as_deref();
        if let Some(field) = Field::named(&name) {
            self.set(field, value);
        } else {
            let value = value.map(|value| self.text.push(value));
            self.others.retain(|(known, _)| *known != name);
            self.others.push((name, value));
        }
        self
    }

    #[expect(clippy::inline_always, reason = "so that a query is built in place and not moved")]
    #[inline(always)]
    fn set(&mut self, field: Field, value: Option<&str>) {
        let lower = |value: &str| {
            let special = |byte: u8| !byte.is_ascii() | byte.is_ascii_uppercase();
            let any = value.bytes().fold(false, |any, byte| any | special(byte));
            any.then(|| value.to_lowercase())
        };
        let lower = value.filter(|_| field == Field::Environment).and_then(lower);
        let value = lower.as_deref().or(value).map(|value| self.text.push(value));
        match self.fields.iter_mut().find(|(known, _)| *known == field) {
            Some((_, known)) => *known = value,
            None => self.fields.push((field, value)),
        }
    }

    /// Whether the query has scopes.
    pub(crate) fn has_scopes(&self) -> bool {
        !self.target.is_empty()
    }

    /// The partition of all matches, unless they can be in several.
    pub(crate) fn partition(&self, credential_type: &CredentialType) -> Option<Partition> {
        if *credential_type == CredentialType::AppMetadata {
            return Some(Partition::app_metadata());
        }
        if credential_type.as_str().is_empty() {
            // Members of the document; they may look like records of a user.
            return Some(Partition::unowned());
        }
        let asked = |field| self.fields.iter().find(|(known, _)| *known == field);
        let (_, home) = asked(Field::HomeAccountId)?;
        match home.map(|home| self.text.get(home)) {
            Some(home) if !home.is_empty() => Some(Partition::user(home)),
            _ => {
                if matches!(asked(Field::ClientId), Some((_, None))) {
                    return Some(Partition::unowned());
                }
                let text = |field| asked(field)?.1.map(|text| self.text.get(text));
                let (client, realm) = (text(Field::ClientId)?, text(Field::Realm)?);
                let ext = match self.ext_cache_key {
                    ExtCacheKey::Wanted(Some(ext)) => Some(self.text.get(ext)),
                    ExtCacheKey::Wanted(None) | ExtCacheKey::NotAskedFor => None,
                };
                Some(Partition::app(client, realm, ext.filter(|ext| !ext.is_empty())))
            }
        }
    }

    /// Whether an entry has every required field and scope.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        // The most selective condition comes first.
        self.has_all_scopes(entry)
            && self.fields.iter().all(|(field, wanted)| {
                field_matches(entry, *field, wanted.map(|wanted| self.text.get(wanted)))
            })
            && match self.ext_cache_key {
                // Tokens with an extended cache key are only for requests with that key.
                ExtCacheKey::NotAskedFor => entry.ext_cache_key().is_none(),
                ExtCacheKey::Wanted(wanted) => {
                    let wanted = wanted.map(|wanted| self.text.get(wanted));
                    entry.ext_cache_key() == wanted.filter(|key| !key.is_empty())
                }
            }
            && self.others.iter().all(|(name, wanted)| match wanted {
                Some(wanted) => entry.text(name).as_deref() == Some(self.text.get(*wanted)),
                None => entry.is_null_or_missing(name),
            })
    }

    fn has_all_scopes(&self, entry: &Entry) -> bool {
        self.target.iter().all(|(wanted, tag)| entry.has_scope(self.text.get(*wanted), *tag))
    }

    fn scopes(&self) -> impl Iterator<Item = &str> {
        self.target.iter().map(|(scope, _)| self.text.get(*scope))
    }

    /// All conditions but the scopes, by name.
    fn wanted(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let ext = match self.ext_cache_key {
            ExtCacheKey::NotAskedFor => None,
            ExtCacheKey::Wanted(value) => Some(("ext_cache_key", value)),
        };
        let fields = self.fields.iter().map(|(field, value)| (field.name(), *value));
        let others = self.others.iter().map(|(name, value)| (&**name, *value));
        let all = fields.chain(ext).chain(others);
        all.map(|(name, value)| (name, value.map(|value| self.text.get(value))))
    }
}

fn field_matches(entry: &Entry, field: Field, wanted: Option<&str>) -> bool {
    let it = entry.field(field);
    match field {
        // Some libraries write an app's own tokens with an empty home account, others with none.
        Field::HomeAccountId => {
            it.filter(|home| !home.is_empty()) == wanted.filter(|home| !home.is_empty())
        }
        Field::Environment => match (it, wanted) {
            (Some(it), Some(wanted)) => {
                // The wanted host is in lower case.
                it == wanted
                    || it.eq_ignore_ascii_case(wanted)
                    || !it.is_ascii() && it.to_lowercase() == wanted
            }
            (it, wanted) => it.is_none() && wanted.is_none(),
        },
        _ => match wanted {
            Some(wanted) => it == Some(wanted),
            None => entry.field_is_null_or_missing(field),
        },
    }
}

impl PartialEq for Query {
    /// Equal if the conditions are the same, in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.scopes().eq(other.scopes()) && self.wanted().eq(other.wanted())
    }
}

impl Eq for Query {}

impl fmt::Debug for Query {
    /// Prints the conditions; the value of `secret` is hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        if self.has_scopes() {
            map.entry(&"target", &self.scopes().collect::<Vec<_>>());
        }
        for (name, value) in self.wanted() {
            if name == "secret" {
                map.entry(&name, &format_args!("[redacted]"));
            } else {
                map.entry(&name, &value);
            }
        }
        map.finish()
    }
}
