//! Go text/template as docker's --format needs it.
