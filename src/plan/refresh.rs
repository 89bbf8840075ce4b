//! From the response to a refresh to what is stored of it, without undoing what other writers did
//! in the meantime.

use msal_cache_core::{Batch, CredentialType, Error, Expect, Record, Result};
use serde_json::Value;

use crate::model::{
    AcquireError, AcquiredToken, Clouds, Decoded, Entry, Event, Fields, Hosts, Nulls, Profile,
    RefreshReason, TokenResponse, kind, merge, schema,
};
use crate::plan::batch::{self, Rules};
use crate::plan::evidence;
use crate::plan::facts::Facts;
use crate::plan::family::replaces;
use crate::plan::read_set::ReadSet;
use crate::plan::request::ResolvedRequest;
use crate::plan::silent::{Fallback, has_account};

/// The event of a response to a request.
///
/// # Errors
///
/// [`Error::Invalid`] where the response is for another type of token than the requested one, or
/// its `scope` is not a string.
pub(crate) fn event(
    request: &ResolvedRequest,
    grant_type: &str,
    environment: &str,
    response: &TokenResponse,
) -> Result<Event> {
    let mut body = response.body().clone();
    let wanted = request.token_type.as_deref();
    match (schema::token_type(text(&body, "token_type")?), wanted) {
        (Some(found), Some(wanted)) if !found.eq_ignore_ascii_case(wanted) => {
            let reason = format!("it is {found:?}, but a token of type {wanted} was requested");
            return Err(Error::invalid("response.token_type", reason));
        }
        (None, Some(wanted)) if !wanted.eq_ignore_ascii_case(schema::BEARER) => {
            body = body.set("token_type", wanted);
        }
        _ => {}
    }
    let granted = granted(&body)?.map(str::to_owned);
    let event = Event::new(&request.client_id)
        .authority(request.authority.authority())
        .environment(environment)
        .grant_type(grant_type)
        .data(request.request.data.clone())
        .skip_account_creation(true)
        .response(body);
    Ok(match granted {
        Some(granted) => event.scope([granted]),
        None => event.scope(request.scopes()),
    })
}

/// The scopes that a response grants; `None` where it grants the requested ones, without saying so
/// (RFC 6749, section 5.1).
pub(crate) fn granted(body: &Fields) -> Result<Option<&str>> {
    Ok(text(body, "scope")?.filter(|it| !it.trim().is_empty()))
}

/// A member of a response that is a string, if it is there.
fn text<'a>(body: &'a Fields, name: &str) -> Result<Option<&'a str>> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let reason = format!("it is {} instead of a string", kind(other));
            Err(Error::invalid(format!("response.{name}"), reason))
        }
    }
}

/// Refuses a response to an app's own request that names a user: the token must not be found as
/// that user's.
pub(crate) fn check_own(facts: &Facts<'_>) -> Result<()> {
    if facts.names_user() {
        let reason = "it names a user, but the app requested a token of its own";
        return Err(Error::invalid("response.client_info", reason));
    }
    Ok(())
}

/// What to store of the response to a refresh; `None` where the user was signed out.
///
/// - The user was signed out if there is no account any more but was one before; or if there was
///   none and the redeemed refresh token is gone. Then nothing is stored: it would sign the user in
///   again.
/// - The new refresh token replaces the redeemed one, if that is still stored. If another one is
///   stored under its key, that one is newer or of the same age, and is kept. If there is none, it
///   was removed, and the new one is stored as after a sign-in.
/// - With [`Profile::Family`], one record is left: other refresh tokens of the client and family that
///   were known when the redeemed one was sent are deleted.
/// - An access token that is overtaken by what was stored since `before` is not stored.
/// - All other records are stored as [`batch::add`] does.
pub(crate) fn refreshed(
    read: &ReadSet,
    before: &ReadSet,
    used: &Entry,
    records: &[Entry],
    hosts: &Hosts,
    had_account: bool,
    rules: Rules<'_>,
) -> Result<Option<Batch>> {
    let Some(stored) = read.get(used.partition()) else { return Ok(None) };
    let in_place = stored.at_key_of(used);
    let may_be_signed_out = in_place.is_none() || had_account;
    let home = used.known("home_account_id").unwrap_or_default();
    if may_be_signed_out && !has_account(&stored.entries, home, hosts) {
        return Ok(None);
    }
    let is_refresh_token = |it: &&Entry| *it.credential_type() == CredentialType::RefreshToken;
    let new = records.iter().find(is_refresh_token);
    let overtaken =
        evidence::overtaken(records, stored, before.get(used.partition()), rules.clouds);
    let stays = |it: &&Entry| !is_refresh_token(it) && overtaken != Some(it);
    let others: Vec<_> = records.iter().filter(stays).cloned().collect();
    let (mut batch, _) = batch::add(read, &others, rules);
    let change = batch.change(used.partition(), Expect::Revision(stored.revision));
    match (in_place, new) {
        (_, None) => {}
        (Some(old), Some(new)) => {
            if old.has_secret_of(used) {
                let known = before.get(used.partition());
                let is_known = |it: &Entry| {
                    let known = known.and_then(|known| known.at_key_of(it));
                    known.is_some_and(|known| known.has_secret_of(it))
                };
                if rules.profile == Profile::Family {
                    let replaced = |it: &&Entry| {
                        is_refresh_token(it) && is_known(it) && replaces(old, it, rules.clouds)
                    };
                    for it in stored.entries.iter().filter(replaced) {
                        change.delete_record(it.record());
                    }
                }
                change.put(renewed(old, new.known("secret").unwrap_or_default(), rules.now)?);
            }
        }
        (None, Some(new)) => {
            if stored.at_key_of(new).is_none() {
                change.put(new.record().clone());
            }
        }
    }
    Ok(Some(batch))
}

/// Replaces the secret of a refresh token, if it is still the one that was redeemed.
pub(crate) fn rotate(
    stored: &Decoded,
    used: &Entry,
    secret: &str,
    now: i64,
) -> Result<Option<Batch>> {
    let Some(old) = unchanged(stored, used) else { return Ok(None) };
    let mut batch = Batch::new();
    let change = batch.change(used.partition(), Expect::Revision(stored.revision));
    change.put(renewed(old, secret, now)?);
    Ok(Some(batch))
}

/// Removes a token, if it is still the one that failed, and with an access token the earlier ones for
/// the same API.
pub(crate) fn evict(stored: &Decoded, failed: &Entry, clouds: &Clouds) -> Option<Batch> {
    let old = unchanged(stored, failed)?;
    let mut batch = Batch::new();
    let change = batch.change(failed.partition(), Expect::Revision(stored.revision));
    change.delete_record(old.record());
    let is_failed = |it: &Entry| it.has_key_of(failed);
    for it in evidence::with_superseded(&stored.entries, is_failed, clouds) {
        if !is_failed(it) {
            change.delete_record(it.record());
        }
    }
    Some(batch)
}

/// The stored token, if it is still this one.
fn unchanged<'a>(stored: &'a Decoded, token: &Entry) -> Option<&'a Entry> {
    stored.at_key_of(token).filter(|it| it.has_secret_of(token))
}

/// The record of a refresh token with another secret, as `update_rt` of MSAL Python writes it.
fn renewed(old: &Entry, secret: &str, now: i64) -> Result<Record> {
    let fields = Fields::new().set("secret", secret).set("last_modification_time", now.to_string());
    let json = merge(old.json(), &fields, Nulls::Written)
        .map_err(|_| Error::invalid("the refresh token", "its record is not an object"))?;
    Ok(old.record().with_value(json))
}

/// The cached token where it may be returned instead of the one that couldn't be acquired, else the
/// error.
pub(crate) fn fall_back(
    fallback: Option<Fallback>,
    reason: RefreshReason,
    error: AcquireError,
) -> Result<AcquiredToken, AcquireError> {
    let is_outage = matches!(error, AcquireError::Transport(_));
    let allows = match &error {
        AcquireError::InteractionRequired(required) => !required.was_signed_out(),
        AcquireError::Transport(_)
        | AcquireError::Configuration(_)
        | AcquireError::Refused(_)
        | AcquireError::InvalidResponse(_) => true,
        AcquireError::Invalid(_) | AcquireError::Cache(_) | AcquireError::NotStored { .. } => false,
    };
    match fallback.filter(|it| allows && (is_outage || !it.outage_only)) {
        Some(it) => Ok(AcquiredToken::fallback(it.entry, reason, error)),
        None => Err(error),
    }
}
