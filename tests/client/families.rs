//! Refresh tokens of a family of clients, and the order in which they are redeemed.

use serde_json::{Value, json};

use super::server::{Server, client_mismatch, invalid_grant, issued, refreshed, refused};
use super::{app_metadata, client, fill, refresh_token, section, user, with};
use crate::common::{CLIENT, cache};

const SCOPE: [&str; 1] = ["User.Read"];

fn of_family(secret: &str, client_id: &str, age: i64) -> Value {
    with(refresh_token(secret, age), json!({ "client_id": client_id, "family_id": "1" }))
}

/// The refresh tokens that a client redeems with these responses, and whether it gets a token.
fn redeemed(
    tokens: &[Value],
    metadata: Vec<Value>,
    responses: Vec<super::server::Response>,
) -> (Vec<String>, bool) {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", tokens.to_vec()), ("AppMetadata", metadata)]);
    let server = Server::new(responses);
    let acquired = client(&cache).acquire_token_silent(SCOPE, &user(), &server);
    (server.redeemed(), acquired.is_ok())
}

#[test]
fn a_client_of_unknown_family_tries_the_family_token_first() {
    let tokens = [
        refresh_token("own", 0),
        of_family("family old", "sibling", 9),
        of_family("family new", "other sibling", 1),
    ];
    let nothing_known = Vec::new;
    assert_eq!(
        redeemed(&tokens, nothing_known(), vec![refreshed("uid", "x")]),
        (vec!["family new".into()], true)
    );
    // After `invalid_grant`, the next family token is tried.
    assert_eq!(
        redeemed(&tokens, nothing_known(), vec![invalid_grant(), refreshed("uid", "x")]),
        (vec!["family new".into(), "family old".into()], true)
    );
    // The client is not in the family: no other family token is tried.
    for mismatch in [client_mismatch(), refused("x", json!({ "suberror": "client_mismatch" }))] {
        assert_eq!(
            redeemed(&tokens, nothing_known(), vec![mismatch, refreshed("uid", "x")]),
            (vec!["family new".into(), "own".into()], true)
        );
    }
    assert_eq!(
        redeemed(&tokens, nothing_known(), vec![invalid_grant(), invalid_grant(), invalid_grant()]),
        (vec!["family new".into(), "family old".into(), "own".into()], false)
    );
}

#[test]
fn a_family_member_tries_the_family_token_before_its_own() {
    let tokens = [
        refresh_token("own", 0),
        of_family("family", "sibling", 9),
        with(of_family("other family", "x", 0), json!({ "family_id": "2" })),
    ];
    let member = || vec![app_metadata(CLIENT, Some("1")), app_metadata("x", Some("2"))];
    assert_eq!(
        redeemed(&tokens, member(), vec![client_mismatch(), invalid_grant()]),
        (vec!["family".into(), "own".into()], false)
    );
}

#[test]
fn a_client_without_a_family_uses_only_its_own_token() {
    let tokens = [
        refresh_token("own old", 9),
        of_family("family", "sibling", 0),
        refresh_token("own new", 1),
        with(refresh_token("another client's", 0), json!({ "client_id": "another" })),
    ];
    for family in [None, Some("")] {
        assert_eq!(
            redeemed(
                &tokens,
                vec![app_metadata(CLIENT, family)],
                vec![invalid_grant(), invalid_grant()]
            ),
            (vec!["own new".into(), "own old".into()], false)
        );
    }
}

#[test]
fn a_family_token_of_the_client_itself_is_redeemed_once() {
    let tokens = [of_family("both", CLIENT, 0)];
    assert_eq!(
        redeemed(&tokens, vec![app_metadata(CLIENT, Some("1"))], vec![invalid_grant()]),
        (vec!["both".into()], false)
    );
}

#[test]
fn a_client_learns_its_family_from_the_response() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![of_family("family", "sibling", 9)])]);
    let more = json!({ "foci": "1", "refresh_token": "rotated" });
    let server = Server::new([issued("x", more)]);
    client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    // The sibling's record was redeemed, so it is replaced.
    let tokens = section(&cache, "RefreshToken");
    assert_eq!(tokens.len(), 1);
    assert_eq!(
        (&tokens[0]["client_id"], &tokens[0]["secret"]),
        (&"sibling".into(), &"rotated".into())
    );
    let metadata = section(&cache, "AppMetadata");
    assert_eq!(metadata[0]["family_id"], "1");
    assert_eq!(metadata[0]["client_id"], CLIENT);
}

#[test]
fn a_failure_of_one_client_never_deletes_the_family_token() {
    let bad = || refused("invalid_grant", json!({ "suberror": "bad_token" }));
    for metadata in [vec![], vec![app_metadata(CLIENT, Some("1"))]] {
        let (cache, _) = cache();
        let tokens = vec![of_family("family", "sibling", 0), of_family("own family", CLIENT, 1)];
        fill(&cache, &[("RefreshToken", tokens), ("AppMetadata", metadata)]);
        let server = Server::new([bad(), bad()]);
        let error = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
        assert!(error.is_interaction_required());
        assert_eq!(section(&cache, "RefreshToken").len(), 2);
    }
}

#[test]
fn only_a_permanently_invalid_own_token_is_removed() {
    for (suberror, left) in [("bad_token", 0), ("token_expired", 1), ("basic_action", 1)] {
        let (cache, _) = cache();
        fill(&cache, &[("RefreshToken", vec![refresh_token("own", 0)])]);
        let server = Server::new([refused("invalid_grant", json!({ "suberror": suberror }))]);
        let error = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
        assert_eq!(error.server_error().unwrap().suberror(), Some(suberror));
        assert_eq!(section(&cache, "RefreshToken").len(), left, "{suberror}");
    }
}
