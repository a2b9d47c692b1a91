//! Sets.

pub(super) mod algebra;
pub(super) mod member;
pub(super) mod random;
