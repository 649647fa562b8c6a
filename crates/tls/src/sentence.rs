//! What went wrong, in the words that Docker's users know from Go's `crypto/tls`.

use rustls::{AlertDescription as Alert, CertificateError as Bad, Error};

/// The sentence for a handshake with `host` that failed.
pub fn sentence(error: &Error, host: &str) -> String {
    let unverified = |why: &str| format!("tls: failed to verify certificate: x509: {why}");
    match error {
        Error::InvalidMessage(_) => "http: server gave HTTP response to HTTPS client".into(),
        // a bad signature: the authority has the name of one that is trusted, but another key
        Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            unverified("certificate signed by unknown authority")
        }
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            unverified(&format!("certificate is not valid for {host}"))
        }
        Error::InvalidCertificate(
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
        ) => unverified("certificate has expired or is not yet valid"),
        Error::InvalidCertificate(other) => unverified(&other.to_string()),
        Error::AlertReceived(Alert::CertificateRequired) => "remote error: tls: certificate required".into(),
        Error::AlertReceived(Alert::BadCertificate) => "remote error: tls: bad certificate".into(),
        Error::AlertReceived(Alert::UnknownCA) => "remote error: tls: unknown certificate authority".into(),
        Error::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        other => format!("tls: {other}"),
    }
}
