//! Whether the response to a refresh is for the user whose refresh token was redeemed.

use msal_cache_core::{CredentialType, Result};
use serde_json::Value;

use crate::model::{Authority, Entry, Fields, jwt};

/// Whether a response names another user than the one with this id, as far as it says.
///
/// - `client_info` of Microsoft's servers has the id.
/// - Without it, an ID token names its user. After a refresh, its `sub` is that of the sign-in
///   (`OpenID` Connect Core, section 12.2): of the stored ID token of the same client and tenant, or
///   the id itself, where the server sends no `client_info` at the sign-in either. In the user's
///   home tenant, `oid` is the first part of the id.
pub(crate) fn names_another_user(
    response: &Fields,
    home_account_id: &str,
    stored: &[Entry],
    client_id: &str,
    authority: &Authority,
) -> Result<bool> {
    let text = |fields: &Fields, name| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let is_home = |id: &str| id.eq_ignore_ascii_case(home_account_id);
    if let Some(encoded) = response.get("client_info").and_then(Value::as_str) {
        let info = jwt::object("response.client_info", encoded)?;
        if let (Some(user), Some(tenant)) = (text(&info, "uid"), text(&info, "utid")) {
            return Ok(!is_home(&format!("{user}.{tenant}")));
        }
    }
    let Some(id_token) =
        response.get("id_token").and_then(Value::as_str).filter(|it| !it.is_empty())
    else {
        return Ok(false);
    };
    let claims = jwt::claims("response.id_token", id_token)?;
    let subject = text(&claims, "sub");
    if subject.as_deref().is_some_and(is_home) {
        return Ok(false);
    }
    let home = home_account_id.rsplit_once('.');
    if let (Some((user, tenant)), Some(oid), Some(tid)) =
        (home, text(&claims, "oid"), text(&claims, "tid"))
        && tenant.eq_ignore_ascii_case(&tid)
    {
        return Ok(!user.eq_ignore_ascii_case(&oid));
    }
    let earlier = stored.iter().find(|it| {
        *it.credential_type() == CredentialType::IdToken
            && it.known("home_account_id") == Some(home_account_id)
            && it.known("client_id") == Some(client_id)
            && authority.has_realm(it.known("realm"), Some(home_account_id))
    });
    let earlier = earlier.and_then(Entry::id_token).and_then(|it| it.claims().ok());
    if let Some(earlier) = earlier.and_then(|it| text(&it, "sub")) {
        return Ok(subject.is_some_and(|it| it != earlier));
    }
    // Ids of Microsoft's servers end in the id of a tenant, and their subjects differ from app to
    // app. Other ids are subjects.
    let is_of_microsoft = home.is_some_and(|(_, tenant)| is_guid(tenant));
    Ok(subject.is_some() && !is_of_microsoft)
}

fn is_guid(text: &str) -> bool {
    let mut parts = text.split('-');
    let fits = [8, 4, 4, 4, 12].into_iter().all(|length| {
        parts
            .next()
            .is_some_and(|it| it.len() == length && it.bytes().all(|it| it.is_ascii_hexdigit()))
    });
    fits && parts.next().is_none()
}
