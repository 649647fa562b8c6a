//! OCI spec to Plan (pure) and Plan to process (system calls only).
