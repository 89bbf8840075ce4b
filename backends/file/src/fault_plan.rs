//! The faults of a test. They affect the calls of all threads in the folder that the test names.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;

use crate::call::Call;
use crate::folder;

/// The faults in a folder.
#[derive(Default)]
struct FaultPlan {
    /// All calls so far, in order.
    calls: Vec<Call>,
    /// The number of the call that fails, counted from zero, and how it fails.
    nth: Option<(usize, InjectedFault)>,
    /// Calls that always fail.
    always: HashMap<Call, Errno>,
    /// Whether calls don't return.
    hangs: bool,
    /// What another program does just before the call of this number.
    interferes: Option<(usize, Interference)>,
}

/// The action of another program.
type Interference = Box<dyn FnOnce() + Send>;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InjectedFault {
    /// With an error of the system.
    Errno(Errno),
    /// Half of the bytes are written, and then the medium is full.
    ShortWrite,
}

#[derive(Default)]
struct FaultPlans {
    folders: Mutex<HashMap<PathBuf, FaultPlan>>,
    changed: Condvar,
}

fn plans() -> &'static FaultPlans {
    static PLANS: OnceLock<FaultPlans> = OnceLock::new();
    PLANS.get_or_init(FaultPlans::default)
}

fn change<T>(path: &Path, change: impl FnOnce(&mut FaultPlan) -> T) -> T {
    let mut folders = plans().folders.lock();
    let changed = change(folders.entry(folder::of(path).to_owned()).or_default());
    plans().changed.notify_all();
    changed
}

/// Starts to record calls in the folder of `path`.
pub(crate) fn record(path: &Path) {
    change(path, |plan| *plan = FaultPlan::default());
}

/// Makes the call of this number fail in the folder of `path`. Counting starts at zero, now.
pub(crate) fn fail_nth(path: &Path, nth: usize, fault: InjectedFault) {
    change(path, |plan| *plan = FaultPlan { nth: Some((nth, fault)), ..FaultPlan::default() });
}

/// Makes all calls of this kind fail in the folder of `path`.
pub(crate) fn fail_always(path: &Path, call: Call, errno: Errno) {
    change(path, |plan| plan.always.insert(call, errno));
}

/// Lets another program act just before the call of this number in the folder of `path`. Counting
/// starts at zero, now.
pub(crate) fn interfere_before(
    path: &Path,
    nth: usize,
    interference: impl FnOnce() + Send + 'static,
) {
    let interferes = Some((nth, Box::new(interference) as Interference));
    change(path, |plan| *plan = FaultPlan { interferes, ..FaultPlan::default() });
}

/// Sets whether calls in the folder of `path` don't return, as when a file server is down.
pub(crate) fn hang(path: &Path, hangs: bool) {
    change(path, |plan| plan.hangs = hangs);
}

/// Ends all faults in the folder of `path`. Returns the calls since the faults began.
pub(crate) fn clear(path: &Path) -> Vec<Call> {
    let mut folders = plans().folders.lock();
    let plan = folders.remove(folder::of(path)).unwrap_or_default();
    plans().changed.notify_all();
    plan.calls
}

/// How a call failed.
enum CallFailure {
    Error(io::Error),
    ShortWrite,
}

/// Records a call and returns its failure, if it fails.
fn call(call: Call, path: &Path) -> Option<CallFailure> {
    let mut folders = plans().folders.lock();
    while folders.get(folder::of(path))?.hangs {
        plans().changed.wait_for(&mut folders, Duration::from_secs(60));
    }
    let plan = folders.get_mut(folder::of(path))?;
    let number = plan.calls.len();
    plan.calls.push(call);
    let planned = plan.nth.filter(|(nth, _)| *nth == number).map(|(_, fault)| fault);
    let failure = match (plan.always.get(&call).copied(), planned) {
        (Some(errno), _) | (None, Some(InjectedFault::Errno(errno))) => {
            Some(CallFailure::Error(errno.into()))
        }
        (None, Some(InjectedFault::ShortWrite)) => Some(CallFailure::ShortWrite),
        (None, None) => None,
    };
    let interferes = plan.interferes.take_if(|(nth, _)| *nth == number);
    drop(folders);
    if let Some((_, interference)) = interferes {
        interference();
    }
    failure
}

pub(crate) fn pass(kind: Call, path: &Path) -> io::Result<()> {
    match call(kind, path) {
        Some(CallFailure::Error(error)) => Err(error),
        // Only writes can be short.
        Some(CallFailure::ShortWrite) | None => Ok(()),
    }
}

pub(crate) fn pass_bytes<'a>(
    kind: Call,
    path: &Path,
    bytes: &'a [u8],
) -> (&'a [u8], io::Result<()>) {
    match call(kind, path) {
        None => (bytes, Ok(())),
        Some(CallFailure::Error(error)) => (&[], Err(error)),
        Some(CallFailure::ShortWrite) => {
            (&bytes[..bytes.len() / 2], Err(io::ErrorKind::StorageFull.into()))
        }
    }
}
