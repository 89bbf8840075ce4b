//! Instance discovery.

use msal_cache::cloud::Clouds;

use super::*;

fn instance(provider: &Provider) -> Value {
    json!({
        "api-version": "1.1",
        "tenant_discovery_endpoint": provider.issuer("/contoso/discovered"),
        "metadata": [
            {
                "preferred_network": "login.other.example",
                "preferred_cache": "login.other.example",
                "aliases": ["login.other.example"],
            },
            {
                "preferred_network": "login.private.example",
                "preferred_cache": "sts.private.example",
                "aliases": ["login.private.example", "sts.private.example", "LOCALHOST"],
            },
        ],
    })
}

/// The address that is asked about an authority.
fn query(provider: &Provider) -> String {
    format!(
        "/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flocalhost%3A{}%2Fcontoso%2F\
         oauth2%2Fv2.0%2Fauthorize",
        provider.port
    )
}

#[test]
fn a_host_that_is_not_known_is_asked_for_and_its_cloud_is_found() {
    let provider = Provider::start();
    provider.publish(&query(&provider), &instance(&provider));
    provider.publish("/contoso/discovered", &provider.good("/contoso"));
    let builder = Provider::builder().instance_discovery_endpoint(provider.issuer("/instance"));
    let authority = Authority::parse(&provider.issuer("/contoso")).unwrap();
    for found in provider.discover(&builder, &authority) {
        let found = found.unwrap();
        let cloud = found.cloud().unwrap();
        assert_eq!(cloud.preferred_network(), "login.private.example");
        assert_eq!(cloud.preferred_cache(), "sts.private.example");
        let clouds = Clouds::default().with(cloud.clone());
        assert!(clouds.are_one("localhost", "sts.private.example"));
    }
}

#[test]
fn an_unknown_host_is_refused_unless_it_is_turned_off() {
    let provider = Provider::start();
    provider.publish_as(&query(&provider), 400, r#"{"error":"invalid_instance"}"#);
    provider.publish("/contoso/v2.0/.well-known/openid-configuration", &provider.good("/contoso"));
    let builder = Provider::builder().instance_discovery_endpoint(provider.issuer("/instance"));
    let authority = Authority::parse(&provider.issuer("/contoso")).unwrap();
    for found in provider.discover(&builder, &authority) {
        let Err(error @ MetadataError::UnknownHost { .. }) = found else { panic!("{found:?}") };
        let text = printed(&error);
        assert!(text.contains("localhost") && text.contains("instance_discovery"), "{text}");
    }
    for found in provider.discover(&builder.clone().instance_discovery(false), &authority) {
        assert_eq!(found.unwrap().cloud(), None);
    }
    // Other providers aren't Microsoft's.
    provider.publish("/contoso/.well-known/openid-configuration", &provider.good("/contoso"));
    for found in provider.discover_issuer(&builder, &provider.issuer("/contoso")) {
        found.unwrap();
    }
    let is_instance = |it: &&String| it.contains("/instance");
    assert_eq!(provider.requests().iter().filter(is_instance).count(), 2);
}

#[test]
fn an_answer_that_names_another_host_or_nothing_is_refused() {
    let provider = Provider::start();
    let builder = Provider::builder().instance_discovery_endpoint(provider.issuer("/instance"));
    let authority = Authority::parse(&provider.issuer("/contoso")).unwrap();
    for (field, value) in [
        ("tenant_discovery_endpoint", json!("https://evil.example/x")),
        ("tenant_discovery_endpoint", json!("http://localhost/x")),
        ("tenant_discovery_endpoint", json!(null)),
        ("metadata", json!("x")),
    ] {
        let mut document = instance(&provider);
        document[field] = value.clone();
        provider.publish(&query(&provider), &document);
        for found in provider.discover(&builder, &authority) {
            let Err(error @ MetadataError::Document { .. }) = found else { panic!("{found:?}") };
            let text = printed(&error);
            assert!(text.contains(field) && text.contains("/instance "), "{value}: {text}");
        }
    }
}
