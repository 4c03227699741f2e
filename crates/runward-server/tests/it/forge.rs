//! GitHub's and GitLab's APIs, of a test's own: they hold every request against the published description, check who
//! asks, and keep what they are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runward_lab::Authority;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hook::{Behaviour, Decider, Got, Hook};
use crate::issuer::in_seconds;

/// What was built for a pull request, and what people see of that request; and what was built for a branch.
pub(crate) const MERGED: &str = "1111111111111111111111111111111111111111";
pub(crate) const HEAD: &str = "2222222222222222222222222222222222222222";
pub(crate) const PUSHED: &str = "3333333333333333333333333333333333333333";
/// The app.
pub(crate) const APP: &str = "123456";

/// An answer that is given once, in place of the right one.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    /// Lines of the answer's head.
    pub(crate) head: &'static str,
    /// Whether what was asked for is done all the same.
    pub(crate) done: bool,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) operation: String,
    /// What stood in the address.
    pub(crate) named: BTreeMap<String, String>,
    pub(crate) body: Value,
    head: BTreeMap<String, String>,
}

/// What is wrong with a request, as the answer says it.
type Wrong = (u16, String);

#[derive(Default)]
struct Kept {
    asked: Vec<Asked>,
    /// Requests that were not as they are described.
    wrong: Vec<String>,
    troubles: VecDeque<Trouble>,
    /// Checks or statuses.
    results: Vec<Value>,
    /// Tokens that were given out, and for which repository.
    tokens: BTreeMap<String, String>,
}

pub(crate) struct Forge {
    pub(crate) hook: Hook,
    kept: Arc<Mutex<Kept>>,
}

impl Forge {
    /// GitHub, with an app of this public key that is installed at `acme/app`.
    pub(crate) fn github(authority: &Authority, key: &AppKeys) -> Forge {
        let public = key.public.clone();
        Forge::start(authority, "github.json", "/api/v3", move |asked, kept| {
            github(asked, kept, &public)
        })
    }

    /// GitLab, where this token is good at `group/app`.
    pub(crate) fn gitlab(authority: &Authority, token: &str) -> Forge {
        let token = token.to_owned();
        Forge::start(authority, "gitlab.json", "/api/v4", move |asked, kept| {
            gitlab(asked, kept, &token)
        })
    }

    fn start(
        authority: &Authority,
        file: &str,
        base: &'static str,
        answer: impl Fn(&Asked, &mut Kept) -> Result<Value, Wrong> + Send + Sync + 'static,
    ) -> Forge {
        let hook = Hook::start(authority);
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let description = Description::read(file);
        let all = Arc::clone(&kept);
        let decider = move |got: &Got| {
            let mut kept = all.lock().unwrap();
            let asked = match description.read_request(got, base) {
                Ok(asked) => asked,
                Err(why) => {
                    kept.wrong
                        .push(format!("{} {}: {why}", got.method, got.path));
                    return (400, String::new(), why);
                }
            };
            kept.asked.push(asked.clone());
            let troubles = kept.troubles.front();
            let trouble = troubles.filter(|trouble| trouble.operation == asked.operation);
            let trouble = trouble.cloned();
            if trouble.is_some() {
                kept.troubles.pop_front();
            }
            if let Some(trouble) = trouble.as_ref().filter(|trouble| !trouble.done) {
                return (trouble.status, trouble.head.to_owned(), "{}".to_owned());
            }
            let done = answer(&asked, &mut kept);
            match (trouble, done) {
                (Some(trouble), _) => (trouble.status, trouble.head.to_owned(), "{}".to_owned()),
                (None, Ok(body)) => (200, String::new(), body.to_string()),
                (None, Err((status, why))) => (status, String::new(), why),
            }
        };
        hook.behave(Behaviour::Decides(Decider(Arc::new(decider))));
        Forge { hook, kept }
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.kept.lock().unwrap().troubles.push_back(trouble);
    }

    /// Checks or statuses, as they stand.
    pub(crate) fn results(&self) -> Vec<Value> {
        self.kept.lock().unwrap().results.clone()
    }

    /// What was asked for, in its order.
    pub(crate) fn operations(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.asked
            .iter()
            .map(|asked| asked.operation.clone())
            .collect()
    }

    /// What was asked for last.
    pub(crate) fn last(&self) -> Asked {
        self.kept.lock().unwrap().asked.last().unwrap().clone()
    }

    /// From now on, no token that was given out is good.
    pub(crate) fn take_tokens_back(&self) {
        self.kept.lock().unwrap().tokens.clear();
    }

    /// Every request was as it is described.
    pub(crate) fn was_understood(&self) {
        assert_eq!(self.kept.lock().unwrap().wrong, [""; 0]);
        assert!(self.kept.lock().unwrap().troubles.is_empty());
    }
}

/// The description of an API.
struct Description {
    operations: Vec<(String, Vec<String>, Value)>,
}

impl Description {
    fn read(file: &str) -> Description {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi"));
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        let mut operations = Vec::new();
        for (path, methods) in all["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let parts = path[1..].split('/').map(str::to_owned).collect();
                operations.push((method.to_uppercase(), parts, operation.clone()));
            }
        }
        Description { operations }
    }

    fn read_request(&self, got: &Got, base: &str) -> Result<Asked, String> {
        let (path, query) = got.path.split_once('?').unwrap_or((&got.path, ""));
        let path = path.strip_prefix(base).ok_or("it is not below the base")?;
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let fits = |template: &Vec<String>| {
            template.len() == parts.len()
                && (template.iter().zip(&parts)).all(|(t, part)| t.starts_with('{') || t == part)
        };
        let mut known = self.operations.iter();
        let found = known.find(|(method, template, _)| *method == got.method && fits(template));
        let (_, template, operation) = found.ok_or("there is no such operation")?;
        let mut given = BTreeMap::new();
        for (name, part) in template.iter().zip(&parts) {
            if let Some(name) = name.strip_prefix('{') {
                given.insert(
                    ("path", name.trim_end_matches('}').to_owned()),
                    decoded(part),
                );
            }
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            given.insert(("query", decoded(name)), decoded(&value.replace('+', " ")));
        }
        parameters(operation, &given)?;
        Ok(Asked {
            operation: operation["operationId"].as_str().unwrap().to_owned(),
            named: given
                .into_iter()
                .map(|((_, name), value)| (name, value))
                .collect(),
            body: body(operation, got)?,
            head: got.headers.clone(),
        })
    }
}

fn parameters(operation: &Value, given: &BTreeMap<(&str, String), String>) -> Result<(), String> {
    let none = Vec::new();
    let known = operation["parameters"].as_array().unwrap_or(&none);
    let mut names = BTreeSet::new();
    for parameter in known {
        let name = parameter["name"].as_str().unwrap();
        let place = parameter["in"].as_str().unwrap();
        names.insert((place, name.to_owned()));
        let Some(text) = given.get(&(place, name.to_owned())) else {
            if parameter["required"] == true {
                return Err(format!("{name} is missing"));
            }
            continue;
        };
        let value = match parameter["schema"]["type"].as_str() {
            Some("integer") => text.parse::<i64>().map(Value::from).unwrap_or_default(),
            Some("boolean") => text.parse::<bool>().map(Value::from).unwrap_or_default(),
            _ => Value::from(text.as_str()),
        };
        held_against(&parameter["schema"], &value).map_err(|why| format!("{name}: {why}"))?;
    }
    match given.keys().find(|key| !names.contains(*key)) {
        Some((_, name)) => Err(format!("nobody knows {name}")),
        None => Ok(()),
    }
}

fn body(operation: &Value, got: &Got) -> Result<Value, String> {
    let wanted = &operation["requestBody"];
    if got.body.is_empty() {
        return match wanted["required"] == true {
            true => Err("the body is missing".to_owned()),
            false => Ok(Value::Null),
        };
    }
    let schema = &wanted["content"]["application/json"]["schema"];
    if schema.is_null() || got.headers["content-type"] != "application/json" {
        return Err("nobody wants such a body".to_owned());
    }
    let given: Value = serde_json::from_slice(&got.body).map_err(|error| error.to_string())?;
    held_against(schema, &given)?;
    let known = schema["properties"].as_object().unwrap();
    let mut names = given.as_object().unwrap().keys();
    match names.find(|name| !known.contains_key(*name)) {
        Some(name) => Err(format!("nobody knows {name}")),
        None => Ok(given),
    }
}

fn held_against(schema: &Value, value: &Value) -> Result<(), String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.validate(value).map_err(|error| error.to_string())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex: Vec<u8> = rest.by_ref().take(2).collect();
            let hex = String::from_utf8(hex).unwrap();
            bytes.push(u8::from_str_radix(&hex, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The keys of an app, made for one test by another program than the one under test.
pub(crate) struct AppKeys {
    _folder: TempDir,
    public: PathBuf,
    /// What is given to who may be this app.
    pub(crate) private: String,
}

impl AppKeys {
    /// As GitHub makes them (PKCS #1), or as OpenSSL does (PKCS #8).
    pub(crate) fn new(traditional: bool) -> AppKeys {
        let folder = tempfile::tempdir().unwrap();
        let (private, public) = (folder.path().join("private"), folder.path().join("public"));
        let mut make = Command::new("openssl");
        make.arg("genrsa");
        if traditional {
            make.arg("-traditional");
        }
        run(make.arg("-out").arg(&private).arg("2048"));
        let mut tell = Command::new("openssl");
        run(tell
            .args(["rsa", "-pubout", "-in"])
            .arg(&private)
            .arg("-out")
            .arg(&public));
        AppKeys {
            private: fs::read_to_string(private).unwrap(),
            public,
            _folder: folder,
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Whether this is a token of the app that is good now.
fn is_app(token: &str, public: &Path) -> Result<(), &'static str> {
    let (signed, signature) = token.rsplit_once('.').ok_or("it has no signature")?;
    let (header, claims) = signed.split_once('.').ok_or("it has no claims")?;
    let part = |text: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    let (header, claims) = (part(header), part(claims));
    if header != json!({ "alg": "RS256", "typ": "JWT" }) {
        return Err("the header");
    }
    let time = |name: &str| claims[name].as_i64().unwrap();
    let now = in_seconds(0);
    if claims["iss"] != APP || time("iat") > now || time("exp") <= now || time("exp") > now + 600 {
        return Err("the claims");
    }
    let folder = tempfile::tempdir().unwrap();
    let (text, bytes) = (folder.path().join("text"), folder.path().join("signature"));
    fs::write(&text, signed).unwrap();
    fs::write(&bytes, URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let checked = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(public)
        .arg("-signature")
        .args([&bytes, &text])
        .output();
    match checked.unwrap().status.success() {
        true => Ok(()),
        false => Err("the signature"),
    }
}

fn github(asked: &Asked, kept: &mut Kept, public: &Path) -> Result<Value, Wrong> {
    let head = |name: &str| asked.head.get(name).map_or("", String::as_str);
    let token = head("authorization").strip_prefix("Bearer ");
    let token = token.ok_or_else(|| (401, "who asks?".to_owned()))?;
    if head("x-github-api-version") != "2022-11-28"
        || head("accept") != "application/vnd.github+json"
    {
        return Err((400, "which version?".to_owned()));
    }
    let project = match (asked.named.get("owner"), asked.named.get("repo")) {
        (Some(owner), Some(repo)) => format!("{owner}/{repo}"),
        _ => String::new(),
    };
    match asked.operation.as_str() {
        "apps/get-authenticated"
        | "apps/get-repo-installation"
        | "apps/create-installation-access-token" => {
            is_app(token, public).map_err(|why| (401, why.to_owned()))?;
        }
        _ if kept.tokens.get(token) != Some(&project) => {
            return Err((401, "which token?".to_owned()));
        }
        _ => {}
    }
    let missing = || (404, "there is none".to_owned());
    match asked.operation.as_str() {
        "apps/get-authenticated" => {
            Ok(json!({ "id": 7, "permissions": { "checks": "write", "contents": "read" } }))
        }
        "apps/get-repo-installation" if project == "acme/app" => Ok(json!({ "id": 77 })),
        "apps/create-installation-access-token" if asked.named["installation_id"] == "77" => {
            let permissions = json!({ "checks": "write", "contents": "read" });
            assert_eq!(asked.body["permissions"], permissions);
            assert_eq!(asked.body["repositories"], json!(["app"]));
            let token = format!("hush-hush-{}", kept.asked.len());
            kept.tokens.insert(token.clone(), "acme/app".to_owned());
            Ok(json!({ "token": token, "expires_at": "2099-07-11T22:14:10Z" }))
        }
        "git/get-commit" => match asked.named["commit_sha"].as_str() {
            MERGED => Ok(json!({ "parents": [{ "sha": PUSHED }, { "sha": HEAD }] })),
            _ => Err(missing()),
        },
        "checks/list-for-ref" => {
            let at = |check: &&Value| {
                check["head_sha"] == asked.named["ref"].as_str()
                    && check["name"] == asked.named["check_name"].as_str()
                    && asked.named["app_id"] == APP
            };
            let found: Vec<&Value> = kept.results.iter().filter(at).collect();
            Ok(json!({ "total_count": found.len(), "check_runs": found }))
        }
        "checks/create" => {
            let mut check = asked.body.clone();
            if ![HEAD, PUSHED].iter().any(|sha| check["head_sha"] == **sha) {
                return Err((422, "No commit found for SHA".to_owned()));
            }
            check["id"] = (kept.results.len() + 1).into();
            kept.results.push(check.clone());
            Ok(check)
        }
        "checks/update" => {
            let id: u64 = asked.named["check_run_id"].parse().unwrap();
            let mut known = kept.results.iter_mut();
            let known = known.find(|check| check["id"] == id).ok_or_else(missing)?;
            for (name, value) in asked.body.as_object().unwrap() {
                known[name] = value.clone();
            }
            Ok(known.clone())
        }
        _ => Err(missing()),
    }
}

fn gitlab(asked: &Asked, kept: &mut Kept, token: &str) -> Result<Value, Wrong> {
    if asked.head.get("private-token").map(String::as_str) != Some(token) {
        return Err((401, "which token?".to_owned()));
    }
    if asked.operation == "getApiV4PersonalAccessTokensSelf" {
        return Ok(json!({ "id": 4, "scopes": ["api"], "active": true }));
    }
    if asked.named["id"] != "group/app" || asked.named["sha"] != PUSHED {
        return Err((404, "there is none".to_owned()));
    }
    if asked.operation == "getApiV4ProjectsIdRepositoryCommitsShaStatuses" {
        let at = |status: &&Value| {
            status["name"] == asked.named["name"].as_str()
                && asked.named["pipeline_id"]
                    .parse::<u64>()
                    .is_ok_and(|id| status["pipeline_id"] == id)
        };
        let newest: Vec<&Value> = kept.results.iter().rev().filter(at).take(1).collect();
        return Ok(json!(newest));
    }
    let mut status = asked.body.clone();
    if status["description"].as_str().unwrap().chars().count() > 255 {
        return Err((400, "the description is too long".to_owned()));
    }
    status["id"] = (kept.results.len() + 1).into();
    status["status"] = status["state"].clone();
    kept.results.push(status.clone());
    Ok(status)
}
