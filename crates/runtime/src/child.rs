//! The child between clone and exec.
