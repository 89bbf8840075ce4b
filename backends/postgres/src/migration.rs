//! Creates the tables, or checks that they are the expected ones.

use msal_cache_core::Result;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::connection::Connector;
use crate::error::PostgresFailure;

/// The version of the tables that this crate uses.
const VERSION: i32 = 1;

/// Makes sure that the tables exist in the right version. Of many processes that open an empty
/// schema at the same time, one creates the tables.
pub(crate) async fn prepare(connector: &Connector, client: &Client, create: bool) -> Result<()> {
    let row = client.query_typed_one("SHOW server_version", &[]).await;
    let found: String = row.map_err(|error| connector.error(&error))?.get(0);
    if is_too_old(&found) {
        return Err(PostgresFailure::TooOld { server: connector.server.clone(), found }.into());
    }
    let run =
        async |sql: &str| client.batch_execute(sql).await.map_err(|error| connector.error(&error));
    if check(connector, client).await? {
        return Ok(());
    }
    let schema = &connector.names.schema;
    if !create {
        return Err(PostgresFailure::MissingTables { schema: schema.clone() }.into());
    }
    // Ends with the transaction. The number is "msal" in ASCII, so that foreign locks differ.
    run("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(1836278124, 1)")
        .await?;
    let created = async {
        if !check(connector, client).await? {
            let exists = "SELECT to_regnamespace($1) IS NOT NULL";
            let row =
                client.query_typed_one(exists, &[(&format!("\"{schema}\""), Type::TEXT)]).await;
            let row = row.map_err(|error| connector.error(&error))?;
            if !row.get::<_, bool>(0) {
                run(&format!("CREATE SCHEMA \"{schema}\"")).await?;
            }
            run(&connector.names.ddl()).await?;
        }
        Ok(())
    };
    match created.await {
        Ok(()) => run("COMMIT").await,
        Err(error) => {
            run("ROLLBACK").await?;
            Err(error)
        }
    }
}

/// Whether the tables exist.
async fn check(connector: &Connector, client: &Client) -> Result<bool> {
    let names = &connector.names;
    let exist = "SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL, EXISTS (\
                     SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass($1) \
                     AND attname = 'application')";
    let (version, records) = (names.of("version"), names.of("records"));
    let row =
        client.query_typed_one(exist, &[(&version, Type::TEXT), (&records, Type::TEXT)]).await;
    let row = row.map_err(|error| connector.error(&error))?;
    match (row.get::<_, bool>(0), row.get::<_, bool>(1), row.get::<_, bool>(2)) {
        (false, false, _) => Ok(false),
        (false, true, _) => Err(PostgresFailure::ForeignTable { table: records }.into()),
        (true, _, false) => Err(PostgresFailure::ForeignTable { table: version }.into()),
        (true, _, true) => {
            let sql =
                format!("SELECT max(version) FROM {version} WHERE application = 'msal-cache'");
            let row = client.query_typed_one(&sql, &[]).await;
            match row.map_err(|error| connector.error(&error))?.get(0) {
                Some(VERSION) => Ok(true),
                Some(found) => Err(PostgresFailure::NewerTables { found, known: VERSION }.into()),
                None => Err(PostgresFailure::ForeignTable { table: version }.into()),
            }
        }
    }
}

/// Whether the version is before 12. An unknown one isn't.
fn is_too_old(version: &str) -> bool {
    let digits = version.bytes().take_while(u8::is_ascii_digit).count();
    version[..digits].parse::<u32>().is_ok_and(|major| major < 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["9.6.24", "11.22 (Debian 11.22-1)"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in ["12.0", "15.18 (Debian 15.18-0+deb12u1)", "100", "unknown", ""] {
            assert!(!is_too_old(version), "{version}");
        }
    }
}
