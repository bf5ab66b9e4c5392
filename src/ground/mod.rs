//! Floor 1
