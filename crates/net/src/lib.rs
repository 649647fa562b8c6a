//! Networks, endpoints, address management, drivers, port maps.
