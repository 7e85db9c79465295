//! stage1 as it is embedded: read as an ELF file, by hand, since what is asserted is the file itself.

use std::fs;

use pinnace_tests::{skip, stage1_elf};

const SIZE_MAX: usize = 64 * 1024;

const TYPE_EXECUTABLE: u16 = 2;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_DYNAMIC: u32 = 2;
const SEGMENT_INTERPRETER: u32 = 3;
const SEGMENT_STACK: u32 = 0x6474_e551;
const SECTION_RELOCATIONS: [u32; 3] = [4, 9, 19];
const FLAG_EXECUTE: u32 = 1;
const FLAG_WRITE: u32 = 2;

struct Segment {
    kind: u32,
    flags: u32,
}

struct Elf {
    bytes: Vec<u8>,
}

impl Elf {
    fn load() -> Option<Self> {
        let Some(path) = stage1_elf() else {
            skip("no release build and no STAGE1_ELF");
            return None;
        };
        Some(Self { bytes: fs::read(path).expect("read stage1") })
    }

    fn number<const BYTES: usize>(&self, offset: usize) -> usize {
        let mut wide = [0; 8];
        wide[..BYTES].copy_from_slice(&self.bytes[offset..offset + BYTES]);
        usize::try_from(u64::from_le_bytes(wide)).expect("a number that fits")
    }

    fn number32(&self, offset: usize) -> u32 {
        u32::try_from(self.number::<4>(offset)).expect("four bytes")
    }

    fn segments(&self) -> Vec<Segment> {
        let (table, size, count) = (self.number::<8>(32), self.number::<2>(54), self.number::<2>(56));
        let at = (0..count).map(|index| table + index * size);
        at.map(|offset| Segment { kind: self.number32(offset), flags: self.number32(offset + 4) }).collect()
    }

    fn section_types(&self) -> Vec<u32> {
        let (table, size, count) = (self.number::<8>(40), self.number::<2>(58), self.number::<2>(60));
        (0..count).map(|index| self.number32(table + index * size + 4)).collect()
    }
}

#[test]
fn stage1_is_an_executable_of_this_machine_for_a_fixed_address() {
    let Some(elf) = Elf::load() else { return };
    assert_eq!(&elf.bytes[..6], b"\x7fELF\x02\x01", "64 bits, little-endian");
    assert_eq!(elf.number::<2>(16), usize::from(TYPE_EXECUTABLE));
    let machine = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    assert_eq!(elf.number::<2>(18), machine);
}

#[test]
fn stage1_is_small() {
    let Some(elf) = Elf::load() else { return };
    eprintln!("stage1: {} bytes", elf.bytes.len());
    assert!(elf.bytes.len() <= SIZE_MAX, "{} bytes", elf.bytes.len());
}

#[test]
fn stage1_needs_no_interpreter_and_nothing_dynamic() {
    let Some(elf) = Elf::load() else { return };
    assert!(elf.segments().iter().any(|segment| segment.kind == SEGMENT_LOAD));
    for segment in elf.segments() {
        assert!(
            ![SEGMENT_INTERPRETER, SEGMENT_DYNAMIC].contains(&segment.kind),
            "segment type {}",
            segment.kind
        );
    }
}

#[test]
fn no_segment_of_stage1_is_writable_and_executable() {
    let Some(elf) = Elf::load() else { return };
    let both = FLAG_WRITE | FLAG_EXECUTE;
    for segment in elf.segments() {
        assert_ne!(segment.flags & both, both, "segment type {}", segment.kind);
    }
    // Without this header the kernel makes the stack executable.
    assert!(elf.segments().iter().any(|segment| segment.kind == SEGMENT_STACK), "no PT_GNU_STACK");
}

#[test]
fn stage1_has_no_relocations() {
    let Some(elf) = Elf::load() else { return };
    for kind in elf.section_types() {
        assert!(!SECTION_RELOCATIONS.contains(&kind), "section type {kind}");
    }
}
