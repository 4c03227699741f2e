//! runward-sensor
