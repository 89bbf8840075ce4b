//! Authorities: who issues tokens, and where.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use msal_cache_core::{Error, Result};

use crate::model::address::Address;
use crate::model::authority_kind::{
    ADFS, AuthorityKind, DSTS, METADATA, TRUST_FRAMEWORK, is, kind_of, strip, strip_pasted,
};
use crate::model::tenant::{CONSUMERS_ID, same_tenant};
use crate::model::{Cloud, Metadata};

/// Who issues tokens: a kind of server, its host, and the tenant or policy on it.
///
/// It is parsed once, and valid. [`TokenCache::client`](crate::TokenCache::client) takes one, or a
/// text, whose error is that of the first call of the client.
///
/// | address | [`kind`](Self::kind) |
/// |---|---|
/// | `https://<host>/<tenant>` | [`Aad`](AuthorityKind::Aad) |
/// | `https://<host>/<tenant>/<policy>`, where the host is `*.b2clogin.com` or the policy begins with `b2c_` | [`B2c`](AuthorityKind::B2c) |
/// | `https://<host>/tfp/<tenant>/<policy>` | [`B2c`](AuthorityKind::B2c) |
/// | `https://<name>.ciamlogin.com`, with or without `/<tenant>` | [`Ciam`](AuthorityKind::Ciam) |
/// | `https://<host>/adfs` | [`Adfs`](AuthorityKind::Adfs) |
/// | `https://<host>/dstsv2/<tenant>` | [`Dsts`](AuthorityKind::Dsts) |
/// | another path with several segments, or [`oidc`](Self::oidc) | [`Oidc`](AuthorityKind::Oidc) |
///
/// The rules are those of MSAL .NET (`AuthorityInfo.cs`) and MSAL Python (`authority.py`). What is
/// often pasted is understood: slashes at the end, `/v2.0`, the addresses of the token and the
/// authorization endpoint, and that of the metadata document
/// (`/.well-known/openid-configuration`). A query and a fragment are ignored.
///
/// Tokens of different authorities are kept apart: other tenants, policies, paths and ports. Tenants
/// and policies ignore ASCII case; paths of other `OpenID` Connect providers don't. The two names of
/// the tenant of personal accounts, `consumers` and its GUID, are one tenant. Which hosts are one
/// cloud is a matter of [`Clouds`](crate::cloud::Clouds).
///
/// ```
/// use msal_cache::{Authority, TokenCache};
/// use msal_cache::authority::AuthorityKind;
///
/// let authority = Authority::parse("https://login.microsoftonline.com/contoso.com/v2.0")?;
/// assert_eq!(authority.kind(), AuthorityKind::Aad);
/// assert_eq!(authority.environment(), "login.microsoftonline.com");
/// assert_eq!(authority.tenant(), Some("contoso.com"));
/// assert_eq!(authority.as_str(), "https://login.microsoftonline.com/contoso.com");
///
/// let client = TokenCache::in_memory().client("client-id", authority);
/// # let _ = client;
/// # Ok::<(), msal_cache::Error>(())
/// ```
#[derive(Clone)]
pub struct Authority(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    kind: AuthorityKind,
    /// The host, in lower case.
    environment: String,
    port: Option<u16>,
    address: String,
    tenant: Option<String>,
    policy: Option<String>,
    /// What follows the host: with it, the realm of tokens differs wherever the address does.
    path: String,
    /// The realm of an app's own tokens.
    app_realm: String,
    token_endpoint: String,
    metadata: Option<Arc<Metadata>>,
    cloud: Option<Arc<Cloud>>,
}

impl Authority {
    /// Parses an address, without a request to the network.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with the reason: an address without a tenant, one that names something
    /// else than an authority, or one that URL parsers read differently, such as one with `\`, a
    /// user name, a blank, or a host with encoded characters. The address is not quoted.
    pub fn parse(address: &str) -> Result<Self> {
        Self::parsed(address).map_err(|reason| Error::invalid("authority", reason))
    }

    /// An `OpenID` Connect provider that isn't Microsoft's, with any path: its issuer, and the
    /// `token_endpoint` of its metadata document (`<issuer>/.well-known/openid-configuration`).
    ///
    /// ```
    /// use msal_cache::Authority;
    ///
    /// let authority = Authority::oidc(
    ///     "https://idp.example/realms/staff",
    ///     "https://idp.example/realms/staff/protocol/openid-connect/token",
    /// )?;
    /// assert_eq!(authority.environment(), "idp.example");
    /// assert_eq!(authority.tenant(), None);
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], as [`parse`](Self::parse).
    pub fn oidc(issuer: &str, token_endpoint: &str) -> Result<Self> {
        let invalid = |reason| Error::invalid("authority", reason);
        let address = Address::parse(issuer).map_err(invalid)?;
        let mut segments = address.segments().map_err(invalid)?;
        strip(&mut segments, &METADATA);
        let path = segments.join("/");
        let parts = Parts::new(&address, AuthorityKind::Oidc, path, [None, None]);
        Self(Arc::new(parts)).with_token_endpoint(token_endpoint)
    }

    /// The same authority with the token endpoint that its metadata document names. If it is that
    /// of a tenant of Entra ID, tokens are stored under this name of the tenant, mostly its GUID.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the address isn't that of a server over `https`.
    pub fn with_token_endpoint(self, address: &str) -> Result<Self> {
        let invalid = |reason| Error::invalid("token_endpoint", reason);
        let endpoint = Address::parse(address).map_err(invalid)?;
        let mut parts = Arc::unwrap_or_clone(self.0);
        if matches!(parts.kind, AuthorityKind::Aad | AuthorityKind::Ciam) {
            let segments = endpoint.segments().map_err(invalid)?;
            if let [tenant, oauth2, version @ .., token] = &segments[..]
                && oauth2.eq_ignore_ascii_case("oauth2")
                && (version.is_empty() || is(version, &["v2.0"]))
                && token.eq_ignore_ascii_case("token")
            {
                (*tenant).clone_into(&mut parts.path);
                parts.tenant = Some((*tenant).to_owned());
                parts.app_realm = parts.port_and(tenant);
            }
        }
        address.clone_into(&mut parts.token_endpoint);
        Ok(Self(Arc::new(parts)))
    }

    /// The provider of this issuer, whose endpoints are not known yet.
    #[cfg(any(feature = "http", feature = "http-async"))]
    pub(crate) fn undiscovered(issuer: &str) -> Result<Self> {
        Self::oidc(issuer, issuer)
    }

    /// Whether the token endpoint was set, and doesn't follow from the address.
    #[cfg(any(feature = "http", feature = "http-async"))]
    pub(crate) fn has_own_token_endpoint(&self) -> bool {
        let rest = self.0.token_endpoint.strip_prefix(&self.0.address);
        rest.is_none_or(|it| it != format!("/{}", endpoint_path(self.0.kind)))
    }

    /// The same authority with its validated metadata, and the cloud to which its host belongs.
    #[cfg(any(feature = "http", feature = "http-async"))]
    pub(crate) fn with_metadata(self, metadata: Metadata, cloud: Option<Cloud>) -> Result<Self> {
        let authority = self.with_token_endpoint(metadata.token_endpoint())?;
        let mut parts = Arc::unwrap_or_clone(authority.0);
        parts.metadata = Some(Arc::new(metadata));
        parts.cloud = cloud.map(Arc::new);
        Ok(Self(Arc::new(parts)))
    }

    /// What its metadata document says, if it has been discovered (`HttpEndpoint::discover`).
    pub fn metadata(&self) -> Option<&Metadata> {
        self.0.metadata.as_deref()
    }

    /// The cloud of its host, if instance discovery has found it (`HttpEndpoint::discover`). A cache adds it
    /// to its [`Clouds`](crate::cloud::Clouds) when it makes a client of this authority, and then finds
    /// tokens under all hosts of the cloud.
    pub fn cloud(&self) -> Option<&Cloud> {
        self.0.cloud.as_deref()
    }

    /// The kind of server.
    pub fn kind(&self) -> AuthorityKind {
        self.0.kind
    }

    /// The host in lower case, which the cache calls `environment`.
    pub fn environment(&self) -> &str {
        &self.0.environment
    }

    /// The tenant: a domain, a GUID, or a name like `common`, as it was written. `None` for AD FS
    /// and other `OpenID` Connect providers, which have none.
    pub fn tenant(&self) -> Option<&str> {
        self.0.tenant.as_deref()
    }

    /// The policy or user flow of Azure AD B2C, as it was written.
    pub fn policy(&self) -> Option<&str> {
        self.0.policy.as_deref()
    }

    /// The address, without what was pasted with it.
    pub fn as_str(&self) -> &str {
        &self.0.address
    }

    /// Where token requests are sent: `/oauth2/v2.0/token` under the address, `/oauth2/token` for
    /// AD FS, or what [`with_token_endpoint`](Self::with_token_endpoint) has set.
    pub fn token_endpoint(&self) -> &str {
        &self.0.token_endpoint
    }

    /// The realm under which a token is stored, of this user or of the app itself.
    ///
    /// A user's token has MSAL Python's realm wherever that is not ambiguous. An app's own token has
    /// a realm that no other authority on the host has.
    pub(crate) fn realm(&self, home_account_id: Option<&str>) -> &str {
        let parts = &*self.0;
        match (home_account_id, parts.kind) {
            (None, _) => &parts.app_realm,
            (Some(home), AuthorityKind::B2c) if parts.names_policy(home) => {
                let first = parts.path.split('/').next();
                first.unwrap_or_default()
            }
            _ => &parts.path,
        }
    }

    /// Whether a stored token of this user, or of the app itself, is one of this authority, by the
    /// realm that one of the MSAL libraries has given it.
    #[inline]
    pub(crate) fn has_realm(&self, realm: Option<&str>, home_account_id: Option<&str>) -> bool {
        let parts = &*self.0;
        let Some(realm) = realm.filter(|it| !it.is_empty()) else {
            // MSAL .NET writes no realm for AD FS, which has no tenants.
            return match home_account_id {
                Some(_) => parts.kind == AuthorityKind::Adfs,
                None => self.may_lack_realm(),
            };
        };
        let Some(home) = home_account_id else {
            return realm.eq_ignore_ascii_case(&parts.app_realm);
        };
        if same_tenant(realm, &parts.path) {
            return true;
        }
        let is = |name: &Option<String>| {
            name.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(realm))
        };
        match parts.kind {
            // MSAL .NET.
            AuthorityKind::Dsts => is(&parts.tenant),
            // MSAL Python and Go, .NET, and Node. The user's id says which policy it is.
            AuthorityKind::B2c => {
                parts.names_policy(home)
                    && (realm.eq_ignore_ascii_case(TRUST_FRAMEWORK)
                        || is(&parts.tenant)
                        || is(&parts.policy))
            }
            _ => false,
        }
    }

    /// Whether app tokens are stored without a realm, too.
    pub(crate) fn may_lack_realm(&self) -> bool {
        self.0.kind == AuthorityKind::Adfs && self.0.port.is_none()
    }

    /// Whether it is for the users of any tenant, of any organization, or of none. An app has no
    /// tokens of its own there.
    pub(crate) fn is_multi_tenant(&self) -> bool {
        let names = ["common", "organizations", "consumers", CONSUMERS_ID];
        self.0.kind == AuthorityKind::Aad
            && self.tenant().is_some_and(|it| names.iter().any(|name| same_tenant(it, name)))
    }

    fn parsed(text: &str) -> Result<Self, String> {
        let address = Address::parse(text)?;
        let names_policy = |query: &str| {
            query.split('&').any(|it| it.get(..2).is_some_and(|it| it.eq_ignore_ascii_case("p=")))
        };
        if address.query.is_some_and(names_policy) {
            return Err(
                "it names a policy in its query; write https://<host>/<tenant>/<policy>".into()
            );
        }
        let mut segments = address.segments()?;
        strip_pasted(&mut segments);
        let (kind, [tenant, policy]) = kind_of(&address.host, &segments)?;
        let path = match (kind, &segments[..]) {
            (AuthorityKind::Ciam, []) => tenant.clone().unwrap_or_default(),
            (AuthorityKind::Adfs, _) => ADFS.to_owned(),
            (AuthorityKind::Dsts, [_, tenant]) => format!("{DSTS}/{tenant}"),
            (_, segments) => segments.join("/"),
        };
        Ok(Self(Arc::new(Parts::new(&address, kind, path, [tenant, policy]))))
    }
}

impl Parts {
    fn new(
        address: &Address<'_>,
        kind: AuthorityKind,
        path: String,
        [tenant, policy]: [Option<String>; 2],
    ) -> Self {
        let mut full = address.origin();
        if !path.is_empty() {
            full.push('/');
            full.push_str(&path);
        }
        let endpoint = endpoint_path(kind);
        let mut parts = Self {
            kind,
            environment: address.host.clone(),
            port: address.port,
            token_endpoint: format!("{full}/{endpoint}"),
            address: full,
            tenant,
            policy,
            // Keys ignore case, and paths of other providers don't.
            path: if kind == AuthorityKind::Oidc { without_capitals(&path) } else { path },
            app_realm: String::new(),
            metadata: None,
            cloud: None,
        };
        parts.app_realm = parts.port_and(&parts.path);
        // A realm is not empty: readers take an empty one for none.
        if parts.path.is_empty() {
            ROOT.clone_into(&mut parts.path);
        }
        parts
    }

    /// A realm with the port, since the environment has none.
    fn port_and(&self, path: &str) -> String {
        match (self.port, path) {
            (None, "") => ROOT.to_owned(),
            (None, path) => path.to_owned(),
            (Some(port), path) => format!(":{port}/{path}"),
        }
    }

    /// Whether the user's id contains the policy: Azure AD B2C puts it behind the object id.
    fn names_policy(&self, home_account_id: &str) -> bool {
        let user = home_account_id.rsplit_once('.').map_or(home_account_id, |(user, _)| user);
        self.policy.as_deref().is_some_and(|policy| {
            let start = user.len().checked_sub(policy.len() + 1);
            let end = start.and_then(|start| user.get(start..));
            end.and_then(|it| it.strip_prefix('-'))
                .is_some_and(|it| it.eq_ignore_ascii_case(policy))
        })
    }
}

/// The realm of an authority without a path.
const ROOT: &str = "/";

/// The path of the token endpoint below the address of an authority.
fn endpoint_path(kind: AuthorityKind) -> &'static str {
    // AD FS has no version in its paths.
    if kind == AuthorityKind::Adfs { "oauth2/token" } else { "oauth2/v2.0/token" }
}

/// A path in lower case that differs wherever the original differs: capitals are encoded, and
/// [`Address`] admits no encoded letters.
fn without_capitals(path: &str) -> String {
    let mut lower = String::with_capacity(path.len());
    let mut encoded = 0;
    for char in path.chars() {
        if char == '%' {
            encoded = 3;
        }
        if encoded == 0 && char.is_ascii_uppercase() {
            let _ = write!(lower, "%{:02x}", u32::from(char));
        } else {
            lower.push(char.to_ascii_lowercase());
        }
        encoded = usize::saturating_sub(encoded, 1);
    }
    lower
}

impl PartialEq for Authority {
    /// Whether both name the same authority: tenants and policies ignore ASCII case.
    fn eq(&self, other: &Self) -> bool {
        self.environment() == other.environment()
            && same_tenant(&self.0.app_realm, &other.0.app_realm)
    }
}

impl Eq for Authority {}

impl Hash for Authority {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Two names of a tenant may be equal, so the realm is not hashed.
        self.environment().hash(state);
    }
}

impl FromStr for Authority {
    type Err = Error;

    fn from_str(address: &str) -> Result<Self> {
        Self::parse(address)
    }
}

macro_rules! try_from {
    ($($text:ty),*) => {$(
        impl TryFrom<$text> for Authority {
            type Error = Error;

            fn try_from(address: $text) -> Result<Self> {
                Self::parse(&address)
            }
        }
    )*};
}

try_from!(&str, String, &String, Box<str>, Arc<str>, std::borrow::Cow<'_, str>);

impl From<&Authority> for Authority {
    fn from(authority: &Authority) -> Self {
        authority.clone()
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("kind", &self.0.kind)
            .field("address", &self.0.address)
            .field("token_endpoint", &self.0.token_endpoint)
            .finish_non_exhaustive()
    }
}
