//! [`plan`] and [`plan_exec`]: the document becomes a plan.

use super::{ExecPlan, Plan, PlanOptions};
use crate::Error;
use wharf_spec::runtime::{Process, Spec};

/// Decides everything about the container that `spec` describes. Pure: looks at no file.
///
/// # Errors
/// What of the document is wrong or not supported.
pub fn plan(spec: &Spec, options: &PlanOptions) -> Result<Plan, Error> {
    let _ = (spec, options);
    Err(Error::unsupported("spec", "not planned yet"))
}

/// Decides about a process joining the container that `spec` described.
///
/// # Errors
/// What of the process is wrong or not supported.
pub fn plan_exec(spec: &Spec, process: &Process, options: &PlanOptions) -> Result<ExecPlan, Error> {
    let _ = (spec, process, options);
    Err(Error::unsupported("process", "not planned yet"))
}
