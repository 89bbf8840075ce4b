//! `TokenCache::add` and MSAL Python store equal records for the same event.

use std::collections::BTreeSet;
use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::{Error, Event, Memory, TokenCache};
use msal_cache_peers::{
    NOW, Ours, Peer, Random, Theirs, difference, differing_events, document, equal_events,
    id_token, outcome, without_empty_sections,
};
use serde_json::{Map, Value, json};

/// The document of a new cache of this crate after one event.
fn ours(event: &Value) -> Result<Value, Error> {
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = TokenCache::with_clock(Memory::new(), clock);
    cache.add(&Event::from_json(&event.to_string())?)?;
    Ok(document(&cache.serialize()?))
}

#[test]
fn equal_events_store_equal_records() {
    let mut peer = Peer::start();
    let table = equal_events();
    let names: BTreeSet<_> = table.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), table.len(), "event names are unique");
    let events: Vec<_> = table.iter().map(|it| &it.event).collect();
    let theirs = peer.list("added", json!({ "events": events, "now": NOW }));
    let (mut entries, mut differences) = (0, Vec::new());
    for (named, theirs) in table.iter().zip(theirs) {
        match (ours(&named.event), outcome(theirs)) {
            (Ok(ours), Ok(theirs)) if ours == theirs => {
                let sections = ours.as_object().into_iter().flatten();
                entries +=
                    sections.map(|(_, it)| it.as_object().map_or(0, Map::len)).sum::<usize>();
            }
            (Ok(ours), Ok(theirs)) => {
                differences.push(format!("{}\n{}", named.name, difference(&ours, &theirs)));
            }
            (ours, theirs) => {
                let ours = ours.map(|_| "stored");
                let theirs = theirs.map(|_| "stored");
                let name = named.name;
                differences.push(format!("{name}\n    ours   {ours:?}\n    theirs {theirs:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "different entries:\n{}", differences.join("\n"));
    println!("{} events stored {entries} equal entries in both", table.len());
}

#[test]
fn differences_from_msal_python_are_as_listed() {
    let mut peer = Peer::start();
    let table = differing_events();
    let events: Vec<_> = table.iter().map(|it| &it.event).collect();
    let theirs = peer.list("added", json!({ "events": events, "now": NOW }));
    let wanted: Vec<_> = table
        .iter()
        .map(|it| match &it.ours {
            Ours::Stores(event) => event.clone(),
            Ours::Refuses(_) => json!({}),
        })
        .collect();
    let wanted = peer.list("added", json!({ "events": wanted, "now": NOW }));
    let (mut both, mut refused, mut stored, mut faults) = (0, 0, 0, Vec::new());
    for ((case, theirs), wanted) in table.iter().zip(theirs).zip(wanted) {
        let theirs = outcome(theirs);
        let mut fault = |text: String| faults.push(format!("{}: {text}", case.name));
        match (&theirs, case.theirs) {
            (Err(raised), Theirs::Raises(kind)) if raised.kind == kind => {}
            (Ok(_), Theirs::Stores) => {}
            (theirs, expected) => fault(format!("MSAL Python: {theirs:?} instead of {expected:?}")),
        }
        match (ours(&case.event), &case.ours) {
            (Err(Error::Invalid { field, .. }), Ours::Refuses(expected)) => {
                if field != *expected {
                    fault(format!("refused for {field} instead of {expected}"));
                }
                match case.theirs {
                    Theirs::Raises(_) => both += 1,
                    Theirs::Stores => refused += 1,
                }
            }
            (Ok(ours), Ours::Stores(_)) => {
                let wanted = outcome(wanted).expect("the event to compare with is valid");
                if ours != wanted {
                    fault(format!(
                        "stored differently than listed\n{}",
                        difference(&ours, &wanted)
                    ));
                }
                if theirs.is_ok_and(|theirs| theirs == ours) {
                    fault("there is no difference".into());
                }
                stored += 1;
            }
            (ours, expected) => fault(format!("ours: {ours:?} instead of {expected:?}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    println!("{both} events refused by both, {refused} by us only, {stored} stored differently");
}

/// Adds events to one cache on each side, and compares the caches after each event.
fn in_sequence(peer: &mut Peer, what: &str, events: &[(&Value, i64)]) {
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    peer.get("new", json!({ "cache": what }));
    for (number, (event, now)) in events.iter().enumerate() {
        clock.set(*now);
        cache.add(&Event::from_json(&event.to_string()).unwrap()).unwrap();
        peer.get("add", json!({ "cache": what, "event": event, "now": now }));
        let (ours, theirs) = (document(&cache.serialize().unwrap()), peer.document(what));
        assert!(
            ours == without_empty_sections(theirs.clone()),
            "{what}: after event {number}\n{}",
            difference(&ours, &theirs)
        );
    }
}

#[test]
fn sequences_of_events_store_equal_records() {
    let mut peer = Peer::start();
    let table = equal_events();
    let event = |name: &str| {
        &table.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no event {name}")).event
    };
    let changed = |name: &str, changes: &[(&str, Value)]| {
        let mut event = event(name).clone();
        for (pointer, value) in changes {
            *event.pointer_mut(pointer).expect("the field exists") = value.clone();
        }
        event
    };
    let code = event("authorization code");
    let overlapping = changed(
        "authorization code",
        &[
            ("/scope", json!(["User.Read", "Mail.Read"])),
            ("/response/access_token", "second".into()),
            ("/response/refresh_token", "second".into()),
        ],
    );
    let again = changed(
        "authorization code",
        &[
            ("/response/access_token", "again".into()),
            ("/response/refresh_token", "again".into()),
            ("/response/expires_in", 7200.into()),
        ],
    );
    let bob = changed("client_info with padding", &[("/response/access_token", "bob".into())]);
    let other_client = changed("authorization code", &[("/client_id", "Other".into())]);
    let sequences: [(&str, Vec<(&Value, i64)>); 7] = [
        ("overlapping scopes", vec![(code, NOW), (&overlapping, NOW + 10)]),
        ("a second sign-in", vec![(code, NOW), (&again, NOW + 100), (code, NOW + 200)]),
        ("two users", vec![(code, NOW), (&bob, NOW + 1), (&again, NOW + 2)]),
        ("two clients", vec![(code, NOW), (&other_client, NOW + 1), (event("family"), NOW + 2)]),
        // As in MSAL Python, the app metadata loses the family again.
        ("in and out of a family", vec![(event("family"), NOW), (code, NOW + 1)]),
        (
            "a refresh after the sign-out",
            vec![(event("refresh"), NOW), (event("refresh without a new refresh token"), NOW + 5)],
        ),
        (
            "an app and its users",
            vec![
                (event("client credentials"), NOW),
                (event("FMI path"), NOW),
                (code, NOW),
                (event("on behalf of"), NOW + 1),
                (event("SSH certificate"), NOW + 2),
                (event("FMI path of a user"), NOW + 3),
            ],
        ),
    ];
    let mut steps = 0;
    for (what, events) in &sequences {
        in_sequence(&mut peer, what, events);
        steps += events.len();
    }
    // Random sequences. Nothing expires in them, since expired tokens are removed by the next
    // event in this crate and by the next search in MSAL Python.
    let lasting: Vec<_> = table
        .iter()
        .filter(|it| !it.name.contains("below zero") && !it.name.starts_with("expires_on"))
        .collect();
    let mut random = Random::new(1);
    let rounds = 10;
    for round in 0..rounds {
        let events: Vec<_> = (0..30).map(|_| (&random.of(&lasting).event, NOW)).collect();
        in_sequence(&mut peer, &format!("round {round}"), &events);
        steps += events.len();
    }
    let number = sequences.len() + rounds;
    println!("{number} sequences of {steps} events: equal caches after every event");
}

#[test]
fn expired_tokens_are_removed_by_the_next_event_here_and_by_a_search_in_python() {
    let mut peer = Peer::start();
    let event = |user: &str, scope: &str| {
        json!({
            "client_id": "client",
            "scope": [scope],
            "token_endpoint": "https://login.example/tenant/token",
            "response": {
                "access_token": format!("{scope} of {user}"),
                "id_token": id_token(&json!({ "sub": user })),
                "expires_in": 100,
            },
        })
    };
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    peer.get("new", json!({ "cache": "c" }));
    // At the second event of a user, the first token is about to expire, or expired a second ago.
    for (later, left) in [(100, ["first", "second"].as_slice()), (101, &["second"])] {
        let user = format!("user after {later}");
        for (scope, now) in [("first", NOW), ("second", NOW + later)] {
            clock.set(now);
            let event = event(&user, scope);
            cache.add(&Event::from_json(&event.to_string()).unwrap()).unwrap();
            peer.get("add", json!({ "cache": "c", "event": event, "now": now }));
        }
        let ours = document(&cache.serialize().unwrap());
        let theirs = without_empty_sections(peer.document("c"));
        assert_eq!(ours == theirs, left.len() == 2, "{later}\n{}", difference(&ours, &theirs));
        let search = json!({ "cache": "c", "credential_type": "AccessToken", "now": NOW + later });
        peer.get("search", search);
        let theirs = peer.document("c");
        let of_user = |document: &Value| -> Vec<String> {
            let tokens = document["AccessToken"].as_object().unwrap().values();
            let tokens = tokens.filter(|it| it["home_account_id"] == user.as_str());
            tokens.map(|it| it["target"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(of_user(&ours), left);
        assert_eq!(of_user(&theirs), left);
    }
    println!(
        "expired tokens are removed after the same second, by an event here and by a search in Python"
    );
}
