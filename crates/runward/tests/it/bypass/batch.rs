//! Runs the cases of one place as one job, without and with the fence, and compares.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use runward_event::Tier;
use runward_lab::{Ran, actor, missing, run, skip_part};
use runward_sensor::Capabilities;

use super::case::{Case, Expected, Outside, numbered};
use super::ground::Ground;
use crate::bed::{Bed, LIMIT, binary};

/// The kernel repeats what was not answered, also after the process is gone: so long is waited for what comes late.
const AFTER: Duration = Duration::from_secs(3);
/// The first descriptor that the job inherits.
const FIRST_DESCRIPTOR: usize = 20;
/// How long an act waits for an answer, in seconds. An emulated processor needs the actors' own default.
const PATIENCE: &str = "3";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    Down,
    Up,
}

/// Makes the command that runs a script from the ground and the script's path.
type Shell = dyn Fn(&Ground, &Path) -> Vec<String> + Sync;

/// A table of cases, and how the job gets to run them.
pub(crate) struct Batch {
    test: &'static str,
    cases: Vec<Case>,
    shell: Box<Shell>,
    /// Where the job finds the actors and its folder.
    actors: String,
    folder: Option<String>,
    /// Whether the job reaches what it may, one act a line.
    controls: Vec<&'static str>,
    /// Whether something may still come when the job has ended, without the fence too.
    patient: bool,
}

/// What became of one case.
#[derive(Debug, Default)]
struct Outcome {
    reached: u64,
    /// Whether data came along, where that can be told apart.
    data: bool,
    /// Why the act could not be tried.
    lacking: Option<String>,
    /// What the act said.
    said: String,
}

impl Batch {
    pub(crate) fn new(test: &'static str, cases: Vec<Case>) -> Batch {
        let folder = actor("net");
        let folder = folder.parent().unwrap_or(Path::new("/"));
        Batch {
            test,
            cases: numbered(cases),
            shell: Box::new(|_, script| vec!["sh".to_owned(), script.display().to_string()]),
            actors: folder.display().to_string(),
            folder: None,
            controls: vec![
                "$A/names fetch allowed.example 4430",
                "$A/names fetch chain.example 4430",
                "$A/net tcp {allowed4} 4430",
                "$A/net tcp {allowed6} 4430",
                "$A/net udp-sendto {udp4} 4430",
                "$A/net udp {udp6} 4430",
            ],
            patient: false,
        }
    }

    /// Runs the script elsewhere: `shell` makes the command from the job's folder, and the job finds the actors and that
    /// folder at these paths.
    pub(crate) fn inside(
        self,
        actors: &str,
        folder: &str,
        shell: impl Fn(&Ground, &Path) -> Vec<String> + Sync + 'static,
    ) -> Batch {
        Batch {
            shell: Box::new(shell),
            actors: actors.to_owned(),
            folder: Some(folder.to_owned()),
            ..self
        }
    }

    pub(crate) fn controls(self, controls: &[&'static str]) -> Batch {
        let controls = controls.to_vec();
        Batch { controls, ..self }
    }

    /// Waits for what comes after the job's end.
    pub(crate) fn patient(self) -> Batch {
        let patient = true;
        Batch { patient, ..self }
    }

    /// Runs everything and fails with the table of what did not come out as expected.
    #[expect(
        clippy::print_stdout,
        reason = "the whole table is for whoever asks the test harness not to capture it"
    )]
    pub(crate) fn judge(self) {
        let mut attempts = thread::scope(|scope| {
            let this = &self;
            let both =
                [Fence::Down, Fence::Up].map(|fence| scope.spawn(move || this.attempt(fence)));
            both.map(|attempt| match attempt.join() {
                Ok(outcomes) => outcomes,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        });
        let [down, up] = &mut attempts;
        let mut wrong = String::new();
        println!("{}: without and with the fence", self.test);
        for case in &self.cases {
            let without = down.remove(&case.name).unwrap_or_default();
            let with = up.remove(&case.name).unwrap_or_default();
            if let Some(lacking) = &without.lacking {
                skip_part(self.test, &case.name, lacking);
                continue;
            }
            let verdict = verdict(case.expected, &without, &with);
            let line = format!(
                "{:44} {:>6} {:>6}  {}",
                case.name,
                without.reached,
                with.reached,
                verdict.unwrap_or("as expected")
            );
            println!("{line}");
            if verdict.is_some() {
                let _ = writeln!(
                    wrong,
                    "{line}\n    {}\n    without: {}\n    with: {}",
                    case.act,
                    without.said.trim(),
                    with.said.trim()
                );
            }
        }
        assert!(
            wrong.is_empty(),
            "case, reached without and with the fence:\n{wrong}"
        );
    }

    /// One run of the whole table.
    fn attempt(&self, fence: Fence) -> HashMap<String, Outcome> {
        let ground = Ground::new();
        let bed = Bed::new();
        open_to_all(bed.path());
        let runnable: Vec<&Case> = self
            .cases
            .iter()
            .filter(|case| why_not(case).is_none())
            .collect();
        let script = bed.path().join("script");
        fs::write(&script, self.script(&runnable, &ground, bed.path())).expect("a script");

        let mut helpers = Vec::new();
        for case in &runnable {
            if let Some(outside) = &case.outside {
                helpers.push((
                    case.name.clone(),
                    Helper::start(&ground, case, outside, bed.path()),
                ));
            }
        }
        let mut command = self.command(fence, &runnable, &ground, bed.path());
        let ran = run(&mut command, LIMIT).expect("runward ends in time");
        self.check_controls(fence, &ran, bed.path());
        if fence == Fence::Up || self.patient {
            thread::sleep(AFTER);
        }
        let told: HashMap<String, String> = helpers
            .into_iter()
            .map(|(name, helper)| (name, helper.finish()))
            .collect();
        let packets = ground.wire.packets().expect("a complete log");

        let mut outcomes = HashMap::new();
        for case in &self.cases {
            let said = said(bed.path(), case);
            let told = told.get(&case.name).map_or("", String::as_str);
            let outcome = Outcome {
                reached: case.reached(&ground, &packets, told),
                data: case.data_reached(&ground, &packets),
                lacking: why_not(case).or_else(|| lacking(&said)),
                said,
            };
            outcomes.insert(case.name.clone(), outcome);
        }
        outcomes
    }

    /// All cases at once, and the controls before and after them.
    fn script(&self, cases: &[&Case], ground: &Ground, folder: &Path) -> String {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => folder.display().to_string(),
        };
        let mut script = format!(
            "A={}\nW={folder}\nR=$PPID\nexport A W R\numask 0\nmkdir -p $W/said\ncd $W\n",
            self.actors
        );
        if std::env::var_os("RUNWARD_VM").is_none() {
            let _ = writeln!(script, "export RUNWARD_LAB_PATIENCE={PATIENCE}");
        }
        self.add_controls(&mut script, "before", ground);
        for case in cases {
            let act = case.filled(&case.act, ground);
            let act = act.replace("{fd}", &descriptor(cases, case).to_string());
            let _ = writeln!(
                script,
                "( {act}\n) >$W/said/{n} 2>&1 </dev/null &",
                n = case.filled("{n}", ground)
            );
        }
        script.push_str("wait\n");
        self.add_controls(&mut script, "after", ground);
        script
    }

    fn add_controls(&self, script: &mut String, when: &str, ground: &Ground) {
        for control in &self.controls {
            let act = case_free(control, ground);
            let _ = writeln!(
                script,
                "{act} >>$W/said/{when} 2>&1 || echo '{when}: {act}' >>$W/said/failed"
            );
        }
    }

    fn command(&self, fence: Fence, cases: &[&Case], ground: &Ground, folder: &Path) -> Command {
        let inner = (self.shell)(ground, &folder.join("script"));
        let bare = Command::new(binary());
        let mut arguments: Vec<String> = Vec::new();
        for case in cases {
            if let Some(socket) = &case.inherits {
                arguments.push(actor("borrowed").display().to_string());
                arguments.push("hold".to_owned());
                let socket = case.filled(socket, ground);
                arguments.extend(socket.split_whitespace().map(str::to_owned));
                arguments.push(descriptor(cases, case).to_string());
            }
        }
        arguments.push(bare.get_program().to_string_lossy().into_owned());
        arguments.extend(runward_arguments(fence, ground, folder));
        arguments.push("--".to_owned());
        arguments.extend(inner);
        let (program, rest) = arguments.split_first().expect("it begins with a program");
        let mut command = ground.lab.command(program);
        command.args(rest).current_dir(folder).env("NO_COLOR", "1");
        command
    }

    fn check_controls(&self, fence: Fence, ran: &Ran, folder: &Path) {
        let failed = fs::read_to_string(folder.join("said/failed")).unwrap_or_default();
        let said = |when: &str| {
            fs::read_to_string(folder.join("said").join(when))
                .unwrap_or_else(|_| "nothing".to_owned())
        };
        assert!(
            ran.worked() && failed.is_empty() && folder.join("said/after").exists(),
            "{fence:?}: what the policy allows must be reached: {failed}\nbefore: {}\nafter: {}\nrunward ended with {}: {}{}",
            said("before"),
            said("after"),
            ran.code(),
            ran.stderr,
            ran.stdout,
        );
    }
}

/// What `runward` is told before the command.
pub(crate) fn runward_arguments(fence: Fence, ground: &Ground, folder: &Path) -> Vec<String> {
    let mode = match fence {
        Fence::Down => "audit",
        Fence::Up => "block",
    };
    [
        "run",
        "--quiet",
        "--report",
        &folder.join("report").display().to_string(),
        "--egress-policy",
        mode,
        "--allowed-endpoints",
        &ground.policy(),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn verdict(expected: Expected, without: &Outcome, with: &Outcome) -> Option<&'static str> {
    if without.reached == 0 || !without.data {
        return Some("DOES NOT WORK WITHOUT THE FENCE");
    }
    let expected = match expected {
        Expected::StoppedOnTierA(_) if tier() == Tier::A => Expected::Stopped,
        Expected::StoppedOnTierA(why) => Expected::OutOfReach(why),
        other => other,
    };
    match expected {
        Expected::Stopped | Expected::StoppedOnTierA(_) => (with.reached > 0).then_some("GOT OUT"),
        Expected::Passes => (with.reached != without.reached).then_some("MUST PASS AND DID NOT"),
        Expected::OutOfReach(_) => {
            (with.reached == 0).then_some("IS STOPPED NOW: SAY SO IN THE TABLE")
        }
    }
}

/// What this machine's kernel lets the fence do.
fn tier() -> Tier {
    static TIER: OnceLock<Tier> = OnceLock::new();
    *TIER.get_or_init(|| Capabilities::probe().tier())
}

fn why_not(case: &Case) -> Option<String> {
    case.needs.iter().find_map(|need| missing(*need))
}

/// What an actor says this machine lacks.
fn lacking(said: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(said.lines().last()?).ok()?;
    let what = line.get("lacking")?.as_str()?;
    Some(format!("this machine lacks {what}"))
}

fn said(folder: &Path, case: &Case) -> String {
    let path = folder.join("said").join(case.number().to_string());
    fs::read_to_string(path).unwrap_or_default()
}

fn descriptor(cases: &[&Case], case: &Case) -> usize {
    let before = cases
        .iter()
        .take_while(|other| other.name != case.name)
        .filter(|other| other.inherits.is_some());
    FIRST_DESCRIPTOR + before.count()
}

fn case_free(text: &str, ground: &Ground) -> String {
    super::case(text, "").filled(text, ground)
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("the test's own folder");
}

/// A program outside of the job. It ends with its standard input, at the latest when this is dropped.
pub(crate) struct Helper {
    child: Child,
}

impl Helper {
    pub(crate) fn start(ground: &Ground, case: &Case, outside: &Outside, folder: &Path) -> Helper {
        let shell = |text: &str| {
            let text = case.filled(text, ground);
            let actors: PathBuf = actor("net").parent().unwrap_or(Path::new("/")).into();
            format!(
                "A={}\nW={}\ncd $W\n{text}",
                actors.display(),
                folder.display()
            )
        };
        let (mut command, text) = match outside {
            Outside::Beside(text) => (ground.lab.command("sh"), shell(text)),
            Outside::Far(text) => (ground.lab.internet_command("sh"), shell(text)),
        };
        let child = command
            .args(["-c", &text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a helper");
        Helper { child }
    }

    /// Lets it end, and gives what it printed.
    pub(crate) fn finish(mut self) -> String {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let mut told = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            let _ = stdout.read_to_string(&mut told);
        }
        told
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
