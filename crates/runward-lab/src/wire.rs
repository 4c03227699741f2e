//! The wire between the client and the internet of a lab, and a witness of every packet on it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::error::LabError;
use crate::log::Log;

/// How long the witness may take to tell what it has seen. Far longer than it needs, also under an emulated processor.
const LIMIT: Duration = Duration::from_secs(30);

/// How many packets to one address and port are kept; what comes after them says nothing new.
const MOST_ALIKE: usize = 64;

/// A packet that came from the client's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The sender's address.
    pub from: IpAddr,
    /// The address that it was sent to.
    pub to: IpAddr,
    /// IANA's number of the protocol.
    pub protocol: u8,
    /// The port that it was sent to; 0 for protocols without ports.
    pub port: u16,
    /// The length of what follows the headers of IP and, for TCP and UDP, of the transport, in bytes.
    pub payload: u64,
    /// The first bytes of that, up to 512.
    pub first: Vec<u8>,
}

/// Everything that comes over the wire, from when this was made until it is dropped. No process and no kernel on the
/// client's side can keep a packet from it: it stands on the other side.
#[derive(Debug)]
pub struct Wire {
    log: Log<Packet>,
    witness: Child,
    /// Its end lets the witness end.
    questions: Option<ChildStdin>,
    settled: Mutex<Receiver<u64>>,
    reader: Option<JoinHandle<()>>,
}

impl Wire {
    pub(crate) fn start(mut witness: Command) -> Result<Self, LabError> {
        let failed = |reason: String| LabError::Run {
            program: "wire".to_owned(),
            reason,
        };
        let mut witness = witness
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let questions = witness.stdin.take();
        let log = Log::new();
        let (tell, settled) = mpsc::channel();
        let reader = witness.stdout.take().map(|stdout| {
            let log = log.clone();
            thread::spawn(move || read(stdout, &log, &tell))
        });
        let wire = Wire {
            log,
            witness,
            questions,
            settled: Mutex::new(settled),
            reader,
        };
        // The first answer comes when it listens.
        wire.answer()?;
        Ok(wire)
    }

    /// All packets that have arrived by now. Fails if the witness had to leave any out.
    pub fn packets(&self) -> Result<Vec<Packet>, LabError> {
        let failed = |reason: String| LabError::Run {
            program: "wire".to_owned(),
            reason,
        };
        if let Some(mut questions) = self.questions.as_ref() {
            questions
                .write_all(b"\n")
                .map_err(|error| failed(error.to_string()))?;
        }
        let lost = self.answer()? + self.log.lost();
        if lost > 0 {
            return Err(failed(format!("it had to leave out {lost} packets")));
        }
        Ok(self.log.all())
    }

    /// The packets to one address.
    pub fn to(&self, address: IpAddr) -> Result<Vec<Packet>, LabError> {
        let mut packets = self.packets()?;
        packets.retain(|packet| packet.to == address);
        Ok(packets)
    }

    fn answer(&self) -> Result<u64, LabError> {
        self.settled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv_timeout(LIMIT)
            .map_err(|_| LabError::Run {
                program: "wire".to_owned(),
                reason: "the witness does not answer".to_owned(),
            })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.witness.kill();
        let _ = self.witness.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn read(stdout: ChildStdout, log: &Log<Packet>, tell: &mpsc::Sender<u64>) {
    let mut alike = std::collections::HashMap::new();
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { return };
        let Ok(line) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if line.get("ready").is_some() || line.get("settled").is_some() {
            let lost = line.get("lost").and_then(Value::as_u64).unwrap_or(0);
            let _ = tell.send(lost);
        } else if let Some(packet) = packet(&line) {
            let count: &mut usize = alike
                .entry((packet.to, packet.protocol, packet.port))
                .or_default();
            *count += 1;
            if *count <= MOST_ALIKE {
                log.push(packet);
            }
        }
    }
}

fn packet(line: &Value) -> Option<Packet> {
    let number = |name: &str| line.get(name).and_then(Value::as_u64);
    let address = |name: &str| line.get(name)?.as_str()?.parse().ok();
    Some(Packet {
        from: address("from")?,
        to: address("to")?,
        protocol: u8::try_from(number("protocol")?).ok()?,
        port: u16::try_from(number("port")?).ok()?,
        payload: number("payload")?,
        first: bytes(line.get("first")?.as_str()?),
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_packet() {
        let line = r#"{"from":"203.0.113.2","to":"2001:db8::1","protocol":17,"port":53,"payload":3,"first":"00ff41"}"#;
        let line = serde_json::from_str(line).unwrap();
        let expected = Packet {
            from: "203.0.113.2".parse().unwrap(),
            to: "2001:db8::1".parse().unwrap(),
            protocol: 17,
            port: 53,
            payload: 3,
            first: vec![0, 255, 0x41],
        };
        assert_eq!(packet(&line), Some(expected));
        for broken in [
            r#"{}"#,
            r#"{"from":"x","to":"::","protocol":1,"port":0,"payload":0,"first":""}"#,
        ] {
            assert_eq!(packet(&serde_json::from_str(broken).unwrap()), None);
        }
    }
}
