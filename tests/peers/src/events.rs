use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// An event under the name of what it shows.
#[derive(Clone, Debug)]
pub struct Named {
    /// What it shows.
    pub name: &'static str,
    /// The dictionary that MSAL Python's `TokenCache.add` takes.
    pub event: Value,
}

/// What MSAL Python does with an event that is treated otherwise here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theirs {
    /// It raises an exception of this type.
    Raises(&'static str),
    /// It stores something.
    Stores,
}

/// What is done here with an event that MSAL Python treats otherwise.
#[derive(Clone, Debug)]
pub enum Ours {
    /// `Error::Invalid` with the name of this field.
    Refuses(&'static str),
    /// The same is stored as MSAL Python stores for this event.
    Stores(Value),
}

/// An event that is treated otherwise on purpose.
#[derive(Clone, Debug)]
pub struct Otherwise {
    /// What it shows.
    pub name: &'static str,
    /// The event.
    pub event: Value,
    /// What MSAL Python does with it.
    pub theirs: Theirs,
    /// What is done here.
    pub ours: Ours,
}

const AUTHORITY: &str = "https://login.microsoftonline.com/organizations/oauth2/v2.0/token";
const TENANT: &str = "https://login.microsoftonline.com/72f988bf-tenant/oauth2/v2.0/token";
const GRAPH: &str = "https://graph.microsoft.com/.default";

/// An ID token with these claims, which nobody has signed.
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

/// What the token endpoint answers to a user who signs in.
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

/// A user signs in.
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

/// An app gets a token for itself.
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

/// The event with the value at this JSON pointer set.
fn with(mut event: Value, pointer: &str, value: impl Into<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer starts with a slash");
    let parent = event.pointer_mut(parent).expect("the parent is there");
    parent.as_object_mut().expect("the parent is an object").insert(name.into(), value.into());
    event
}

/// The event without the value at this JSON pointer.
fn without(mut event: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer starts with a slash");
    let parent = event.pointer_mut(parent).expect("the parent is there");
    parent.as_object_mut().expect("the parent is an object").remove(name);
    event
}

/// The sign-in with other claims in its ID token.
fn claiming(claims: &Value) -> Value {
    with(user(), "/response/id_token", id_token(claims))
}

fn at(endpoint: &str) -> Value {
    with(without(user(), "/environment"), "/token_endpoint", endpoint)
}

/// A sign-in at an authority that sends no `client_info`.
fn adfs() -> Value {
    let claims = json!({ "sub": "sub-at-adfs", "upn": "alice@contoso.example" });
    let event = at("https://fs.contoso.example/adfs/oauth2/token");
    let event = without(without(event, "/response/client_info"), "/response/ext_expires_in");
    let event = with(event, "/response/token_type", "bearer");
    with(event, "/response/id_token", id_token(&claims))
}

/// A request with further parameters.
fn parameters(data: Value) -> Value {
    with(app(), "/data", data)
}

/// Events of which both must make the same.
pub fn alike() -> Vec<Named> {
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
        vec![$(Named { name: $name, event: $event }),*]
    };
}

fn grants() -> Vec<Named> {
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
        "refresh that gives no refresh token" => with(
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
        "managed identity that tells the moment" => json!({
            "client_id": "SYSTEM_ASSIGNED_MANAGED_IDENTITY",
            "scope": ["https://vault.azure.net"],
            "token_endpoint": "https://localhost/managed_identity",
            "response": { "access_token": "access token", "expires_on": "1700086400" },
        }),
        "managed identity that tells the moment as a number" => with(
            without(app(), "/response/expires_in"), "/response/expires_on", 1_700_086_400),
        "expires_in counts more than expires_on" =>
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
        "federated identity of a user" => with(with(user(), "/grant_type", "user_fic"), "/data",
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
        "broker whose claims count more than the ID token" => with(user(),
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
        "grant that establishes no account" => with(user(), "/grant_type", "unheard of"),
        "no grant type" => without(user(), "/grant_type"),
    }
}

fn partial_responses() -> Vec<Named> {
    table! {
        "no response" => without(app(), "/response"),
        "no data" => without(app(), "/data"),
        "a refresh token alone" => with(user(), "/response", json!({ "refresh_token": "r" })),
        "an ID token alone" =>
            with(user(), "/response", json!({ "id_token": id_token(&claims()) })),
        "client_info alone" =>
            with(user(), "/response", json!({ "client_info": client_info("uid", "utid") })),
        "empty tokens" => with(user(), "/response", json!({
            "access_token": "", "refresh_token": "", "id_token": "", "expires_in": 3600,
        })),
        "no token_type" => without(app(), "/response/token_type"),
        "members of the response that nobody knows" => with(with(app(), "/response/resource", "r"),
            "/response/nested", json!({ "deep": [1, null] })),
        "members of the event that nobody knows" => with(app(), "/correlation_id", "c"),
    }
}

fn authorities() -> Vec<Named> {
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
        "customers with a tenant" => at("https://contoso.ciamlogin.com/tenant/oauth2/v2.0/token"),
        "customers without a tenant" => at("https://contoso.ciamlogin.com"),
        "customers with a slash" => at("https://contoso.ciamlogin.com/?dc=1"),
        "China" => with(
            with(user(), "/token_endpoint",
                "https://login.partner.microsoftonline.cn/organizations/oauth2/v2.0/token"),
            "/environment", "login.partner.microsoftonline.cn"),
        "US Government" => with(user(), "/environment", "login.microsoftonline.us"),
        "environment other than the endpoint" => with(user(), "/environment", "login.windows.net"),
        "environment without an endpoint" => without(user(), "/token_endpoint"),
        "neither environment nor endpoint" =>
            without(without(app(), "/environment"), "/token_endpoint"),
        "upper case in the endpoint" => at("https://LOGIN.Example/Tenant/oauth2/v2.0/token"),
        "port and user in the endpoint" => at("https://user:pw@login.example:8443/tenant/token"),
        "authority type of the caller" => with(user(), "/authority_type", "ADFS"),
        "adfs in upper case is no AD FS" => at("https://fs.contoso.example/ADFS/oauth2/token"),
        "client id in upper case" => with(user(), "/client_id", "AAAAAAAA-BBBB-CCCC"),
        "client id that is an address" =>
            with(app(), "/client_id", "https://Contoso.example/App ID/é"),
        "empty client id" => with(app(), "/client_id", ""),
    }
}

fn lifetimes() -> Vec<Named> {
    table! {
        "expires_in as a string" => with(app(), "/response/expires_in", "3599"),
        "expires_in as a string with blanks" => with(app(), "/response/expires_in", " 3599\n"),
        "expires_in with a sign" => with(app(), "/response/expires_in", "+3599"),
        "expires_in with leading zeros" => with(app(), "/response/expires_in", "0003599"),
        "expires_in as a float" => with(app(), "/response/expires_in", 3599.9),
        "expires_in below zero" => with(app(), "/response/expires_in", -3600),
        "expires_in a little below zero" => with(app(), "/response/expires_in", -0.5),
        "expires_in below zero as a string" => with(app(), "/response/expires_in", "-1"),
        "expires_in zero" => with(app(), "/response/expires_in", 0),
        "expires_in of a century" => with(app(), "/response/expires_in", 3_155_760_000_i64),
        "no expires_in" => without(app(), "/response/expires_in"),
        "neither expires_in nor a useful expires_on" =>
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

fn scopes() -> Vec<Named> {
    table! {
        "no scope" => without(user(), "/scope"),
        "null scope" => with(user(), "/scope", Value::Null),
        "empty scope" => with(user(), "/scope", json!([])),
        "scopes out of order" => with(user(), "/scope", json!(["b", "C", "a", "B"])),
        "a scope twice" => with(user(), "/scope", json!(["b", "a", "b", "B"])),
        "scopes beyond ASCII" =>
            with(user(), "/scope", json!(["é", "z", "ß", "𐐀", "İ", "ｚ", "ΑΣ"])),
        "addresses as scopes" => with(user(), "/scope",
            json!(["https://management.azure.com//.default", "api://App/Read-Write"])),
    }
}

fn users() -> Vec<Named> {
    let named = |name: Value| with(claims(), "/preferred_username", name);
    let password = |event| with(event, "/data", json!({ "username": "from the request" }));
    table! {
        "user name beyond ASCII" =>
            claiming(&named("ålice.ΟΔΥΣΣΕΥΣ@contoso.example 🦀".into())),
        "user name null, with upn" => claiming(&with(named(Value::Null), "/upn", "upn")),
        "user name null, with upn and the request" =>
            password(claiming(&with(named(Value::Null), "/upn", "upn"))),
        "user name empty, with the request" => password(claiming(&named("".into()))),
        "upn alone" => claiming(&with(without(claims(), "/preferred_username"), "/upn", "upn")),
        "user name nowhere" => claiming(&without(claims(), "/preferred_username")),
        "user name of the event" => with(
            claiming(&without(claims(), "/preferred_username")), "/username", "of the event"),
        "user name of the request counts more" => with(
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
        "no account" => with(user(), "/skip_account_creation", true),
        "an account after all" => with(user(), "/skip_account_creation", false),
        "ids in upper case" => with(
            with(user(), "/response/client_info", client_info("UID-A", "UTID-B")),
            "/token_endpoint", "https://login.microsoftonline.com/Tenant-C/oauth2/v2.0/token"),
        "ids beyond ASCII" =>
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
        "ID token of four parts" => with(user(), "/response/id_token",
            format!("{}.more", id_token(&claims()))),
        "ID token beyond ASCII" =>
            claiming(&with(claims(), "/oid", "идентификатор-ß-🦀")),
        "ID token without claims, and client_info" => claiming(&json!({})),
        "AD FS user name in upper case" => with(adfs(), "/response/id_token",
            id_token(&json!({ "sub": "SUB", "upn": "ALICE@CONTOSO.EXAMPLE" }))),
        "AD FS without upn" =>
            with(adfs(), "/response/id_token", id_token(&json!({ "sub": "s" }))),
        "AD FS without an ID token" => without(adfs(), "/response/id_token"),
    }
}

fn families() -> Vec<Named> {
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

fn request_parameters() -> Vec<Named> {
    table! {
        "FMI path" => parameters(json!({ "fmi_path": "SomeFmiPath/FmiCredentialPath" })),
        "FMI path of a user" =>
            with(user(), "/data", json!({ "fmi_path": "SomeFmiPath/FmiCredentialPath" })),
        "client claims" => parameters(json!({ "client_claims": "{\"a\": 1}" })),
        "several parameters out of order" =>
            parameters(json!({ "z": "1", "fmi_path": "p", "A": "2", "é": "ß🦀", "": "x" })),
        "parameters true and false" => parameters(json!({ "yes": true, "no": false })),
        "parameters that are numbers" =>
            parameters(json!({ "one": 1, "zero": 0, "minus": -7, "large": i64::MAX })),
        "parameter beyond 64 bits with a sign" => parameters(json!({ "n": u64::MAX })),
        "parameter that is zero" => parameters(json!({ "zero": 0.0 })),
        "parameters null and empty" =>
            parameters(json!({ "null": null, "text": "", "list": [], "object": {} })),
        "parameter that is a blank" => parameters(json!({ "fmi_path": " " })),
        "parameters that don't count" => parameters(json!({
            "client_id": "a", "grant_type": "b", "scope": "c", "claims": "d", "username": "e",
            "password": "f", "refresh_token": "g", "code": "h", "redirect_uri": "i",
            "code_verifier": "j", "device_code": "k", "assertion": "l",
            "requested_token_use": "m", "client_assertion": "n", "client_assertion_type": "o",
            "client_secret": "p", "token_type": "q", "req_cnf": "r", "key_id": "s",
            "user_federated_identity_credential": "t", "user_id": "u", "client_info": "v",
        })),
        "names that nearly don't count" =>
            parameters(json!({ "Scope": "x", "client_id ": "y", "response_type": "z" })),
    }
}

/// Events that are treated otherwise on purpose.
pub fn otherwise() -> Vec<Otherwise> {
    let mut all = refused_by_both();
    all.extend(refused_here());
    all.extend(stored_otherwise());
    all
}

macro_rules! differences {
    ($($name:literal => $event:expr, $theirs:expr, $ours:expr);* $(;)?) => {
        vec![$(Otherwise { name: $name, event: $event, theirs: $theirs, ours: $ours }),*]
    };
}

fn refused_by_both() -> Vec<Otherwise> {
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
        "client_info is no base64" => info_of("a"), Raises("Error"), Refuses(info);
        "client_info is no JSON" => info_of("AAAA"), Raises("JSONDecodeError"), Refuses(info);
        "client_info is a number" => with(user(), "/response/client_info", 1),
            Raises("TypeError"), Refuses(info);
        "ID token without a payload" => token_of("token"), Raises("IndexError"), Refuses(token);
        "ID token whose payload is no JSON" =>
            encoded("payload"), Raises("JSONDecodeError"), Refuses(token);
        "ID token whose payload is no base64" => token_of("h.a.s"), Raises("Error"), Refuses(token);
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
        "endpoint with half a bracket" =>
            at("https://[::1/tenant"), Raises("ValueError"), Refuses(endpoint);
        "response is a list" => with(app(), "/response", json!([])),
            Raises("AttributeError"), Refuses("event.response");
        "data is a text" =>
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

fn refused_here() -> Vec<Otherwise> {
    use Ours::Refuses;
    use Theirs::Stores;

    differences! {
        // A token that belongs to no client can't be found again.
        "no client id" => without(app(), "/client_id"), Stores, Refuses("event.client_id");
        "client id null" =>
            with(app(), "/client_id", Value::Null), Stores, Refuses("event.client_id");
        // str() of a fraction or a list is Python's alone.
        "parameter that is a float" =>
            parameters(json!({ "p": 1.5 })), Stores, Refuses("event.data.p");
        "parameter that is a list" =>
            parameters(json!({ "p": ["a"] })), Stores, Refuses("event.data.p");
        "parameter that is an object" =>
            parameters(json!({ "p": { "a": 1 } })), Stores, Refuses("event.data.p");
        // Tokens are texts.
        "access token is a number" => with(app(), "/response/access_token", 1),
            Stores, Refuses("event.response.access_token");
        "refresh token is a list" => with(user(), "/response/refresh_token", json!(["r"])),
            Stores, Refuses("event.response.refresh_token");
        // int() reads more than seconds.
        "expires_in with an underscore" => with(app(), "/response/expires_in", "1_000"),
            Stores, Refuses("event.response.expires_in");
        "expires_in in other digits" => with(app(), "/response/expires_in", "٣٦٠٠"),
            Stores, Refuses("event.response.expires_in");
        "expires_in true" => with(app(), "/response/expires_in", true),
            Stores, Refuses("event.response.expires_in");
        "expires_in out of range" => with(app(), "/response/expires_in", "9223372036854775807"),
            Stores, Refuses("event.response.expires_in");
        // b64decode() passes over whatever is not in the alphabet.
        "client_info with blanks" => with(user(), "/response/client_info",
            format!("    {}", client_info("u", "t"))),
            Stores, Refuses("event.response.client_info");
        "skip_account_creation is a text" => with(user(), "/skip_account_creation", "yes"),
            Stores, Refuses("event.skip_account_creation");
    }
}

fn stored_otherwise() -> Vec<Otherwise> {
    use Theirs::{Raises, Stores};

    let as_if = |event: Value| Ours::Stores(event);
    let null = |pointer| with(user(), pointer, Value::Null);
    differences! {
        "environment in upper case" => with(user(), "/environment", "LOGIN.Microsoftonline.COM"),
            Stores, as_if(user());
        "refresh_in as a string" => with(app(), "/response/refresh_in", "1800"),
            Raises("TypeError"), as_if(with(app(), "/response/refresh_in", 1800));
        // MSAL Python would write the fraction, and MSAL Go not read the file any more.
        "refresh_in as a float" => with(app(), "/response/refresh_in", 1800.5),
            Stores, as_if(with(app(), "/response/refresh_in", 1800));
        // No time at all, as the number zero is for both.
        "expires_on zero as a string" =>
            with(without(app(), "/response/expires_in"), "/response/expires_on", "0"),
            Stores, as_if(without(app(), "/response/expires_in"));
        "scope is a text" => with(user(), "/scope", "b a"),
            Stores, as_if(with(user(), "/scope", json!(["a", "b"])));
        "scopes in one item" => with(user(), "/scope", json!(["b a", "c"])),
            Stores, as_if(with(user(), "/scope", json!(["a", "b", "c"])));
        "an empty scope" => with(user(), "/scope", json!(["", "a"])),
            Stores, as_if(with(user(), "/scope", json!(["a"])));
        // `null` counts as missing.
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
        // OpenID Connect says that it is a text.
        "sub is a number" => with(adfs(), "/response/id_token", id_token(&json!({ "sub": 5 }))),
            Raises("TypeError"),
            as_if(with(
                with(adfs(), "/response/id_token", id_token(&json!({ "sub": 5 }))),
                "/response/id_token_claims", json!({ "sub": "5" })));
    }
}
