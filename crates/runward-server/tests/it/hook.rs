//! A server that notifications are sent to, of a test's own: it speaks HTTPS on loopback, and answers as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use runward_lab::Authority;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a head's line, and of a body.
const LINE_MAX: u64 = 16 << 10;
const BODY_MAX: u64 = 4 << 20;

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// With a status and a body.
    Says(u16, &'static str),
    /// With 503, and so many seconds in `Retry-After`.
    Later(u32),
    /// By leading elsewhere.
    Redirects(String),
    /// With 200 and more bytes than anybody wants.
    Floods,
    /// A byte now and then.
    Drips,
    /// Not at all.
    Hangs,
    /// By hanging up when it has heard everything.
    HangsUp,
    /// As somebody decides for each request.
    Decides(Decider),
}

/// Who decides on an answer: its status, some lines of its head, and its body.
#[derive(Clone)]
pub(crate) struct Decider(pub(crate) Arc<Decide>);

type Decide = dyn Fn(&Got) -> (u16, String, String) + Send + Sync;

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decider")
    }
}

/// What came.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Heard {
    got: Mutex<Vec<Got>>,
    /// Those that were answered with what means that it has arrived.
    taken: Mutex<Vec<Got>>,
    connections: AtomicUsize,
    ends: AtomicBool,
}

pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    config: Arc<ServerConfig>,
    behaviour: Arc<Mutex<Behaviour>>,
    heard: Arc<Heard>,
    thread: Option<JoinHandle<()>>,
}

impl Hook {
    pub(crate) fn start(authority: &Authority) -> Hook {
        Hook::named(authority, Ipv4Addr::LOCALHOST.into(), "127.0.0.1")
    }

    /// One at this address, with a certificate for this name.
    pub(crate) fn named(authority: &Authority, at: IpAddr, name: &str) -> Hook {
        let listener = TcpListener::bind((at, 0)).unwrap();
        Hook::on(listener, authority.server_config(name).unwrap())
    }

    /// One on this very address and port, with a certificate for a name.
    pub(crate) fn beside(authority: &Authority, at: SocketAddr, name: &str) -> Hook {
        let listener = TcpListener::bind(at).unwrap();
        Hook::on(listener, authority.server_config(name).unwrap())
    }

    fn on(listener: TcpListener, config: Arc<ServerConfig>) -> Hook {
        let address = listener.local_addr().unwrap();
        let mut hook = Hook {
            address,
            config,
            behaviour: Arc::new(Mutex::new(Behaviour::Says(200, "ok"))),
            heard: Arc::default(),
            thread: None,
        };
        hook.listen(listener);
        hook
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// From now on, it answers so.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// Everything that came.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.heard.got.lock().unwrap().clone()
    }

    /// What came and was answered with 200.
    pub(crate) fn taken(&self) -> Vec<Got> {
        self.heard.taken.lock().unwrap().clone()
    }

    /// The ids of these, each once.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        self.taken().iter().map(|got| got.id().to_owned()).collect()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.heard.connections.load(Ordering::Relaxed)
    }

    /// Nobody listens any more.
    pub(crate) fn stop(&mut self) {
        self.heard.ends.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.heard.connections.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn restart(&mut self) {
        self.heard.ends.store(false, Ordering::Relaxed);
        let listener = TcpListener::bind(self.address).unwrap();
        self.listen(listener);
    }

    fn listen(&mut self, listener: TcpListener) {
        let config = Arc::clone(&self.config);
        let behaviour = Arc::clone(&self.behaviour);
        let heard = Arc::clone(&self.heard);
        self.thread = Some(thread::spawn(move || {
            for stream in listener.incoming() {
                heard.connections.fetch_add(1, Ordering::Relaxed);
                if heard.ends.load(Ordering::Relaxed) {
                    return;
                }
                let (config, heard) = (Arc::clone(&config), Arc::clone(&heard));
                let behaviour = Arc::clone(&behaviour);
                // Whoever hangs up is the server under test that had enough, or was ended.
                thread::spawn(move || {
                    stream.and_then(|stream| answer(stream, config, &behaviour, &heard))
                });
            }
        }));
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    behaviour: &Mutex<Behaviour>,
    heard: &Heard,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let got = read(&mut reader)?;
    let mut stream = reader.into_inner();
    heard.got.lock().unwrap().push(got.clone());
    let behaviour = behaviour.lock().unwrap().clone();
    let (status, headers, body) = match behaviour {
        Behaviour::Says(status, body) => (status, String::new(), body.to_owned()),
        Behaviour::Decides(decider) => decider.0(&got),
        Behaviour::Later(seconds) => (503, format!("retry-after: {seconds}\r\n"), String::new()),
        Behaviour::Redirects(to) => (307, format!("location: {to}\r\n"), String::new()),
        Behaviour::HangsUp => return Ok(()),
        Behaviour::Hangs => {
            thread::sleep(PATIENCE);
            return Ok(());
        }
        Behaviour::Floods => {
            heard.taken.lock().unwrap().push(got);
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"
            )?;
            loop {
                stream.write_all(&[b'x'; 16 << 10])?;
            }
        }
        Behaviour::Drips => {
            write!(stream, "HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(b"x-more: x\r\n")?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(100));
            }
        }
    };
    if (200..300).contains(&status) {
        heard.taken.lock().unwrap().push(got);
    }
    write!(
        stream,
        "HTTP/1.1 {status} Told\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn read(reader: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>) -> std::io::Result<Got> {
    let mut headers = BTreeMap::new();
    let (mut method, mut path) = (String::new(), None);
    loop {
        let mut line = String::new();
        reader.by_ref().take(LINE_MAX).read_line(&mut line)?;
        let line = line.trim_end();
        if path.is_none() {
            let mut words = line.split(' ').map(str::to_owned);
            method = words.next().unwrap_or_default();
            path = Some(words.next().unwrap_or_default());
        } else if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        } else {
            break;
        }
    }
    let length = headers.get("content-length");
    let length: u64 = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    reader.take(length.min(BODY_MAX)).read_to_end(&mut body)?;
    if body.len() as u64 != length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Got {
        method,
        path: path.unwrap_or_default(),
        headers,
        body,
    })
}
