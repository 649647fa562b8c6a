//! Hermetic test hosts: a daemon in namespaces of its own, with an outside world.
