//! An allocator that hardly frees, for commands that live some milliseconds: the first two mebibytes come from zeroed memory of the
//! program, without a system call, and of what is given back only the last piece is handed out again. So a text that is needed for a moment takes no
//! new page, and nothing is ever looked for.
//!
//! It is the program's, not the library's: who embeds that keeps their own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of the arena. Pages that are not reached cost nothing.
const ARENA_BYTES: usize = 2 << 20;

/// Serves from the arena until that is used up, then from the C library.
///
/// What is used is counted right before the first piece: behind the arena it would have a page of its own.
#[repr(C)]
pub struct Bump {
    used: AtomicUsize,
    /// No byte from here on has been handed out and given back: where nobody has one, it is zero.
    soiled: AtomicUsize,
    arena: UnsafeCell<[u8; ARENA_BYTES]>,
}

// SAFETY: the arena is handed out in pieces that begin at `used` or behind it, and `used` moves by atomic operations alone: forward over a new piece, and
// back over the last one, by whoever has that. So no two pieces overlap.
unsafe impl Sync for Bump {}

impl Default for Bump {
    fn default() -> Self {
        Self::new()
    }
}

impl Bump {
    pub const fn new() -> Self {
        Self {
            used: AtomicUsize::new(0),
            soiled: AtomicUsize::new(0),
            arena: UnsafeCell::new([0; ARENA_BYTES]),
        }
    }

    fn start(&self) -> *mut u8 {
        self.arena.get().cast()
    }

    fn owns(&self, pointer: *mut u8) -> bool {
        let start = self.start() as usize;
        (start..start + ARENA_BYTES).contains(&(pointer as usize))
    }

    /// A new piece, unless it is large (which would waste the arena) or the arena is used up.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.size() > ARENA_BYTES / 4 {
            return None;
        }
        let start = self.start() as usize;
        // By a mask, not by a division: an alignment is a power of two.
        let aligned = |used: usize| ((start + used + layout.align() - 1) & !(layout.align() - 1)) - start;
        let end = |used| Some(aligned(used) + layout.size()).filter(|end| *end <= ARENA_BYTES);
        let used = self.used.fetch_update(Ordering::Acquire, Ordering::Relaxed, end).ok()?;
        // SAFETY: the piece ends inside the arena, as `end` has checked.
        Some(unsafe { self.start().add(aligned(used)) })
    }

    /// Makes the piece at `pointer` larger or smaller if nothing was handed out behind it, and says whether it has the size now. (One that could not be
    /// made smaller has it as well.)
    fn resize(&self, pointer: *mut u8, old_size: usize, size: usize) -> bool {
        let offset = pointer as usize - self.start() as usize;
        let (old_end, end) = (offset + old_size, offset + size);
        let shrinks = end <= old_end;
        if end > ARENA_BYTES || self.used.load(Ordering::Relaxed) != old_end {
            return shrinks;
        }
        if shrinks {
            self.soiled.fetch_max(old_end, Ordering::Relaxed);
        }
        // Whoever takes the piece next (`take` acquires) comes behind what was written to it, and behind the line above.
        self.used.compare_exchange(old_end, end, Ordering::AcqRel, Ordering::Relaxed).is_ok() || shrinks
    }

    /// A piece of which all is zero.
    fn take_zeroed(&self, layout: Layout) -> Option<*mut u8> {
        let piece = self.take(layout)?;
        let offset = piece as usize - self.start() as usize;
        let soiled = self.soiled.load(Ordering::Relaxed).saturating_sub(offset).min(layout.size());
        // SAFETY: the piece is ours alone, and as large at least.
        unsafe { piece.write_bytes(0, soiled) };
        Some(piece)
    }
}

// SAFETY: pieces are aligned as asked, disjoint, and live until they are given back; what the arena does not hold goes to the system's allocator
// and back to it.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is passed on.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    /// A page of the arena that nobody writes to is never made.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is passed on.
        self.take_zeroed(layout).unwrap_or_else(|| unsafe { System.alloc_zeroed(layout) })
    }

    /// What grows is mostly the last piece, a text or a list that is being written: it grows in place.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.owns(pointer) {
            // SAFETY: what is not of the arena came from the system's allocator with this layout.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        if self.resize(pointer, layout.size(), size) {
            return pointer;
        }
        // SAFETY: the caller promises that `size` is a valid one with this alignment, and not 0.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: the old piece is the smaller one, and lies elsewhere.
            unsafe { new.copy_from_nonoverlapping(pointer, layout.size()) };
        }
        new
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.owns(pointer) {
            self.resize(pointer, layout.size(), 0);
        } else {
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
        // Too large for the stack.
        static BUMP: Bump = Bump::new();
        let bump = &BUMP;
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

    #[test]
    fn the_last_piece_is_handed_out_again_and_zeroed_for_whoever_asks_for_that() {
        // Too large for the stack.
        static BUMP: Bump = Bump::new();
        let bump = &BUMP;
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the layouts are not empty, each piece is named with the layout that it has, and what is read has been written or is zeroed.
        unsafe {
            let first = bump.alloc(layout(64));
            let last = bump.alloc(layout(64));
            last.write_bytes(0xff, 64);
            bump.dealloc(first, layout(64));
            assert_ne!(bump.alloc(layout(1)), first, "it was not the last");
            bump.dealloc(last, layout(64));
            assert_ne!(bump.alloc(layout(1)), last, "it is not the last any more");

            let piece = bump.alloc(layout(64));
            piece.write_bytes(0xff, 64);
            bump.dealloc(piece, layout(64));
            // Half of it has never been handed out.
            let zeroed = bump.alloc_zeroed(layout(128));
            assert_eq!(zeroed, piece);
            assert!((0..128).all(|at| *zeroed.add(at) == 0));

            zeroed.write_bytes(0xff, 128);
            assert_eq!(bump.realloc(zeroed, layout(128), 16), zeroed);
            let behind = bump.alloc_zeroed(layout(64));
            assert_eq!(behind, zeroed.add(16));
            assert!((0..64).all(|at| *behind.add(at) == 0) && *zeroed.add(15) == 0xff);
        }
    }

    #[test]
    fn the_last_piece_grows_in_place_and_an_earlier_one_moves_with_its_content() {
        // Too large for the stack.
        static BUMP: Bump = Bump::new();
        let bump = &BUMP;
        let small = Layout::from_size_align(16, 8).unwrap();
        let large = Layout::from_size_align(ARENA_BYTES, 8).unwrap();
        // SAFETY: the layouts are not empty, and each piece is named with the layout that it has.
        unsafe {
            let first = bump.alloc_zeroed(small);
            assert_eq!(*first, 0);
            assert_eq!(bump.realloc(first, small, 64), first);
            first.write(7);
            let second = bump.alloc(small);
            let moved = bump.realloc(first, Layout::from_size_align(64, 8).unwrap(), 4096);
            assert!(moved > second && *moved == 7);
            assert_eq!(bump.realloc(second, small, 8), second);
            // Too large for the arena, and back.
            let elsewhere = bump.realloc(moved, Layout::from_size_align(4096, 8).unwrap(), ARENA_BYTES);
            assert!(!bump.owns(elsewhere) && *elsewhere == 7);
            let larger = bump.realloc(elsewhere, large, 2 * ARENA_BYTES);
            assert_eq!(*larger, 7);
            bump.dealloc(larger, Layout::from_size_align(2 * ARENA_BYTES, 8).unwrap());
        }
    }
}
