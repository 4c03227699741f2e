//! A plain HTTP/1 server of pages and a folder's files: enough for package downloads and `git clone`.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::log::Log;
use crate::service::{KEPT_BYTES, Peer, Step, keep};

/// A request's head may be this long and have this many fields.
const MOST_HEAD: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;

/// A request's body and a served file may be this long.
const MOST_BODY: u64 = 256 << 20;

/// A connection that asks nothing is closed after this.
const IDLE: Duration = Duration::from_secs(15);

/// What an HTTP server serves, and the requests it had. Clones share both, so one site can stand on several servers.
#[derive(Clone)]
pub struct Site {
    folder: Option<PathBuf>,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    log: Log<Request>,
}

#[derive(Clone)]
struct Page {
    content_type: String,
    body: Arc<Vec<u8>>,
}

/// One request that a site had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client.
    pub from: SocketAddr,
    /// The name in the TLS greeting, if the server speaks TLS.
    pub tls_name: Option<String>,
    /// The method.
    pub method: String,
    /// The path and query as they were written.
    pub path: String,
    /// The `Host` field.
    pub host: Option<String>,
    /// The `User-Agent` field.
    pub user_agent: Option<String>,
    /// The first bytes of the body, up to 4,096.
    pub body: Vec<u8>,
    /// The answer's status.
    pub status: u16,
}

impl Site {
    /// A site with no pages yet.
    #[must_use]
    pub fn new() -> Self {
        Site {
            folder: None,
            pages: Arc::default(),
            log: Log::new(),
        }
    }

    /// A site that serves the files of a folder. Nothing outside of it is served, not even through a symbolic link.
    #[must_use]
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Site {
            folder: Some(folder.into()),
            ..Site::new()
        }
    }

    /// Sets a page. The path is matched as written, without the query, and goes before a file of the same name.
    pub fn page(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) {
        let page = Page {
            content_type: content_type.to_owned(),
            body: Arc::new(body.into()),
        };
        self.pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), page);
    }

    /// The requests so far, in the order in which they were answered.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.log.all()
    }

    /// The log of requests, to wait on.
    #[must_use]
    pub fn log(&self) -> &Log<Request> {
        &self.log
    }

    fn find(&self, path: &str) -> Found {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let page = self
            .pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned();
        if let Some(page) = page {
            return Found::Page(page);
        }
        self.file(path).unwrap_or(Found::Nothing)
    }

    fn file(&self, path: &str) -> Option<Found> {
        let root = self.folder.as_ref()?.canonicalize().ok()?;
        let mut file = root.clone();
        for segment in path.split('/') {
            let segment = decode(segment)?;
            if segment == ".." || segment.contains(['/', '\0']) {
                return None;
            }
            file.push(segment);
        }
        // What the links lead to must be inside too.
        let mut file = file
            .canonicalize()
            .ok()
            .filter(|file| file.starts_with(&root))?;
        if file.is_dir() {
            if !path.ends_with('/') {
                return Some(Found::Moved(format!("{path}/")));
            }
            file.push("index.html");
        }
        let file = file
            .canonicalize()
            .ok()
            .filter(|file| file.starts_with(&root))?;
        let about = file.metadata().ok()?;
        if !about.is_file() || about.len() > MOST_BODY {
            return None;
        }
        let body = Arc::new(fs::read(&file).ok()?);
        Some(Found::Page(Page {
            content_type: content_type(&file).to_owned(),
            body,
        }))
    }
}

impl Default for Site {
    fn default() -> Self {
        Site::new()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// What a path leads to.
enum Found {
    Page(Page),
    Moved(String),
    Nothing,
}

/// Serves one connection: any number of requests, one after another.
pub(crate) async fn serve<S>(
    site: &Site,
    stream: &mut S,
    peer: &Peer,
    note: impl Fn(Step<'_>),
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            match Head::parse(&buffer) {
                Parsed::Whole(head) => break head,
                Parsed::Partial if buffer.len() < MOST_HEAD => {}
                Parsed::Partial | Parsed::Malformed => {
                    return send(stream, &Response::empty(400), false, false, &note).await;
                }
            }
            if fill(stream, &mut buffer, &note).await? == 0 {
                return Ok(());
            }
        };
        buffer.drain(..head.length.min(buffer.len()));

        let (response, body) = match head.body {
            Some(length) if length <= MOST_BODY => {
                let body = take_body(stream, &mut buffer, length, &head, &note).await?;
                (respond(site, &head), body)
            }
            Some(_) => (Response::empty(413), Vec::new()),
            None => (Response::empty(411), Vec::new()),
        };
        // After a body that was left unread, nothing on this connection makes sense.
        let keep_open = head.keep_alive && !matches!(response.status, 411 | 413);
        site.log.push(Request {
            from: peer.from,
            tls_name: peer.tls_name.clone(),
            method: head.method.clone(),
            path: head.path.clone(),
            host: head.host.clone(),
            user_agent: head.user_agent.clone(),
            body,
            status: response.status,
        });
        send(stream, &response, head.method == "HEAD", keep_open, &note).await?;
        if !keep_open {
            return Ok(());
        }
    }
}

fn respond(site: &Site, head: &Head) -> Response {
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return Response::empty(405);
    }
    match site.find(&head.path) {
        Found::Page(page) => Response {
            status: 200,
            page: Some(page),
            location: None,
        },
        Found::Moved(location) => Response {
            location: Some(location),
            ..Response::empty(301)
        },
        Found::Nothing => Response::empty(404),
    }
}

/// Reads more into the buffer. Returns how much came; 0 is the end, or a client that has been silent for too long.
async fn fill<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    note: &impl Fn(Step<'_>),
) -> io::Result<usize> {
    let before = buffer.len();
    let Ok(read) = timeout(IDLE, stream.read_buf(buffer)).await else {
        return Ok(0);
    };
    let count = read?;
    note(Step::Received(buffer.get(before..).unwrap_or_default()));
    Ok(count)
}

/// Reads a body of known length to its end and returns its first bytes.
async fn take_body<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    length: u64,
    head: &Head,
    note: &impl Fn(Step<'_>),
) -> io::Result<Vec<u8>> {
    if head.expects_continue && length > 0 {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        stream.flush().await?;
    }
    let mut first =
        Vec::with_capacity(KEPT_BYTES.min(usize::try_from(length).unwrap_or(KEPT_BYTES)));
    let mut left = length;
    while left > 0 {
        if buffer.is_empty() && fill(stream, buffer, note).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let part: Vec<u8> = buffer.drain(..count).collect();
        keep(&mut first, &part);
        left -= count as u64;
    }
    Ok(first)
}

struct Response {
    status: u16,
    page: Option<Page>,
    location: Option<String>,
}

impl Response {
    fn empty(status: u16) -> Self {
        Response {
            status,
            page: None,
            location: None,
        }
    }
}

async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    response: &Response,
    head_only: bool,
    keep_open: bool,
    note: &impl Fn(Step<'_>),
) -> io::Result<()> {
    let reason = match response.status {
        200 => "OK",
        301 => "Moved Permanently",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        _ => "Content Too Large",
    };
    let body = response
        .page
        .as_ref()
        .map(|page| page.body.as_slice())
        .unwrap_or_default();
    let mut bytes = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Length: {}\r\n",
        response.status,
        body.len()
    );
    if let Some(page) = &response.page {
        bytes.push_str(&format!("Content-Type: {}\r\n", page.content_type));
    }
    if let Some(location) = &response.location {
        bytes.push_str(&format!("Location: {location}\r\n"));
    }
    bytes.push_str(if keep_open {
        "\r\n"
    } else {
        "Connection: close\r\n\r\n"
    });
    let mut bytes = bytes.into_bytes();
    if !head_only {
        bytes.extend_from_slice(body);
    }
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    note(Step::Sent(bytes.len()));
    Ok(())
}

/// What matters of a request's head.
#[derive(Debug, PartialEq)]
struct Head {
    method: String,
    path: String,
    host: Option<String>,
    user_agent: Option<String>,
    keep_alive: bool,
    expects_continue: bool,
    /// The body's length; `None` if it can't be known beforehand.
    body: Option<u64>,
    /// The head's own length.
    length: usize,
}

enum Parsed {
    Whole(Head),
    Partial,
    Malformed,
}

impl Head {
    fn parse(bytes: &[u8]) -> Parsed {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Parsed::Partial,
            Err(_) => return Parsed::Malformed,
        };
        let (Some(method), Some(path)) = (request.method, request.path) else {
            return Parsed::Malformed;
        };
        let field = |name: &str| {
            let found = request
                .headers
                .iter()
                .find(|field| field.name.eq_ignore_ascii_case(name))?;
            Some(String::from_utf8_lossy(found.value).into_owned())
        };
        let says = |name: &str, word: &str| {
            field(name).is_some_and(|value| value.to_ascii_lowercase().contains(word))
        };
        let keep_alive = if request.version == Some(1) {
            !says("connection", "close")
        } else {
            says("connection", "keep-alive")
        };
        let body = if field("transfer-encoding").is_some() {
            None
        } else {
            field("content-length").map_or(Some(0), |text| text.trim().parse().ok())
        };
        Parsed::Whole(Head {
            method: method.to_owned(),
            path: path.to_owned(),
            host: field("host"),
            user_agent: field("user-agent"),
            keep_alive,
            expects_continue: says("expect", "100-continue"),
            body,
            length,
        })
    }
}

/// Undoes percent encoding. `None` if it is malformed or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(decoded).ok()
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("txt") => "text/plain; charset=utf-8",
        Some("xml") => "application/xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding() {
        for (text, expected) in [
            ("plain", Some("plain")),
            ("%40scope", Some("@scope")),
            ("a%2Fb", Some("a/b")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%ff", None),
            ("", Some("")),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn nothing_outside_of_the_folder_is_served() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("inside");
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::write(inside.join("file.txt"), "in").unwrap();
        fs::write(inside.join("sub/index.html"), "index").unwrap();
        fs::write(place.path().join("secret"), "out").unwrap();
        std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
        let site = Site::folder(&inside);
        site.page("/file.txt/../page", "text/plain", "page");
        for (path, expected) in [
            ("/file.txt", "in"),
            ("/file.txt?x=../secret", "in"),
            ("//file.txt", "in"),
            ("/./file%2etxt", "in"),
            ("/sub/", "index"),
            ("/sub", "moved to /sub/"),
            ("/file.txt/../page", "page"),
            ("/", "nothing"),
            ("/../secret", "nothing"),
            ("/%2e%2e/secret", "nothing"),
            ("/sub/%2e%2e%2f%2e%2e%2fsecret", "nothing"),
            ("/link", "nothing"),
            ("/file.txt%00", "nothing"),
            ("/absent", "nothing"),
            ("", "moved to /"),
        ] {
            let found = match site.find(path) {
                Found::Page(page) => String::from_utf8(page.body.to_vec()).unwrap(),
                Found::Moved(to) => format!("moved to {to}"),
                Found::Nothing => "nothing".to_owned(),
            };
            assert_eq!(found, expected, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_leads_outside(path in "(/|\\.|%2e|%2f|%|in|secret){0,12}") {
            let place = tempfile::tempdir().unwrap();
            fs::create_dir_all(place.path().join("in/in")).unwrap();
            fs::write(place.path().join("secret"), "out").unwrap();
            fs::write(place.path().join("in/in/secret"), "in").unwrap();
            if let Found::Page(page) = Site::folder(place.path().join("in")).find(&path) {
                proptest::prop_assert_eq!(page.body.as_slice(), b"in");
            }
        }

        #[test]
        fn any_bytes_are_a_head_or_not(bytes: Vec<u8>) {
            if let Parsed::Whole(head) = Head::parse(&bytes) {
                proptest::prop_assert!(head.length <= bytes.len());
            }
        }
    }

    #[test]
    fn heads() {
        let parse = |text: &str| match Head::parse(text.as_bytes()) {
            Parsed::Whole(head) => format!(
                "{} {} {:?} {}",
                head.method, head.path, head.body, head.keep_alive
            ),
            Parsed::Partial => "partial".to_owned(),
            Parsed::Malformed => "malformed".to_owned(),
        };
        for (text, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", "GET / Some(0) true"),
            ("GET / HTTP/1.0\r\n\r\n", "GET / Some(0) false"),
            (
                "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n",
                "GET / Some(0) false",
            ),
            (
                "POST /a HTTP/1.1\r\ncontent-length: 12\r\n\r\n",
                "POST /a Some(12) true",
            ),
            (
                "POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                "POST /a None true",
            ),
            (
                "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST /a None true",
            ),
            ("GET / HTTP/1.1\r\n", "partial"),
            ("", "partial"),
            ("\x16\x03\x01", "malformed"),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
