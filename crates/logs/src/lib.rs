//! Container log formats: synchronous writer for the shim, reader and follower for the daemon.
