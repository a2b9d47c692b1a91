//! The format of RDB files.
pub mod crc;
