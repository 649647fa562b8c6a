//! Local volumes: create, copy-up, reference counts.
