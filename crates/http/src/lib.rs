//! The Docker REST edge: route, engine call, JSON; hijack and streams.
