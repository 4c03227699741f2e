//! What looking at events costs, to be measured by `make bench`.
//!
//!   pipeline write UNITS        prints the record of a build, as `events.jsonl` has it
//!   pipeline decode FILE        lines -> events -> tree, every detection, report
//!   pipeline live FILE          events -> tree, every detection, report -> lines, as in the agent while a job runs
//!   pipeline processes COUNT    the first on a record of so many processes with names of their own, made as it goes
//!
//! The last three print events, seconds and their own peak of memory as one JSON object.

#![expect(clippy::print_stdout, reason = "what it measured is all it says")]

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::time::Instant;

use runward_event::{parse_line, write_line};
use runward_report::ReportBuilder;

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: pipeline write UNITS | decode FILE | live FILE | processes COUNT";
    let mut words = env::args().skip(1);
    let (mode, what) = words.next().zip(words.next()).ok_or(usage)?;
    match mode.as_str() {
        "write" => write(what.parse()?),
        "decode" => decode(&fs::read_to_string(what)?),
        "live" => live(&fs::read_to_string(what)?),
        "processes" => processes(what.parse()?),
        _ => Err(usage.into()),
    }
}

fn write(units: u64) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut build = Build::new(|line: &str| writeln!(out, "{line}"));
    build.start()?;
    for unit in 0..units {
        build.compile(unit)?;
        if unit % 8 == 0 {
            build.install(unit)?;
        }
    }
    build.end()?;
    out.flush()?;
    Ok(())
}

fn decode(lines: &str) -> Result<(), Box<dyn Error>> {
    let begin = Used::now()?;
    let mut builder = ReportBuilder::new();
    for line in lines.lines() {
        builder.apply(&parse_line(line)?);
    }
    tell(builder, begin)
}

fn live(lines: &str) -> Result<(), Box<dyn Error>> {
    let events = lines
        .lines()
        .map(parse_line)
        .collect::<Result<Vec<_>, _>>()?;
    let mut out = BufWriter::with_capacity(1 << 16, File::create("/dev/null")?);
    let begin = Used::now()?;
    let mut builder = ReportBuilder::new();
    for event in &events {
        builder.apply(event);
        write_line(&mut out, event)?;
    }
    out.flush()?;
    tell(builder, begin)
}

fn processes(count: u64) -> Result<(), Box<dyn Error>> {
    let begin = Used::now()?;
    let mut builder = ReportBuilder::new();
    let mut build = Build::new(|line: &str| {
        let event = parse_line(line).map_err(io::Error::other)?;
        builder.apply(&event);
        Ok(())
    });
    build.start()?;
    for number in 0..count {
        build.stranger(number)?;
    }
    build.end()?;
    tell(builder, begin)
}

fn tell(builder: ReportBuilder, begin: Used) -> Result<(), Box<dyn Error>> {
    let report = builder.finish();
    let end = Used::now()?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kb = peak.and_then(|rest| rest.split_whitespace().next());
    let told = serde_json::json!({
        "events": report.counts.events,
        "processes": report.counts.processes,
        "detections": report.counts.detections,
        "cpu_seconds": end.cpu - begin.cpu,
        "seconds": (end.wall - begin.wall).as_secs_f64(),
        "peak_kb": peak_kb.and_then(|text| text.parse::<u64>().ok()),
    });
    println!("{told}");
    Ok(())
}

/// Time that passed, and time on a processor: what is measured shares its machine with others.
struct Used {
    wall: Instant,
    /// Of this thread, the only one; in seconds.
    cpu: f64,
}

impl Used {
    fn now() -> Result<Used, Box<dyn Error>> {
        let scheduled = fs::read_to_string("/proc/self/schedstat")?;
        let nanos: f64 = scheduled
            .split_whitespace()
            .next()
            .ok_or("no schedstat")?
            .parse()?;
        Ok(Used {
            wall: Instant::now(),
            cpu: nanos / 1e9,
        })
    }
}

/// Makes the record of a build: in the proportions, and with the lengths, of records of real ones.
struct Build<Sink> {
    sink: Sink,
    seq: u64,
    process: u64,
    connection: u64,
}

/// The first process, `make`.
const FIRST: u64 = 1;

impl<Sink: FnMut(&str) -> io::Result<()>> Build<Sink> {
    fn new(sink: Sink) -> Build<Sink> {
        Build {
            sink,
            seq: 0,
            process: FIRST,
            connection: 0,
        }
    }

    fn event(&mut self, kind: &str, fields: &str) -> io::Result<()> {
        self.seq += 1;
        // A millisecond apart.
        let (seconds, milliseconds) = (self.seq / 1000, self.seq % 1000);
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        let seconds = seconds % 60;
        let line = format!(
            r#"{{"seq":{},"time":"2026-08-01T{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}000000Z","kind":"{kind}",{fields}}}"#,
            self.seq
        );
        (self.sink)(&line)
    }

    fn start(&mut self) -> io::Result<()> {
        self.event(
            "job_start",
            r#""format":1,"runward":"0.1.0","identity":{"provider":"github","project":"group/app"},"args":["make","-j2"],"cwd":"/home/runner/work/app","workspace":"/home/runner/work/app","tracked_files":2000,"files_watched":true,"requested_mode":"audit","effective_mode":"audit","tier":"B","kernel":"6.12.48""#,
        )?;
        self.exec(FIRST, 0, "/usr/bin/make", r#""make","-j2""#, "")
    }

    fn end(&mut self) -> io::Result<()> {
        self.exit(FIRST)?;
        self.event(
            "job_end",
            r#""exit_code":0,"duration_ns":1000000000,"still_running":0"#,
        )
    }

    fn fork(&mut self, parent: u64) -> io::Result<u64> {
        self.process += 1;
        let (process, pid, ppid) = (self.process, pid(self.process), pid(parent));
        let fields = format!(r#""process":{process},"pid":{pid},"parent":{parent},"ppid":{ppid}"#);
        self.event("process_fork", &fields)?;
        Ok(process)
    }

    fn exec(
        &mut self,
        process: u64,
        parent: u64,
        exe: &str,
        args: &str,
        env: &str,
    ) -> io::Result<()> {
        let (pid, ppid) = (pid(process), pid(parent));
        let facts = match exe.starts_with("/tmp/") {
            true => r#","facts":{"changed":"2026-08-01T09:00:00Z"}"#,
            false => "",
        };
        let fields = format!(
            r#""process":{process},"pid":{pid},"parent":{parent},"ppid":{ppid},"exe":"{exe}","path":"{exe}","args":[{args}],"cwd":"/home/runner/work/app","uid":1001,"gid":1001,"cgroup":"/system.slice/runner.service","env":{{"GITHUB_ACTION":"__run_2","GITHUB_JOB":"build"{env}}}{facts}"#
        );
        self.event("process_exec", &fields)
    }

    fn exit(&mut self, process: u64) -> io::Result<()> {
        let fields = format!(r#""process":{process},"pid":{},"code":0"#, pid(process));
        self.event("process_exit", &fields)
    }

    fn file(&mut self, kind: &str, process: u64, path: &str) -> io::Result<()> {
        let fields = format!(
            r#""process":{process},"pid":{},"path":"{path}""#,
            pid(process)
        );
        self.event(kind, &fields)
    }

    /// A program below `parent` that does nothing else.
    fn program(&mut self, parent: u64, exe: &str, args: &str) -> io::Result<()> {
        let process = self.fork(parent)?;
        self.exec(process, parent, exe, args, "")?;
        self.exit(process)
    }

    /// A file is compiled, as `make` and the driver of a compiler do it.
    fn compile(&mut self, unit: u64) -> io::Result<()> {
        let source = format!("src/part{}/unit{unit}.c", unit % 40);
        let object = format!("build/part{}/unit{unit}.o", unit % 40);
        let flags = r#""-std=gnu11","-O2","-g","-Wall","-Wextra","-Iinclude","-Ithird_party/zlib","-Ithird_party/openssl/include","-DNDEBUG","-DVERSION=\"1.4.2\"","-D_FORTIFY_SOURCE=2","-fstack-protector-strong","-fPIC","-MD","-MP""#;
        let shell = self.fork(FIRST)?;
        let line = format!(r#""/bin/sh","-c","gcc -std=gnu11 -O2 -g -c -o {object} {source}""#);
        self.exec(shell, FIRST, "/usr/bin/dash", &line, "")?;
        let gcc = self.fork(shell)?;
        let line = format!(r#""gcc",{flags},"-c","-o","{object}","{source}""#);
        self.exec(gcc, shell, "/usr/bin/x86_64-linux-gnu-gcc-12", &line, "")?;
        let cc1 = "/usr/lib/gcc/x86_64-linux-gnu/12/cc1";
        let line = format!(r#""{cc1}","-quiet",{flags},"{source}","-o","/tmp/cc{unit}.s""#);
        self.program(gcc, cc1, &line)?;
        let line = format!(r#""as","-I","include","--64","-o","{object}","/tmp/cc{unit}.s""#);
        self.program(gcc, "/usr/bin/x86_64-linux-gnu-as", &line)?;
        self.file("file_create", gcc, &object)?;
        self.file("file_write", gcc, &object)?;
        self.exit(gcc)?;
        self.exit(shell)
    }

    /// A package is fetched, and its script runs.
    fn install(&mut self, unit: u64) -> io::Result<()> {
        let node = self.fork(FIRST)?;
        let env = format!(
            r#","npm_package_name":"left-{unit}","npm_package_version":"1.2.{unit}","npm_lifecycle_event":"postinstall","npm_package_json":"/home/runner/work/app/node_modules/left-{unit}/package.json""#
        );
        let line = format!(r#""node","node_modules/left-{unit}/install.js""#);
        self.exec(node, FIRST, "/usr/bin/node", &line, &env)?;
        for name in [
            format!("cdn{}.example", unit % 50),
            "registry.npmjs.org".to_owned(),
        ] {
            self.call(node, &name, "203.0.113.7")?;
        }
        let path = format!("node_modules/left-{unit}/build.node");
        self.file("file_create", node, &path)?;
        self.file("file_write", node, &path)?;
        self.exit(node)
    }

    /// A name is looked up and called.
    fn call(&mut self, process: u64, name: &str, ip: &str) -> io::Result<()> {
        let id = pid(process);
        let dns = format!(
            r#""process":{process},"pid":{id},"transport":"udp","ip":"192.0.2.53","port":53,"id":7,"name":"{name}","type":"A""#
        );
        self.event("dns", &format!(r#"{dns},"message":"query""#))?;
        self.event(
            "dns",
            &format!(r#"{dns},"message":"answer","rcode":"NOERROR","answers":[{{"name":"{name}","type":"A","ttl":60,"data":"{ip}"}}]"#),
        )?;
        self.connection += 1;
        let connection = self.connection;
        self.event(
            "connect",
            &format!(r#""connection":{connection},"process":{process},"pid":{id},"protocol":"tcp","ip":"{ip}","port":443,"name":"{name}","status":"allowed""#),
        )?;
        self.event(
            "connect_close",
            &format!(r#""connection":{connection},"process":{process},"outcome":"established","bytes_sent":900,"bytes_received":40000,"duration_ns":90000000"#),
        )
    }

    /// A process that has nothing in common with any other, and does what detections look at.
    fn stranger(&mut self, number: u64) -> io::Result<()> {
        let process = self.fork(FIRST)?;
        let exe = format!("/tmp/{number}/node");
        let env = format!(
            r#","CI_JOB_NAME":"step-{number}","npm_package_name":"package-{number}","npm_package_version":"1.0.0","npm_lifecycle_event":"postinstall","npm_package_json":"/home/runner/work/app/node_modules/package-{number}/package.json""#
        );
        let args = format!(r#""node","--number={number}","{}""#, "x".repeat(200));
        self.exec(process, FIRST, &exe, &args, &env)?;
        let target = format!(
            r#""process":{process},"pid":{},"target_pid":{},"target_exe":"Runner.Worker","way":"mem""#,
            pid(process),
            number % 4_000_000
        );
        self.event("memory_access", &target)?;
        let [_, a, b, c] = u32::try_from(number).unwrap_or(0).to_be_bytes();
        self.call(
            process,
            &format!("{number:060}.host{number}.example"),
            &format!("10.{a}.{b}.{c}"),
        )?;
        let fields = format!(
            r#""process":{process},"pid":{},"path":"src/{number}.c","tracked":true,"hash_before":"aa","hash_after":"bb""#,
            pid(process)
        );
        self.event("file_write", &fields)?;
        self.exit(process)
    }
}

/// Process ids are used again.
fn pid(process: u64) -> u64 {
    process % 32_768 + 100
}
