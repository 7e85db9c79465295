//! What the kernel does with a filter.

use crate::seccomp::assemble::*;

/// struct seccomp_data, without the instruction pointer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    pub(super) number: u32,
    pub(super) architecture: u32,
    pub(super) arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            NUMBER_OFFSET => self.number,
            ARCHITECTURE_OFFSET => self.architecture,
            16..64 if offset.is_multiple_of(4) => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            _ => panic!("nothing is at {offset}"),
        }
    }
}

/// The verdict. Panics where the kernel would refuse the program.
pub(super) fn run(program: &[Instruction], data: &Data) -> u32 {
    const JUMP_SET: u16 = 0x45;

    let (mut accumulator, mut next) = (0, 0);
    loop {
        let Instruction { code, jump_true, jump_false, value } = program[next];
        next += 1;
        let holds = match code {
            LOAD => {
                accumulator = data.word(value);
                continue;
            }
            AND => {
                accumulator &= value;
                continue;
            }
            JUMP => {
                next += value as usize;
                continue;
            }
            RETURN => return value,
            JUMP_EQUAL => accumulator == value,
            JUMP_GREATER => accumulator > value,
            JUMP_GREATER_EQUAL => accumulator >= value,
            JUMP_SET => accumulator & value != 0,
            _ => panic!("{code:#x}"),
        };
        next += usize::from(if holds { jump_true } else { jump_false });
    }
}
