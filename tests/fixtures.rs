//! Files that the MSAL libraries wrote, and damaged files.

use crate::common::{document, fixtures, over};
use msal_cache::{CredentialType, Error, Memory, Query};
use serde_json::Value;

/// Files that are not a JSON object, which every library rejects.
const REFUSED: [&str; 7] = [
    "51-whitespace.json",
    "52-null.json",
    "55-truncated.json",
    "56-trailing-garbage.json",
    "58-trailing-comma.json",
    "59-array.json",
    "50-empty.json",
];

#[test]
fn files_of_every_library_round_trip_value_for_value() {
    let files = fixtures("");
    assert!(files.len() >= 30, "the fixtures are missing");
    for (name, path) in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let (cache, _) = over(Memory::new());
        cache.deserialize(&text).unwrap();
        assert_eq!(document(&cache), serde_json::from_str::<Value>(&text).unwrap(), "{name}");
    }
    println!("{} files were written with equal values", files.len());
}

#[test]
fn p8_a_damaged_record_is_kept_and_affects_no_other() {
    let (mut read, mut refused) = (0, 0);
    for (name, path) in fixtures("mutations") {
        let text = std::fs::read_to_string(path).unwrap();
        let (cache, _) = over(Memory::new());
        if REFUSED.contains(&name.as_str()) && !text.is_empty() {
            assert!(matches!(cache.deserialize(&text), Err(Error::Corrupt { .. })), "{name}");
            assert_eq!(document(&cache), serde_json::json!({}), "{name}");
            refused += 1;
            continue;
        }
        cache.deserialize(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        read += 1;

        // Each type can be searched, even if a record is invalid.
        for credential_type in CredentialType::KNOWN {
            cache.find(credential_type.clone(), &Query::new()).unwrap();
            cache.entries(Some(credential_type)).unwrap();
        }
        let Ok(expected) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}'))
        else {
            assert!(text.is_empty(), "{name}");
            continue;
        };
        if name != "60-dup-json-keys.json" {
            assert_eq!(document(&cache), expected, "{name}");
        }

        // A sign-in of another user changes no record.
        cache.add(&crate::common::sign_in("somebody-else", "User.Read", "x")).unwrap();
        let after = document(&cache);
        for (section, records) in expected.as_object().unwrap() {
            match records.as_object() {
                Some(records) if name != "60-dup-json-keys.json" => {
                    for (key, record) in records {
                        assert_eq!(after[section].get(key), Some(record), "{name}: {key}");
                    }
                }
                _ => {}
            }
        }
    }
    println!("{read} damaged files were read, {refused} rejected");
    assert_eq!((read + refused, refused), (57, 6));
}

#[test]
fn a_duplicate_section_is_read_as_one() {
    let path = fixtures("mutations").into_iter().find(|(name, _)| name.starts_with("60-")).unwrap();
    let (cache, _) = over(Memory::new());
    cache.deserialize(&std::fs::read_to_string(path.1).unwrap()).unwrap();
    assert_eq!(cache.find(CredentialType::AccessToken, &Query::new()).unwrap().len(), 1);
}
