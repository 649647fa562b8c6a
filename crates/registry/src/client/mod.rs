//! The client: one repository of one registry, its manifests, tags and blobs.
//!
//! ```text
//!   Settings ──► endpoints of a domain: mirrors, https, http where the administrator allows it
//!                    │ open: GET /v2/ (who is it, what does it want to know)
//!                    ▼
//!   Repository ── auth (Basic, Bearer tokens) ── wire (connections, redirects, patience) ── dial (names, proxies, TLS)
//!        ├ manifests, tags      bounded documents, digests verified
//!        ├ Download             a blob as chunks; a broken connection is resumed with Range
//!        └ upload               HEAD, mount from another repository, POST + PATCH + PUT
//! ```
//! Everything that a registry says is hostile: sizes are bounded, digests verified, redirects counted, credentials sent
//! only to the host that asked for them and to the token server that it named over TLS.

mod address;
mod auth;
mod challenge;
mod dial;
mod download;
mod error;
mod fetch;
mod hub;
mod proxy;
mod refusal;
mod repository;
mod resolve;
mod sentence;
mod settings;
mod tls;
mod upload;
mod wire;

pub use address::Address;
pub use auth::{Access, Credentials};
pub use download::{Download, Step};
pub use error::{Error, Result};
pub use fetch::{Fetched, fetch};
pub use hub::{Found, Login, login, search};
pub use proxy::Proxies;
pub use repository::{Document, Repository};
pub use settings::{Endpoint, Insecure, Patience, Settings, mirror};
pub use upload::{Mount, Outgoing, Pieces, Upload};
