//! Opens the system browser.

use std::env;
use std::io;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A program that fails sooner has opened nothing: `xdg-open` where there is no browser. One that fails
/// later is a browser that the user has closed.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// Opens an address: by the programs that the variable `BROWSER` names, else as the system does. Within
/// the Windows Subsystem for Linux, it is the browser of Windows. May wait until the browser is closed.
pub(super) fn open(address: &str) -> io::Result<()> {
    match env::var("BROWSER") {
        Ok(names) if !names.trim().is_empty() => open_by_one_of(named(&names, address)),
        #[cfg(unix)]
        _ => open_by_one_of(open::commands(address)),
        #[cfg(not(unix))]
        _ => open::that_detached(address),
    }
}

/// The programs of a list: the names are separated by colons (semicolons on Windows), and `%s` in a name
/// is the place of the address.
fn named(names: &str, address: &str) -> Vec<Command> {
    let separator = if cfg!(windows) { ';' } else { ':' };
    let command = |name: &str| {
        let mut words = name.split_whitespace();
        let mut command = Command::new(words.next()?);
        let mut is_placed = false;
        for word in words {
            is_placed |= word.contains("%s");
            command.arg(word.replace("%s", address));
        }
        if !is_placed {
            command.arg(address);
        }
        Some(command)
    };
    names.split(separator).filter_map(command).collect()
}

/// Starts these programs in turn until one opens the address.
fn open_by_one_of(programs: Vec<Command>) -> io::Result<()> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "BROWSER names no program");
    for mut program in programs {
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // What interrupts this program in its terminal doesn't close the browser.
        #[cfg(unix)]
        program.process_group(0);
        let started = Instant::now();
        match program.spawn().and_then(|mut it| it.wait()) {
            Ok(status) if !status.success() && started.elapsed() < OPENS_WITHIN => {
                let name = program.get_program().to_string_lossy();
                failed = io::Error::other(format!("{name} ended with {status}"));
            }
            Ok(_) => return Ok(()),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::io;

    use super::{named, open_by_one_of};

    fn open_one_of(names: &str, address: &str) -> io::Result<()> {
        open_by_one_of(named(names, address))
    }

    #[test]
    fn the_first_program_that_opens_the_address_is_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        // `touch` is a program that shows what its argument was.
        let place = folder.path().display();
        let names = format!("/nonexistent/browser: :false:touch {place}/%s:touch {place}/other");
        open_one_of(&names, "opened").unwrap();
        assert!(folder.path().join("opened").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn programs_that_can_not_be_started_or_fail_are_an_error() {
        for names in ["/nonexistent/browser", " : ", "false", "false:/nonexistent/browser"] {
            assert!(open_one_of(names, "x").is_err(), "{names}");
        }
        let failed = open_one_of("false", "CANARY").unwrap_err().to_string();
        assert!(failed.starts_with("false ended with") && !failed.contains("CANARY"), "{failed}");
    }
}
