//! runward-agent
