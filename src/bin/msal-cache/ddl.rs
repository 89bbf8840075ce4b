//! The statements for operators of PostgreSQL who don't let applications create tables.

use msal_cache::postgres::PostgresStore;
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::flags::Format;
use crate::run::Run;

pub(crate) fn ddl(
    run: &mut Run<'_>,
    [schema, prefix]: [&str; 2],
    roles: &[String],
    row_level_security: bool,
) -> Result<Outcome, Failure> {
    let builder = PostgresStore::builder("").schema(schema).prefix(prefix);
    let mut statements = vec![builder.ddl()?];
    if schema != "public" {
        statements.insert(0, format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\";"));
    }
    if row_level_security {
        statements.push(builder.row_level_security()?);
    }
    for role in roles {
        if role.is_empty() || role.contains('\0') {
            return Err(Failure::usage("a role is empty, or has a NUL"));
        }
        statements.push(builder.grants(role)?);
    }
    let sql = statements.iter().map(|it| it.trim()).collect::<Vec<_>>().join("\n\n");
    if run.common.format() == Format::Json {
        run.out.json(&json!({ "sql": sql }))?;
    } else {
        run.out.product(&sql)?;
    }
    Ok(Outcome::Done)
}
