//! One sign-in from the listener to the code, for both faces.

use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::Error;

use super::answer::Answer;
use super::browser;
use super::code::CodeGrant;
use super::connection::Expected;
use super::error::SignInError;
use super::options::{Options, ResponseMode, TIMEOUT};
use super::page::{FAILURE, Pages, SUCCESS};
use super::receiver::{Bound, Receiver, ReceiverOutcome};
use super::state::SignInState;
use crate::engine::Runtime;
use crate::model::ClientConfig;

/// How often the caller is asked whether it has cancelled the sign-in.
const CANCEL_CHECK: Duration = Duration::from_millis(50);
/// How long after an error without a state another answer may follow: anyone can send such an error.
const GRACE: Duration = Duration::from_secs(3);

/// Has the user sign in, and returns the code that the browser has brought. Nothing listens then.
pub(super) async fn run(
    runtime: impl Runtime,
    now: i64,
    config: &ClientConfig,
    mut options: Options,
) -> Result<CodeGrant, SignInError> {
    let timeout = options.timeout.unwrap_or(TIMEOUT);
    let deadline = Instant::now() + timeout;
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"/-._~".contains(&it);
    if !options.path.bytes().all(is_plain) {
        let reason = "it has other characters than letters, digits and /-._~";
        return Err(Error::invalid("path", reason).into());
    }
    let authority = config.authority()?;
    let bound = Bound::new(options.port)?;
    // Microsoft's servers ignore the port of `localhost` in a registered address, and compare the path.
    let path = if options.path == "/" { "" } else { &options.path };
    let redirect_uri = format!("http://localhost:{}{path}", bound.port);
    let begun = SignInState::new(config, &options, redirect_uri, now, timeout)?;
    let mode = options.response_mode.unwrap_or(ResponseMode::FormPost);
    let address = begun.address(&authority, &options, mode)?;
    let expected = Expected {
        state: begun.state.clone(),
        issuer: begun.issuer.clone(),
        path: options.path.clone(),
        port: bound.port,
        pages: Pages {
            success: options.success_page.take().unwrap_or_else(|| SUCCESS.into()),
            failure: options.failure_page.take().unwrap_or_else(|| FAILURE.into()),
        },
    };
    let receiver = Receiver::start(bound, expected)?;
    open(&receiver, address, &mut options).map_err(SignInError::Browser)?;
    let code = wait(&receiver, runtime, &mut options, deadline).await?;
    Ok(CodeGrant::new(begun, authority, &code)?)
}

/// Opens the browser in a thread: a program that opens one may wait until it is closed.
fn open(receiver: &Receiver, address: String, options: &mut Options) -> std::io::Result<()> {
    let shared = receiver.shared();
    let open = options.open.take();
    let opening = move || {
        let opened = match open {
            Some(open) => open(&address),
            None => browser::open(&address),
        };
        if let Err(error) = opened {
            shared.tell(ReceiverOutcome::NotOpened(error));
        }
    };
    thread::Builder::new().name("msal-cache browser".into()).spawn(opening).map(drop)
}

/// Waits for the code.
async fn wait(
    receiver: &Receiver,
    runtime: impl Runtime,
    options: &mut Options,
    mut deadline: Instant,
) -> Result<zeroize::Zeroizing<String>, SignInError> {
    let mut stateless = None;
    loop {
        let changed = receiver.listen();
        match receiver.take() {
            Some(ReceiverOutcome::Answer(Answer::Code(code))) => return Ok(code),
            Some(ReceiverOutcome::Answer(Answer::Error(error))) => {
                return Err(SignInError::of(error));
            }
            Some(ReceiverOutcome::Answer(Answer::Stateless(error))) => {
                if stateless.is_none() {
                    deadline = deadline.min(Instant::now() + GRACE);
                    stateless = Some(error);
                }
            }
            Some(ReceiverOutcome::NotOpened(error)) => return Err(SignInError::Browser(error)),
            Some(ReceiverOutcome::Answer(Answer::Foreign)) | None => {}
        }
        if options.is_cancelled.as_mut().is_some_and(|it| it()) {
            return Err(SignInError::Cancelled);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(stateless.map_or(SignInError::TimedOut, SignInError::of));
        }
        let limit = if options.is_cancelled.is_some() { left.min(CANCEL_CHECK) } else { left };
        runtime.wait(changed, Some(limit)).await;
    }
}
