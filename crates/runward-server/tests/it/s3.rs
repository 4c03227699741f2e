//! An S3-speaking server of a test's own: it checks signatures, and keeps a bucket as a folder.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// The bucket that there is from the start.
pub(crate) const BUCKET: &str = "runward-events";
/// The name and the secret that requests are signed with.
pub(crate) const SIGNER: (&str, &str) = ("the-tests", "no-secret");

pub(crate) struct S3 {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl S3 {
    pub(crate) fn start() -> S3 {
        S3::with(None)
    }

    /// One that is spoken to over TLS, if there is something to speak it with.
    pub(crate) fn with(tls: Option<Arc<ServerConfig>>) -> S3 {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let mut server = S3 {
            folder,
            address,
            tls,
            running: None,
        };
        server.run(free);
        server
    }

    /// Ends the server; every connection is broken off.
    pub(crate) fn stop(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            end.send(()).unwrap();
            thread.join().unwrap();
        }
    }

    /// Starts it again on what it left.
    pub(crate) fn restart(&mut self) {
        // Its port has connections that wait for their end; the library allows for that.
        self.run(TcpListener::bind(self.address).unwrap());
    }

    /// Objects below a prefix, which ends where a `/` is: their names and what is in them.
    ///
    /// A server may delete, and this one may rename what it has just been given, while they are
    /// read: what is away by then isn't there.
    pub(crate) fn objects(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let root = self.folder.path().join(BUCKET);
        let mut files = Vec::new();
        walk(&root.join(prefix), &mut files);
        let named = files.iter().filter_map(|path| {
            let name = path.strip_prefix(&root).unwrap();
            match fs::read(path) {
                Ok(content) => Some((name.display().to_string(), content)),
                Err(fault) if fault.kind() == ErrorKind::NotFound => None,
                Err(fault) => panic!("{}: {fault}", path.display()),
            }
        });
        named.collect()
    }

    fn run(&mut self, listener: TcpListener) {
        let mut builder = S3ServiceBuilder::new(FileSystem::new(self.folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(SIGNER.0, SIGNER.1));
        let service = builder.build();
        let (end, ends) = oneshot::channel();
        let tls = self.tls.clone().map(TlsAcceptor::from);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, service, tls) => {}
                    _ = ends => {}
                }
            });
        });
        self.running = Some((end, thread));
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, service: S3Service, tls: Option<TlsAcceptor>) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        // Head and body of an answer are written one after the other.
        stream.set_nodelay(true).unwrap();
        let (service, tls) = (service.clone(), tls.clone());
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let Some(tls) = tls else {
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                return;
            };
            if let Ok(stream) = tls.accept(stream).await {
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        });
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}
