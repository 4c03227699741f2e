//! runward-lab
