//! One way around the fence: how it is done, and where to look whether it worked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use runward_lab::{Need, Packet};

use super::ground::{Ground, NAMESERVER};

/// The first of the addresses that are one case's alone; those before it have a meaning of their own.
const FIRST_TARGET: u16 = 10;
/// Addresses from here on are allowed places.
const LAST_TARGET: u16 = 199;

/// A way around the fence.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Shell text that the job runs. `$A` is the folder of actors, `$W` a folder that the job may write to.
    pub(crate) act: String,
    /// Something that must run outside of the job meanwhile.
    pub(crate) outside: Option<Outside>,
    /// A socket that the job inherits: what `borrowed hold` is told, with the descriptor's number after it.
    pub(crate) inherits: Option<String>,
    pub(crate) truth: Truth,
    pub(crate) expected: Expected,
    /// What the act needs of the machine.
    pub(crate) needs: Vec<Need>,
    /// The case's own number, which its addresses end in.
    number: u16,
}

/// What the fence is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing gets out.
    Stopped,
    /// It is none of the fence's business: as much gets out as without it.
    Passes,
    /// The fence can't tell it from what the policy allows. That it still works is checked, so that this list is true.
    OutOfReach(&'static str),
    /// Nothing gets out where the kernel can refuse at its security hooks (tier A); elsewhere it is out of reach.
    StoppedOnTierA(&'static str),
}

/// Where something runs that is not the job's.
#[derive(Clone, Debug)]
pub(crate) enum Outside {
    /// On the machine of the job.
    Beside(String),
    /// On the internet's side.
    Far(String),
}

/// Where it shows whether something got out, and how much.
#[derive(Clone, Debug)]
pub(crate) enum Truth {
    /// Packets to the case's own addresses.
    Packets,
    /// Bytes in packets to the case's own addresses, for connections that stood before the job began.
    Payload,
    /// The bytes that actors send, anywhere in a packet to the case's own addresses: for tunnels, where the kernel has
    /// something to say too.
    Pattern,
    /// Packets to an address and port.
    Place(IpAddr, u16),
    /// Bytes in packets of a protocol to an address.
    PayloadTo(IpAddr, u8),
    /// A question that the name server on the internet's side was asked, in whatever case.
    Question(String),
    /// These bytes, anywhere in a packet to an address.
    Bytes(IpAddr, Vec<u8>),
    /// These bytes, in what a server got over one connection, in their order.
    Stream(Vec<u8>),
    /// A number in the last line that the case's `outside` prints.
    Told(&'static str),
}

/// What the tables are made of: a name, what to run, and where to look.
pub(crate) fn case(name: &str, act: &str) -> Case {
    Case {
        name: name.to_owned(),
        act: act.to_owned(),
        outside: None,
        inherits: None,
        truth: Truth::Packets,
        expected: Expected::Stopped,
        needs: Vec::new(),
        number: 0,
    }
}

impl Case {
    pub(crate) fn shown_by(self, truth: Truth) -> Case {
        Case { truth, ..self }
    }

    pub(crate) fn beside(self, command: &str) -> Case {
        let outside = Some(Outside::Beside(command.to_owned()));
        Case { outside, ..self }
    }

    pub(crate) fn far(self, command: &str) -> Case {
        let outside = Some(Outside::Far(command.to_owned()));
        Case { outside, ..self }
    }

    pub(crate) fn inherits(self, socket: &str) -> Case {
        let inherits = Some(socket.to_owned());
        Case { inherits, ..self }
    }

    pub(crate) fn needs(self, needs: &[Need]) -> Case {
        let needs = needs.to_vec();
        Case { needs, ..self }
    }

    pub(crate) fn passes(self) -> Case {
        let expected = Expected::Passes;
        Case { expected, ..self }
    }

    pub(crate) fn stopped_on_tier_a(self, why: &'static str) -> Case {
        let expected = Expected::StoppedOnTierA(why);
        Case { expected, ..self }
    }

    pub(crate) fn out_of_reach(self, why: &'static str) -> Case {
        let expected = Expected::OutOfReach(why);
        Case { expected, ..self }
    }

    /// The number that the case's addresses end in.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// The case's own IPv4 address.
    pub(crate) fn v4(&self, ground: &Ground) -> Ipv4Addr {
        ground
            .lab
            .v4(u8::try_from(self.number).expect("numbers end before 200"))
    }

    /// The case's own IPv6 address.
    pub(crate) fn v6(&self, ground: &Ground) -> Ipv6Addr {
        ground.lab.v6(self.number)
    }

    /// Text with the addresses in place of their names.
    pub(crate) fn filled(&self, text: &str, ground: &Ground) -> String {
        text.replace("{4}", &self.v4(ground).to_string())
            .replace("{6}", &self.v6(ground).to_string())
            .replace("{n}", &self.number.to_string())
            .replace("{ns}", &ground.nameserver().to_string())
            .replace("{allowed4}", &ground.allowed_v4().to_string())
            .replace("{allowed6}", &ground.allowed_v6().to_string())
            .replace("{udp4}", &ground.udp_v4().to_string())
            .replace("{udp6}", &ground.udp_v6().to_string())
            .replace("{shared}", &ground.shared().to_string())
            .replace("{free}", &ground.free(self.number).to_string())
            .replace("{client}", &ground.client())
    }

    /// How much got out.
    pub(crate) fn reached(&self, ground: &Ground, packets: &[Packet], told: &str) -> u64 {
        let sum = |wanted: &dyn Fn(&Packet) -> bool, weight: &dyn Fn(&Packet) -> u64| {
            let wanted = packets.iter().filter(|packet| wanted(packet));
            wanted.map(weight).sum()
        };
        let own = [IpAddr::V4(self.v4(ground)), IpAddr::V6(self.v6(ground))];
        match &self.truth {
            Truth::Packets => sum(&|packet| own.contains(&packet.to), &|_| 1),
            Truth::Payload => sum(&|packet| own.contains(&packet.to), &|packet| packet.payload),
            Truth::Pattern => sum(
                &|packet| own.contains(&packet.to) && holds(&packet.first, b"abcde"),
                &|_| 1,
            ),
            Truth::Place(to, port) => {
                sum(&|packet| packet.to == *to && packet.port == *port, &|_| 1)
            }
            Truth::PayloadTo(to, protocol) => sum(
                &|packet| packet.to == *to && packet.protocol == *protocol,
                &|packet| packet.payload,
            ),
            Truth::Bytes(to, bytes) => sum(
                &|packet| packet.to == *to && holds(&packet.first, bytes),
                &|_| 1,
            ),
            Truth::Question(name) => ground.asked(name),
            Truth::Stream(bytes) => ground.heard(bytes),
            Truth::Told(member) => last_number(told, member),
        }
    }

    /// Whether bytes of the attacker's own must have arrived without the fence: a request to connect that nobody
    /// answers shows that packets get out, but not that data does.
    pub(crate) fn data_reached(&self, ground: &Ground, packets: &[Packet]) -> bool {
        let own = [IpAddr::V4(self.v4(ground)), IpAddr::V6(self.v6(ground))];
        match &self.truth {
            Truth::Packets => packets
                .iter()
                .any(|packet| own.contains(&packet.to) && packet.payload > 0),
            _ => true,
        }
    }
}

/// Gives each case a number, and with that addresses, of its own.
pub(crate) fn numbered(cases: Vec<Case>) -> Vec<Case> {
    let mut numbers =
        (FIRST_TARGET..=LAST_TARGET).filter(|number| *number != u16::from(NAMESERVER));
    let mut cases = cases;
    for case in &mut cases {
        case.number = numbers.next().expect("fewer cases than addresses");
    }
    cases
}

pub(crate) fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn last_number(told: &str, member: &str) -> u64 {
    let mut lines = told
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines
        .find_map(|line| line.get(member)?.as_u64())
        .unwrap_or(0)
}
