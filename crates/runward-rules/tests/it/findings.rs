use runward_detect::{Confidence, Severity};

use crate::record::{RECORD, holds, rule, rules, run};

#[test]
fn conditions_ask_for_what_the_record_says() {
    for when in [
        "event.name == 'collect.example'",
        "event.kind == 'connect' && event.port == 443 && event.port in [22, 443]",
        "event.protocol in ['tcp', 'udp'] && event.seq == 7",
        "event.name.endsWith('.example') && event.name.startsWith('collect') && event.name.contains('ct.ex')",
        "event.name.matches('^[a-z]+[.]example$') && !event.name.matches('^example')",
        "event.ip.inNetwork('198.51.100.0/24') && !event.ip.inNetwork('2001:db8::/32')",
        "process.exe == '/usr/bin/curl' && process.name == 'curl' && process.pid == 103",
        "size(process.args) == 3 && process.args.size() == 3 && process.args[1] == '-sf'",
        "process.args.exists(a, a.startsWith('https://')) && '-sf' in process.args",
        "process.args.all(a, size(a) > 1) && process.args.exists_one(a, a == 'curl')",
        "size(process.args.filter(a, a.startsWith('-'))) == 1",
        "'/usr/bin/node' in process.ancestors.map(p, p.exe)",
        "process.ancestors.exists(p, p.exe == '/usr/bin/node' && p.dependency.name == 'left-example')",
        "process.ancestors.exists(p, has(p.dependency.phase)) && process.ancestors.exists(p, !has(p.dependency.phase))",
        "process.ancestors.exists(p, p.args.exists(a, a == 'install.js'))",
        "process.parent.name == 'node' && process.parent.dependency.phase == 'postinstall'",
        "process.dependency.ecosystem == 'npm' && process.dependency.version == '1.2.3'",
        "process.step == '__run_2' && process.uid == 0 && process.cwd == '/builds/app'",
        "job.project == 'group/app' && job.branch != 'release' && job.provider == 'github'",
        "job.context.fork == false && has(job.context.fork) && !has(job.context.image)",
        "job.workspace == '/builds/app' && job.effective_mode == 'audit'",
        "has(event.name) && !has(event.reason) && event.reason == ''",
        "(event.port > 400 ? 'high' : 'low') == 'high'",
        "event.name.lowerAscii() == 'collect.example' && string(event.port) == '443' && int('7') == event.seq",
        "event.port + 1 == 444 && event.port * 2 - 6 == 880 && event.port % 2 == 1 && -event.port < 0",
        "process['name'] == 'curl'",
    ] {
        assert!(holds("connect", when), "{when}");
        assert!(!holds("connect", &format!("!({when})")), "not: {when}");
    }
    assert!(holds(
        "process_exec",
        "event.env['npm_package_name'] == 'left-example' && event.env.npm_lifecycle_event == 'postinstall'"
    ));
    assert!(holds(
        "process_exec",
        "'GITHUB_ACTION' in event.env && has(event.env.GITHUB_ACTION) && size(event.env) == 1"
    ));
}

#[test]
fn what_is_missing_is_empty() {
    for when in [
        "process.container == '' && !has(process.container)",
        "event.reason == '' && event.rule == 0 && event.v4_mapped == false",
        "job.context.image == '' && job.attempt == 0",
    ] {
        assert!(holds("connect", when), "{when}");
    }
    // An event about no process at all.
    let text = rule(
        "job_start",
        "process.exe == '' && size(process.ancestors) == 0 && process.parent.dependency.name == ''",
    );
    assert_eq!(run(&mut rules(&text), RECORD).0.len(), 1);
}

#[test]
fn a_finding_is_as_the_rule_says() {
    let text = "rules:
  - id: curl-in-install-script
    title: An install script used curl
    severity: high
    confidence: high
    on: connect
    when: process.name == 'curl' && has(process.dependency.name)
    message: \"{who} called {event.name}:{event.port} {{{size(process.args)} args}} for {'}' + process.dependency.name}\"
    next: Read the script.
";
    let mut rules = rules(text);
    let (findings, notes) = run(&mut rules, RECORD);
    assert!(notes.is_empty(), "{notes:?}");
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(
        finding.message,
        "/usr/bin/curl (pid 103), started by node, during postinstall of the npm package left-example@1.2.3 called \
         collect.example:443 {3 args} for }left-example"
    );
    assert_eq!(finding.detection, "curl-in-install-script");
    assert_eq!(
        (finding.severity, finding.confidence, finding.seq),
        (Severity::High, Confidence::High, 7)
    );
    assert_eq!(finding.destination.as_deref(), Some("collect.example:443"));
    assert_eq!(finding.process.map(|process| process.0), Some(3));
    assert_eq!(rules.in_force().ids, ["curl-in-install-script"]);
}

#[test]
fn a_rule_without_a_message_says_who_and_its_title() {
    let (findings, _) = run(&mut rules(&rule("connect", "true")), RECORD);
    assert_eq!(
        findings[0].message,
        "/usr/bin/curl (pid 103), started by node, during postinstall of the npm package left-example@1.2.3: A rule"
    );
}

#[test]
fn once_says_how_often_the_same_is_told() {
    let last = RECORD.lines().last().unwrap();
    let again = last.replace("\"seq\":7", "\"seq\":8");
    let elsewhere = last
        .replace("\"seq\":7", "\"seq\":9")
        .replace("collect.example", "other.example");
    let by_node = last
        .replace("\"seq\":7", "\"seq\":10")
        .replace("\"process\":3", "\"process\":2");
    let record = format!("{RECORD}{again}\n{elsewhere}\n{by_node}\n");
    for (once, seqs) in [
        ("", vec![7, 9, 10]),
        ("    once: event\n", vec![7, 8, 9, 10]),
        ("    once: process\n", vec![7, 10]),
        ("    once: program\n", vec![7, 10]),
        ("    once: destination\n", vec![7, 9]),
        ("    once: job\n", vec![7]),
    ] {
        let text = rule("connect", "true") + once;
        let (findings, _) = run(&mut rules(&text), &record);
        let found: Vec<u64> = findings.iter().map(|finding| finding.seq).collect();
        assert_eq!(found, seqs, "{once}");
    }
}

#[test]
fn a_rule_that_fails_is_told_once_and_stops_no_other() {
    let text = "rules:
  - id: divides
    title: Divides by what may be nothing
    severity: low
    on: connect
    when: 100 / (event.port - 443) > 1
  - id: works
    title: Works
    severity: low
    on: connect
    when: event.port == 443
    once: event
";
    let last = RECORD.lines().last().unwrap();
    let again = last.replace("\"seq\":7", "\"seq\":8");
    let (findings, notes) = run(&mut rules(text), &format!("{RECORD}{again}\n"));
    let found: Vec<&str> = findings
        .iter()
        .map(|finding| finding.detection.as_str())
        .collect();
    assert_eq!(found, ["works", "works"]);
    let [note] = notes.as_slice() else {
        panic!("{notes:?}");
    };
    assert!(
        note.starts_with(
            "The rule divides could not be asked about 2 events, the first of them 7: "
        ),
        "{note}"
    );
}

#[test]
fn a_rule_that_finds_without_end_is_cut_off_and_says_so() {
    let last = RECORD.lines().last().unwrap();
    let mut record = RECORD.to_owned();
    for seq in 8..1_100 {
        record += &last.replace("\"seq\":7", &format!("\"seq\":{seq}"));
        record.push('\n');
    }
    let text = rule("connect", "true") + "    once: event\n";
    let (findings, notes) = run(&mut rules(&text), &record);
    assert_eq!(findings.len(), 1_000);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].starts_with("The rule a-rule found 93 more things"),
        "{notes:?}"
    );
}

#[test]
fn long_lists_and_texts_are_cut_and_it_is_said() {
    let long = "\"x\",".repeat(3_000);
    let record = RECORD.replace("[\"curl\",", &format!("[{long}\"curl\","));
    let mut asks_args = rules(&rule("connect", "process.args.exists(a, a == '-sf')"));
    let (findings, notes) = run(&mut asks_args, &record);
    assert!(findings.is_empty());
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("the first 1024 entries"), "{notes:?}");

    // Who asks for something else is not told.
    let (_, notes) = run(&mut rules(&rule("connect", "event.port == 443")), &record);
    assert!(notes.is_empty(), "{notes:?}");

    let text = format!("é{}end", "é".repeat(40_000));
    let record = RECORD.replace("https://collect.example/x", &text);
    let mut asks_text = rules(&rule(
        "connect",
        "size(process.args) > 2 && process.args[2].endsWith('end')",
    ));
    let (findings, notes) = run(&mut asks_text, &record);
    assert!(findings.is_empty());
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn a_message_quotes_harmlessly() {
    let record = RECORD.replace("https://collect.example/x", "a\\u001b[2J\\nb");
    let text = rule("connect", "size(process.args) > 2") + "    message: 'ran {process.args[2]}'\n";
    let (findings, _) = run(&mut rules(&text), &record);
    assert_eq!(findings[0].message, "ran a\u{FFFD}[2J\u{FFFD}b");
}

#[test]
fn events_of_other_kinds_are_not_looked_at() {
    let mut rules = rules(&rule("dns", "true"));
    let (findings, notes) = run(&mut rules, RECORD);
    assert!(findings.is_empty() && notes.is_empty());
}
