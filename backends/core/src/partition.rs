use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use arrayvec::ArrayString;
use hashbrown::DefaultHashBuilder;

use crate::ext_cache_key::ext_cache_key;
use crate::object::{Scalar, for_each_member, seconds};
use crate::scan::Scanner;
use crate::{CredentialType, Record, Revision};

/// The unit of atomicity: the records that are read together, change together and have one
/// [`Revision`]. Two writers of different partitions never disturb each other.
///
/// Where a record belongs follows from the record ([`of`](Self::of)) and from nothing else. So a
/// document that holds no partitions can be divided into them, and the cache can check what a
/// store gives back: a record that says it is another user's is an error and not a result.
#[derive(Clone)]
pub struct Partition(Name);

/// Most names are short enough to need no memory of their own: a look-up makes one and throws it
/// away.
#[derive(Clone)]
enum Name {
    Short(ArrayString<SHORT>),
    Long(Arc<str>),
}

/// As long as the name of a user gets, and that of a client in a tenant with an extended cache key,
/// where all ids are GUIDs.
const SHORT: usize = 124;

impl Partition {
    fn named(parts: &[&str]) -> Self {
        let mut name = ArrayString::new();
        for part in parts {
            if name.try_push_str(part).is_err() {
                return Self(Name::Long(parts.concat().into()));
            }
        }
        Self(Name::Short(name))
    }

    /// Everything of one user, across clients and tenants.
    pub fn user(home_account_id: &str) -> Self {
        Self::named(&["user/", &escaped(home_account_id)])
    }

    /// The tokens that one client has for itself in one tenant. Those of an extended cache key
    /// are a partition of their own for each key, since a client may have 100,000 of them.
    pub fn app(client_id: &str, realm: &str, ext_cache_key: Option<&str>) -> Self {
        let (client_id, realm) = (escaped(client_id), escaped(realm));
        match ext_cache_key.map(escaped) {
            None => Self::named(&["app/", &client_id, "/", &realm]),
            Some(key) => Self::named(&["app/", &client_id, "/", &realm, "/", &key]),
        }
    }

    /// What is known about clients: all of [`CredentialType::AppMetadata`].
    pub fn app_metadata() -> Self {
        Self::named(&["metadata"])
    }

    /// What belongs to nobody: records without a user and without a client, in any section.
    pub fn unowned() -> Self {
        Self::named(&["unowned"])
    }

    /// Where a record belongs.
    pub fn of(record: &Record) -> Self {
        Place::of(&record.credential_type, record.value.expose()).partition
    }

    /// Where a record with these fields belongs: [`of`](Self::of) for who has read them already.
    ///
    /// An empty `home_account_id` counts as none, as in the files of MSAL Node and Go.
    pub fn of_fields(
        credential_type: &CredentialType,
        home_account_id: Option<&str>,
        client_id: Option<&str>,
        realm: Option<&str>,
        ext_cache_key: Option<&str>,
    ) -> Self {
        match (home_account_id.filter(|home| !home.is_empty()), client_id) {
            _ if *credential_type == CredentialType::AppMetadata => Self::app_metadata(),
            // A member of the document, which may look like a record.
            _ if credential_type.is_document() => Self::unowned(),
            (Some(home), _) => Self::user(home),
            (None, Some(client)) => Self::app(client, realm.unwrap_or_default(), ext_cache_key),
            (None, None) => Self::unowned(),
        }
    }

    /// A name for the partition, for a column or a key of a store: different partitions have
    /// different names, and a name never changes.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Short(name) => name,
            Name::Long(name) => name,
        }
    }

    /// Tells most partitions apart within this process, in less room than the name.
    pub(crate) fn tag(&self) -> u64 {
        static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
        HASHER.hash_one(self)
    }

    /// A short name that doesn't tell whose partition it is, for a lock file or a trace: 16
    /// hexadecimal digits of a SHA-256. Different partitions may share one, if rarely.
    pub fn digest(&self) -> String {
        let digest = Revision::of_contents([self.as_str().as_bytes()]).as_u128();
        format!("{:016x}", digest >> 64)
    }
}

impl PartialEq for Partition {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Partition {}

impl PartialOrd for Partition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Partition {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Partition {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a name, with the separator and the escape itself written as `%2F` and `%25`.
fn escaped(part: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'/', b'%', part.as_bytes()).is_some() {
        part.replace('%', "%25").replace('/', "%2F").into()
    } else {
        part.into()
    }
}

/// What a store without columns has to know about a record.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) partition: Partition,
    /// Seconds since the epoch; access tokens alone have it.
    pub(crate) expires_on: Option<i64>,
}

impl Place {
    /// That of a record in this section.
    pub(crate) fn of(section: &CredentialType, value: &str) -> Self {
        let mut clues = Clues::default();
        match for_each_member(value, |name, json| clues.take(section, &name, json)) {
            Ok(()) => clues.place(section),
            // What begins well may still be no object.
            Err(_) => Self::unknown(),
        }
    }

    /// That of the record whose value comes next, and the value.
    pub(crate) fn scan<'a>(
        section: &CredentialType,
        scanner: &mut Scanner<'a>,
    ) -> Option<(&'a str, Self)> {
        let mut clues = Clues::default();
        let value = scanner.value_and(|name, json| clues.take(section, name, json))?;
        let is_object = value.starts_with('{');
        Some((value, if is_object { clues.place(section) } else { Self::unknown() }))
    }

    /// That of what is no object.
    fn unknown() -> Self {
        Self { partition: Partition::unowned(), expires_on: None }
    }
}

/// What the members of a record tell about its place.
#[derive(Default)]
struct Clues<'a> {
    home: Option<Scalar<'a>>,
    client: Option<Scalar<'a>>,
    realm: Option<Scalar<'a>>,
    ext_cache_key: Option<String>,
    expires_on: Option<i64>,
}

impl<'a> Clues<'a> {
    /// Takes note of a member, of a record in this section.
    fn take(&mut self, section: &CredentialType, name: &str, json: &'a str) {
        match name {
            "home_account_id" => self.home = Some(Scalar::of(json)),
            "client_id" => self.client = Some(Scalar::of(json)),
            "realm" => self.realm = Some(Scalar::of(json)),
            _ if *section != CredentialType::AccessToken => {}
            "expires_on" => self.expires_on = Scalar::of(json).as_str().and_then(seconds),
            name => {
                if let Some(key) = ext_cache_key_in(name, json) {
                    self.ext_cache_key = Some(key);
                }
            }
        }
    }

    /// The place that follows from them.
    fn place(self, section: &CredentialType) -> Place {
        let partition = Partition::of_fields(
            section,
            self.home.as_ref().and_then(Scalar::as_str),
            self.client.as_ref().and_then(Scalar::as_str),
            self.realm.as_ref().and_then(Scalar::as_str),
            self.ext_cache_key.as_deref(),
        );
        Place { partition, expires_on: self.expires_on }
    }
}

/// The extended cache key that a member of an access token stands for, under the name that its
/// library gives it: MSAL Python and Go write the hash as `ext_cache_key`, Java as
/// `ext_cache_key_hash`; Node and .NET write the parameters, as `additionalCacheKeyComponents`
/// and `ext`.
pub fn ext_cache_key_in(name: &str, json: &str) -> Option<String> {
    match name {
        "ext_cache_key" | "ext_cache_key_hash" => {
            Scalar::of(json).as_str().filter(|key| !key.is_empty()).map(str::to_owned)
        }
        "ext" | "additionalCacheKeyComponents" => {
            let mut parameters = Vec::new();
            for_each_member(json, |name, json| {
                let value = Scalar::of(json).as_str().map(str::to_owned);
                parameters.extend(value.map(|value| (name, value)));
            })
            .ok()?;
            ext_cache_key(parameters)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(credential_type: &str, value: &str) -> (String, Option<i64>) {
        let place = Place::of(&credential_type.into(), value);
        (place.partition.as_str().to_owned(), place.expires_on)
    }

    #[test]
    fn a_record_belongs_to_its_user_else_to_its_client_else_to_nobody() {
        for (credential_type, value, expected) in [
            ("AccessToken", r#"{"home_account_id":"u.t","client_id":"c"}"#, "user/u.t"),
            ("Invented", r#"{"home_account_id":"u.t"}"#, "user/u.t"),
            ("AccessToken", r#"{"home_account_id":null,"client_id":"c","realm":"r"}"#, "app/c/r"),
            ("AccessToken", r#"{"home_account_id":"","client_id":"c","realm":"r"}"#, "app/c/r"),
            ("AccessToken", r#"{"client_id":"c","realm":"r"}"#, "app/c/r"),
            ("AccessToken", r#"{"client_id":"c","realm":"r","ext_cache_key":"k"}"#, "app/c/r/k"),
            ("RefreshToken", r#"{"client_id":"c"}"#, "app/c/"),
            ("AppMetadata", r#"{"client_id":"c"}"#, "metadata"),
            ("AccessToken", "null", "unowned"),
            ("AccessToken", "7", "unowned"),
            ("AccessToken", "{", "unowned"),
            ("AccessToken", "{}", "unowned"),
            ("", r#"{"home_account_id":"u.t"}"#, "unowned"),
        ] {
            assert_eq!(place(credential_type, value).0, expected, "{credential_type} {value}");
        }
    }

    #[test]
    fn every_library_s_mark_of_an_extended_key_leads_to_the_same_partition() {
        let key = "cojvfy5tzae3njpkvcebguvvx5vvmnj8hphqrbogjoi";
        for mark in [
            format!(r#""ext_cache_key":"{key}""#),
            format!(r#""ext_cache_key_hash":"{key}""#),
            r#""ext":{"fmi_path":"SomeFmiPath/FmiCredentialPath"}"#.into(),
            r#""additionalCacheKeyComponents":{"fmi_path":"SomeFmiPath/FmiCredentialPath"}"#.into(),
        ] {
            let value = format!(r#"{{"client_id":"c","realm":"r",{mark}}}"#);
            assert_eq!(place("AccessToken", &value).0, format!("app/c/r/{key}"));
        }
    }

    #[test]
    fn names_are_injective() {
        assert_ne!(Partition::app("a/b", "c", None), Partition::app("a", "b/c", None));
        assert_ne!(Partition::app("a", "b", Some("c")), Partition::app("a", "b/c", None));
        assert_ne!(Partition::user("a%2Fb"), Partition::user("a/b"));
        assert_ne!(Partition::app("a", "b", None), Partition::app("a", "b", Some("")));
    }

    #[test]
    fn a_name_is_the_same_however_long_it_is() {
        for length in [1, SHORT - 5, SHORT - 4, 3 * SHORT] {
            let home = "h".repeat(length);
            let (one, same) = (Partition::user(&home), Partition::user(&home).clone());
            assert_eq!(one.as_str(), format!("user/{home}"));
            assert_eq!(one, same);
            assert_ne!(one, Partition::user(&home[1..]));
            assert!(one > Partition::user(""));
        }
    }

    #[test]
    fn access_tokens_alone_expire() {
        let value = r#"{"client_id":"c","expires_on":"17"}"#;
        assert_eq!(place("AccessToken", value).1, Some(17));
        assert_eq!(place("RefreshToken", value).1, None);
        assert_eq!(place("AccessToken", r#"{"expires_on":null}"#).1, None);
    }
}
