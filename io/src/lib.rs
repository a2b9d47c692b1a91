//! Bytes, descriptors and cores.
