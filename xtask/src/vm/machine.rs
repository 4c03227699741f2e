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
/// emulated ones rarely go on seeing what lay between. The kernel then ends, or stands still in its own handler.
pub(super) const EMULATOR_FAULT: &str = "the emulator ran an instruction that is no longer there";

/// One virtual machine that runs the tests and powers itself off.
pub(super) struct Machine<'a> {
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
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
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
        let mut console = Console::new(self.nonce);
        let mut logged = 0;
        let in_time = loop {
            match chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => {
                    if logged < LOG_LIMIT {
                        logged += chunk.len();
                        log.write_all(&chunk)?;
                    }
                    for line in console.take(&chunk) {
                        println!("{line}");
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
        // The kernel ends the machine when this process is killed and can't do so itself.
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
            .args([
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "max",
                "-m",
                "2048",
                "-smp",
                "2",
            ])
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

    fn judge(&self, console: Console, in_time: bool) -> Outcome {
        let log = self.log.display();
        let counted = console.scan.totals();
        let broken = if console.met_emulator_fault {
            Some(EMULATOR_FAULT.to_owned())
        } else if !in_time {
            Some(format!("not done after {} s", self.limit.as_secs()))
        } else if let Some(panic) = &console.panic {
            Some(format!("the kernel said: {panic}"))
        } else if !console.ended {
            Some("the machine stopped before the tests were done".to_owned())
        } else if console.exits != self.expected_binaries {
            Some(format!(
                "{} of {} test binaries ended",
                console.exits, self.expected_binaries
            ))
        } else if counted.failed == 0 && !console.failed.is_empty() {
            Some(format!(
                "ended with an error: {}",
                console.failed.join(", ")
            ))
        } else if counted.passed + counted.failed + counted.skipped == 0 {
            Some("no test ran".to_owned())
        } else {
            None
        };
        match broken {
            Some(why) => Outcome::Failed(format!("{why} ({counted}); the console is in {log}")),
            None => console.scan.into_outcome(),
        }
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
struct Console {
    marker: String,
    partial: Vec<u8>,
    inside_tests: bool,
    scan: Scan,
    /// How many test binaries came to their end.
    exits: usize,
    /// The names of those that did not end with 0.
    failed: Vec<String>,
    panic: Option<String>,
    met_emulator_fault: bool,
    ended: bool,
}

impl Console {
    fn new(nonce: &str) -> Console {
        Console {
            marker: format!("@@{nonce} "),
            partial: Vec::new(),
            inside_tests: false,
            scan: Scan::default(),
            exits: 0,
            failed: Vec::new(),
            panic: None,
            met_emulator_fault: false,
            ended: false,
        }
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
            self.scan.line(line);
        }
        self.inside_tests
    }

    fn message(&mut self, message: &str) {
        let mut words = message.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("run"), Some(_), None) | (Some("show"), None, None) => self.inside_tests = true,
            (Some("exit"), Some(code), Some(name)) => {
                self.inside_tests = false;
                self.exits += 1;
                if code != "0" {
                    self.failed.push(format!("{name} ({code})"));
                }
            }
            (Some("end"), None, None) => self.ended = true,
            _ => {}
        }
    }
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
        let mut console = Console::new("n1");
        console.take(text.as_bytes());
        match machine().judge(console, in_time) {
            Outcome::Tests(totals, _) => totals.to_string(),
            Outcome::Failed(why) => why,
            other => format!("{other:?}"),
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
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut console = Console::new("n1");
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
