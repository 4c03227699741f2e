//! runward-detect
