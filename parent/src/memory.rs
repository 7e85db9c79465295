//! memcpy and memmove for x86-64 where the C library is musl: its own begin a string instruction for each copy, which costs some hundred cycles, and
//! most of a start's 1,600 copies are a few bytes of text. (glibc's are quick, and so are musl's for other processors.)

use std::arch::asm;

/// Copies of more bytes are a string instruction's.
const SHORT_MAX: usize = 32;

/// Copies `bytes` bytes between regions that do not overlap.
///
/// # Safety
/// As memcpy(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller upholds memcpy's contract.
    unsafe { if bytes <= SHORT_MAX { copy_short(to, from, bytes) } else { copy_forward(to, from, bytes) } }
    to
}

/// Copies `bytes` bytes between regions that may overlap.
///
/// # Safety
/// As memmove(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller upholds memmove's contract. A short copy reads all before it writes; the others keep what is still to be read.
    unsafe {
        if bytes <= SHORT_MAX {
            copy_short(to, from, bytes);
        } else if (to as usize).wrapping_sub(from as usize) >= bytes {
            copy_forward(to, from, bytes);
        } else {
            copy_backward(to, from, bytes);
        }
    }
    to
}

/// Copies up to [`SHORT_MAX`] bytes by two reads of the largest piece that fits, which may overlap, and then two writes.
///
/// # Safety
/// As memmove(3).
#[inline]
unsafe fn copy_short(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: each piece fits into `bytes`, at its beginning and at its end.
    unsafe {
        match bytes {
            16.. => copy_ends::<u128>(to, from, bytes),
            8.. => copy_ends::<u64>(to, from, bytes),
            4.. => copy_ends::<u32>(to, from, bytes),
            2.. => copy_ends::<u16>(to, from, bytes),
            1 => to.write(from.read()),
            0 => {}
        }
    }
}

/// Copies the first piece and the last.
///
/// # Safety
/// As memmove(3); `bytes` is one to two times the size of `Piece`.
#[inline]
unsafe fn copy_ends<Piece>(to: *mut u8, from: *const u8, bytes: usize) {
    let last = bytes - size_of::<Piece>();
    // SAFETY: the caller's promise.
    unsafe {
        let pieces = (from.cast::<Piece>().read_unaligned(), from.add(last).cast::<Piece>().read_unaligned());
        to.cast::<Piece>().write_unaligned(pieces.0);
        to.add(last).cast::<Piece>().write_unaligned(pieces.1);
    }
}

/// Copies from the near end.
///
/// # Safety
/// As memmove(3); `to` does not lie inside the region at `from`.
unsafe fn copy_forward(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise; the direction flag is clear by the psABI.
    unsafe {
        asm!("rep movsb", inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
}

/// Copies from the far end, 16 bytes at a time.
///
/// # Safety
/// As memmove(3).
unsafe fn copy_backward(to: *mut u8, from: *const u8, mut bytes: usize) {
    // SAFETY: the caller's promise; what is read lies before all that has been written.
    unsafe {
        while bytes > SHORT_MAX {
            bytes -= size_of::<u128>();
            let piece = from.add(bytes).cast::<u128>().read_unaligned();
            to.add(bytes).cast::<u128>().write_unaligned(piece);
        }
        copy_short(to, from, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole_and_nothing_else() {
        let from: Vec<u8> = (1..=200).collect();
        for bytes in 0..from.len() {
            let mut to = vec![0; from.len() + 1];
            // SAFETY: both are longer.
            unsafe { memcpy(to.as_mut_ptr(), from.as_ptr(), bytes) };
            assert_eq!(to[..bytes], from[..bytes], "{bytes}");
            assert!(to[bytes..].iter().all(|byte| *byte == 0), "{bytes}");
        }
    }

    #[test]
    fn what_overlaps_is_copied_as_it_was() {
        for bytes in 0..150 {
            for distance in 0..=bytes {
                for (from, to) in [(0, distance), (distance, 0)] {
                    let mut moved: Vec<u8> = (0..=255).chain(0..=255).collect();
                    let mut expected = moved.clone();
                    expected.copy_within(from..from + bytes, to);
                    // SAFETY: both regions lie in it.
                    unsafe { memmove(moved.as_mut_ptr().add(to), moved.as_ptr().add(from), bytes) };
                    assert_eq!(moved, expected, "{bytes} bytes from {from} to {to}");
                }
            }
        }
    }
}
