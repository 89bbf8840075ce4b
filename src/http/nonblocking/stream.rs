use tokio::io::{AsyncRead, AsyncWrite};

/// A connection: TCP, TLS, or a tunnel through a proxy.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
