//! The `claims` parameter of a request (`OpenID` Connect Core, section 5.5): the challenge of an API,
//! the capabilities of the app, and the claims that it forwards, in one JSON object.

use msal_cache_core::{Error, Result};
use serde_json::{Map, Value, json};

/// Merges them; `None` where there are no claims.
pub(crate) fn merged(
    challenge: Option<&str>,
    capabilities: &[String],
    forwarded: Option<&str>,
) -> Result<Option<String>> {
    let challenge = challenge.filter(|it| !it.trim().is_empty());
    let forwarded = forwarded.filter(|it| !it.trim().is_empty());
    let sources = usize::from(!capabilities.is_empty())
        + usize::from(challenge.is_some())
        + usize::from(forwarded.is_some());
    let mut claims = Map::new();
    if let Some(challenge) = challenge {
        claims = object("claims_challenge", challenge)?;
        if sources == 1 {
            // As the API wrote it.
            return Ok(Some(challenge.to_owned()));
        }
    }
    if !capabilities.is_empty() {
        let capable = json!({ "access_token": { "xms_cc": { "values": capabilities } } });
        if let Value::Object(capable) = capable {
            merge(&mut claims, capable);
        }
    }
    if let Some(forwarded) = forwarded {
        let object = object("data.client_claims", forwarded)?;
        if sources == 1 {
            return Ok(Some(forwarded.to_owned()));
        }
        merge(&mut claims, object);
    }
    Ok((sources > 0).then(|| Value::Object(claims).to_string()))
}

fn object(field: &str, json: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(json).map_err(|_| Error::invalid(field, "it is not a JSON object"))
}

/// Objects are merged member by member; any other value is replaced by the new one.
fn merge(into: &mut Map<String, Value>, new: Map<String, Value>) {
    for (name, value) in new {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn one_source_is_sent_as_it_is_and_several_are_merged() {
        let none: &[String] = &[];
        assert_eq!(merged(None, none, None).unwrap(), None);
        assert_eq!(merged(Some(""), none, Some("")).unwrap(), None);
        assert_eq!(merged(Some(" \n"), none, Some("\t")).unwrap(), None);
        let odd = r#" {"access_token" : {"nbf":{"value":"1"}}} "#;
        assert_eq!(merged(Some(odd), none, None).unwrap().as_deref(), Some(odd));
        assert_eq!(merged(None, none, Some(odd)).unwrap().as_deref(), Some(odd));
        let all = merged(
            Some(r#"{"access_token":{"nbf":{"value":"1"}},"id_token":{"a":1}}"#),
            &["CP1".into()],
            Some(r#"{"access_token":{"x":null},"id_token":{"a":2}}"#),
        );
        let expected = serde_json::json!({
            "access_token": {"nbf": {"value": "1"}, "xms_cc": {"values": ["CP1"]}, "x": null},
            "id_token": {"a": 2},
        });
        let all: serde_json::Value = serde_json::from_str(&all.unwrap().unwrap()).unwrap();
        assert_eq!(all, expected);
    }

    #[test]
    fn what_is_no_object_is_refused_without_being_quoted() {
        for bad in ["CANARY", "[1]", "\"CANARY\"", "{"] {
            for error in [merged(Some(bad), &[], None), merged(None, &[], Some(bad))] {
                let error = error.unwrap_err();
                assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
            }
        }
    }
}
