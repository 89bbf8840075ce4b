use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use msal_cache_core::internal::{Scalar, ext_cache_key_in, for_each_member, seconds};
use msal_cache_core::{CredentialType, Error, Json, Partition, Record, Result};
use serde_json::Value;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use crate::model::field::{FIELDS, Field};
use crate::model::json_object;
use crate::model::marks::Marks;
use crate::model::{FieldValue, Fields, KeyFields, Problem, schema};

/// One record of the cache, decoded.
///
/// The JSON is kept whole, so nothing that another library wrote is lost when the entry is
/// changed. Cloning shares it. `Debug` prints no secret and no user name.
///
/// An entry knows the key under which it is stored, and is changed and removed there, whatever key
/// MSAL Python would compute for it.
///
/// ```
/// use msal_cache::{CredentialType, Query, TokenCache};
///
/// let cache = TokenCache::in_memory();
/// cache.deserialize(r#"{"RefreshToken": {"any key": {
///     "secret": "s3cret", "home_account_id": "uid.utid", "client_id": "c", "family_id": 1,
///     "invented_later": [1, 2]
/// }}}"#)?;
/// let entry = &cache.find(CredentialType::RefreshToken, &Query::new())?[0];
/// assert_eq!(entry.key(), "any key");
/// let token = entry.refresh_token().expect("it can be read");
/// assert_eq!(token.secret().expose(), "s3cret");
/// assert_eq!(token.family_id(), Some("1"), "numbers are read as texts");
/// assert!(!format!("{entry:?}").contains("s3cret"));
/// # Ok::<(), msal_cache::Error>(())
/// ```
#[derive(Clone)]
pub struct Entry(Arc<Read>);

struct Read {
    record: Record,
    /// Of the record. A search compares it for each entry, and so needn't look into the record.
    credential_type: CredentialType,
    /// By field.
    spans: [FieldSpan; FIELDS],
    /// The texts of fields that are escaped in the JSON.
    unescaped: Vec<(Field, Zeroizing<String>)>,
    /// For each scope, its range within the target and its hash.
    scopes: Box<[(u32, u32, u32)]>,
    ext_cache_key: Option<Box<str>>,
    is_set_apart: bool,
    /// The id of the key that a token is bound to, where its library doesn't name it `key_id`.
    other_key_id: FieldSpan,
    expires_on: Option<i64>,
    /// In seconds since the epoch; 0 if the record doesn't say it.
    stored_at: i64,
    /// When a search last found it, in seconds since the epoch; 0 if none did, or where that is not
    /// recorded.
    used_at: AtomicI64,
    problem: Option<Problem>,
}

/// The byte range of a field's value within the JSON. Of a name that occurs twice, the last counts.
///
/// A range that ends before it begins has a meaning of its own. Each entry has one for each field,
/// so it is small; a record has less than 4 GiB.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FieldSpan(u32, u32);

impl FieldSpan {
    const MISSING: Self = Self(1, 0);
    const NULL: Self = Self(2, 0);
    /// The value is neither a string nor a number.
    const ODD: Self = Self(3, 0);
    /// The text is in `unescaped`.
    const UNESCAPED: Self = Self(4, 0);

    fn of(start: usize, end: usize) -> Self {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Self(start, end),
            _ => Self::ODD,
        }
    }
}

impl Entry {
    /// A new entry, under the key that MSAL Python gives to these fields.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a section that the schema has no rule of keys for; use
    /// [`with_key`](Self::with_key).
    pub fn new(credential_type: CredentialType, fields: &Fields) -> Result<Self> {
        let entry = Self::with_key(credential_type, "", fields);
        let key = entry.computed_key().ok_or_else(|| {
            let section = format!("section {:?}", entry.credential_type().as_str());
            Error::invalid(section, "the schema has no rule for its keys; give one")
        })?;
        Ok(entry.under(key))
    }

    /// A new entry, under a given key.
    pub fn with_key(
        credential_type: CredentialType,
        key: impl Into<Arc<str>>,
        fields: &Fields,
    ) -> Self {
        let members: Vec<_> = fields.iter().map(|(name, value)| (name, value.into())).collect();
        Self::written(credential_type, key.into(), &members, None)
    }

    /// Decodes a record. One that can't be used has a [`problem`](Self::problem).
    pub(crate) fn read(record: Record) -> Self {
        let mut read = Read::of(record.clone());
        let json = record.value().expose();
        let mut marks = Marks::default();
        if for_each_member(json, |name, value| read.set(&mut marks, &name, value, json)).is_ok() {
            read.complete(marks);
        } else {
            // Members that came before the error don't count.
            read = Read::of(record);
            read.problem = Some(Problem::NotAnObject);
        }
        Self(Arc::new(read))
    }

    /// Writes a record, whose partition the caller may know. The fields are not parsed again.
    pub(crate) fn written<N: AsRef<str>>(
        credential_type: CredentialType,
        key: Arc<str>,
        members: &[(N, FieldValue<'_>)],
        partition: Option<&Partition>,
    ) -> Self {
        let mut ranges: SmallVec<[_; 16]> = SmallVec::new();
        let json = json_object::write_with_ranges(members, |range, is_plain| {
            ranges.push((range, is_plain));
        });
        let mut marks = Marks::default();
        let record = Record::new(credential_type, key, json);
        let mut read = Read::of(record.clone());
        let json = record.value().expose();
        for ((name, _), (range, is_plain)) in members.iter().zip(&ranges) {
            match Field::named(name.as_ref()).filter(|_| *is_plain) {
                Some(field) => {
                    read.spans[field as usize] = FieldSpan::of(range.start + 1, range.end - 1);
                }
                None => read.set(&mut marks, name.as_ref(), &json[range.clone()], json),
            }
        }
        if let Some(partition) = partition {
            read.expires_on = read.text(Field::ExpiresOn).and_then(seconds);
            let expires_on = read.expires_on_of_token();
            read.record = read.record.placed(|| partition.clone(), expires_on);
        }
        read.complete(marks);
        Self(Arc::new(read))
    }

    fn under(self, key: Arc<str>) -> Self {
        let record = &self.0.record;
        Self::read(Record::new(record.credential_type().clone(), key, record.value().clone()))
    }

    /// The section.
    pub fn credential_type(&self) -> &CredentialType {
        &self.0.credential_type
    }

    /// The key under which it is stored.
    pub fn key(&self) -> &str {
        self.0.record.key()
    }

    /// The text of a field that is a string or a number, by its name in the schema; `None` if it is
    /// missing, and for `secret`.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        if name == "secret" { None } else { self.text(name) }
    }

    /// All fields, secrets included.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the record is not an object, or holds a number that is out of
    /// range.
    pub fn fields(&self) -> Result<Fields> {
        let name = || format!("record {:?}", self.key());
        let value: Value = serde_json::from_str(self.0.record.value().expose())
            .map_err(|_| Error::invalid(name(), "it can't be read as fields"))?;
        Fields::from_value(&name(), value)
    }

    /// The JSON as it is stored, secrets included.
    pub fn json(&self) -> &Json {
        self.0.record.value()
    }

    /// Why searches skip this entry; `None` where they don't.
    ///
    /// Such an entry is kept as it is: another library may be able to use it.
    pub fn problem(&self) -> Option<Problem> {
        self.0.problem
    }

    pub(crate) fn record(&self) -> &Record {
        &self.0.record
    }

    /// Whether both are stored under one key of one section.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.record().has_key_of(other.record())
    }

    /// Whether both have the same owner: user, client and tenant. Ids that differ in case alone
    /// share keys and partitions, so only the fields say whose a record is.
    pub(crate) fn has_owner_of(&self, other: &Self) -> bool {
        [Field::HomeAccountId, Field::ClientId, Field::Realm].into_iter().all(|field| {
            self.field(field).unwrap_or_default() == other.field(field).unwrap_or_default()
        })
    }

    /// Whether both have the same secret.
    pub(crate) fn has_secret_of(&self, other: &Self) -> bool {
        self.field(Field::Secret) == other.field(Field::Secret)
    }

    pub(crate) fn partition(&self) -> &Partition {
        self.0.record.partition()
    }

    /// The extended cache key of an access token, by whichever name its library wrote it.
    pub(crate) fn ext_cache_key(&self) -> Option<&str> {
        self.0.ext_cache_key.as_deref()
    }

    /// The type of an access token; `Bearer` where the record doesn't say it.
    pub(crate) fn token_type(&self) -> &str {
        schema::token_type(self.field(Field::TokenType)).unwrap_or(schema::BEARER)
    }

    /// The key that an access token is bound to, by whichever name its library wrote it.
    pub(crate) fn key_id(&self) -> Option<&str> {
        let own = self.field(Field::KeyId).filter(|id| !id.is_empty());
        own.or_else(|| self.0.span_text(self.0.other_key_id).filter(|id| !id.is_empty()))
    }

    /// Whether a token is of a flow that requests of a client don't belong to, such as a token on
    /// behalf of a user, or whether its library marked it in a way that can't be read.
    pub(crate) fn is_set_apart(&self) -> bool {
        self.0.is_set_apart
    }

    /// Whether it is an access token that can be read and has expired.
    pub(crate) fn has_expired(&self, now: i64) -> bool {
        *self.credential_type() == CredentialType::AccessToken
            && self.0.expires_on.is_some_and(|at| at < now)
    }

    /// Whether it is an access token that can be read and expires later than another one.
    pub(crate) fn outlives(&self, other: &Self) -> bool {
        self.0.expires_on.is_some_and(|at| other.0.expires_on.is_none_or(|other| at > other))
    }

    /// The scopes of the target, in their order.
    pub(crate) fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        let target = self.0.text(Field::Target).unwrap_or_default();
        self.0.scopes.iter().map(|(start, end, _)| &target[*start as usize..*end as usize])
    }

    /// Whether the target has a scope, whose [hash](schema::scope_hash) is given.
    pub(crate) fn has_scope(&self, scope: &str, hash: u32) -> bool {
        let is_same = |(start, end, _): &(u32, u32, u32)| {
            let target = self.0.text(Field::Target).unwrap_or_default();
            let it = &target[*start as usize..*end as usize];
            it == scope || it.eq_ignore_ascii_case(scope)
        };
        self.0.scopes.iter().any(|it| it.2 == hash && is_same(it))
    }

    /// The text of a field, secrets included.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(field) = Field::named(name) {
            return self.0.text(field).map(Cow::Borrowed);
        }
        let mut found = None;
        for_each_member(self.0.record.value().expose(), |it, json| {
            if it == name {
                found = match Scalar::of(json) {
                    Scalar::Text(text) => Some(text),
                    Scalar::Number(digits) => Some(digits.into()),
                    Scalar::Null | Scalar::Other(_) => None,
                };
            }
        })
        .ok()?;
        found
    }

    pub(crate) fn is_null_or_missing(&self, name: &str) -> bool {
        if let Some(field) = Field::named(name) {
            return self.field_is_null_or_missing(field);
        }
        let mut found = None;
        let read = for_each_member(self.0.record.value().expose(), |it, json| {
            if it == name {
                found = Some(json == "null");
            }
        });
        read.is_ok() && found.unwrap_or(true)
    }

    pub(crate) fn field_is_null_or_missing(&self, field: Field) -> bool {
        matches!(self.0.spans[field as usize], FieldSpan::MISSING | FieldSpan::NULL)
    }

    /// The text of a known field, secrets included.
    pub(crate) fn field(&self, field: Field) -> Option<&str> {
        self.0.text(field)
    }

    /// When it was stored, in seconds since the epoch; 0 if the record doesn't say it.
    pub(crate) fn stored_at(&self) -> i64 {
        self.0.stored_at
    }

    /// Records that a search has found it.
    pub(crate) fn use_at(&self, now: i64) {
        // At most once a second, since each write invalidates the cache line of other processors.
        if self.0.used_at.load(Ordering::Relaxed) != now {
            self.0.used_at.store(now, Ordering::Relaxed);
        }
    }

    /// When this process used it last, in seconds since the epoch.
    pub(crate) fn used_at(&self) -> i64 {
        self.0.used_at.load(Ordering::Relaxed).max(self.stored_at())
    }

    /// Approximately how much memory it takes, in bytes, besides the text of its JSON.
    pub(crate) fn overhead(&self) -> usize {
        // Two counters and the headers of some allocations.
        size_of::<Read>() + self.key().len() + self.0.scopes.len() * 12 + 100
    }

    /// The text of a known field, by name; for the views.
    pub(crate) fn known(&self, name: &'static str) -> Option<&str> {
        self.0.text(Field::named(name)?)
    }

    /// The key that MSAL Python gives to these fields.
    pub(crate) fn computed_key(&self) -> Option<Arc<str>> {
        let text = |field| self.0.text(field);
        let fields = KeyFields {
            home_account_id: text(Field::HomeAccountId),
            environment: text(Field::Environment),
            client_id: text(Field::ClientId),
            realm: text(Field::Realm),
            target: text(Field::Target),
            ext_cache_key: self.ext_cache_key(),
        };
        fields.key(self.credential_type())
    }
}

impl Read {
    /// A record whose fields are not read yet.
    fn of(record: Record) -> Self {
        Self {
            spans: [FieldSpan::MISSING; FIELDS],
            unescaped: Vec::new(),
            scopes: Box::default(),
            ext_cache_key: None,
            is_set_apart: false,
            other_key_id: FieldSpan::MISSING,
            expires_on: None,
            stored_at: 0,
            used_at: AtomicI64::new(0),
            problem: None,
            credential_type: record.credential_type().clone(),
            record,
        }
    }

    /// Sets a field, or a mark, from a member of `json`.
    fn set(&mut self, marks: &mut Marks, name: &str, value: &str, json: &str) {
        let here = |text: &str| {
            let start = text.as_ptr() as usize - json.as_ptr() as usize;
            FieldSpan::of(start, start + text.len())
        };
        let Some(field) = Field::named(name) else {
            if self.credential_type == CredentialType::AccessToken
                && let Some(key) = ext_cache_key_in(name, value)
            {
                self.ext_cache_key = Some(key.into());
            }
            marks.take(name, value);
            if schema::KEY_ID.contains(&name) {
                match Scalar::of(value) {
                    Scalar::Null => {}
                    Scalar::Text(Cow::Borrowed(text)) | Scalar::Number(text) => {
                        self.other_key_id = here(text);
                    }
                    Scalar::Text(Cow::Owned(_)) | Scalar::Other(_) => {
                        marks.is_unreadable = true;
                    }
                }
            }
            return;
        };
        self.spans[field as usize] = match Scalar::of(value) {
            Scalar::Null => FieldSpan::NULL,
            Scalar::Text(Cow::Borrowed(text)) | Scalar::Number(text) => here(text),
            Scalar::Text(Cow::Owned(text)) => {
                self.unescaped.retain(|(known, _)| *known != field);
                self.unescaped.push((field, Zeroizing::new(text)));
                FieldSpan::UNESCAPED
            }
            Scalar::Other(_) => FieldSpan::ODD,
        };
    }

    /// Fills in what follows from the fields.
    fn complete(&mut self, marks: Marks) {
        self.expires_on = self.text(Field::ExpiresOn).and_then(seconds);
        let partition = || {
            Partition::of_fields(
                self.record.credential_type(),
                self.text(Field::HomeAccountId),
                self.text(Field::ClientId),
                self.text(Field::Realm),
                self.ext_cache_key.as_deref(),
            )
        };
        self.record = self.record.clone().placed(partition, self.expires_on_of_token());
        let credential_type = self.record.credential_type();
        let stored_at = match credential_type {
            CredentialType::AccessToken => self.text(Field::CachedAt),
            CredentialType::RefreshToken => self.text(Field::LastModificationTime),
            _ => None,
        };
        self.stored_at = stored_at.and_then(seconds).unwrap_or_default();
        let target = self.text(Field::Target).unwrap_or_default();
        let span = |scope: &str| {
            let start = scope.as_ptr() as usize - target.as_ptr() as usize;
            let end = u32::try_from(start + scope.len()).ok()?;
            Some((u32::try_from(start).ok()?, end, schema::scope_hash(scope)))
        };
        self.scopes = schema::scopes(target).filter_map(span).collect();
        self.is_set_apart = marks.set_apart(
            self.record.credential_type(),
            schema::token_type(self.text(Field::TokenType)),
            self.ext_cache_key.is_some(),
        );
        self.problem = self.look_for_problem();
    }

    #[inline]
    fn text(&self, field: Field) -> Option<&str> {
        match self.spans[field as usize] {
            FieldSpan::UNESCAPED => {
                let own = self.unescaped.iter().find(|(known, _)| *known == field);
                own.map(|(_, text)| text.as_str())
            }
            span => self.span_text(span),
        }
    }

    /// The text of a range; `None` where it ends before it begins.
    #[inline]
    fn span_text(&self, FieldSpan(start, end): FieldSpan) -> Option<&str> {
        self.record.value().expose().get(start as usize..end as usize)
    }

    /// The expiry, which only access tokens have.
    fn expires_on_of_token(&self) -> Option<i64> {
        let is_token = *self.record.credential_type() == CredentialType::AccessToken;
        self.expires_on.filter(|_| is_token)
    }

    /// Checks the fields without which no library can use a record.
    fn look_for_problem(&self) -> Option<Problem> {
        let (field, problem) = match self.record.credential_type() {
            CredentialType::AccessToken if self.expires_on.is_none() => {
                return Some(Problem::NoExpiry);
            }
            CredentialType::AccessToken
            | CredentialType::RefreshToken
            | CredentialType::IdToken => (Field::Secret, Problem::NoSecret),
            CredentialType::Account => (Field::HomeAccountId, Problem::NoHomeAccountId),
            // MSAL Python writes `null` for the system-assigned managed identity.
            CredentialType::AppMetadata
                if self.spans[Field::ClientId as usize] == FieldSpan::NULL =>
            {
                return None;
            }
            CredentialType::AppMetadata => (Field::ClientId, Problem::NoClientId),
            _ => return None,
        };
        self.text(field).is_none().then_some(problem)
    }
}

impl From<Record> for Entry {
    /// Decodes a record of a store. One that can't be used has a [`problem`](Entry::problem).
    fn from(record: Record) -> Self {
        Self::read(record)
    }
}

impl From<&Entry> for Record {
    /// The record as it is stored.
    fn from(entry: &Entry) -> Self {
        entry.0.record.clone()
    }
}

impl PartialEq for Entry {
    /// Equal where section, key and JSON text are.
    fn eq(&self, other: &Self) -> bool {
        self.0.record == other.0.record
    }
}

impl Eq for Entry {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entry = f.debug_struct("Entry");
        entry.field("credential_type", self.credential_type()).field("key", &self.key());
        for name in ["environment", "client_id", "realm", "target", "expires_on"] {
            if let Some(text) = self.known(name) {
                entry.field(name, &text);
            }
        }
        if let Some(problem) = self.problem() {
            entry.field("problem", &format_args!("{problem}"));
        }
        entry.finish_non_exhaustive()
    }
}
