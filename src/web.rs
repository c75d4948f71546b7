//! The HTTP door for pushes, health and metrics, and the admin API on a Unix socket.

pub mod view;
