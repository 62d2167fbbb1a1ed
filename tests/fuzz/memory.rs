//! What a thread holds on the heap, counted; a thread that asks for too much is refused, as by a machine that has no more.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Most bytes of a thread.
pub const MOST: isize = 512 << 20;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Counts from zero again.
pub fn begin() {
    HELD.set(0);
    PEAK.set(0);
}

/// The most bytes held at a time since [`begin`], counting a request that was refused.
pub fn peak() -> isize {
    PEAK.get()
}

/// True when `bytes` more are within the limit, which then are counted.
fn admit(bytes: isize) -> bool {
    let held = HELD.get() + bytes;
    PEAK.set(PEAK.get().max(held));
    let admitted = held <= MOST;
    if admitted {
        HELD.set(held);
    }
    admitted
}

// SAFETY: every block is the system allocator's, asked for and given back with the layout that the caller named; the
// counters are plain numbers without a destructor, so that counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty is the same as System's.
        if admit(layout.size() as isize) { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty is the same as System's.
        if admit(layout.size() as isize) { unsafe { System.alloc_zeroed(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: `block` came from System with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !admit(size as isize - layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: `block` came from System with this layout; `size` is the caller's duty.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[test]
fn what_is_held_is_counted() {
    begin();
    let block = vec![1u8; 1 << 20];
    assert!(peak() >= 1 << 20);
    drop(block);
    let again = peak();
    drop(vec![1u8; 1 << 19]);
    assert_eq!(peak(), again);
    assert!(Vec::<u8>::new().try_reserve_exact(MOST as usize + 1).is_err());
    assert!(peak() > MOST);
}
