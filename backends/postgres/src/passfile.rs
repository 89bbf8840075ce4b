//! The files of passwords and of services that PostgreSQL's own programs read.

use std::collections::HashMap;
use std::path::PathBuf;

use msal_cache_core::{Error, Result};
use tokio_postgres::Config;

use crate::address::{Variables, first_host, read_file};

/// The password for the first host of an address in a file: that of the option, of the variable
/// PGPASSFILE, or of the home folder. The latter may be missing.
pub(crate) fn password(
    path: Option<&str>,
    config: &Config,
    read: Variables<'_>,
) -> Result<Option<String>> {
    let path = match path {
        Some(path) => PathBuf::from(path),
        None => match in_home(read, ".pgpass", "pgpass.conf") {
            Some(path) if path.exists() => path,
            _ => return Ok(None),
        },
    };
    check_permissions(&path)?;
    let path = path.display().to_string();
    let text = String::from_utf8(read_file("passfile", &path)?)
        .map_err(|_| Error::invalid("passfile", format!("{path} is not UTF-8")))?;
    let user = config.get_user().map(str::to_owned);
    let user = user.or_else(|| read("USER").or_else(|| read("USERNAME"))).unwrap_or_default();
    let port = config.get_ports().first().unwrap_or(&5432).to_string();
    let database = config.get_dbname().unwrap_or(&user);
    Ok(find(&text, [&first_host(config), &port, database, &user]))
}

/// The password of the first line for this host, port, database and user.
fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [host, port, database, user, password] = &fields[..] else { return None };
        let all = [host, port, database, user].into_iter().zip(wanted);
        let fits = all.into_iter().all(|(it, wanted)| it == "*" || it == wanted);
        fits.then(|| password.clone())
    })
}

/// Fields between colons; a backslash escapes a colon and a backslash. The last one is the password,
/// which libpq also ends at a colon.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(next) = characters.next() {
        let last = fields.len() - 1;
        match next {
            '\\' => fields[last].extend(characters.next()),
            ':' if last < 4 => fields.push(String::new()),
            ':' => break,
            other => fields[last].push(other),
        }
    }
    fields
}

/// The options of a service in the file of PGSERVICEFILE, or of the home folder.
pub(crate) fn service(name: &str, read: Variables<'_>) -> Result<HashMap<String, String>> {
    let path = read("PGSERVICEFILE").map(PathBuf::from);
    let path = path.or_else(|| in_home(read, ".pg_service.conf", ".pg_service.conf"));
    let path = path.unwrap_or_default().display().to_string();
    let text = String::from_utf8(read_file("service", &path)?)
        .map_err(|_| Error::invalid("service", format!("{path} is not UTF-8")))?;
    let lines = text.lines().map(str::trim);
    let mut lines = lines.skip_while(|line| *line != format!("[{name}]"));
    if lines.next().is_none() {
        return Err(Error::invalid("service", format!("{path} has no section [{name}]")));
    }
    let own = lines.take_while(|line| !line.starts_with('['));
    let own = own.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let options = own.map(|line| {
        let (option, value) = line.split_once('=').ok_or_else(|| {
            Error::invalid("service", format!("a line of [{name}] in {path} has no `=`"))
        })?;
        Ok((option.trim().to_owned(), value.trim().to_owned()))
    });
    options.collect()
}

fn in_home(read: Variables<'_>, name: &str, name_on_windows: &str) -> Option<PathBuf> {
    if cfg!(windows) {
        Some(PathBuf::from(read("APPDATA")?).join("postgresql").join(name_on_windows))
    } else {
        Some(PathBuf::from(read("HOME").filter(|it| !it.is_empty())?).join(name))
    }
}

/// Refuses passwords that other users can read.
#[cfg(unix)]
fn check_permissions(path: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o077 != 0 => {
            let path = path.display();
            let reason = format!("other users have access to {path}; run `chmod 0600 {path}`");
            Err(Error::invalid("passfile", reason))
        }
        _ => Ok(()),
    }
}

/// The folder is that of the user.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
fn check_permissions(_: &std::path::Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# db:5432:d:u:comment\ndb:5432:other:u:one\nd\\:b:*:d:u:two\\:\\\\\n\
                    db:*:*:u:three:rest\n*:*:*:*:four\nshort:line\n";
        let password = |wanted| find(text, wanted).unwrap();
        assert_eq!(password(["db", "5432", "other", "u"]), "one");
        assert_eq!(password(["d:b", "1", "d", "u"]), "two:\\");
        assert_eq!(password(["db", "5432", "d", "u"]), "three");
        assert_eq!(password(["db", "5432", "d", "x"]), "four");
        assert_eq!(find("a:1:b:c:d", ["a", "2", "b", "c"]), None);
    }
}
