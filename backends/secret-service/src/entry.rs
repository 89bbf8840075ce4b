use std::fmt;
use std::path::{Path, PathBuf};

use msal_cache_core::{Error, Result};
use msal_cache_disk::absolute;
use msal_cache_file::{Cae, Location};

use crate::Encoding;

/// The attribute that holds the name of the schema.
pub(crate) const SCHEMA: &str = "xdg:schema";

/// The schema of the cache of an app.
pub(crate) const APP_SCHEMA: &str = "msal-cache";

/// The attribute that names the app.
pub(crate) const APP: &str = "app";

/// Names an entry of the key store: its schema and attributes, by which it is found; its collection and
/// label; the encoding of the document; and the signal file, by which programs learn of changes and whose
/// lock file they share.
///
/// | | schema | attributes | encoding |
/// |---|---|---|---|
/// | [`developer_tools`](Self::developer_tools) | the name of the cache | `MsalClientID` | JSON |
/// | [`dotnet_tools`](Self::dotnet_tools) | `msal.cache`, not compared | `MsalClientID`, `Microsoft.Developer.IdentityService` | base64 |
/// | [`msal_python`](Self::msal_python) | of the app, or a hash of the signal file | of the app | JSON |
/// | [`msal_node`](Self::msal_node) | `org.freedesktop.Secret.Generic` | `service`, `account` | JSON |
/// | [`msal_dotnet`](Self::msal_dotnet) | of the app, not compared | two of the app | base64 |
/// | [`msal_go`](Self::msal_go) | of the app | up to two of the app | base64 |
/// | [`app`](Self::app) | `msal-cache` | `app` | JSON |
/// | [`keys_of`](Self::keys_of) | `msal-cache.keys` | `app` | keys |
///
/// Attributes and labels aren't secret: every program of the user can list them, also while the
/// collection is locked.
///
/// ```
/// use msal_cache_secret_service::{Encoding, SecretEntry};
///
/// # fn main() -> Result<(), msal_cache_core::Error> {
/// let entry = SecretEntry::new("com.contoso.tokens", "/home/alice/.contoso/cache")?
///     .attribute("Product", "Mail")
///     .label("Contoso Mail")
///     .encoding(Encoding::Base64);
/// assert!(entry.to_string().contains("Product=Mail"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretEntry {
    schema: String,
    compares_schema: bool,
    attributes: Vec<(String, String)>,
    label: String,
    collection: String,
    encoding: Encoding,
    signal: PathBuf,
}

impl SecretEntry {
    /// An entry with this schema and without attributes, in the default collection, labelled
    /// `MSALCache`, as JSON.
    ///
    /// `signal` is the path of the signal file: the one that the other programs have. It is made
    /// absolute.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the schema is empty; the errors of a path that can't be made absolute.
    pub fn new(schema: impl Into<String>, signal: impl AsRef<Path>) -> Result<Self> {
        let schema = schema.into();
        if schema.is_empty() {
            let reason = "it is empty; give the schema that the other programs use";
            return Err(Error::invalid("schema of the secret", reason));
        }
        Ok(Self {
            schema,
            compares_schema: true,
            attributes: Vec::new(),
            label: "MSALCache".into(),
            collection: "default".into(),
            encoding: Encoding::Json,
            signal: absolute(signal.as_ref())?,
        })
    }

    /// The encrypted cache of the Azure SDK for Python: that of `azure-identity` with
    /// `TokenCachePersistenceOptions()`, and of the tools that use it. MSAL Python writes it, so use the
    /// default profile.
    ///
    /// The SDKs for Java and JavaScript share the signal file, and not the entry.
    ///
    /// # Errors
    ///
    /// Those of [`Location::developer_tools`].
    pub fn developer_tools(cae: Cae) -> Result<Self> {
        let schema = match cae {
            Cae::Without => "msal.cache.nocae",
            Cae::With => "msal.cache.cae",
        };
        Ok(Self::new(schema, Location::developer_tools(cae)?)?.attribute(CLIENT_ID, TOOLS))
    }

    /// The encrypted cache of `Azure.Identity` for .NET and of Azure PowerShell. Both kinds of tokens have
    /// one entry there, and signal files of their own.
    ///
    /// # Errors
    ///
    /// Those of [`Location::dotnet_tools`].
    pub fn dotnet_tools(cae: Cae) -> Result<Self> {
        let attributes = [(CLIENT_ID, TOOLS), (TOOLS, "1.0.0.0")];
        let location = Location::dotnet_tools(cae)?;
        let name = location.path().file_name().map(|it| it.to_string_lossy().into_owned());
        let entry = Self::msal_dotnet("msal.cache", attributes, location)?;
        Ok(entry.label(name.unwrap_or_default()))
    }

    /// The entry of `LibsecretPersistence(signal_location)` of MSAL Python's extensions, where the app gives
    /// no schema: its name is a hash of the location as the app spells it. Where the app gives a schema or
    /// attributes, use [`new`](Self::new) and [`attribute`](Self::attribute).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the path is not text; otherwise as [`new`](Self::new).
    pub fn msal_python(signal_location: impl AsRef<Path>) -> Result<Self> {
        let signal = signal_location.as_ref();
        let Some(text) = signal.to_str() else {
            let reason = "it is not UTF-8, so MSAL Python has no schema for it";
            return Err(Error::invalid("path of the signal file", reason));
        };
        Ok(Self::new(crate::signal::sha256(text), signal)?.label(""))
    }

    /// The entry of `LibSecretPersistence.create(cachePath, serviceName, accountName)` of MSAL Node's
    /// extensions. `signal` is the `cachePath`.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn msal_node(service: &str, account: &str, signal: impl AsRef<Path>) -> Result<Self> {
        let entry = Self::new("org.freedesktop.Secret.Generic", signal)?;
        let entry = entry.attribute("service", service).attribute("account", account);
        Ok(entry.label(format!("{service}/{account}")))
    }

    /// The entry of `WithLinuxKeyring(schema, collection, label, attribute1, attribute2)` of MSAL .NET's
    /// extensions; `signal` is the cache file of the `StorageCreationPropertiesBuilder`. The schema is
    /// written, and not compared.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn msal_dotnet(
        schema: &str,
        attributes: [(&str, &str); 2],
        signal: impl AsRef<Path>,
    ) -> Result<Self> {
        let mut entry = Self::msal_go(schema, &attributes, signal)?;
        entry.compares_schema = false;
        Ok(entry)
    }

    /// The entry of `accessor.New(schema, …)` of MSAL Go's extensions, on Linux; `signal` is the path that
    /// the app gives to `cache.New`.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn msal_go(
        schema: &str,
        attributes: &[(&str, &str)],
        signal: impl AsRef<Path>,
    ) -> Result<Self> {
        let entry = Self::new(schema, signal)?.encoding(Encoding::Base64);
        Ok(attributes.iter().fold(entry, |entry, (name, value)| entry.attribute(*name, *value)))
    }

    /// The cache of one app of your own. The signal file is `msal_cache.json` in the folder of the app (see
    /// [`Location::app`]), and holds nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Location::app`].
    pub fn app(name: &str) -> Result<Self> {
        let entry = Self::new(APP_SCHEMA, Location::app(name)?)?;
        Ok(entry.attribute(APP, name).label(format!("Tokens of {name}")))
    }

    /// The keys of one app, which seal a cache that is kept elsewhere. The signal file is `keys` in the folder of
    /// the app, and holds nothing.
    ///
    /// It has a schema of its own: an entry with the attributes of [`app`](Self::app) and more would be found, and
    /// replaced, as the cache of the app.
    ///
    /// # Errors
    ///
    /// Those of [`Location::app`].
    pub fn keys_of(app: &str) -> Result<Self> {
        let signal = Location::app(app)?.path().with_file_name("keys");
        let entry = Self::new("msal-cache.keys", signal)?;
        Ok(entry.attribute(APP, app).label(format!("Keys of {app}")))
    }

    /// Adds an attribute, or replaces the one of this name. A search finds entries that have more attributes, too:
    /// another kind of secret needs another schema, or another value of an attribute.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.attributes.retain(|(known, _)| *known != name);
        self.attributes.push((name, value));
        self
    }

    /// What key managers show. It is written where the entry is created, and not compared.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The alias of the collection in which a new entry is created, such as `default` or `session`, which
    /// ends with the login session. An entry that exists is found in any collection.
    pub fn collection(mut self, alias: impl Into<String>) -> Self {
        self.collection = alias.into();
        self
    }

    /// How the document is written.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The path of the signal file, absolute.
    pub fn signal(&self) -> &Path {
        &self.signal
    }

    pub(crate) fn own_encoding(&self) -> Encoding {
        self.encoding
    }

    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no service"))]
    pub(crate) fn own_label(&self) -> &str {
        &self.label
    }

    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no service"))]
    pub(crate) fn own_collection(&self) -> &str {
        &self.collection
    }

    /// The attributes of the entry, with the schema.
    pub(crate) fn all_attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.attributes.iter().map(|(name, value)| (&**name, &**value));
        own.chain([(SCHEMA, &*self.schema)])
    }

    /// The attributes by which the entry is found.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no service"))]
    pub(crate) fn searched_attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all_attributes().filter(|(name, _)| self.compares_schema || *name != SCHEMA)
    }
}

/// The name of an attribute of the developer tools.
const CLIENT_ID: &str = "MsalClientID";

/// The value of that attribute.
const TOOLS: &str = "Microsoft.Developer.IdentityService";

/// The entry in an error: its attributes.
impl fmt::Display for SecretEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the secret with ")?;
        for (at, (name, value)) in self.all_attributes().enumerate() {
            write!(f, "{}{name}={value}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_of_libraries_have_their_attributes() {
        let entry = SecretEntry::msal_node("svc", "acc", "/x/cache").unwrap();
        let all: Vec<_> = entry.all_attributes().collect();
        let schema = (SCHEMA, "org.freedesktop.Secret.Generic");
        assert_eq!(all, [("service", "svc"), ("account", "acc"), schema]);
        assert_eq!(entry.own_label(), "svc/acc");

        let attributes = [("MsalClientID", "c"), ("v", "1")];
        let entry = SecretEntry::msal_dotnet("msal.cache", attributes, "/x/cache").unwrap();
        assert_eq!(entry.searched_attributes().collect::<Vec<_>>(), attributes);
        assert_eq!(entry.all_attributes().count(), 3);
        assert_eq!(entry.own_encoding(), Encoding::Base64);

        // As `hashlib.sha256(b"/x/cache").hexdigest()`.
        let hash = "09a47ae4854455f42161b0b443fcd202767d26370208634fdc3858bd479cf958";
        let entry = SecretEntry::msal_python("/x/cache").unwrap();
        assert_eq!(entry.searched_attributes().collect::<Vec<_>>(), [(SCHEMA, hash)]);
    }

    #[test]
    fn an_attribute_is_named_once_and_an_empty_schema_is_refused() {
        let entry = SecretEntry::new("s", "/x").unwrap().attribute("a", "1").attribute("a", "2");
        assert_eq!(entry.to_string(), "the secret with a=2, xdg:schema=s");
        assert!(matches!(SecretEntry::new("", "/x"), Err(Error::Invalid { .. })));
    }
}
