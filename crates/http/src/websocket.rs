//! WebSocket framing (RFC 6455), as much as `attach/ws` needs.
