use std::io;

use crate::Report;

/// `report.json` as text; see [`write_json`], which needs no memory for it.
pub fn json(report: &Report) -> String {
    let mut text = Vec::new();
    // Writing into memory does not fail, and the model has no map with keys that JSON can't hold.
    match write_json(report, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// Writes `report.json`, indented so that a person can read it and `diff` can compare two of them. Makes many small
/// writes: hand it something buffered.
pub fn write_json(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report).map_err(io::Error::from)?;
    out.write_all(b"\n")
}
