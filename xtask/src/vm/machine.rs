use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::libtest::Scan;
use crate::outcome::Outcome;

/// A line of the console is cut here, so that a test which prints without end can't fill the memory.
const LINE_LIMIT: usize = 64 * 1024;
/// No more than this of the console goes to the log file.
const LOG_LIMIT: usize = 64 * 1024 * 1024;

/// What became of a machine that met a breakpoint which its kernel had set and taken away again. Kernels patch their own
/// code so when a tracepoint or a hook is switched on; real processors see either the old or the new instruction, QEMU's
/// emulated ones may go on seeing what lay between, as soon as there are two. The kernel then ends, or stands still in its
/// own handler.
const EMULATOR_FAULT: &str = "the emulator ran an instruction that is no longer there";

/// How a machine ended.
pub(super) enum Ended {
    /// By itself, or because of something that it or its tests did.
    Judged(Outcome),
    /// Its emulator failed it. Another one can do the rest.
    EmulatorFault,
}

/// What several machines have got done of one list of tests, one after the other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    scan: Scan,
    /// The test binaries that came to their end.
    ended: BTreeSet<String>,
    /// The names of those that did not end with 0.
    failed: Vec<String>,
    /// Of the binaries that the emulator broke off, the tests that passed. What failed may have failed because of it, and
    /// runs again.
    passed: BTreeMap<String, BTreeSet<String>>,
}

impl Progress {
    pub(super) fn has_ended(&self, binary: &str) -> bool {
        self.ended.contains(binary)
    }

    /// The tests of a binary that need not run again.
    pub(super) fn passed(&self, binary: &str) -> impl Iterator<Item = &str> {
        let passed = self.passed.get(binary).into_iter().flatten();
        passed.map(String::as_str)
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.scan.totals().fmt(f)
    }
}

/// One virtual machine that runs the tests and powers itself off.
pub(super) struct Machine<'a> {
    /// Stands before each line that is shown.
    pub(super) name: &'a str,
    pub(super) vmlinuz: &'a Path,
    pub(super) initramfs: &'a Path,
    /// Added to the kernel's command line.
    pub(super) command_line: &'a str,
    pub(super) nonce: &'a str,
    pub(super) limit: Duration,
    /// Gets everything that the console shows.
    pub(super) log: &'a Path,
    pub(super) expected_binaries: usize,
}

impl Machine<'_> {
    /// Runs it to its end. Whatever goes wrong inside is an outcome; an error is a machine that did not start.
    pub(super) fn run(&self, progress: &mut Progress) -> anyhow::Result<Ended> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut log = File::create(self.log)
            .with_context(|| format!("can't write {}", self.log.display()))?;
        let mut child = Running(self.start()?);
        let stdout = child.0.stdout.take().context("qemu has no output")?;
        let (sender, chunks) = mpsc::sync_channel(64);
        // Ends by itself when qemu is gone.
        let reader = thread::spawn(move || pass_on(stdout, &sender));

        let deadline = Instant::now() + self.limit;
        let mut console = Console::new(self.nonce, progress);
        let mut logged = 0;
        let in_time = loop {
            match chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => {
                    if logged < LOG_LIMIT {
                        logged += chunk.len();
                        log.write_all(&chunk)?;
                    }
                    for line in console.take(&chunk) {
                        println!("{}: {line}", self.name);
                    }
                    if console.met_emulator_fault {
                        break true;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break true,
                Err(RecvTimeoutError::Timeout) => break false,
            }
        };
        drop(child);
        // The reader may still wait for room in the channel.
        drop(chunks);
        let _ = reader.join();
        Ok(self.judge(console, in_time))
    }

    fn start(&self) -> anyhow::Result<Child> {
        // One processor: QEMU 7.2 may translate an instruction on one while another one replaces it, and keeps the old one.
        // The kernel ends the machine when this process is killed and can't do so itself.
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
            .args(["-accel", "tcg", "-cpu", "max", "-m", "2048", "-smp", "1"])
            .args(["-nographic", "-no-reboot", "-nodefaults", "-nic", "none"])
            .args(["-serial", "stdio", "-monitor", "none"])
            .arg("-kernel")
            .arg(self.vmlinuz)
            .arg("-initrd")
            .arg(self.initramfs)
            .arg("-append")
            .arg(format!(
                "console=ttyS0 loglevel=5 panic=-1 {}",
                self.command_line
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start qemu-system-x86_64; `make setup` installs it")
    }

    fn judge(&self, console: Console<'_>, in_time: bool) -> Ended {
        let log = self.log.display();
        if console.met_emulator_fault {
            println!(
                "-- {}: {EMULATOR_FAULT}; the console is in {log}",
                self.name
            );
            console.break_off();
            return Ended::EmulatorFault;
        }
        let Console {
            progress,
            panic,
            ended,
            ..
        } = console;
        let Progress {
            scan,
            ended: binaries,
            failed,
            ..
        } = std::mem::take(progress);
        let exits = binaries.len();
        let counted = scan.totals();
        let broken = if !in_time {
            Some(format!("not done after {} s", self.limit.as_secs()))
        } else if let Some(panic) = &panic {
            Some(format!("the kernel said: {panic}"))
        } else if !ended {
            Some("the machine stopped before the tests were done".to_owned())
        } else if exits != self.expected_binaries {
            Some(format!(
                "{exits} of {} test binaries ended",
                self.expected_binaries
            ))
        } else if counted.failed == 0 && !failed.is_empty() {
            Some(format!("ended with an error: {}", failed.join(", ")))
        } else if counted.passed + counted.failed + counted.skipped == 0 {
            Some("no test ran".to_owned())
        } else {
            None
        };
        Ended::Judged(match broken {
            Some(why) => Outcome::Failed(format!("{why} ({counted}); the console is in {log}")),
            None => scan.into_outcome(),
        })
    }
}

/// Ends the machine when it goes out of scope, however that comes about.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pass_on(mut stdout: ChildStdout, to: &mpsc::SyncSender<Vec<u8>>) {
    let mut buffer = [0; 8192];
    while let Ok(size) = stdout.read(&mut buffer) {
        if size == 0 || to.send(buffer[..size].to_vec()).is_err() {
            break;
        }
    }
}

/// Understands what the machine shows on its serial console.
struct Console<'a> {
    marker: String,
    partial: Vec<u8>,
    progress: &'a mut Progress,
    /// The test binary that runs.
    running: Option<String>,
    /// Its tests that have passed.
    passed: BTreeSet<String>,
    inside_tests: bool,
    panic: Option<String>,
    met_emulator_fault: bool,
    ended: bool,
}

impl Console<'_> {
    fn new<'a>(nonce: &str, progress: &'a mut Progress) -> Console<'a> {
        Console {
            marker: format!("@@{nonce} "),
            partial: Vec::new(),
            progress,
            running: None,
            passed: BTreeSet::new(),
            inside_tests: false,
            panic: None,
            met_emulator_fault: false,
            ended: false,
        }
    }

    /// Keeps what the binary has got done that never comes to tell how many tests it ran.
    fn break_off(self) {
        let Some(running) = self.running else {
            return;
        };
        let count = u64::try_from(self.passed.len()).unwrap_or(u64::MAX);
        self.progress.scan.broke_off(count);
        let passed = self.progress.passed.entry(running).or_default();
        passed.extend(self.passed);
    }

    /// Takes what came and answers the lines that a person should see.
    fn take(&mut self, chunk: &[u8]) -> Vec<String> {
        let mut shown = Vec::new();
        for byte in chunk {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.partial);
                    let line = printable(&line);
                    if self.line(&line) {
                        shown.push(line);
                    }
                }
                b'\r' => {}
                _ if self.partial.len() < LINE_LIMIT => self.partial.push(*byte),
                _ => {}
            }
        }
        shown
    }

    fn line(&mut self, line: &str) -> bool {
        if let Some(message) = line.strip_prefix(&self.marker) {
            self.message(message);
            return false;
        }
        if is_emulator_fault(line) {
            self.met_emulator_fault = true;
        }
        // The kernel's own lines start with a time stamp.
        let bad = ["] Kernel panic - ", "] Oops: ", "] BUG: "];
        if bad.iter().any(|text| line.contains(text)) {
            self.panic.get_or_insert_with(|| line.to_owned());
            return true;
        }
        if self.inside_tests {
            self.progress.scan.line(line);
            self.passed.extend(passed(line).map(str::to_owned));
        }
        self.inside_tests
    }

    fn message(&mut self, message: &str) {
        let mut words = message.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("run"), Some(name), None) => {
                self.inside_tests = true;
                self.running = Some(name.to_owned());
            }
            (Some("show"), None, None) => self.inside_tests = true,
            (Some("exit"), Some(code), Some(name)) => {
                self.inside_tests = false;
                self.running = None;
                self.passed.clear();
                self.progress.ended.insert(name.to_owned());
                if code != "0" {
                    self.progress.failed.push(format!("{name} ({code})"));
                }
            }
            (Some("end"), None, None) => self.ended = true,
            _ => {}
        }
    }
}

/// The name of a test that has passed. In a line that the kernel wrote into, nobody finds one, and the test runs again.
fn passed(line: &str) -> Option<&str> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... ok")?;
    (!name.contains(' ')).then_some(name)
}

/// The line without what would steer a terminal.
fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .chars()
        .filter(|c| *c == '\t' || !c.is_control())
        .collect()
}

/// A kernel tells where a processor is when it ended there, or stands still: in the handler of breakpoints, or at the very
/// first instruction of a security hook, which is where it patches.
fn is_emulator_fault(line: &str) -> bool {
    let stands_at_hook = line
        .split_once("] RIP: 0010:security_")
        .is_some_and(|(_, hook)| hook.contains("+0x0/"));
    stands_at_hook
        || ["] Oops: int3", "] RIP: 0010:asm_exc_int3"]
            .iter()
            .any(|text| line.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine<'static> {
        Machine {
            name: "m",
            vmlinuz: Path::new("vmlinuz"),
            initramfs: Path::new("initramfs"),
            command_line: "",
            nonce: "n1",
            limit: Duration::from_secs(9),
            log: Path::new("log"),
            expected_binaries: 1,
        }
    }

    fn judged(text: &str, in_time: bool) -> String {
        judged_after(&mut Progress::default(), text, in_time)
    }

    fn judged_after(progress: &mut Progress, text: &str, in_time: bool) -> String {
        let mut console = Console::new("n1", progress);
        console.take(text.as_bytes());
        match machine().judge(console, in_time) {
            Ended::Judged(Outcome::Tests(totals, _)) => totals.to_string(),
            Ended::Judged(Outcome::Failed(why)) => why,
            Ended::Judged(other) => format!("{other:?}"),
            Ended::EmulatorFault => EMULATOR_FAULT.to_owned(),
        }
    }

    #[test]
    fn only_a_machine_that_ran_all_tests_counts() {
        let result = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\r\n";
        let whole = format!("@@n1 run a\r\n{result}@@n1 exit 0 a\r\n@@n1 end\r\n");
        assert_eq!(judged(&whole, true), "2 passed, 0 failed, 0 skipped");
        assert!(judged(&whole, false).starts_with("not done after 9 s"));
        assert!(judged(&whole.replace("@@n1 end", ""), true).starts_with("the machine stopped"));
        assert!(judged(&whole.replace("exit 0", "exit 139"), true).contains("a (139)"));
        assert!(judged(&whole.replace("2 passed", "0 passed"), true).starts_with("no test ran"));
        assert!(judged("@@n1 end\r\n", true).starts_with("0 of 1 test binaries"));
        let panicked = format!("{whole}[ 1.0] Kernel panic - not syncing: oh\r\n");
        assert!(judged(&panicked, true).contains("not syncing: oh"));
        for fault in [
            "[   85.1] RIP: 0010:asm_exc_int3+0x0/0x40",
            "[  987.2] RIP: 0010:security_capable+0x0/0x60",
            "[ 1.0] Oops: int3: 0000 [#1] PREEMPT SMP",
        ] {
            let faulty = judged(&format!("@@n1 run a\r\n{fault}\r\n"), true);
            assert!(faulty.contains(EMULATOR_FAULT), "{faulty}");
        }
        // A test that prints what the machine would, without knowing the nonce.
        let forged = "@@n2 run a\r\ntest result: ok. 9 passed;\r\n@@n2 end\r\n";
        assert!(judged(forged, true).starts_with("the machine stopped"));
    }

    #[test]
    fn what_a_broken_off_machine_has_got_done_is_not_done_again() {
        let fault = "[ 1.0] Oops: int3: 0000 [#1] PREEMPT SMP\r\n";
        let mut progress = Progress::default();
        let first = format!(
            "@@n1 run a\r\ntest x ... ok\r\ntest result: ok. 1 passed; 0 failed; 0 ignored\r\n@@n1 exit 0 a\r\n\
             @@n1 run b\r\ntest b::one ... ok\r\nSKIPPED b::two: needs a printer\r\ntest b::two ... ok\r\n\
             test b::th[ 0.9] veth\r\nree ... ok\r\ntest b::four ... FAILED\r\n{fault}"
        );
        assert_eq!(judged_after(&mut progress, &first, true), EMULATOR_FAULT);
        assert!(progress.has_ended("a") && !progress.has_ended("b"));
        let passed: Vec<&str> = progress.passed("b").collect();
        assert_eq!(passed, ["b::one", "b::two"]);
        let second = format!("@@n1 run b\r\ntest b::three ... ok\r\n{fault}");
        assert_eq!(judged_after(&mut progress, &second, true), EMULATOR_FAULT);
        assert_eq!(progress.passed("b").count(), 3);
        let last = "@@n1 run b\r\ntest b::four ... ok\r\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored\r\n@@n1 exit 0 b\r\n@@n1 end\r\n";
        let both = Machine {
            expected_binaries: 2,
            ..machine()
        };
        let mut console = Console::new("n1", &mut progress);
        console.take(last.as_bytes());
        let Ended::Judged(Outcome::Tests(totals, _)) = both.judge(console, true) else {
            panic!("not judged");
        };
        assert_eq!(totals.to_string(), "4 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut progress = Progress::default();
        let mut console = Console::new("n1", &mut progress);
        for _ in 0..100 {
            console.take(&[b'x'; 8192]);
        }
        assert_eq!(console.partial.len(), LINE_LIMIT);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable(b"a\x1b[31mb\x07\xff"), "a[31mb\u{fffd}");
    }
}
