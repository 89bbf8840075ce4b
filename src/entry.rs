use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use msal_cache_core::{
    CredentialType, Error, Json, Partition, Record, Result, Scalar, ext_cache_key_in,
    for_each_member, seconds,
};
use serde_json::Value;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use crate::field::{FIELDS, Field};
use crate::keys::Parts;
use crate::object::{self, Part};
use crate::scope;
use crate::{AccessToken, Account, AppMetadata, Fields, IdToken, RefreshToken};

/// One record of the cache, read.
///
/// The JSON is kept whole, so nothing that another library wrote is lost when the entry is
/// changed. Cloning shares it. `Debug` prints no secret and no user name.
///
/// An entry knows the key under which it is stored, and it is changed and removed there, whatever
/// key MSAL Python would compute for it.
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
/// assert_eq!(token.family_id(), Some("1"), "a number for others, a text here");
/// assert!(!format!("{entry:?}").contains("s3cret"));
/// # Ok::<(), msal_cache::Error>(())
/// ```
#[derive(Clone)]
pub struct Entry(Arc<Read>);

struct Read {
    record: Record,
    partition: Partition,
    /// By field.
    places: [Place; FIELDS],
    /// The texts of those that don't stand in the JSON as they are.
    unescaped: Vec<(Field, Zeroizing<String>)>,
    /// Where the scopes stand within the target, and their tags.
    scopes: Box<[(u32, u32, u32)]>,
    ext_cache_key: Option<Box<str>>,
    expires_on: Option<i64>,
    /// In seconds since the epoch, as far as it tells; 0 if it doesn't.
    stored_at: i64,
    /// When a search last found it, in seconds since the epoch; 0 if none did, or nobody counts.
    used_at: AtomicI64,
    problem: Option<&'static str>,
}

/// Where the text of a field is: from here to there in the JSON, as it stands there. Of a name that
/// occurs twice, the last counts. Positions are bytes; a record has less than 4 GiB.
///
/// What ends before it begins is not in the JSON. There is one for each field of each entry, so
/// this takes as little room as it can.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(u32, u32);

impl Place {
    const MISSING: Self = Self(1, 0);
    const NULL: Self = Self(2, 0);
    /// It is not a string or a number.
    const ODD: Self = Self(3, 0);
    /// In a text of its own.
    const UNESCAPED: Self = Self(4, 0);
}

impl Entry {
    /// An entry of your own, under the key that MSAL Python gives to these fields.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a section whose keys nobody knows; use
    /// [`with_key`](Self::with_key).
    pub fn new(credential_type: CredentialType, fields: &Fields) -> Result<Self> {
        let entry = Self::with_key(credential_type, "", fields);
        let key = entry.computed_key().ok_or_else(|| {
            let section = format!("section {:?}", entry.credential_type().as_str());
            Error::invalid(section, "the schema has no rule for its keys; give one")
        })?;
        Ok(entry.under(key))
    }

    /// An entry of your own, under a key of your own.
    pub fn with_key(
        credential_type: CredentialType,
        key: impl Into<Arc<str>>,
        fields: &Fields,
    ) -> Self {
        let members: Vec<_> = fields.iter().map(|(name, value)| (name, value.into())).collect();
        Self::written(credential_type, key.into(), &members)
    }

    /// Reads a record. What can't be read is a [`problem`](Self::problem) and no error.
    pub(crate) fn read(record: Record) -> Self {
        let mut read = Read::of(record);
        let json = read.record.value.clone();
        let json = json.expose();
        if for_each_member(json, |name, value| read.set(&name, value, json)).is_ok() {
            read.complete();
        } else {
            // It may have begun well.
            read = Read::of(read.record);
            read.problem = Some("it is not an object");
        }
        Self(Arc::new(read))
    }

    /// Writes a record, and reads it without looking for what has just been written.
    pub(crate) fn written<N: AsRef<str>>(
        credential_type: CredentialType,
        key: Arc<str>,
        members: &[(N, Part<'_>)],
    ) -> Self {
        let mut places: SmallVec<[_; 16]> = SmallVec::new();
        let json = object::write_and_tell(members, |place| places.push(place));
        let mut read = Read::of(Record::new(credential_type, key, json.clone()));
        let json = json.expose();
        for ((name, _), place) in members.iter().zip(places) {
            read.set(name.as_ref(), &json[place], json);
        }
        read.complete();
        Self(Arc::new(read))
    }

    fn under(self, key: Arc<str>) -> Self {
        let record = &self.0.record;
        Self::read(Record::new(record.credential_type.clone(), key, record.value.clone()))
    }

    /// The section in which it stands.
    pub fn credential_type(&self) -> &CredentialType {
        &self.0.record.credential_type
    }

    /// The key under which it is stored.
    pub fn key(&self) -> &str {
        &self.0.record.key
    }

    /// The text of a field that is a string or a number, under the name that it has in the
    /// schema; `None` where there is none. A secret is not given out here.
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
        let value: Value = serde_json::from_str(self.0.record.value.expose())
            .map_err(|_| Error::invalid(name(), "it can't be read as fields"))?;
        Fields::from_value(&name(), value)
    }

    /// The JSON as it is stored, secrets included.
    pub fn json(&self) -> &Json {
        &self.0.record.value
    }

    /// Why searches pass this entry over; `None` where they don't.
    ///
    /// Such an entry stays in the cache as it is: another library may be able to use it.
    pub fn problem(&self) -> Option<&'static str> {
        self.0.problem
    }

    /// The entry as an access token.
    pub fn access_token(&self) -> Option<AccessToken<'_>> {
        self.readable(&CredentialType::AccessToken).map(AccessToken)
    }

    /// The entry as a refresh token.
    pub fn refresh_token(&self) -> Option<RefreshToken<'_>> {
        self.readable(&CredentialType::RefreshToken).map(RefreshToken)
    }

    /// The entry as an ID token.
    pub fn id_token(&self) -> Option<IdToken<'_>> {
        self.readable(&CredentialType::IdToken).map(IdToken)
    }

    /// The entry as an account.
    pub fn account(&self) -> Option<Account<'_>> {
        self.readable(&CredentialType::Account).map(Account)
    }

    /// The entry as the metadata of a client.
    pub fn app_metadata(&self) -> Option<AppMetadata<'_>> {
        self.readable(&CredentialType::AppMetadata).map(AppMetadata)
    }

    fn readable(&self, credential_type: &CredentialType) -> Option<&Self> {
        (self.credential_type() == credential_type && self.problem().is_none()).then_some(self)
    }

    pub(crate) fn record(&self) -> &Record {
        &self.0.record
    }

    /// Whether both stand under one key of one section.
    pub(crate) fn is_at_place_of(&self, other: &Self) -> bool {
        self.record().key == other.record().key && self.credential_type() == other.credential_type()
    }

    pub(crate) fn partition(&self) -> &Partition {
        &self.0.partition
    }

    /// The extended cache key of an access token, under whichever name its library wrote it.
    pub(crate) fn ext_cache_key(&self) -> Option<&str> {
        self.0.ext_cache_key.as_deref()
    }

    /// Whether it is an access token that can be read and has expired.
    pub(crate) fn has_expired(&self, now: i64) -> bool {
        *self.credential_type() == CredentialType::AccessToken
            && self.0.expires_on.is_some_and(|at| at < now)
    }

    /// The scopes of the target, in the order in which they stand.
    pub(crate) fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        let target = self.0.text(Field::Target).unwrap_or_default();
        self.0.scopes.iter().map(|(start, end, _)| &target[*start as usize..*end as usize])
    }

    /// Whether a scope is among those of the target. `tag` is that of the scope.
    pub(crate) fn has_scope(&self, scope: &str, tag: u32) -> bool {
        let is_same = |(start, end, _): &(u32, u32, u32)| {
            let target = self.0.text(Field::Target).unwrap_or_default();
            let it = &target[*start as usize..*end as usize];
            it == scope || it.eq_ignore_ascii_case(scope)
        };
        self.0.scopes.iter().any(|it| it.2 == tag && is_same(it))
    }

    /// The text of a field, secrets included.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(field) = Field::named(name) {
            return self.0.text(field).map(Cow::Borrowed);
        }
        let mut found = None;
        for_each_member(self.0.record.value.expose(), |it, json| {
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
        let read = for_each_member(self.0.record.value.expose(), |it, json| {
            if it == name {
                found = Some(json == "null");
            }
        });
        read.is_ok() && found.unwrap_or(true)
    }

    pub(crate) fn field_is_null_or_missing(&self, field: Field) -> bool {
        matches!(self.0.places[field as usize], Place::MISSING | Place::NULL)
    }

    /// The text of one of the fields that are known.
    pub(crate) fn field(&self, field: Field) -> Option<&str> {
        self.0.text(field)
    }

    /// When it was stored, in seconds since the epoch; 0 if it doesn't tell.
    pub(crate) fn stored_at(&self) -> i64 {
        self.0.stored_at
    }

    /// A search has found it.
    pub(crate) fn use_at(&self, now: i64) {
        // Once a second is enough, and spares other processors the news.
        if self.0.used_at.load(Ordering::Relaxed) != now {
            self.0.used_at.store(now, Ordering::Relaxed);
        }
    }

    /// When it was used last, as far as this process knows, in seconds since the epoch.
    pub(crate) fn used_at(&self) -> i64 {
        self.0.used_at.load(Ordering::Relaxed).max(self.stored_at())
    }

    /// About how much memory it takes, in bytes, beside the text of its JSON.
    pub(crate) fn overhead(&self) -> usize {
        // Two counters and the headers of some allocations.
        size_of::<Read>() + self.key().len() + self.0.scopes.len() * 12 + 100
    }

    /// The field as a text that lives as long as the entry; for the views.
    pub(crate) fn known(&self, name: &'static str) -> Option<&str> {
        self.0.text(Field::named(name)?)
    }

    /// The key that MSAL Python gives to these fields.
    pub(crate) fn computed_key(&self) -> Option<Arc<str>> {
        let text = |field| self.0.text(field);
        let parts = Parts {
            home_account_id: text(Field::HomeAccountId),
            environment: text(Field::Environment),
            client_id: text(Field::ClientId),
            realm: text(Field::Realm),
            target: text(Field::Target),
            ext_cache_key: self.ext_cache_key(),
        };
        parts.key(self.credential_type())
    }
}

impl Read {
    /// A record of which nothing is known yet.
    fn of(record: Record) -> Self {
        Self {
            partition: Partition::unowned(),
            places: [Place::MISSING; FIELDS],
            unescaped: Vec::new(),
            scopes: Box::default(),
            ext_cache_key: None,
            expires_on: None,
            stored_at: 0,
            used_at: AtomicI64::new(0),
            problem: None,
            record,
        }
    }

    /// Takes note of a member of `json`, with its value as it stands there.
    fn set(&mut self, name: &str, value: &str, json: &str) {
        let Some(field) = Field::named(name) else {
            if self.record.credential_type == CredentialType::AccessToken
                && let Some(key) = ext_cache_key_in(name, value)
            {
                self.ext_cache_key = Some(key.into());
            }
            return;
        };
        let here = |text: &str| {
            let start = text.as_ptr() as usize - json.as_ptr() as usize;
            match (u32::try_from(start), u32::try_from(start + text.len())) {
                (Ok(start), Ok(end)) => Place(start, end),
                _ => Place::ODD,
            }
        };
        self.places[field as usize] = match Scalar::of(value) {
            Scalar::Null => Place::NULL,
            Scalar::Text(Cow::Borrowed(text)) | Scalar::Number(text) => here(text),
            Scalar::Text(Cow::Owned(text)) => {
                self.unescaped.retain(|(known, _)| *known != field);
                self.unescaped.push((field, Zeroizing::new(text)));
                Place::UNESCAPED
            }
            Scalar::Other(_) => Place::ODD,
        };
    }

    /// Fills in what follows from the fields.
    fn complete(&mut self) {
        let credential_type = &self.record.credential_type;
        self.partition = Partition::of_fields(
            credential_type,
            self.text(Field::HomeAccountId),
            self.text(Field::ClientId),
            self.text(Field::Realm),
            self.ext_cache_key.as_deref(),
        );
        let stored_at = match credential_type {
            CredentialType::AccessToken => self.text(Field::CachedAt),
            CredentialType::RefreshToken => self.text(Field::LastModificationTime),
            _ => None,
        };
        self.stored_at = stored_at.and_then(seconds).unwrap_or_default();
        self.expires_on = self.text(Field::ExpiresOn).and_then(seconds);
        let target = self.text(Field::Target).unwrap_or_default();
        let place = |scope: &str| {
            let start = scope.as_ptr() as usize - target.as_ptr() as usize;
            let end = u32::try_from(start + scope.len()).ok()?;
            Some((u32::try_from(start).ok()?, end, scope::tag(scope)))
        };
        self.scopes = target.split_ascii_whitespace().filter_map(place).collect();
        self.problem = self.look_for_problem();
    }

    #[inline]
    fn text(&self, field: Field) -> Option<&str> {
        match self.places[field as usize] {
            Place::UNESCAPED => {
                let own = self.unescaped.iter().find(|(known, _)| *known == field);
                own.map(|(_, text)| text.as_str())
            }
            // Nothing where it ends before it begins.
            Place(start, end) => self.record.value.expose().get(start as usize..end as usize),
        }
    }

    /// What a record needs to be of use to anyone.
    fn look_for_problem(&self) -> Option<&'static str> {
        let needed: &[(Field, &'static str)] = match self.record.credential_type {
            CredentialType::AccessToken => {
                if self.expires_on.is_none() {
                    return Some("its expires_on is not a number of seconds");
                }
                &[(Field::Secret, "it has no secret")]
            }
            CredentialType::RefreshToken | CredentialType::IdToken => {
                &[(Field::Secret, "it has no secret")]
            }
            CredentialType::Account => &[(Field::HomeAccountId, "it has no home_account_id")],
            CredentialType::AppMetadata => &[(Field::ClientId, "it has no client_id")],
            _ => &[],
        };
        needed.iter().find(|(field, _)| self.text(*field).is_none()).map(|(_, problem)| *problem)
    }
}

impl From<Record> for Entry {
    /// Reads a record of a store. What can't be read is a [`problem`](Entry::problem) and no
    /// error.
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
            entry.field("problem", &problem);
        }
        entry.finish_non_exhaustive()
    }
}
