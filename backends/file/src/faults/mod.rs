//! A file system that fails: what a test tells it to, in the folder that the test names, for
//! whichever thread asks.

mod hanging;
mod promise;
mod reads;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;

use crate::folder;
use crate::seam::Call;

/// What goes wrong in a folder.
#[derive(Default)]
struct FaultPlan {
    /// Each call that passed, in order.
    passed: Vec<Call>,
    /// The number of the one that fails, counted from zero, and how.
    nth: Option<(usize, InjectedFault)>,
    /// Calls that always fail.
    always: HashMap<Call, Errno>,
    /// Calls wait while this is set.
    hangs: bool,
    /// What another program does just before the call of this number.
    interferes: Option<(usize, Interference)>,
}

/// What another program does.
type Interference = Box<dyn FnOnce() + Send>;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InjectedFault {
    /// With an error of the system.
    Errno(Errno),
    /// Half of what is to be written is written, and then the medium is full.
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

/// In the folder of `path`, the call of this number fails; the calls are counted from now on.
pub(crate) fn fail_nth(path: &Path, nth: usize, fault: InjectedFault) {
    change(path, |plan| *plan = FaultPlan { nth: Some((nth, fault)), ..FaultPlan::default() });
}

/// In the folder of `path`, all calls of this kind fail.
pub(crate) fn fail_always(path: &Path, call: Call, errno: Errno) {
    change(path, |plan| plan.always.insert(call, errno));
}

/// In the folder of `path`, just before the call of this number another program interferes; the
/// calls are counted from now on.
pub(crate) fn interfere_before(
    path: &Path,
    nth: usize,
    interference: impl FnOnce() + Send + 'static,
) {
    let interferes = Some((nth, Box::new(interference) as Interference));
    change(path, |plan| *plan = FaultPlan { interferes, ..FaultPlan::default() });
}

/// In the folder of `path`, calls don't come back, as on a file server that is away.
pub(crate) fn hang(path: &Path, hangs: bool) {
    change(path, |plan| plan.hangs = hangs);
}

/// All is well again. Returns the calls that were made.
pub(crate) fn clear(path: &Path) -> Vec<Call> {
    let mut folders = plans().folders.lock();
    let plan = folders.remove(folder::of(path)).unwrap_or_default();
    plans().changed.notify_all();
    plan.passed
}

/// Counts a call, and returns how it fails, if it does.
fn fault(call: Call, path: &Path) -> Option<Result<io::Error, InjectedFault>> {
    let mut folders = plans().folders.lock();
    while folders.get(folder::of(path))?.hangs {
        plans().changed.wait_for(&mut folders, Duration::from_secs(60));
    }
    let plan = folders.get_mut(folder::of(path))?;
    let number = plan.passed.len();
    plan.passed.push(call);
    let failure = match (plan.always.get(&call), plan.nth) {
        (Some(errno), _) => Some(Ok((*errno).into())),
        (None, Some((nth, InjectedFault::Errno(errno)))) if nth == number => Some(Ok(errno.into())),
        (None, Some((nth, fault))) if nth == number => Some(Err(fault)),
        _ => None,
    };
    let interferes = plan.interferes.take_if(|(nth, _)| *nth == number);
    drop(folders);
    if let Some((_, interference)) = interferes {
        interference();
    }
    failure
}

pub(crate) fn pass(call: Call, path: &Path) -> io::Result<()> {
    match fault(call, path) {
        Some(Ok(error)) => Err(error),
        // There is no short anything else.
        Some(Err(_)) | None => Ok(()),
    }
}

pub(crate) fn pass_bytes<'a>(
    call: Call,
    path: &Path,
    bytes: &'a [u8],
) -> (&'a [u8], io::Result<()>) {
    match fault(call, path) {
        None => (bytes, Ok(())),
        Some(Ok(error)) => (&[], Err(error)),
        Some(Err(_)) => (&bytes[..bytes.len() / 2], Err(io::ErrorKind::StorageFull.into())),
    }
}
