use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// From start to end, in seconds.
    pub(super) wall: f64,
    /// Processor time of the started process itself, without its children, in seconds.
    pub(super) cpu: f64,
    /// The most memory that the started process itself held, in megabytes. Looked at now and then, so a peak
    /// shorter than that may be missed.
    pub(super) peak_mb: f64,
}

/// The unit of times in /proc: part of the kernel's promise to programs, whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs the command and measures it. An error when it fails: a failed build takes no time worth knowing.
pub(super) fn measure(command: &mut Command) -> anyhow::Result<Measured> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("can't start {command:?}"))?;
    // Read to the end beside the run, so that a command which complains a lot does not wait for a reader.
    let stderr = child.stderr.take().context("no stderr")?;
    let complaints = std::thread::spawn(move || std::io::read_to_string(stderr));
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("no process id")?;
    let peak = std::thread::spawn(move || watch_memory(pid));
    // Waits without collecting: the counters in /proc stay readable until the exit is collected below.
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )
    .context("can't wait for the command")?;
    let wall = start.elapsed().as_secs_f64();
    let cpu = processor_seconds(&child)?;
    let status = child.wait()?;
    let peak_mb = peak.join().unwrap_or_default();
    let complaints = complaints
        .join()
        .ok()
        .and_then(Result::ok)
        .unwrap_or_default();
    ensure!(
        status.success(),
        "{command:?} ended with {status}: {}",
        complaints.trim()
    );
    Ok(Measured { wall, cpu, peak_mb })
}

/// Follows the peak until the process has no memory any more.
fn watch_memory(pid: Pid) -> f64 {
    let file = format!("/proc/{}/status", pid.as_raw_nonzero());
    let mut peak = 0.0;
    while let Some(kilobytes) = fs::read_to_string(&file).ok().as_deref().and_then(peak_in) {
        peak = kilobytes / 1000.0 * 1.024;
        std::thread::sleep(LOOK_EVERY);
    }
    peak
}

fn peak_in(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn processor_seconds(child: &Child) -> anyhow::Result<f64> {
    let file = format!("/proc/{}/stat", child.id());
    let stat = fs::read_to_string(&file).with_context(|| format!("can't read {file}"))?;
    let ticks = own_ticks(&stat).with_context(|| format!("can't understand {file}"))?;
    Ok(ticks / TICKS_PER_SECOND)
}

/// User and system time, in clock ticks: fields 14 and 15, counted behind the name, which may hold anything.
fn own_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 12 30 99 98 20 0 1";
        assert_eq!(own_ticks(stat), Some(42.0));
        assert_eq!(own_ticks("7 (a"), None);
    }

    #[test]
    fn a_run_is_measured_and_a_failure_is_an_error() {
        let measured = measure(Command::new("sleep").arg("0.05")).unwrap();
        assert!(measured.wall >= 0.05 && measured.cpu < measured.wall && measured.peak_mb > 0.0);
        let error = measure(Command::new("sh").args(["-c", "echo oh no >&2; exit 3"]));
        assert!(error.unwrap_err().to_string().contains("oh no"));
    }
}
