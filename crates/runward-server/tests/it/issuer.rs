//! An issuer of tokens, of a test's own: it signs what it is told to, and serves its keys on loopback.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is answered on a path, and how often it was asked for.
type Answers = HashMap<String, (Value, usize)>;

pub(crate) struct Issuer {
    pub(crate) address: String,
    key: EcdsaKeyPair,
    answers: Arc<Mutex<Answers>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Issuer {
    pub(crate) fn start() -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (answers, ends) = (Arc::default(), Arc::new(AtomicBool::default()));
        let thread = {
            let (answers, ends) = (Arc::clone(&answers), Arc::clone(&ends));
            thread::spawn(move || serve(&listener, &answers, &ends))
        };
        let issuer = Issuer {
            key: generated(),
            address,
            answers,
            ends,
            thread: Some(thread),
        };
        let at = |path: &str| format!("{}{path}", issuer.address);
        issuer.answer(
            "/.well-known/openid-configuration",
            json!({
                "issuer": issuer.address,
                "jwks_uri": at("/keys"),
                "authorization_endpoint": at("/authorize"),
                "token_endpoint": at("/token"),
            }),
        );
        let point = issuer.key.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        let key =
            json!({ "kty": "EC", "crv": "P-256", "kid": "one", "use": "sig", "x": x, "y": y });
        issuer.answer("/keys", json!({ "keys": [key] }));
        issuer
    }

    /// From now on, this is answered there.
    pub(crate) fn answer(&self, path: &str, body: Value) {
        let mut answers = self.answers.lock().unwrap();
        answers.entry(path.to_owned()).or_default().0 = body;
    }

    /// How often it was asked for that.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let answers = self.answers.lock().unwrap();
        answers.get(path).map_or(0, |(_, count)| *count)
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        signed(&self.key, header, claims)
    }

    /// A good token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "ES256", "kid": "one" }), claims)
    }
}

/// A token that looks like an issuer's, and is signed by somebody else.
pub(crate) fn forged(claims: &Value) -> String {
    signed(
        &generated(),
        &json!({ "alg": "ES256", "kid": "one" }),
        claims,
    )
}

/// Seconds since 1970, and some more.
pub(crate) fn in_seconds(more: i64) -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap() + more
}

fn generated() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap()
}

fn signed(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, answers: &Mutex<Answers>, ends: &AtomicBool) {
    for stream in listener.incoming() {
        if ends.load(Ordering::Relaxed) {
            return;
        }
        // Whoever hangs up is the server under test that was ended.
        let _ = stream.and_then(|stream| answer(stream, answers));
    }
}

fn answer(mut stream: TcpStream, answers: &Mutex<Answers>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut path = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or("/").to_owned();
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    lines.take(length).read_to_end(&mut Vec::new())?;
    let found = answers.lock().unwrap().get_mut(&path).map(|(body, count)| {
        *count += 1;
        body.to_string()
    });
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
