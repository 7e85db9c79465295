//! An allocator that never frees, for commands that live some milliseconds: the first half mebibyte comes from zeroed memory of the
//! program, without a system call, and what is never given back is never looked for.
//!
//! Only the binary uses it; a program that embeds the library keeps its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of the arena. Pages that are not reached cost nothing.
const ARENA_BYTES: usize = 512 << 10;

/// Serves from the arena until that is used up, then from the C library.
pub struct Bump {
    arena: UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: the arena is only handed out in pieces that `used` has reserved by an atomic addition, so no two pieces overlap.
unsafe impl Sync for Bump {}

impl Default for Bump {
    fn default() -> Self {
        Self::new()
    }
}

impl Bump {
    pub const fn new() -> Self {
        Self { arena: UnsafeCell::new([0; ARENA_BYTES]), used: AtomicUsize::new(0) }
    }

    fn start(&self) -> *mut u8 {
        self.arena.get().cast()
    }

    fn owns(&self, pointer: *mut u8) -> bool {
        let start = self.start() as usize;
        (start..start + ARENA_BYTES).contains(&(pointer as usize))
    }
}

// SAFETY: pieces are aligned as asked, disjoint, and live as long as the program; what the arena does not hold goes to the system's allocator
// and back to it.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Room for the worst alignment; large blocks would waste the arena.
        let bytes = layout.size() + layout.align() - 1;
        if bytes <= ARENA_BYTES / 4 {
            let offset = self.used.fetch_add(bytes, Ordering::Relaxed);
            if offset + bytes <= ARENA_BYTES {
                let unaligned = self.start() as usize + offset;
                let padding = unaligned.next_multiple_of(layout.align()) - unaligned;
                // SAFETY: offset, padding and size stay inside the arena, as was just checked.
                return unsafe { self.start().add(offset + padding) };
            }
        }
        // SAFETY: the caller's layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !self.owns(pointer) {
            // SAFETY: what is not of the arena came from the system's allocator with this layout.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_and_disjoint_and_large_ones_come_from_elsewhere() {
        let bump = Box::new(Bump::new());
        let mut end = 0;
        for (size, align) in [(1, 1), (24, 8), (3, 64), (100, 16)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layout is not empty.
            let piece = unsafe { bump.alloc(layout) } as usize;
            assert!(piece >= end && piece.is_multiple_of(align), "{size} {align}");
            end = piece + size;
        }
        let large = Layout::from_size_align(ARENA_BYTES, 8).unwrap();
        // SAFETY: the layout is not empty, and the block goes back with it.
        unsafe {
            let block = bump.alloc(large);
            assert!(!bump.owns(block));
            bump.dealloc(block, large);
        }
    }
}
