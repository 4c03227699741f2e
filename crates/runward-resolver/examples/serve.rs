//! Serves every name to everybody on one address, to be measured and tried out: `serve 127.0.0.1:5300 UPSTREAM…`.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::{env, thread};

use runward_resolver::{
    Asker, Bound, Gate, GateError, Judgement, Kept, Options, Question, Resolver, Upstreams,
};

/// Allows everything and binds nothing.
struct Open;

impl Gate for Open {
    fn judge(&self, _: &Asker, _: &Question<'_>) -> Judgement {
        Judgement::Allow
    }

    fn bind(&self, _: &Asker, _: &str, _: &[Bound]) -> Result<Kept, GateError> {
        Ok(Kept::All)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses: Result<Vec<SocketAddr>, _> =
        env::args().skip(1).map(|text| text.parse()).collect();
    let mut addresses = addresses?.into_iter();
    let at = addresses.next().ok_or("usage: serve LISTEN UPSTREAM…")?;
    let options = Options {
        upstreams: Upstreams::new(addresses.collect()),
    };
    let resolver = Resolver::start(&options, Arc::new(Open))?;
    let _listening = resolver.listen(1, UdpSocket::bind(at)?, TcpListener::bind(at)?)?;
    loop {
        thread::park();
    }
}
