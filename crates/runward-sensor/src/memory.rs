//! Records of what reached into other processes. Pure: a record in, an event out.

use runward_event::{Body, MemoryAccess, MemoryWay, ProcessId, Texts};

use crate::abi::{rw_memory, rw_memory_way};
use crate::flags;

/// Whether the target is one of the job's, the agent knows.
pub(crate) fn body(record: &rw_memory) -> Body {
    let mut texts = Texts::default();
    let len = usize::try_from(record.name_len).unwrap_or(0);
    let name = record.name.map(i8::cast_unsigned);
    let name = name.get(..len).unwrap_or(&name);
    Body::MemoryAccess(Box::new(MemoryAccess {
        process: ProcessId(record.head.process),
        pid: record.head.pid,
        target: None,
        target_pid: record.target_pid,
        target_exe: texts.text(|| "/target_exe".to_owned(), name),
        way: match rw_memory_way(record.way) {
            rw_memory_way::RW_MEMORY_FILE => MemoryWay::Mem,
            rw_memory_way::RW_MEMORY_ENVIRON => MemoryWay::Environ,
            rw_memory_way::RW_MEMORY_PTRACE => MemoryWay::Ptrace,
            rw_memory_way::RW_MEMORY_VM_CALL => MemoryWay::ProcessVm,
            rw_memory_way::RW_MEMORY_DESCRIPTOR => MemoryWay::Descriptor,
            _ => MemoryWay::Other,
        },
        prevented: record.head.flags & flags::MEMORY_PREVENTED != 0,
        killed: record.head.flags & flags::MEMORY_KILLED != 0,
        raw: texts.into_raw(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::rw_head;

    #[test]
    fn whatever_lengths_and_numbers_are_told_the_event_is_whole() {
        for (name_len, way, want) in [
            (3, 1, ("abc", MemoryWay::Mem)),
            (0, 5, ("", MemoryWay::Descriptor)),
            (1, 99, ("a", MemoryWay::Other)),
        ] {
            let mut record = rw_memory {
                head: rw_head {
                    process: 7,
                    pid: 70,
                    ..rw_head::default()
                },
                target_pid: 40,
                way,
                name_len,
                pad: 0,
                name: [0; 64],
            };
            for (place, byte) in record.name.iter_mut().zip(*b"abc") {
                *place = byte.cast_signed();
            }
            let Body::MemoryAccess(told) = body(&record) else {
                panic!()
            };
            assert_eq!((told.target_exe.as_str(), told.way), want);
            record.name_len = u32::MAX;
            let Body::MemoryAccess(told) = body(&record) else {
                panic!()
            };
            assert_eq!(told.target_exe.len(), 64);
        }
    }
}
