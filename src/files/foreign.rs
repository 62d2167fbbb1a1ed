//! Code of other crates that panics: decoders, which check most of what they read, and loaders of libraries.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Such code is at work on this thread: what it says as it panics is for nobody.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}
static HOOK: Once = Once::new();

/// What `work` gives; `None` where it panicked, about which nothing is printed. What it was about to change is not to be
/// used then.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    QUIET.set(before);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_and_the_next_call_goes_on() {
        let ruin: fn() -> u32 = || panic!("damaged");
        assert_eq!(quietly(|| quietly(ruin).unwrap_or(7)), Some(7));
        assert_eq!(quietly(ruin), None);
        assert_eq!((quietly(|| 3), QUIET.get()), (Some(3), false));
    }
}
