//! The domain: containers, execs, images, networks, events; a typed async API.
