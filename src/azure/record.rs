use std::fmt;

use http::Uri;
use http::uri::Authority as Host;
use msal_cache_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::model::{AccountInfo, Authority, TenantProfile};

/// The version of the text, as azure-identity writes it.
const VERSION: &str = "1.0";

/// Who has signed in, without a secret: an app stores it, and a later run gets that user's tokens by
/// [`CredentialBuilder::record`](super::CredentialBuilder::record).
///
/// Its JSON is that of azure-identity for Python, .NET, Java, JavaScript and Go.
///
/// ```
/// use msal_cache::azure::AuthenticationRecord;
///
/// let record = AuthenticationRecord::from_json(
///     r#"{"authority": "login.microsoftonline.com", "clientId": "client-id",
///         "homeAccountId": "uid.utid", "tenantId": "utid",
///         "username": "alice@contoso.com", "version": "1.0"}"#,
/// )?;
/// assert_eq!(record.username(), "alice@contoso.com");
/// assert_eq!(AuthenticationRecord::from_json(&record.to_json())?, record);
/// # Ok::<(), msal_cache::Error>(())
/// ```
///
/// `Debug` prints no user name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationRecord {
    authority: String,
    client_id: String,
    home_account_id: String,
    tenant_id: String,
    username: String,
    version: String,
}

impl AuthenticationRecord {
    /// The record of an account, for the app `client_id`.
    pub(super) fn new(account: &AccountInfo, client_id: &str, authority: &Authority) -> Self {
        let profiles = account.tenant_profiles();
        let tenant = authority.tenant();
        let within = |it: &&TenantProfile| {
            tenant.is_some_and(|tenant| it.realm().eq_ignore_ascii_case(tenant))
        };
        let profile = profiles.iter().find(within).or(profiles.first());
        let tenant_id = profile.map(TenantProfile::realm).or(tenant).unwrap_or_default();
        // azure-identity for Python begins the address of its requests with this.
        let port = authority.as_str().parse::<Uri>().ok().and_then(|it| it.port_u16());
        let port = port.map(|it| format!(":{it}")).unwrap_or_default();
        Self {
            authority: format!("{}{port}", authority.environment()),
            client_id: client_id.to_owned(),
            home_account_id: account.home_account_id().to_owned(),
            tenant_id: tenant_id.to_owned(),
            username: account.username().unwrap_or_default().to_owned(),
            version: VERSION.to_owned(),
        }
    }

    /// Parses what [`to_json`](Self::to_json), or azure-identity of another language, has written.
    /// Other names in it are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for other text, and for another version than 1.0. It is not quoted.
    pub fn from_json(json: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid("authentication record", reason);
        let record: Self = serde_json::from_str(json)
            .map_err(|_| invalid("it is no JSON object with the names of a record"))?;
        if record.version != VERSION {
            return Err(invalid("its version is not 1.0"));
        }
        if record.home_account_id.is_empty() {
            return Err(invalid("its homeAccountId is empty"));
        }
        Ok(record)
    }

    /// The record as JSON, for [`from_json`](Self::from_json).
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The host of the authority, such as `login.microsoftonline.com`, and its port if it has one. In a
    /// record of azure-identity for Go, it begins with `https://`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The app by which the user has signed in.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The user in every tenant: see [`AccountInfo::home_account_id`].
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// The tenant in which the user has signed in.
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// The name to show; empty if unknown.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The account, for a silent request.
    pub fn account(&self) -> AccountInfo {
        let username = Some(self.username.clone()).filter(|it| !it.is_empty());
        let host = self.authority.rsplit_once("://").map_or(&*self.authority, |(_, rest)| rest);
        let host = host.split('/').next().and_then(|it| it.parse::<Host>().ok());
        let environment = host.map(|it| it.host().to_ascii_lowercase());
        AccountInfo { environment, username, ..AccountInfo::of(&*self.home_account_id) }
    }
}

impl fmt::Debug for AuthenticationRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationRecord")
            .field("authority", &self.authority)
            .field("client_id", &self.client_id)
            .field("home_account_id", &self.home_account_id)
            .field("tenant_id", &self.tenant_id)
            .finish_non_exhaustive()
    }
}
