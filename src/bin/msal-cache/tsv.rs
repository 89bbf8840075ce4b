//! Results as tab-separated values, for `cut` and `read`.

use serde_json::Value;

/// The columns of an entry. New ones are added at the end, here and below.
const ENTRY: &[&str] = &[
    "id",
    "type",
    "username",
    "home_account_id",
    "client_id",
    "tenant",
    "environment",
    "scopes",
    "expires_on",
    "expired",
    "stored_on",
    "family_id",
    "token_type",
    "bytes",
    "problem",
];

const FINDING: &[&str] = &["severity", "kind", "id", "type", "username", "message"];

/// The lists whose items are rows, and the columns of each.
const LISTS: [(&str, &[&str]); 9] = [
    (
        "accounts",
        &[
            "username",
            "home_account_id",
            "environments",
            "tenants",
            "access_tokens",
            "expired_access_tokens",
            "refresh_tokens",
            "id_tokens",
        ],
    ),
    ("tokens", ENTRY),
    ("added", ENTRY),
    ("removed", ENTRY),
    ("findings", FINDING),
    ("repaired", FINDING),
    ("candidates", &["id", "verdict", "message"]),
    ("places", &["name", "exists", "path", "of"]),
    ("keys", &["number", "newest", "records", "files"]),
];

/// The lines of a result: a row for each item of its list, or else a name and a value for each
/// member. There is no header.
pub(crate) fn lines(result: &Value) -> Vec<String> {
    let Value::Object(members) = result else { return vec![text(result)] };
    let list = LISTS.iter().find_map(|(name, columns)| Some((members.get(*name)?, columns)));
    if let Some((Value::Array(items), columns)) = list {
        return items.iter().map(|item| row(item, columns)).collect();
    }
    if let (Some(change), Some(entry)) = (members.get("change"), members.get("entry")) {
        let first = [members.get("time").map_or(String::new(), text), text(change)];
        return vec![format!("{}\t{}", first.join("\t"), row(entry, ENTRY))];
    }
    // One entry is shown in full.
    let members = match members.get("entry") {
        Some(Value::Object(entry)) if members.len() == 1 => entry,
        _ => members,
    };
    members.iter().map(|(name, value)| format!("{name}\t{}", text(value))).collect()
}

fn row(item: &Value, columns: &[&str]) -> String {
    columns.iter().map(|name| text(&item[*name])).collect::<Vec<_>>().join("\t")
}

/// A value in one field: lists of texts with blanks between them, nothing for `null`.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.chars().map(plain).collect(),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            items.iter().map(text).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Control characters would end a field or a line, or control the terminal.
fn plain(char: char) -> char {
    match char {
        '\t' | '\n' | '\r' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_have_all_columns_and_one_line() {
        let list = json!({"store": "s", "findings": [
            {"severity": "note", "message": "a\tb\nc\u{1b}", "username": null},
            {"id": 7, "kind": ["x", "y"]},
        ]});
        assert_eq!(lines(&list), ["note\t\t\t\t\ta b c\u{fffd}", "\tx y\t7\t\t\t"]);
    }

    #[test]
    fn other_results_have_a_line_for_each_member() {
        let object = json!({"a": 1, "b": null, "c": ["x", "y"], "d": {"e": [1]}, "e": true});
        assert_eq!(lines(&object), ["a\t1", "b\t", "c\tx y", "d\t{\"e\":[1]}", "e\ttrue"]);
        assert_eq!(lines(&json!({"entry": {"id": "i"}})), ["id\ti"]);
        let change = json!({"time": 5, "change": "added", "by": null, "entry": {"id": "i"}});
        assert!(lines(&change)[0].starts_with("5\tadded\ti\t"));
    }
}
