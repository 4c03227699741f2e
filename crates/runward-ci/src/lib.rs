//! runward-ci
