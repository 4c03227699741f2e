//! Reading a record back.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, Result};
use runward_event::{Event, parse_line};

use crate::output;

/// The longest line that is read: a process start with every argument and path at its largest is far below.
const LINE_MAX: u64 = 16 << 20;

/// Hands on every event of an `events.jsonl`, in order. Lines that are no events are told and left out.
pub(crate) fn read(path: &Path, mut take: impl FnMut(&Event)) -> Result<()> {
    let file = File::open(path).with_context(|| {
        format!(
            "cannot read {}: name the folder of an earlier run",
            path.display()
        )
    })?;
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = lines
            .by_ref()
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            break;
        }
        let text = str::from_utf8(&line).unwrap_or_default();
        match parse_line(text) {
            Ok(event) => take(&event),
            // A run that was cut off leaves half a line at the end.
            Err(_) if !line.ends_with(b"\n") => {
                output::say(format_args!(
                    "{} breaks off in line {number}",
                    path.display()
                ));
            }
            Err(error) => output::say(format_args!("{}, line {number}: {error}", path.display())),
        }
    }
    Ok(())
}
