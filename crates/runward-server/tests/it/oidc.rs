//! Logging in by an identity provider: a real one, and one that misbehaves.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use runward_lab::{requires, skip, test_name};
use serde_json::{Value, json};

use crate::bed::{Answer, Server, agent, answer, free_port};
use crate::issuer::{Issuer, forged, in_seconds};
use crate::pages::csrf;

/// How long the provider's packages may take to be put in place.
const INSTALL: Duration = Duration::from_secs(120);

fn settings(issuer: &str, secret: &Path) -> Vec<String> {
    vec![
        format!("--oidc-issuer={issuer}"),
        "--oidc-client-id=runward".to_owned(),
        format!("--oidc-client-secret-file={}", secret.display()),
        "--oidc-name=Example ID".to_owned(),
        "--oidc-admin-groups=ops".to_owned(),
        "--oidc-allowed-domains=example.com".to_owned(),
    ]
}

/// Keeps cookies of each host, and follows where it is sent.
#[derive(Default)]
struct Browser(HashMap<String, HashMap<String, String>>);

impl Browser {
    fn go(&mut self, address: &str, form: Option<&str>) -> (Answer, String) {
        let (mut address, mut form) = (address.to_owned(), form);
        for _ in 0..20 {
            let answer = self.ask(&address, form.take());
            if !matches!(answer.status, 302 | 303) {
                return (answer, address);
            }
            address = absolute(&address, &answer.location);
        }
        panic!("{address} leads in circles");
    }

    /// Without following.
    fn ask(&mut self, address: &str, form: Option<&str>) -> Answer {
        let jar = self.0.entry(host(address).to_owned()).or_default();
        let cookies: Vec<String> = jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let response = match form {
            None => agent().get(address).header("cookie", cookies).call(),
            Some(form) => agent()
                .post(address)
                .header("cookie", cookies)
                .header("content-type", "application/x-www-form-urlencoded")
                .send(form),
        };
        let answer = answer(response.unwrap());
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            jar.insert(name.to_owned(), value.to_owned());
        }
        jar.retain(|_, value| !value.is_empty());
        answer
    }

    /// Logs in at the provider, and comes back.
    fn log_in(&mut self, begin: &str, login: &str) -> (Answer, String) {
        let (mut page, mut at) = self.go(begin, None);
        for (prompt, form) in [
            (
                "value=\"login\"",
                format!("prompt=login&login={login}&password=x"),
            ),
            ("value=\"consent\"", "prompt=consent".to_owned()),
        ] {
            if page.body.contains(prompt) {
                (page, at) = self.go(&at, Some(&form));
            }
        }
        (page, at)
    }

    fn session(&self, server: &Server) -> String {
        let jar = &self.0[host(&server.address)];
        format!("runward={}", jar["runward"])
    }
}

fn host(address: &str) -> &str {
    address.split('/').nth(2).unwrap()
}

fn absolute(from: &str, to: &str) -> String {
    match to.starts_with('/') {
        true => format!("http://{}{to}", host(from)),
        false => to.to_owned(),
    }
}

/// The value of a parameter, as it stands in the address.
fn parameter<'a>(address: &'a str, name: &str) -> &'a str {
    let pairs = address.split(['?', '&']);
    let mut values = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    values.next().unwrap()
}

/// A provider that other people wrote and that is certified, as its own process.
struct Provider {
    address: String,
    child: Child,
    /// It goes on writing there, and would end if it could not.
    _told: BufReader<ChildStdout>,
}

impl Provider {
    fn start(packages: &Path, redirect: &str) -> Provider {
        let mut child = Command::new("node")
            .arg("provider.mjs")
            .arg(redirect)
            .current_dir(packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        told.read_line(&mut port).unwrap();
        Provider {
            address: format!("http://127.0.0.1:{}", port.trim()),
            child,
            _told: told,
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with the provider's program and its packages, as the lock file has them; or why there is none.
fn packages() -> Result<PathBuf, String> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOLDER.get_or_init(install).clone()
}

fn install() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc-provider");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oidc-provider");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::read(source.join("package-lock.json")).unwrap();
    let same = std::fs::read(folder.join("package-lock.json")).is_ok_and(|there| there == lock);
    for name in [
        "package.json",
        "package-lock.json",
        ".npmrc",
        "provider.mjs",
    ] {
        std::fs::copy(source.join(name), folder.join(name)).unwrap();
    }
    if same && folder.join("node_modules/oidc-provider").exists() {
        return Ok(folder);
    }
    let mut npm = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--omit=optional",
            "--no-audit",
            "--no-fund",
        ])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("needs npm: {error}"))?;
    let deadline = Instant::now() + INSTALL;
    loop {
        match npm.try_wait().unwrap() {
            Some(status) if status.success() => return Ok(folder),
            Some(status) => {
                return Err(format!(
                    "needs the packages of tests/oidc-provider: npm ci ended with {status}"
                ));
            }
            None if Instant::now() > deadline => {
                let _ = npm.kill();
                let _ = npm.wait();
                return Err(
                    "needs the packages of tests/oidc-provider: npm ci took too long".to_owned(),
                );
            }
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

#[test]
fn people_log_in_by_a_real_identity_provider() {
    requires!(Program("node"));
    let packages = match packages() {
        Ok(packages) => packages,
        Err(lacking) => return skip(test_name!(), &lacking),
    };
    let port = free_port();
    let callback = format!("http://127.0.0.1:{port}/login/oidc/callback");
    let provider = Provider::start(&packages, &callback);
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "of the tests: not a secret\n").unwrap();
    let server = Server::at(port, &settings(&provider.address, &secret));
    let begin = format!("{}/login/oidc?next=/o/main/settings", server.address);
    assert!(
        server
            .get("/login", "")
            .body
            .contains("Sign in with <bdi>Example ID</bdi>")
    );

    // Ada is an admin by her group, Bob an auditor by his address, and nobody has verified Mallory's.
    let mut ada = Browser::default();
    let (page, at) = ada.log_in(&begin, "ada");
    assert_eq!(
        (page.status, at.ends_with("/o/main/settings")),
        (200, true),
        "{at} {}",
        page.body
    );
    assert!(page.body.contains("ada@example.com") && page.body.contains("Make key"));
    let mut bob = Browser::default();
    let (page, _) = bob.log_in(&begin, "bob");
    assert!(
        page.body.contains("bob@example.com") && !page.body.contains("Make key"),
        "{}",
        page.body
    );
    let mut mallory = Browser::default();
    let (page, at) = mallory.log_in(&begin, "mallory");
    assert_eq!(page.status, 403, "{at}");
    assert!(
        page.body.contains("not among those who may log in"),
        "{}",
        page.body
    );

    // An answer is good once: the provider knows a code that was used.
    let mut eve = Browser::default();
    eve.log_in(&begin, "bob");
    let login_cookie = |browser: &Browser| {
        browser.0[host(&server.address)]
            .get("runward-login")
            .cloned()
    };
    assert_eq!(login_cookie(&eve), None, "it is taken away");
    let to = eve.ask(&begin, None).location;
    let kept = login_cookie(&eve).unwrap();
    // The provider knows Bob, and sends him back at once.
    let mut back = eve.ask(&to, None).location;
    while host(&back) != host(&server.address) {
        back = absolute(&provider.address, &eve.ask(&back, None).location);
    }
    assert_eq!(eve.ask(&back, None).status, 303);
    let again = server.get(
        back.trim_start_matches(&server.address),
        &format!("runward-login={kept}"),
    );
    assert_eq!(again.status, 401, "{}", again.body);
    assert!(
        !again
            .headers
            .get_all("set-cookie")
            .iter()
            .any(|c| c.to_str().unwrap().starts_with("runward="))
    );

    // What is dangerous is confirmed at the provider, in another tab, and then goes on.
    let session = ada.session(&server);
    let secret = csrf(&server.get("/o/main/settings", &session).body);
    server.age(&session);
    let form = format!("csrf={secret}&name=all&scope=admin");
    let make = || server.form("/o/main/settings/keys", &session, &form);
    let asked = make();
    assert_eq!(asked.status, 403);
    let way = "href=\"/login/oidc?again=1&#38;next=%2Flogin%2Fconfirmed\" target=\"_blank\"";
    assert!(asked.body.contains(way), "{}", asked.body);
    let again = format!(
        "{}/login/oidc?again=1&next=/login/confirmed",
        server.address
    );
    let (page, at) = ada.log_in(&again, "ada");
    assert_eq!(
        (page.status, at.ends_with("/login/confirmed")),
        (200, true),
        "{at} {}",
        page.body
    );
    assert_eq!(make().status, 200);
    // Somebody else, who has logged in there with the same browser, does not confirm it.
    server.age(&session);
    ada.0.remove(host(&provider.address));
    let (page, _) = ada.log_in(&again, "bob");
    assert_eq!(page.status, 403, "{}", page.body);
    assert_eq!(make().status, 403);
}

/// A server whose provider does what a test says, and a login that was begun there.
struct Begun {
    server: Server,
    issuer: Issuer,
    cookie: String,
    state: String,
    nonce: String,
    _secret: tempfile::NamedTempFile,
}

impl Begun {
    fn new() -> Begun {
        let issuer = Issuer::start();
        let secret = tempfile::NamedTempFile::new().unwrap();
        let server = Server::with(&settings(&issuer.address, secret.path()));
        let begun = server.get("/login/oidc?next=/o/main", "");
        assert_eq!(begun.status, 303, "{}", begun.body);
        let to = &begun.location;
        assert!(to.starts_with(&format!("{}/authorize?response_type=code", issuer.address)));
        assert_eq!(parameter(to, "code_challenge_method"), "S256");
        Begun {
            cookie: begun.cookie.split(';').next().unwrap().to_owned(),
            state: parameter(to, "state").to_owned(),
            nonce: parameter(to, "nonce").to_owned(),
            server,
            issuer,
            _secret: secret,
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer.address, "aud": "runward", "sub": "1", "exp": in_seconds(60), "iat": in_seconds(0),
            "nonce": self.nonce, "email": "ada@example.com", "email_verified": true,
        })
    }

    /// Comes back, and the provider gives this token for the code.
    fn back(&self, token: &str) -> Answer {
        self.issuer.answer(
            "/token",
            json!({ "id_token": token, "access_token": "x", "token_type": "Bearer" }),
        );
        self.callback(&format!("code=c&state={}", self.state), &self.cookie)
    }

    fn callback(&self, query: &str, cookie: &str) -> Answer {
        self.server
            .get(&format!("/login/oidc/callback?{query}"), cookie)
    }
}

fn comes_in(answer: &Answer) -> bool {
    let mut cookies = answer.headers.get_all("set-cookie").iter();
    answer.status == 303 && cookies.any(|cookie| cookie.to_str().unwrap().starts_with("runward="))
}

#[test]
fn an_answer_of_the_provider_that_is_not_good_lets_nobody_in() {
    let begun = Begun::new();
    let with = |name: &str, value: Value| {
        let mut claims = begun.claims();
        claims[name] = value;
        begun.issuer.token(&claims)
    };
    let unsigned = begun
        .issuer
        .sign(&json!({ "alg": "none" }), &begun.claims());
    let (body, _) = unsigned.rsplit_once('.').unwrap();
    for (what, token) in [
        ("wrong nonce", with("nonce", json!("other"))),
        ("no nonce", with("nonce", Value::Null)),
        ("expired", with("exp", json!(in_seconds(-120)))),
        ("another audience", with("aud", json!("other"))),
        ("another party", with("azp", json!("other"))),
        ("wrong issuer", with("iss", json!("https://evil.example"))),
        ("nobody", with("sub", Value::Null)),
        ("unsigned", format!("{body}.")),
        ("alg none with a signature", unsigned.clone()),
        ("somebody else's signature", forged(&begun.claims())),
        ("no token", String::new()),
    ] {
        let answer = begun.back(&token);
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        assert!(!comes_in(&answer), "{what}");
        assert!(
            answer.body.contains("role=\"alert\"") && answer.body.contains("name=\"password\""),
            "{what}"
        );
    }
    for (what, query, cookie, status) in [
        (
            "wrong state",
            "code=c&state=other".to_owned(),
            begun.cookie.clone(),
            400,
        ),
        ("no state", "code=c".to_owned(), begun.cookie.clone(), 400),
        (
            "no code",
            format!("state={}", begun.state),
            begun.cookie.clone(),
            400,
        ),
        (
            "not begun in this browser",
            format!("code=c&state={}", begun.state),
            String::new(),
            400,
        ),
        (
            "another provider",
            format!("code=c&state={}&iss=https://evil.example", begun.state),
            begun.cookie.clone(),
            401,
        ),
        (
            "refused",
            format!(
                "error=access_denied&error_description=%3Cb%3Eno&state={}",
                begun.state
            ),
            begun.cookie.clone(),
            403,
        ),
    ] {
        let answer = begun.callback(&query, &cookie);
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        assert!(
            !comes_in(&answer) && !answer.body.contains("<b>no"),
            "{what}"
        );
    }
    // And the good one does.
    let answer = begun.back(&begun.issuer.token(&begun.claims()));
    assert!(
        comes_in(&answer) && answer.location == "/o/main",
        "{answer:?}"
    );
}

#[test]
fn nobody_takes_over_the_login_of_somebody_with_a_password() {
    let begun = Begun::new();
    begun.server.person("ada@example.com", "admin");
    let answer = begun.back(&begun.issuer.token(&begun.claims()));
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("somebody else is called"),
        "{}",
        answer.body
    );
}

#[test]
fn where_the_provider_is_away_a_password_still_works() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let away = format!("http://127.0.0.1:{}", free_port());
    let server = Server::with(&settings(&away, secret.path()));
    for _ in 0..2 {
        let answer = server.get("/login/oidc?next=/", "");
        assert_eq!(answer.status, 503);
        assert!(
            answer.body.contains("can&#39;t be reached"),
            "{}",
            answer.body
        );
    }
    let cookie = server.person("ada", "admin");
    assert_eq!(server.get("/o/main", &cookie).status, 200);
}
