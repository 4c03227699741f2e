//! Credentials that are read and files that programs are started from: what is told of them to the person who watches.

use std::path::Path;
use std::process::Command;

use runward_lab::{Need, actor, missing, requires, run, skip_part, test_name};
use serde_json::Value;

use crate::bed::{Bed, LIMIT, Recorded};

/// A folder with a workspace and a home, with credentials that open nothing.
fn bed() -> (Bed, tempfile::TempDir) {
    let home = tempfile::TempDir::new().unwrap();
    for (name, text) in [
        (".aws/credentials", "not-a-key\n"),
        (".npmrc", "# not a token\n"),
        (".ssh/known_hosts", "\n"),
        (".bashrc", "# nothing\n"),
    ] {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    (Bed::new(), home)
}

fn record(bed: &Bed, home: &Path, script: &str) -> Recorded {
    let puppet = actor("puppet");
    let mut command = bed.runward(["run", "--", "sh", "-c", script, puppet.to_str().unwrap()]);
    bed.finish(command.env("HOME", home))
}

fn found<'a>(recorded: &'a Recorded, id: &str) -> Vec<&'a Value> {
    let all = recorded.report["detections"].as_array().unwrap();
    all.iter()
        .filter(|found| found["detection"] == id && found["severity"] != "info")
        .collect()
}

#[test]
fn every_way_to_read_a_credential_is_told_while_the_job_runs() {
    requires!(Root);
    let ways = [
        ("a program", "cat ~/.aws/credentials", "cat"),
        ("the shell", "read -r line < ~/.aws/credentials", "dash"),
        ("a copy", "cp ~/.aws/credentials copy", "cp"),
        (
            "another program",
            "\"$0\" read ~/.aws/credentials",
            "puppet",
        ),
        ("a hard link", "ln ~/.aws/credentials ~/x; cat ~/x", "cat"),
        (
            "a symbolic link",
            "ln -s ~/.aws/credentials x; cat x",
            "cat",
        ),
        ("another name", "mv ~/.aws ~/x; cat ~/x/credentials", "cat"),
        (
            "a descriptor that was handed on",
            "exec 3< ~/.aws/credentials; cat <&3",
            "cat",
        ),
    ];
    for (way, script, program) in ways {
        let (bed, home) = bed();
        let recorded = record(&bed, home.path(), &format!("{script}; sleep 0.3"));
        let found = found(&recorded, "credential-access");
        let by = |found: &&Value| {
            let exe = found["process"]["exe"].as_str().unwrap_or_default();
            // The system's shell is called differently from one to the other.
            program == "dash" || exe.ends_with(program)
        };
        let Some(found) = found.into_iter().find(by) else {
            panic!("{way}: {:?}", recorded.report["detections"]);
        };
        let message = found["message"].as_str().unwrap();
        assert!(message.contains("keys of AWS"), "{way}: {message}");
        let line = format!("runward: found credential-access: {message}");
        assert!(
            recorded.ran.stderr.contains(&line),
            "{way}: {}",
            recorded.ran.stderr
        );
        assert_eq!(recorded.report["incomplete"], Value::Null, "{way}");
    }
}

#[test]
fn everything_that_is_started_again_is_told() {
    requires!(Root);
    let acts = [
        ("echo x >> ~/.bashrc", ".bashrc"),
        ("echo x > ~/.profile", ".profile"),
        ("echo x > new; mv new ~/.zshenv", ".zshenv"),
        (
            "mkdir -p ~/.config/systemd/user/default.target.wants; ln -s /dev/null ~/.config/systemd/user/default.target.wants/x",
            "default.target.wants/x",
        ),
        (
            "mkdir -p a/user ~/.config; echo x > a/user/x.service; sleep 0.2; mv a ~/.config/systemd",
            "user/x.service",
        ),
        ("echo x > ~/.ssh/authorized_keys", "authorized_keys"),
        (
            "mkdir -p .git/hooks; echo x > .git/hooks/post-merge",
            "hooks/post-merge",
        ),
        (
            "mkdir -p v/site-packages; echo 'import os' > v/site-packages/x.pth",
            "x.pth",
        ),
        (
            "mkdir -p v/site-packages; echo x > v/site-packages/sitecustomize.py",
            "sitecustomize.py",
        ),
        ("echo '{}' > .runner", ".runner"),
        (
            "mkdir -p _actions/o/a/v1; echo x > _actions/o/a/v1/new; mv _actions/o/a/v1/new _actions/o/a/v1/index.js",
            "index.js",
        ),
    ];
    for (script, path) in acts {
        let (bed, home) = bed();
        let recorded = record(&bed, home.path(), &format!("{script}; sleep 0.2"));
        let found = found(&recorded, "persistence");
        let told = found.iter().any(|found| {
            found["path"]
                .as_str()
                .is_some_and(|told| told.ends_with(path))
        });
        assert!(told, "{script}: {:?}", recorded.report["detections"]);
    }
}

#[test]
fn who_has_business_with_a_file_is_not_told_of() {
    requires!(Root);
    let ways: [(&str, &[&str]); 8] = [
        ("stat ~/.aws/credentials; ls -laR ~; test -r ~/.npmrc", &[]),
        ("echo '# inert' > ~/.npmrc; rm ~/.aws/credentials", &[]),
        (
            "git init -q r; git init -q s; git clone -q r t; git -C r config a.b c",
            &["git"],
        ),
        ("git config --global a.b c; cat .git/config; true", &["git"]),
        (
            "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_x; ssh-keygen -y -f ~/.ssh/id_x",
            &["ssh-keygen"],
        ),
        ("npm config get registry", &["npm"]),
        (
            "mkdir -p v/site-packages; echo /src > v/site-packages/x.pth",
            &[],
        ),
        ("python3 -m venv --without-pip v", &["python3"]),
    ];
    for (script, programs) in ways {
        let lacking = programs
            .iter()
            .find_map(|program| missing(Need::Program(program)));
        if let Some(lacking) = lacking {
            skip_part(test_name!(), script, &lacking);
            continue;
        }
        let (bed, home) = bed();
        let recorded = record(&bed, home.path(), script);
        for id in ["credential-access", "persistence"] {
            assert_eq!(found(&recorded, id), Vec::<&Value>::new(), "{script}");
        }
    }
}

#[test]
fn hostile_names_at_places_do_not_break_a_record() {
    requires!(Root);
    let (bed, home) = bed();
    let script = "mkdir -p ~/.config/systemd/user; cd ~/.config/systemd/user; \
         echo x > \"$(printf 'a\\033[2J\\n\\377\"<script>.service')\"; sleep 0.2";
    let recorded = record(&bed, home.path(), script);
    let found = found(&recorded, "persistence");
    assert_eq!(found.len(), 1, "{:?}", recorded.report["detections"]);
    assert!(
        !recorded.ran.stderr.contains('\u{1b}'),
        "{}",
        recorded.ran.stderr
    );
    let mut command: Command = bed.runward(["report", "runward-report/events.jsonl"]);
    let ran = run(&mut command, LIMIT).unwrap();
    assert!(!ran.stdout.contains("\u{1b}[2J"), "{}", ran.stderr);
}
