//! The keeper of one container: parent of PID 1, stdio, log, exit record; and its wire protocol and client.
