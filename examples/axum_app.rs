//! A web app on axum: users sign in by authorization code, and a page calls an API with their tokens.
//!
//! Run it with `cargo run --example axum_app --features http-async,sqlite-bundled,metrics`. It uses a
//! server within the example, and a browser that signs two users in. To use a real OAuth server on
//! this machine, and a browser of your own, which can sign in with any name and password:
//!
//! ```sh
//! PORT=8080 tests/peers/oauth-server \
//!     cargo run --example axum_app --features http-async,sqlite-bundled,metrics
//! ```
//!
//! The argument is where it keeps its tokens: a path, or, with the features `postgres` and `redis`, the
//! address of a server that several machines share, such as `redis://127.0.0.1`.
//!
//! `tests/peers/web-app` drives it with a thousand users.

use std::env;
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use msal_cache::http::AsyncHttpEndpoint;
use msal_cache::sign_in::SignInError;
use msal_cache::store::BoxedCacheStore;
use msal_cache::{AcquireError, AsyncClient, SilentRequest};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

#[path = "axum_app/client.rs"]
mod client;
#[path = "axum_app/health.rs"]
mod health;
#[cfg(feature = "metrics")]
#[path = "axum_app/recorder.rs"]
mod recorder;
#[path = "axum_app/session.rs"]
mod session;
#[path = "axum_app/sign_ins.rs"]
mod sign_ins;
mod stand_in;
#[path = "axum_app/store.rs"]
mod store;

use client::{Browser, HttpClient};
use health::Lateness;
use session::Sessions;
use sign_ins::SignIns;

const PATH: &str = "demo/axum_app.db";
const AUTHORITY: &str = "https://login.example/contoso";
const SCOPES: [&str; 1] = ["User.Read"];
/// How long the app waits for the token server.
const TIMEOUT: Duration = Duration::from_secs(20);

type Failure = Box<dyn Error + Send + Sync>;

/// What all requests share.
struct App {
    client: AsyncClient<BoxedCacheStore>,
    endpoint: AsyncHttpEndpoint,
    api: HttpClient,
    /// The address of the API, which takes the user's access token.
    api_address: String,
    authorization_endpoint: String,
    /// The issuer of the real server, which doesn't follow from the authority.
    issuer: Option<String>,
    redirect_uri: String,
    sessions: Sessions,
    sign_ins: SignIns,
    lateness: Lateness,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let real_server = env::var("MSAL_CACHE_OAUTH_SERVER").ok();
    let stand_in = stand_in::StandIn::start()?;
    let server = real_server.clone().unwrap_or_else(|| stand_in.url());
    #[cfg(feature = "metrics")]
    recorder::install()?;

    let port = env::var("PORT").map_or(Ok(0), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let app = App { issuer: real_server.clone(), ..App::open(&server, &address).await? };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, Arc::new(app), stopped));
    println!("{address}");
    if real_server.is_some() {
        termination().await?;
    } else {
        demonstrate(&address).await?;
    }
    drop(stop);
    serving.await?
}

impl App {
    async fn open(server: &str, address: &str) -> Result<Self, Failure> {
        fs::create_dir_all("demo")?;
        let cache = store::open(&env::args().nth(1).unwrap_or_else(|| PATH.into())).await?;
        let client_id = "axum-app";
        // An app omits the token endpoint, the authorization endpoint and the issuer, which then follow
        // from the authority, and reads the secret from a vault.
        let endpoint = AsyncHttpEndpoint::builder()
            .token_endpoint(format!("{server}/contoso/oauth2/v2.0/token"))
            .client_secret(stand_in::CLIENT_SECRET)
            .timeout(TIMEOUT)
            .build_async()?;
        let lateness = Lateness::default();
        lateness.measure();
        Ok(Self {
            client: cache.client(client_id, AUTHORITY),
            endpoint,
            api: HttpClient::new(),
            api_address: format!("{server}/me"),
            authorization_endpoint: format!("{server}/contoso/oauth2/v2.0/authorize"),
            issuer: None,
            redirect_uri: format!("{address}{}", sign_ins::FINISH),
            sessions: Sessions::default(),
            sign_ins: SignIns::new()?,
            lateness,
        })
    }
}

/// Serves until it is stopped, and then until all requests and refreshes have ended.
async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    stopped: oneshot::Receiver<()>,
) -> Result<(), Failure> {
    let router = Router::new()
        .route("/", get(home))
        .route(sign_ins::BEGIN, get(begin_sign_in))
        .route(sign_ins::FINISH, get(finish_sign_in))
        .route("/me", get(me))
        .route("/sign-out", post(sign_out))
        .route("/health", get(health_page));
    #[cfg(feature = "metrics")]
    let router = router.route("/metrics", get(async || recorder::render()));
    let router = router.with_state(app.clone());
    let stopped = async { drop(stopped.await) };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await?;
    // A browser that went away has left its refresh behind; the server may have replaced the token.
    timeout(TIMEOUT, app.client.cache().finish_refreshes()).await?;
    println!("all requests have ended");
    Ok(())
}

async fn home(State(app): State<Arc<App>>, headers: HeaderMap) -> String {
    match app.sessions.user(&headers) {
        Some(user) => format!("You are {}. See /me, or POST /sign-out.", user.home_account_id()),
        None => "See /sign-in.".to_owned(),
    }
}

/// Sends the browser to the server. `?as=NAME` suggests a user.
async fn begin_sign_in(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let login_hint = pairs.find(|(name, _)| name == "as").map(|(_, value)| value);
    let mut sign_in =
        app.client.sign_in(SCOPES).authorization_endpoint(&*app.authorization_endpoint);
    if let Some(login_hint) = login_hint {
        sign_in = sign_in.login_hint(login_hint);
    }
    if let Some(issuer) = &app.issuer {
        sign_in = sign_in.issuer(issuer);
    }
    let begun = sign_in.begin_sign_in(&*app.redirect_uri).map_err(Problem::SignIn)?;
    let cookie = app.sign_ins.begin(&headers, &begun.state);
    let cookie = cookie.map_err(|error| Problem::Other(error.into()))?;
    Ok((cookie, Redirect::to(&begun.address)).into_response())
}

/// The server sends the browser back to here.
async fn finish_sign_in(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let answer = query.unwrap_or_default();
    // Those of several tabs. The answer belongs to one of them at most.
    for (cookie, state) in app.sign_ins.begun(&headers) {
        let user = match app.client.finish_sign_in(state, &answer, &app.endpoint).await {
            Ok(token) => token.account().ok_or(Problem::NoSignIn)?,
            Err(SignInError::ForeignAnswer | SignInError::TimedOut) => continue,
            Err(error) => return Err(Problem::SignIn(error)),
        };
        let session = app.sessions.begin(user);
        let cookies = (app.sign_ins.end(&headers, cookie), set_cookie("session", &session));
        return Ok((cookies, Redirect::to("/me")).into_response());
    }
    Err(Problem::NoSignIn)
}

/// Calls the API in the name of the user. `?refresh` asks for a new token.
async fn me(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let Some(user) = app.sessions.user(&headers) else {
        return Ok(Redirect::to("/sign-in").into_response());
    };
    let request =
        SilentRequest::new(SCOPES, &user).force_refresh(query.as_deref() == Some("refresh"));
    let mut token = app.client.acquire(&request, &app.endpoint).await?;
    let call =
        async |token: &str| app.api.call(&app.api_address, token).await.map_err(Problem::Api);
    let mut page = call(token.secret().expose()).await?;
    if page.status == StatusCode::UNAUTHORIZED {
        // The API has revoked the token before it expires.
        app.client.invalidate(&token).await.map_err(|error| Problem::Token(error.into()))?;
        token = app.client.acquire(&request, &app.endpoint).await?;
        page = call(token.secret().expose()).await?;
    }
    let source = [("x-token-source", token.source().as_str())];
    let content_type = [(CONTENT_TYPE, "application/json")];
    Ok((page.status, content_type, source, page.body).into_response())
}

async fn sign_out(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<&'static str, Problem> {
    if let Some(user) = app.sessions.end(&headers) {
        let removed = app.client.remove_account(&user).await;
        removed.map_err(|error| Problem::Token(error.into()))?;
    }
    Ok("You are signed out.")
}

/// For operators: whether the app serves, and whether its threads are free.
async fn health_page(State(app): State<Arc<App>>) -> impl IntoResponse {
    let (p99, max) = app.lateness.p99_and_max();
    let body = json!({
        "status": "ok",
        "sessions": app.sessions.count(),
        "lateness_ms": { "p99": p99.as_secs_f64() * 1000.0, "max": max.as_secs_f64() * 1000.0 },
    });
    ([(CONTENT_TYPE, "application/json")], body.to_string())
}

/// Scripts don't see the cookie, and other sites don't send it with a POST. An app that is reached over
/// HTTPS adds `Secure`.
fn set_cookie(name: &str, value: &str) -> AppendHeaders<[(axum::http::HeaderName, String); 1]> {
    AppendHeaders([(SET_COOKIE, format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax"))])
}

/// Why a page can't be shown.
enum Problem {
    Token(AcquireError),
    SignIn(SignInError),
    Api(Failure),
    Other(Failure),
    NoSignIn,
}

impl From<AcquireError> for Problem {
    fn from(error: AcquireError) -> Self {
        Self::Token(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::Token(error) if error.is_interaction_required() => {
                Redirect::to("/sign-in").into_response()
            }
            Self::Token(AcquireError::Transport(error)) => {
                eprintln!("{error}");
                let wait = error.retry_after().map_or(5, |wait| wait.as_secs() + 1).to_string();
                let page = "The sign-in service doesn't respond. Try again in a moment.";
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, wait)], page).into_response()
            }
            Self::Token(error) => failed(&error),
            Self::SignIn(SignInError::Declined(_)) => {
                (StatusCode::FORBIDDEN, "You have declined. See /sign-in.").into_response()
            }
            Self::SignIn(error) => failed(&error),
            Self::Api(error) | Self::Other(error) => failed(&*error),
            Self::NoSignIn => {
                let page = "The sign-in is over, or began in another browser. See /sign-in.";
                (StatusCode::BAD_REQUEST, page).into_response()
            }
        }
    }
}

/// Errors print no secret, and the user doesn't see them.
fn failed(error: &dyn Error) -> Response {
    let mut source = Some(error);
    while let Some(error) = source {
        eprintln!("{error}");
        source = error.source();
    }
    (StatusCode::INTERNAL_SERVER_ERROR, "That failed. The log says why.").into_response()
}

/// Waits until the system or the user asks the program to end.
async fn termination() -> Result<(), Failure> {
    #[cfg(unix)]
    {
        let kind = tokio::signal::unix::SignalKind::terminate();
        let mut terminated = tokio::signal::unix::signal(kind)?;
        tokio::select! {
            _ = terminated.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    }
    #[cfg(not(unix))]
    Ok(tokio::signal::ctrl_c().await?)
}

/// Two users sign in, and see their own names.
async fn demonstrate(address: &str) -> Result<(), Failure> {
    let mut browsers = Vec::new();
    for user in ["alice", "bob"] {
        let mut browser = Browser::new();
        let page = browser.visit(&format!("{address}/sign-in?as={user}")).await?;
        println!("{user} signs in, and the API says: {}", page.body);
        browsers.push((user, browser));
    }
    for (user, mut browser) in browsers {
        let page = browser.visit(&format!("{address}/me?refresh")).await?;
        let known: serde_json::Value = serde_json::from_str(&page.body)?;
        if known["sub"] != user {
            return Err(format!("{user} sees the page of {known}").into());
        }
    }
    println!("after a refresh, each sees the own name");
    println!("health: {}", Browser::new().visit(&format!("{address}/health")).await?.body);
    #[cfg(feature = "metrics")]
    println!("{}", Browser::new().visit(&format!("{address}/metrics")).await?.body);
    Ok(())
}
