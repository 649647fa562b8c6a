//! TLS in front of a connection.
//!
//! Behind the handshake the rest of this crate (and the engine, when a request hijacks its connection) works with a socket, so
//! the daemon stands between the client and one end of a socket pair and carries bytes both ways:
//!
//! ```text
//!   client ═TLS═ rustls ── pump ── socket pair ── hyper, or the engine
//! ```

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;

/// A client must have shown its certificate in this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes carried at once: a record of TLS has at most 16 KiB.
const PIECE: usize = 16 << 10;
/// First byte of a handshake record (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// Bytes of a client that does not speak TLS that are read before the connection is closed on it.
const MAX_DISCARDED: u64 = 256 << 10;
/// What Go's server tells a client that speaks plain HTTP to it; docker's client shows it.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Shakes hands; gives the socket that carries what is inside.
pub(crate) async fn open(tls: &wharf_tls::Reloading, mut client: TcpStream) -> io::Result<UnixStream> {
    let (config, error) = tls.current();
    if let Some(error) = error {
        tracing::error!("certificates stay as they were: {error}");
    }
    let shaken = tokio::time::timeout(HANDSHAKE, async {
        let mut first = [0];
        if client.peek(&mut first).await? == 1 && first[0] != HANDSHAKE_RECORD {
            client.write_all(NOT_TLS).await?;
            client.shutdown().await?;
            // to close while there is something unread would reset the connection before the answer is read
            let mut rest = (&mut client).take(MAX_DISCARDED);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "client sent an HTTP request to an HTTPS server"));
        }
        TlsAcceptor::from(config).accept(client).await
    });
    let mut outer = shaken.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (inner, mut far) = UnixStream::pair()?;
    tokio::spawn(async move {
        // either side may close its half first; an error ends both, which the other side sees
        if let Err(error) = copy_bidirectional_with_sizes(&mut outer, &mut far, PIECE, PIECE).await {
            tracing::debug!(%error, "TLS connection");
        }
    });
    Ok(inner)
}
