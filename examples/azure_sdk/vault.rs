//! A key vault with one secret. Like the real one, it says in a challenge which token it requires.

use std::io::{self, Write};

use crate::stand_in::server::{Server, json};

const CHALLENGE: &str = "Bearer authorization=\"https://login.example/contoso\", \
                         resource=\"https://vault.azure.net\"";

pub(crate) fn start() -> io::Result<Server> {
    Server::start(|request, out| {
        let token = request.headers.get("authorization").map_or("", String::as_str);
        if !token.starts_with("Bearer access token ") {
            return write!(
                out,
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {CHALLENGE}\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        match request.path.split('?').next() {
            Some("/secrets/connection/" | "/secrets/connection") => json(
                out,
                "200 OK",
                r#"{"value": "Server=db.contoso.example",
                    "id": "https://contoso.vault.azure.net/secrets/connection/1"}"#,
            ),
            _ => json(out, "404 Not Found", r#"{"error": {"code": "SecretNotFound"}}"#),
        }
    })
}
