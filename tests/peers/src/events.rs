use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// An event with a name.
#[derive(Clone, Debug)]
pub struct NamedEvent {
    /// What the event tests.
    pub name: &'static str,
    /// The argument of MSAL Python's `TokenCache.add`.
    pub event: Value,
}

/// What MSAL Python does with an event for which this crate differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theirs {
    /// It raises an exception of this type.
    Raises(&'static str),
    /// It stores records.
    Stores,
}

/// What this crate does with an event for which it differs.
#[derive(Clone, Debug)]
pub enum Ours {
    /// It returns `Error::Invalid` with the name of this field.
    Refuses(&'static str),
    /// It stores what MSAL Python stores for this other event.
    Stores(Value),
}

/// An event for which this crate differs from MSAL Python on purpose.
#[derive(Clone, Debug)]
pub struct DifferingEvent {
    /// What the event tests.
    pub name: &'static str,
    /// The event.
    pub event: Value,
    /// What MSAL Python does with it.
    pub theirs: Theirs,
    /// What this crate does with it.
    pub ours: Ours,
}

const AUTHORITY: &str = "https://login.microsoftonline.com/organizations/oauth2/v2.0/token";
const TENANT: &str = "https://login.microsoftonline.com/72f988bf-tenant/oauth2/v2.0/token";
const GRAPH: &str = "https://graph.microsoft.com/.default";

/// An unsigned ID token with these claims.
pub fn id_token(claims: &Value) -> String {
    format!("header.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The `client_info` of a response.
pub fn client_info(user: &str, tenant: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!({ "uid": user, "utid": tenant }).to_string())
}

fn claims() -> Value {
    json!({
        "iss": "https://login.microsoftonline.com/72f988bf-tenant/v2.0",
        "aud": "client",
        "oid": "oid-of-alice",
        "sub": "sub-of-alice",
        "tid": "72f988bf-tenant",
        "preferred_username": "alice@contoso.example",
        "name": "Alice Ångström",
    })
}

/// The response of the token endpoint to a sign-in.
fn user_response() -> Value {
    json!({
        "token_type": "Bearer",
        "scope": "User.Read openid profile offline_access",
        "access_token": "access token",
        "refresh_token": "refresh token",
        "id_token": id_token(&claims()),
        "client_info": client_info("uid", "utid"),
        "expires_in": 3600,
        "ext_expires_in": 7200,
    })
}

/// The sign-in of a user.
fn user() -> Value {
    json!({
        "client_id": "client",
        "scope": ["User.Read", "openid", "profile", "offline_access"],
        "token_endpoint": AUTHORITY,
        "environment": "login.microsoftonline.com",
        "grant_type": "authorization_code",
        "params": null,
        "data": {
            "client_id": "client",
            "code": "code",
            "code_verifier": "verifier",
            "redirect_uri": "http://localhost",
            "scope": ["User.Read"],
            "claims": null,
        },
        "response": user_response(),
    })
}

/// A token of an app for itself.
fn app() -> Value {
    json!({
        "client_id": "client",
        "scope": [GRAPH],
        "token_endpoint": TENANT,
        "environment": "login.microsoftonline.com",
        "grant_type": "client_credentials",
        "data": { "client_secret": "secret", "scope": [GRAPH] },
        "response": { "access_token": "access token", "expires_in": 3599, "token_type": "Bearer" },
    })
}

/// Sets the value at a JSON pointer.
fn with(mut event: Value, pointer: &str, value: impl Into<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer starts with a slash");
    let parent = event.pointer_mut(parent).expect("the parent is there");
    parent.as_object_mut().expect("the parent is an object").insert(name.into(), value.into());
    event
}

/// Removes the value at a JSON pointer.
fn without(mut event: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer starts with a slash");
    let parent = event.pointer_mut(parent).expect("the parent is there");
    parent.as_object_mut().expect("the parent is an object").remove(name);
    event
}

/// A sign-in with other claims in its ID token.
fn claiming(claims: &Value) -> Value {
    with(user(), "/response/id_token", id_token(claims))
}

fn at(endpoint: &str) -> Value {
    with(without(user(), "/environment"), "/token_endpoint", endpoint)
}

/// A sign-in at an authority that returns no `client_info`.
fn adfs() -> Value {
    let claims = json!({ "sub": "sub-at-adfs", "upn": "alice@contoso.example" });
    let event = at("https://fs.contoso.example/adfs/oauth2/token");
    let event = without(without(event, "/response/client_info"), "/response/ext_expires_in");
    let event = with(event, "/response/token_type", "bearer");
    with(event, "/response/id_token", id_token(&claims))
}

/// A request of an app with these parameters.
fn parameters(data: Value) -> Value {
    with(app(), "/data", data)
}

/// Events for which MSAL Python and this crate must store equal records.
pub fn equal_events() -> Vec<NamedEvent> {
    let mut all = grants();
    all.extend(partial_responses());
    all.extend(authorities());
    all.extend(lifetimes());
    all.extend(scopes());
    all.extend(users());
    all.extend(families());
    all.extend(request_parameters());
    all
}

macro_rules! table {
    ($($name:literal => $event:expr),* $(,)?) => {
        vec![$(NamedEvent { name: $name, event: $event }),*]
    };
}

fn grants() -> Vec<NamedEvent> {
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let jwt_bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    table! {
        "authorization code" => user(),
        "device code" => with(with(user(), "/grant_type", device), "/data",
            json!({ "device_code": "device code", "client_id": "client" })),
        "user name and password" => with(
            with(without(user(), "/response/id_token"), "/grant_type", "password"),
            "/data", json!({ "username": "alice@contoso.example", "password": "secret" })),
        "federated user name and password" => with(
            with(without(user(), "/response/id_token"), "/grant_type",
                "urn:ietf:params:oauth:grant-type:saml2-bearer"),
            "/username", "alice@contoso.example"),
        "refresh" => with(
            with(with(user(), "/grant_type", "refresh_token"), "/skip_account_creation", true),
            "/data", json!({ "refresh_token": "old", "client_info": 1 })),
        "refresh without a new refresh token" => with(
            without(without(user(), "/response/refresh_token"), "/response/id_token"),
            "/grant_type", "refresh_token"),
        "client credentials" => app(),
        "client credentials with an assertion" => with(app(), "/data", json!({
            "client_assertion": "jwt",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        })),
        "managed identity" => json!({
            "client_id": "SYSTEM_ASSIGNED_MANAGED_IDENTITY",
            "scope": ["https://vault.azure.net"],
            "token_endpoint": "https://localhost/managed_identity",
            "response": {
                "access_token": "access token",
                "expires_in": 86_400,
                "refresh_in": 43_200,
                "resource": "https://vault.azure.net",
                "token_type": "Bearer",
            },
            "params": {},
            "data": {},
        }),
        // As `msal.ManagedIdentityClient` adds it.
        "system-assigned managed identity" => json!({
            "client_id": null,
            "scope": ["https://vault.azure.net"],
            "token_endpoint": "https://localhost/managed_identity",
            "response": {
                "access_token": "access token",
                "expires_in": 86_400,
                "resource": "https://vault.azure.net",
                "token_type": "Bearer",
            },
            "params": {},
            "data": {},
        }),
        "managed identity with expires_on" => json!({
            "client_id": "SYSTEM_ASSIGNED_MANAGED_IDENTITY",
            "scope": ["https://vault.azure.net"],
            "token_endpoint": "https://localhost/managed_identity",
            "response": { "access_token": "access token", "expires_on": "1700086400" },
        }),
        "managed identity with expires_on as a number" => with(
            without(app(), "/response/expires_in"), "/response/expires_on", 1_700_086_400),
        "expires_in takes precedence over expires_on" =>
            with(app(), "/response/expires_on", "1700086400"),
        "SSH certificate" => with(with(user(), "/response/token_type", "ssh-cert"), "/data", json!({
            "token_type": "ssh-cert",
            "req_cnf": "{\"kty\": \"RSA\"}",
            "key_id": "key",
        })),
        "proof of possession" => with(with(user(), "/response/token_type", "pop"), "/data", json!({
            "token_type": "pop", "req_cnf": "nonce", "key_id": "key",
        })),
        "on behalf of" => with(with(user(), "/grant_type", jwt_bearer), "/data", json!({
            "assertion": "jwt", "requested_token_use": "on_behalf_of", "client_secret": "secret",
        })),
        "federated identity credential of a user" => with(with(user(), "/grant_type", "user_fic"), "/data",
            json!({
                "user_federated_identity_credential": "jwt",
                "user_id": "oid-of-alice",
                "client_info": "2",
            })),
        "broker" => with(
            with(
                with(without(user(), "/response/id_token"), "/response/id_token_claims", claims()),
                "/grant_type", "broker"),
            "/_account_id", "account of the broker"),
        "broker with claims beside an ID token" => with(user(),
            "/response/id_token_claims",
            json!({ "sub": "other", "oid": "other", "preferred_username": "bob@contoso.example" })),
        "Cloud Shell" => with(
            with(
                with(
                    with(without(user(), "/response/id_token"), "/response/id_token_claims", json!({
                        "iss": "cloudshell", "sub": "user",
                        "preferred_username": "currentuser@cloudshell", "tid": "cloudshell",
                    })),
                    "/response/client_info",
                    STANDARD.encode(json!({ "uid": "user", "utid": "cloudshell" }).to_string())),
                "/authority_type", "CLOUDSHELL"),
            "/response/expires_in", "3599"),
        "grant without an account" => with(user(), "/grant_type", "unknown"),
        "no grant type" => without(user(), "/grant_type"),
    }
}

fn partial_responses() -> Vec<NamedEvent> {
    table! {
        "no response" => without(app(), "/response"),
        "no data" => without(app(), "/data"),
        "only a refresh token" => with(user(), "/response", json!({ "refresh_token": "r" })),
        "only an ID token" =>
            with(user(), "/response", json!({ "id_token": id_token(&claims()) })),
        "only client_info" =>
            with(user(), "/response", json!({ "client_info": client_info("uid", "utid") })),
        "empty tokens" => with(user(), "/response", json!({
            "access_token": "", "refresh_token": "", "id_token": "", "expires_in": 3600,
        })),
        "tokens that are false" => with(user(), "/response", json!({
            "access_token": false, "refresh_token": 0, "id_token": [], "expires_in": 3600,
            "client_info": client_info("uid", "utid"),
        })),
        "no token_type" => without(app(), "/response/token_type"),
        "unknown members of the response" => with(with(app(), "/response/resource", "r"),
            "/response/nested", json!({ "deep": [1, null] })),
        "unknown members of the event" => with(app(), "/correlation_id", "c"),
    }
}

fn authorities() -> Vec<NamedEvent> {
    table! {
        "AD FS" => adfs(),
        "B2C" => at("https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1/oauth2/v2.0/token"),
        "B2C with tfp" => at("https://contoso.b2clogin.com/tfp/contoso.example/B2C_1/token"),
        "Microsoft account" => with(
            with(user(), "/response/client_info",
                client_info("00000000-0000-0000-1234-56789abcdef0",
                    "9188040d-6c67-4c5b-b112-36a304b66dad")),
            "/token_endpoint", "https://login.microsoftonline.com/consumers/oauth2/v2.0/token"),
        "guest" => with(user(), "/token_endpoint",
            "https://login.microsoftonline.com/tenant-of-the-host/oauth2/v2.0/token"),
        "CIAM with a tenant" => at("https://contoso.ciamlogin.com/tenant/oauth2/v2.0/token"),
        "CIAM without a tenant" => at("https://contoso.ciamlogin.com"),
        "CIAM with a slash" => at("https://contoso.ciamlogin.com/?dc=1"),
        "China" => with(
            with(user(), "/token_endpoint",
                "https://login.partner.microsoftonline.cn/organizations/oauth2/v2.0/token"),
            "/environment", "login.partner.microsoftonline.cn"),
        "US Government" => with(user(), "/environment", "login.microsoftonline.us"),
        "environment that differs from the endpoint" => with(user(), "/environment", "login.windows.net"),
        "environment without an endpoint" => without(user(), "/token_endpoint"),
        "neither environment nor endpoint" =>
            without(without(app(), "/environment"), "/token_endpoint"),
        "upper case in the endpoint" => at("https://LOGIN.Example/Tenant/oauth2/v2.0/token"),
        "port and user in the endpoint" => at("https://user:pw@login.example:8443/tenant/token"),
        "authority type of the event" => with(user(), "/authority_type", "ADFS"),
        "ADFS in upper case is not AD FS" => at("https://fs.contoso.example/ADFS/oauth2/token"),
        "client id in upper case" => with(user(), "/client_id", "AAAAAAAA-BBBB-CCCC"),
        "client id that is a URL" =>
            with(app(), "/client_id", "https://Contoso.example/App ID/é"),
        "no client id" => without(app(), "/client_id"),
        "user without a client id" => without(user(), "/client_id"),
        "empty client id" => with(app(), "/client_id", ""),
    }
}

fn lifetimes() -> Vec<NamedEvent> {
    table! {
        "expires_in as a string" => with(app(), "/response/expires_in", "3599"),
        "expires_in as a string with spaces" => with(app(), "/response/expires_in", " 3599\n"),
        "expires_in with a sign" => with(app(), "/response/expires_in", "+3599"),
        "expires_in with leading zeros" => with(app(), "/response/expires_in", "0003599"),
        "expires_in as a float" => with(app(), "/response/expires_in", 3599.9),
        "expires_in below zero" => with(app(), "/response/expires_in", -3600),
        "expires_in slightly below zero" => with(app(), "/response/expires_in", -0.5),
        "expires_in below zero as a string" => with(app(), "/response/expires_in", "-1"),
        "expires_in zero" => with(app(), "/response/expires_in", 0),
        "expires_in of a century" => with(app(), "/response/expires_in", 3_155_760_000_i64),
        "no expires_in" => without(app(), "/response/expires_in"),
        "no expires_in, and expires_on is zero" =>
            with(without(app(), "/response/expires_in"), "/response/expires_on", 0),
        "expires_on empty" =>
            with(without(app(), "/response/expires_in"), "/response/expires_on", ""),
        "expires_on in the past" =>
            with(without(app(), "/response/expires_in"), "/response/expires_on", 1_600_000_000),
        "expires_on as a float" =>
            with(without(app(), "/response/expires_in"), "/response/expires_on", 1_700_003_600.5),
        "ext_expires_in" => with(app(), "/response/ext_expires_in", 262_800),
        "ext_expires_in as a string" => with(app(), "/response/ext_expires_in", "262800"),
        "ext_expires_in as a float" => with(app(), "/response/ext_expires_in", 7200.7),
        "ext_expires_in shorter than expires_in" => with(app(), "/response/ext_expires_in", 1),
        "refresh_in" => with(app(), "/response/refresh_in", 1800),
        "refresh_in zero" => with(app(), "/response/refresh_in", 0),
        "refresh_in below zero" => with(app(), "/response/refresh_in", -1),
    }
}

fn scopes() -> Vec<NamedEvent> {
    table! {
        "no scope" => without(user(), "/scope"),
        "null scope" => with(user(), "/scope", Value::Null),
        "empty scope" => with(user(), "/scope", json!([])),
        "unsorted scopes" => with(user(), "/scope", json!(["b", "C", "a", "B"])),
        "scope false" => with(user(), "/scope", false),
        "scope zero" => with(user(), "/scope", 0),
        "scope an empty text" => with(user(), "/scope", ""),
        "scope an empty object" => with(user(), "/scope", json!({})),
        "a scope twice" => with(user(), "/scope", json!(["b", "a", "b", "B"])),
        "non-ASCII scopes" =>
            with(user(), "/scope", json!(["é", "z", "ß", "𐐀", "İ", "ｚ", "ΑΣ"])),
        "URLs as scopes" => with(user(), "/scope",
            json!(["https://management.azure.com//.default", "api://App/Read-Write"])),
    }
}

fn users() -> Vec<NamedEvent> {
    let named = |name: Value| with(claims(), "/preferred_username", name);
    let password = |event| with(event, "/data", json!({ "username": "from the request" }));
    table! {
        "non-ASCII user name" =>
            claiming(&named("ålice.ΟΔΥΣΣΕΥΣ@contoso.example 🦀".into())),
        "user name null, with upn" => claiming(&with(named(Value::Null), "/upn", "upn")),
        "user name null, with upn and the request" =>
            password(claiming(&with(named(Value::Null), "/upn", "upn"))),
        "user name empty, with the request" => password(claiming(&named("".into()))),
        "only upn" => claiming(&with(without(claims(), "/preferred_username"), "/upn", "upn")),
        "no user name" => claiming(&without(claims(), "/preferred_username")),
        "user name false" => password(claiming(&named(false.into()))),
        "user name zero" => claiming(&with(named(0.into()), "/upn", "upn")),
        "user name an empty list" => claiming(&named(json!([]))),
        "user name an empty object, with the request" => password(claiming(&named(json!({})))),
        "user name of the request is false" => with(
            with(claiming(&without(claims(), "/preferred_username")), "/username", "of the event"),
            "/data", json!({ "username": false })),
        "claims are false" => with(user(), "/response/id_token_claims", false),
        "claims are an empty list" => with(user(), "/response/id_token_claims", json!([])),
        "claims are an empty text" => with(user(), "/response/id_token_claims", ""),
        "ID token whose payload is null, and no client_info" => without(
            with(user(), "/response/id_token", format!("h.{}.s", URL_SAFE_NO_PAD.encode("null"))),
            "/response/client_info"),
        "ID token whose payload is an empty list, and no client_info" => without(
            with(user(), "/response/id_token", format!("h.{}.s", URL_SAFE_NO_PAD.encode("[]"))),
            "/response/client_info"),
        "user name of the event" => with(
            claiming(&without(claims(), "/preferred_username")), "/username", "of the event"),
        "user name of the request takes precedence" => with(
            password(claiming(&without(claims(), "/preferred_username"))),
            "/username", "of the event"),
        "user name of the request is empty" => with(
            with(claiming(&without(claims(), "/preferred_username")), "/username", "of the event"),
            "/data", json!({ "username": "" })),
        "user name of the request is null" => with(
            with(claiming(&without(claims(), "/preferred_username")), "/username", "of the event"),
            "/data", json!({ "username": null })),
        "no oid" => claiming(&without(claims(), "/oid")),
        "account id of the event" => with(user(), "/_account_id", "account"),
        "empty claims" => with(user(), "/response/id_token_claims", json!({})),
        "empty claims and no ID token" => with(
            without(user(), "/response/id_token"), "/response/id_token_claims", json!({})),
        "claims are null" => with(user(), "/response/id_token_claims", Value::Null),
        "skip_account_creation true" => with(user(), "/skip_account_creation", true),
        "skip_account_creation false" => with(user(), "/skip_account_creation", false),
        "ids in upper case" => with(
            with(user(), "/response/client_info", client_info("UID-A", "UTID-B")),
            "/token_endpoint", "https://login.microsoftonline.com/Tenant-C/oauth2/v2.0/token"),
        "non-ASCII ids" =>
            with(user(), "/response/client_info", client_info("ΟΔΥΣΣΕΥΣ", "İstanbul-ẞ")),
        "client_info with numbers" => with(user(), "/response/client_info",
            URL_SAFE_NO_PAD.encode(json!({ "uid": 12, "utid": 34 }).to_string())),
        "client_info with empty ids" =>
            with(user(), "/response/client_info", client_info("", "")),
        "client_info without utid, and an ID token" => with(user(), "/response/client_info",
            URL_SAFE_NO_PAD.encode(json!({ "uid": "uid" }).to_string())),
        "client_info without utid, and no ID token" => with(
            without(user(), "/response/id_token"), "/response/client_info",
            URL_SAFE_NO_PAD.encode(json!({ "uid": "uid" }).to_string())),
        "client_info is an empty object" =>
            with(user(), "/response/client_info", URL_SAFE_NO_PAD.encode("{}")),
        "client_info with padding" => with(user(), "/response/client_info",
            URL_SAFE.encode(json!({ "uid": "u", "utid": "t" }).to_string())),
        "client_info in the standard alphabet" => with(user(), "/response/client_info",
            STANDARD.encode(json!({ "uid": "ÿþ~?>ÿ", "utid": "t?>" }).to_string())),
        "ID token without a signature" => with(user(), "/response/id_token",
            format!("h.{}", URL_SAFE_NO_PAD.encode(claims().to_string()))),
        "ID token with four parts" => with(user(), "/response/id_token",
            format!("{}.more", id_token(&claims()))),
        "non-ASCII ID token" =>
            claiming(&with(claims(), "/oid", "идентификатор-ß-🦀")),
        "ID token without claims, and client_info" => claiming(&json!({})),
        "AD FS user name in upper case" => with(adfs(), "/response/id_token",
            id_token(&json!({ "sub": "SUB", "upn": "ALICE@CONTOSO.EXAMPLE" }))),
        "AD FS without upn" =>
            with(adfs(), "/response/id_token", id_token(&json!({ "sub": "s" }))),
        "AD FS without an ID token" => without(adfs(), "/response/id_token"),
    }
}

fn families() -> Vec<NamedEvent> {
    table! {
        "family" => with(user(), "/response/foci", "1"),
        "family as a number" => with(user(), "/response/foci", 1),
        "family with an empty name" => with(user(), "/response/foci", ""),
        "family of an app" => with(app(), "/response/foci", "1"),
        "key_id null" => with(app(), "/data", json!({ "key_id": null })),
        "key_id empty" => with(app(), "/data", json!({ "key_id": "" })),
        "key_id a number" => with(app(), "/data", json!({ "key_id": 7 })),
    }
}

fn request_parameters() -> Vec<NamedEvent> {
    table! {
        "FMI path" => parameters(json!({ "fmi_path": "SomeFmiPath/FmiCredentialPath" })),
        "FMI path of a user" =>
            with(user(), "/data", json!({ "fmi_path": "SomeFmiPath/FmiCredentialPath" })),
        "client claims" => parameters(json!({ "client_claims": "{\"a\": 1}" })),
        "several unsorted parameters" =>
            parameters(json!({ "z": "1", "fmi_path": "p", "A": "2", "é": "ß🦀", "": "x" })),
        "parameters true and false" => parameters(json!({ "yes": true, "no": false })),
        "parameters that are numbers" =>
            parameters(json!({ "one": 1, "zero": 0, "minus": -7, "large": i64::MAX })),
        "parameter beyond the range of i64" => parameters(json!({ "n": u64::MAX })),
        "parameter that is zero" => parameters(json!({ "zero": 0.0 })),
        "parameters null and empty" =>
            parameters(json!({ "null": null, "text": "", "list": [], "object": {} })),
        "parameter that is a space" => parameters(json!({ "fmi_path": " " })),
        "parameters outside the extended cache key" => parameters(json!({
            "client_id": "a", "grant_type": "b", "scope": "c", "claims": "d", "username": "e",
            "password": "f", "refresh_token": "g", "code": "h", "redirect_uri": "i",
            "code_verifier": "j", "device_code": "k", "assertion": "l",
            "requested_token_use": "m", "client_assertion": "n", "client_assertion_type": "o",
            "client_secret": "p", "token_type": "q", "req_cnf": "r", "key_id": "s",
            "user_federated_identity_credential": "t", "user_id": "u", "client_info": "v",
        })),
        "names similar to those outside the extended cache key" =>
            parameters(json!({ "Scope": "x", "client_id ": "y", "response_type": "z" })),
    }
}

/// Events for which this crate differs from MSAL Python on purpose.
pub fn differing_events() -> Vec<DifferingEvent> {
    let mut all = refused_by_both();
    all.extend(refused_here());
    all.extend(stored_differently());
    all
}

macro_rules! differences {
    ($($name:literal => $event:expr, $theirs:expr, $ours:expr);* $(;)?) => {
        vec![$(DifferingEvent { name: $name, event: $event, theirs: $theirs, ours: $ours }),*]
    };
}

fn refused_by_both() -> Vec<DifferingEvent> {
    use Ours::Refuses;
    use Theirs::Raises;

    let expires_in = "event.response.expires_in";
    let info = "event.response.client_info";
    let token = "event.response.id_token";
    let endpoint = "event.token_endpoint";
    let set = |value: Value| with(app(), "/response/expires_in", value);
    let info_of = |text: &str| with(user(), "/response/client_info", text);
    let token_of = |text: &str| with(user(), "/response/id_token", text);
    let encoded = |text: &str| token_of(&format!("h.{}.s", URL_SAFE_NO_PAD.encode(text)));
    differences! {
        "expires_in abc" => set("abc".into()), Raises("ValueError"), Refuses(expires_in);
        "expires_in empty" => set("".into()), Raises("ValueError"), Refuses(expires_in);
        "expires_in 3599.5 as a string" =>
            set("3599.5".into()), Raises("ValueError"), Refuses(expires_in);
        "expires_in a list" => set(json!([1])), Raises("TypeError"), Refuses(expires_in);
        "ext_expires_in abc" => with(app(), "/response/ext_expires_in", "abc"),
            Raises("ValueError"), Refuses("event.response.ext_expires_in");
        "expires_on abc" =>
            with(without(app(), "/response/expires_in"), "/response/expires_on", "abc"),
            Raises("ValueError"), Refuses("event.response.expires_on");
        "refresh_in abc" => with(app(), "/response/refresh_in", "abc"),
            Raises("TypeError"), Refuses("event.response.refresh_in");
        "client_info is not base64" => info_of("a"), Raises("Error"), Refuses(info);
        "client_info is not JSON" => info_of("AAAA"), Raises("JSONDecodeError"), Refuses(info);
        "client_info is a number" => with(user(), "/response/client_info", 1),
            Raises("TypeError"), Refuses(info);
        "ID token without a payload" => token_of("token"), Raises("IndexError"), Refuses(token);
        "ID token whose payload is not JSON" =>
            encoded("payload"), Raises("JSONDecodeError"), Refuses(token);
        "ID token whose payload is not base64" => token_of("h.a.s"), Raises("Error"), Refuses(token);
        "ID token whose payload is a list" =>
            without(encoded("[1]"), "/response/client_info"), Raises("TypeError"), Refuses(token);
        "ID token whose payload is a list, with client_info" =>
            encoded("[1]"), Raises("AttributeError"), Refuses(token);
        "client_info is empty" => info_of(""), Raises("JSONDecodeError"), Refuses(info);
        "ID token without sub, and no client_info" =>
            without(claiming(&json!({ "oid": "o" })), "/response/client_info"),
            Raises("KeyError"), Refuses(token);
        "claims without sub, and no client_info" => with(
            without(user(), "/response/client_info"), "/response/id_token_claims",
            json!({ "oid": "o" })), Raises("KeyError"), Refuses(token);
        "endpoint without TLS" =>
            at("http://login.example/t"), Raises("ValueError"), Refuses(endpoint);
        "endpoint without a tenant" =>
            at("https://login.example/"), Raises("ValueError"), Refuses(endpoint);
        "endpoint without a path" =>
            at("https://login.example"), Raises("ValueError"), Refuses(endpoint);
        "endpoint without a host" =>
            at("https:///tenant/token"), Raises("ValueError"), Refuses(endpoint);
        "endpoint empty" => at(""), Raises("ValueError"), Refuses(endpoint);
        "endpoint is a name" => at("login.example/tenant"), Raises("ValueError"), Refuses(endpoint);
        "endpoint with an unclosed bracket" =>
            at("https://[::1/tenant"), Raises("ValueError"), Refuses(endpoint);
        "response is a list" => with(app(), "/response", json!([])),
            Raises("AttributeError"), Refuses("event.response");
        "data is a string" =>
            with(app(), "/data", "data"), Raises("AttributeError"), Refuses("event.data");
        "scope is a number" =>
            with(app(), "/scope", 1), Raises("TypeError"), Refuses("event.scope");
        "scope of numbers" =>
            with(app(), "/scope", json!([1])), Raises("TypeError"), Refuses("event.scope");
        "client id is a number" =>
            with(app(), "/client_id", 1), Raises("TypeError"), Refuses("event.client_id");
        "event is a list" => json!([]), Raises("AttributeError"), Refuses("event");
    }
}

fn refused_here() -> Vec<DifferingEvent> {
    use Ours::Refuses;
    use Theirs::Stores;

    differences! {
        // The text is specific to Python's str().
        "parameter that is a float" =>
            parameters(json!({ "p": 1.5 })), Stores, Refuses("event.data.p");
        "parameter that is a list" =>
            parameters(json!({ "p": ["a"] })), Stores, Refuses("event.data.p");
        "parameter that is an object" =>
            parameters(json!({ "p": { "a": 1 } })), Stores, Refuses("event.data.p");
        // Tokens are strings.
        "access token is a number" => with(app(), "/response/access_token", 1),
            Stores, Refuses("event.response.access_token");
        "refresh token is a list" => with(user(), "/response/refresh_token", json!(["r"])),
            Stores, Refuses("event.response.refresh_token");
        // Python's int() accepts more than decimal digits.
        "expires_in with an underscore" => with(app(), "/response/expires_in", "1_000"),
            Stores, Refuses("event.response.expires_in");
        "expires_in in non-ASCII digits" => with(app(), "/response/expires_in", "٣٦٠٠"),
            Stores, Refuses("event.response.expires_in");
        "expires_in true" => with(app(), "/response/expires_in", true),
            Stores, Refuses("event.response.expires_in");
        "expires_in out of range" => with(app(), "/response/expires_in", "9223372036854775807"),
            Stores, Refuses("event.response.expires_in");
        // Python's b64decode() skips characters outside the alphabet.
        "client_info with spaces" => with(user(), "/response/client_info",
            format!("    {}", client_info("u", "t"))),
            Stores, Refuses("event.response.client_info");
        "skip_account_creation is a string" => with(user(), "/skip_account_creation", "yes"),
            Stores, Refuses("event.skip_account_creation");
    }
}

fn stored_differently() -> Vec<DifferingEvent> {
    use Theirs::{Raises, Stores};

    let as_if = |event: Value| Ours::Stores(event);
    let null = |pointer| with(user(), pointer, Value::Null);
    differences! {
        "environment in upper case" => with(user(), "/environment", "LOGIN.Microsoftonline.COM"),
            Stores, as_if(user());
        "refresh_in as a string" => with(app(), "/response/refresh_in", "1800"),
            Raises("TypeError"), as_if(with(app(), "/response/refresh_in", 1800));
        // MSAL Python writes the fraction, and MSAL Go can't read the file then.
        "refresh_in as a float" => with(app(), "/response/refresh_in", 1800.5),
            Stores, as_if(with(app(), "/response/refresh_in", 1800));
        // Treated like the number zero, which both ignore.
        "expires_on zero as a string" =>
            with(without(app(), "/response/expires_in"), "/response/expires_on", "0"),
            Stores, as_if(without(app(), "/response/expires_in"));
        "scope is a string" => with(user(), "/scope", "b a"),
            Stores, as_if(with(user(), "/scope", json!(["a", "b"])));
        "scopes in one item" => with(user(), "/scope", json!(["b a", "c"])),
            Stores, as_if(with(user(), "/scope", json!(["a", "b", "c"])));
        "an empty scope" => with(user(), "/scope", json!(["", "a"])),
            Stores, as_if(with(user(), "/scope", json!(["a"])));
        // `null` is treated as missing.
        "environment null" => null("/environment"), Stores, as_if(without(user(), "/environment"));
        "endpoint null" => null("/token_endpoint"),
            Raises("ValueError"), as_if(without(user(), "/token_endpoint"));
        "account id null" => null("/_account_id"), Stores, as_if(user());
        "authority type null" => null("/authority_type"), Stores, as_if(user());
        "response null" =>
            null("/response"), Raises("AttributeError"), as_if(without(user(), "/response"));
        "data null" => null("/data"), Raises("AttributeError"), as_if(without(user(), "/data"));
        "foci null" => null("/response/foci"), Stores, as_if(user());
        "token_type null" => null("/response/token_type"), Stores, as_if(user());
        "client_info null" => null("/response/client_info"),
            Raises("TypeError"), as_if(without(user(), "/response/client_info"));
        "expires_in null" => null("/response/expires_in"),
            Raises("TypeError"), as_if(without(user(), "/response/expires_in"));
        "ext_expires_in null" => null("/response/ext_expires_in"),
            Raises("TypeError"), as_if(without(user(), "/response/ext_expires_in"));
        "refresh_in null" => null("/response/refresh_in"), Raises("TypeError"), as_if(user());
        "oid null" => claiming(&with(claims(), "/oid", Value::Null)),
            Stores, as_if(with(
                claiming(&with(claims(), "/oid", Value::Null)), "/_account_id", "sub-of-alice"));
        "uid null" => with(user(), "/response/client_info",
                URL_SAFE_NO_PAD.encode(json!({ "uid": null, "utid": "t" }).to_string())),
            Stores, as_if(with(user(), "/response/client_info", URL_SAFE_NO_PAD.encode("{}")));
        // It is a string in OpenID Connect.
        "sub is a number" => with(adfs(), "/response/id_token", id_token(&json!({ "sub": 5 }))),
            Raises("TypeError"),
            as_if(with(
                with(adfs(), "/response/id_token", id_token(&json!({ "sub": 5 }))),
                "/response/id_token_claims", json!({ "sub": "5" })));
    }
}
