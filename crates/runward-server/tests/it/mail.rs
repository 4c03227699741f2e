//! Mail, through a real mail server (aiosmtpd) into a real mailbox.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use runward_lab::{Authority, skip, test_name};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bed::{Ground, within};
use crate::installed;
use crate::notify::{Told, ground};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp");

/// A mail server; it ends with its standard input.
pub(crate) struct Smtp {
    child: Child,
    port: u16,
    folder: TempDir,
    python: PathBuf,
}

/// The interpreter with the mail server's library, in an environment of its own.
pub(crate) fn python() -> Result<PathBuf, String> {
    let pins = Path::new(SOURCES).join("requirements.txt");
    let text = fs::read_to_string(&pins).map_err(|error| error.to_string())?;
    let folder = installed::folder_of("smtp", &text, |folder| {
        installed::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--require-hashes", "--requirement"]);
        installed::run(pip.arg(&pins))
    })?;
    Ok(folder.join("bin/python"))
}

impl Smtp {
    pub(crate) fn start(python: PathBuf, how: &str, authority: &Authority, name: &str) -> Smtp {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.certificate(name).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("certificate.pem"), certificate).unwrap();
        fs::write(at("key.pem"), key).unwrap();
        fs::write(at("password"), "correct horse\n").unwrap();
        let mut child = Command::new(&python)
            .arg(Path::new(SOURCES).join("server.py"))
            .arg(how)
            .args([at("mailbox"), at("certificate.pem"), at("key.pem")])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        Smtp {
            child,
            port: said.trim().parse().unwrap(),
            folder,
            python,
        }
    }

    /// A place for a server that sends mail here.
    pub(crate) fn ground(&self, authority: &Authority, how: &str) -> Ground {
        let mut ground = ground(authority, "192.0.2.0/24");
        let mut set = |name, value: String| ground.variables.push((name, value));
        set("RUNWARD_SMTP_SERVER", format!("127.0.0.1:{}", self.port));
        set("RUNWARD_SMTP_TLS", how.to_owned());
        set("RUNWARD_SMTP_FROM", "runward@acme.example".to_owned());
        if how != "none" {
            let password = self.folder.path().join("password");
            set("RUNWARD_SMTP_USER", "runward".to_owned());
            set("RUNWARD_SMTP_PASSWORD_FILE", password.display().to_string());
        }
        ground
    }

    /// Mails that have come, as Python's own library reads them, the oldest first.
    pub(crate) fn mails(&self) -> Vec<Value> {
        const READ: &str = "
import email, email.policy, json, pathlib, sys
mails = []
for file in pathlib.Path(sys.argv[1]).glob('new/*'):
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    parts = {part.get_content_type(): part.get_content() for part in mail.iter_parts()}
    names = list(mail.keys())
    heads = {name.lower(): str(mail[name]) for name in names}
    defects = [str(d) for part in mail.walk() for d in part.defects]
    mails.append({'headers': heads, 'count': len(names), 'parts': parts, 'defects': defects, 'at': file.stat().st_mtime_ns})
print(json.dumps(sorted(mails, key=lambda mail: mail['at'])))
";
        let output = Command::new(&self.python)
            .args(["-c", READ])
            .arg(self.folder.path().join("mailbox"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let mails: Value = serde_json::from_slice(&output.stdout).unwrap();
        mails.as_array().unwrap().clone()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn mail_arrives_over_tls_in_text_and_html() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let authority = Authority::new().unwrap();
    for how in ["starttls", "implicit"] {
        let smtp = Smtp::start(python.clone(), how, &authority, "127.0.0.1");
        let told = Told::on(smtp.ground(&authority, how));
        let people = json!({ "to": ["ada@acme.example", "bob@acme.example"] });
        let id = told.channel("email", &people)["channel"]["id"].clone();
        told.run(1, "evil.example");
        assert!(
            within(|| smtp.mails().len() == 1),
            "{how}: {:?}",
            told.log("")
        );
        told.until("delivered", 1);
        let mail = smtp.mails().remove(0);
        assert_eq!(mail["defects"], json!([]), "{how}");
        let headers = &mail["headers"];
        assert_eq!(headers["from"], "Runward <runward@acme.example>");
        assert_eq!(headers["to"], "ada@acme.example, bob@acme.example");
        assert_eq!(headers["auto-submitted"], "auto-generated");
        let subject = headers["subject"].as_str().unwrap();
        assert!(
            subject.starts_with("[Runward] 2 things, high at most: src/lib.rs"),
            "{subject}"
        );
        let message_id = headers["message-id"].as_str().unwrap();
        assert!(message_id.starts_with("<msg_") && message_id.ends_with("@127.0.0.1>"));
        for kind in ["text/plain", "text/html"] {
            let part = mail["parts"][kind].as_str().unwrap();
            assert!(part.contains("evil.example:443 was refused to"), "{part}");
            let link = format!("{}/o/main/runs/{:032x}/detections", told.server.address, 1);
            assert!(part.contains(&link), "{part}");
        }
        let (_, tried) = told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
        assert_eq!(tried["delivered"], true, "{tried}");
        assert_eq!(smtp.mails().len(), 2);
        assert!(!told.server.log().contains("correct horse"));
    }
}

#[test]
fn mail_is_tried_again_while_it_may_be_taken_and_given_up_when_it_never_will() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let authority = Authority::new().unwrap();
    let smtp = Smtp::start(python, "starttls", &authority, "127.0.0.1");
    let told = Told::on(smtp.ground(&authority, "starttls"));
    told.channel("email", &json!({ "to": ["later@acme.example"] }));
    told.run(1, "a.example");
    told.until("delivered", 1);
    assert_eq!(told.log("").remove(0)["attempts"], 4);
    assert_eq!(smtp.mails().len(), 1);
    // One person who is not there: nobody gets it, so that nobody gets it twice.
    let people = json!({ "to": ["ada@acme.example", "never@acme.example"] });
    told.channel("email", &people);
    told.run(2, "b.example");
    told.until("dead", 1);
    let dead = told.log("&state=dead").remove(0);
    let error = dead["error"].as_str().unwrap();
    assert!(
        error.contains("550") && error.contains("there is nobody"),
        "{error}"
    );
    assert_eq!(dead["attempts"], 1);
    told.until("delivered", 2);
    assert_eq!(smtp.mails().len(), 2);
    // A server that takes its time does not hold up the other channels.
    let slow =
        told.channel("email", &json!({ "to": ["slow@acme.example"] }))["channel"]["id"].clone();
    told.run(3, "c.example");
    told.until("delivered", 3);
    assert!(within(|| told.health(&slow)["failures"].as_i64() >= Some(1)));
}

#[test]
fn no_mail_goes_where_the_certificate_is_not_right() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let authority = Authority::new().unwrap();
    let stranger = Authority::new().unwrap();
    for (vouches, name) in [(&stranger, "127.0.0.1"), (&authority, "mail.example")] {
        let smtp = Smtp::start(python.clone(), "starttls", vouches, name);
        let told = Told::on(smtp.ground(&authority, "starttls"));
        let id =
            told.channel("email", &json!({ "to": ["ada@acme.example"] }))["channel"]["id"].clone();
        let (_, tried) = told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
        assert_eq!(tried["delivered"], false);
        let error = tried["error"].as_str().unwrap();
        assert!(error.contains("certificate"), "{error}");
        assert_eq!(smtp.mails().len(), 0);
    }
    // In the clear, it goes to a server on this machine that the operator has named so.
    let smtp = Smtp::start(python, "plain", &authority, "127.0.0.1");
    let told = Told::on(smtp.ground(&authority, "none"));
    let id = told.channel("email", &json!({ "to": ["ada@acme.example"] }))["channel"]["id"].clone();
    let (_, tried) = told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
    assert_eq!(tried["delivered"], true, "{tried}");
}

#[test]
fn without_a_mail_server_nobody_is_mailed_to() {
    let authority = Authority::new().unwrap();
    let told = Told::start(&authority);
    let wanted = json!({ "name": "x", "kind": "email", "to": ["ada@acme.example"] });
    let (status, refused) = told.ask("POST", "channels", &wanted);
    assert_eq!(status, 422, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("smtp-server"));
}
