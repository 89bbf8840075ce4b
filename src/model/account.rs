use std::fmt;

use crate::model::AuthorityType;

/// A signed-in user of one cloud, across tenants: what [`Client::accounts`](crate::Client::accounts)
/// lists, and a silent request is for.
///
/// Only `home_account_id` identifies the user: a user name can be given to another user. An app
/// that stores the id itself, such as a web app in its session, makes the account by
/// [`AccountInfo::of`]. `Debug` prints no user name.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountInfo {
    pub(crate) home_account_id: String,
    pub(crate) environment: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) authority_type: Option<AuthorityType>,
    pub(crate) account_source: Option<String>,
    pub(crate) tenant_profiles: Vec<TenantProfile>,
}

/// A user within one tenant: the home tenant, or one where they are a guest. `Debug`
/// prints no user name.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantProfile {
    pub(crate) realm: String,
    pub(crate) local_account_id: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) is_home_tenant: bool,
}

impl AccountInfo {
    /// The user of this `home_account_id`, without other data.
    pub fn of(home_account_id: impl Into<String>) -> Self {
        Self {
            home_account_id: home_account_id.into(),
            environment: None,
            username: None,
            authority_type: None,
            account_source: None,
            tenant_profiles: Vec::new(),
        }
    }

    /// The user in every tenant: `<uid>.<utid>`, or the subject where the server sends no
    /// `client_info`, as AD FS.
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// The host under which the account is stored. It may be another alias of the cloud than the
    /// client's.
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// The name to show, such as `alice@contoso.com`: that of the home tenant, if known.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The kind of identity provider.
    pub fn authority_type(&self) -> Option<&AuthorityType> {
        self.authority_type.as_ref()
    }

    /// How the user signed in, for sign-ins of MSAL Python and .NET: the grant type.
    pub fn account_source(&self) -> Option<&str> {
        self.account_source.as_deref()
    }

    /// The user within each tenant, the home tenant first.
    pub fn tenant_profiles(&self) -> &[TenantProfile] {
        &self.tenant_profiles
    }
}

impl TenantProfile {
    /// The tenant: an id, or the name under which the app signed in there, such as `common`.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The user's id within the tenant.
    pub fn local_account_id(&self) -> Option<&str> {
        self.local_account_id.as_deref()
    }

    /// The user's name within the tenant.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Whether it is the home tenant of the user.
    pub fn is_home_tenant(&self) -> bool {
        self.is_home_tenant
    }
}

impl fmt::Debug for AccountInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountInfo")
            .field("home_account_id", &self.home_account_id)
            .field("environment", &self.environment)
            .field("authority_type", &self.authority_type)
            .field("tenant_profiles", &self.tenant_profiles)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TenantProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantProfile")
            .field("realm", &self.realm)
            .field("is_home_tenant", &self.is_home_tenant)
            .finish_non_exhaustive()
    }
}
