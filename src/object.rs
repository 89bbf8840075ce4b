//! Writing JSON objects as text.

use std::borrow::Cow;

use msal_cache_core::{Json, for_each_member};
use serde_json::Value;

use crate::Fields;

/// The JSON of these members, in their order.
pub(crate) fn write<'a>(members: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Json {
    let members = members.into_iter().map(|(name, value)| (name.into(), value.to_string().into()));
    write_raw(members)
}

/// An object with some members changed, in their places, and new ones at the end. The text of
/// every other member stays as it is.
pub(crate) fn merge(json: &Json, changes: &Fields) -> serde_json::Result<Json> {
    let mut members: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for_each_member(json.expose(), |name, text| members.push((name, text.into())))?;
    for (name, value) in changes.iter() {
        let text = value.to_string();
        // A name that occurs twice becomes one; readers take the last.
        match members.iter().rposition(|(known, _)| known == name) {
            Some(at) => {
                members[at].1 = text.into();
                let mut index = 0..;
                members.retain(|(known, _)| index.next() == Some(at) || known != name);
            }
            None => members.push((name.into(), text.into())),
        }
    }
    Ok(write_raw(members))
}

fn write_raw<'a>(members: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Json {
    let mut text = String::with_capacity(2048);
    text.push('{');
    for (name, value) in members {
        if text.len() > 1 {
            text.push_str(", ");
        }
        text.push_str(&Value::from(name).to_string());
        text.push_str(": ");
        text.push_str(&value);
    }
    text.push('}');
    Json::from_stored(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_keeps_its_text() {
        let json = Json::new(r#"{"n":1.50e3, "secret":"old","x":{"deep":[ null ]}, "n2":9e999}"#);
        let changes = Fields::new().set("secret", "new").set("added", 1);
        let merged = merge(&json.unwrap(), &changes).unwrap();
        assert_eq!(
            merged.expose(),
            r#"{"n": 1.50e3, "secret": "new", "x": {"deep":[ null ]}, "n2": 9e999, "added": 1}"#
        );
    }

    #[test]
    fn a_name_that_occurs_twice_becomes_one_when_it_is_changed() {
        let json = Json::new(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        let merged = merge(&json, &Fields::new().set("a", 4)).unwrap();
        assert_eq!(merged.expose(), r#"{"b": 2, "a": 4}"#);
    }
}
