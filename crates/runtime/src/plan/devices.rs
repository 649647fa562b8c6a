//! Planning of devices.
