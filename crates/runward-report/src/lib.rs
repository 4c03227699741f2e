//! runward-report
