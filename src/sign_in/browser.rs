//! Opens the system browser.

use std::env;
use std::io;
use std::process::{Command, Stdio};

/// Opens an address: by the programs that the variable `BROWSER` names, else as the system does. Within
/// the Windows Subsystem for Linux, it is the browser of Windows.
pub(super) fn open(address: &str) -> io::Result<()> {
    match env::var("BROWSER") {
        Ok(names) if !names.trim().is_empty() => open_one_of(&names, address),
        _ => open::that_detached(address),
    }
}

/// Starts the first program of a list that can be started: the names are separated by colons
/// (semicolons on Windows), and `%s` in a name is the place of the address.
fn open_one_of(names: &str, address: &str) -> io::Result<()> {
    let separator = if cfg!(windows) { ';' } else { ':' };
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "BROWSER names no program");
    for name in names.split(separator) {
        let mut words = name.split_whitespace();
        let Some(program) = words.next() else { continue };
        let mut command = Command::new(program);
        let mut is_placed = false;
        for word in words {
            is_placed |= word.contains("%s");
            command.arg(word.replace("%s", address));
        }
        if !is_placed {
            command.arg(address);
        }
        let streams = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match streams.spawn() {
            Ok(mut child) => {
                // Reaps the process when the user closes the browser.
                std::thread::spawn(move || child.wait());
                return Ok(());
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::open_one_of;

    #[test]
    fn the_first_program_that_starts_gets_the_address() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("opened");
        // `touch` is a program that shows what its argument was.
        let names = format!("/nonexistent/browser: :touch {}/%s:false", folder.path().display());
        open_one_of(&names, "opened").unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while !file.exists() {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(open_one_of("/nonexistent/browser", "x").is_err());
        assert!(open_one_of(" : ", "x").is_err());
    }
}
