//! Where the matrices of a stack lie in a buffer.

use std::ops::Range;

use crate::backend::{Element, Memory, Stack, StackMut};

/// Matrices `[runs, rows, cols]`: the first at `offset`, `gap` numbers between one and the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrangement {
    pub shape: [usize; 3],
    pub offset: usize,
    pub gap: usize,
}

impl Arrangement {
    pub fn stride(self) -> usize {
        self.shape[1] * self.shape[2] + self.gap
    }

    /// Numbers up to the last of the last matrix.
    pub fn len(self) -> usize {
        self.of_run(self.shape[0] - 1).end
    }

    pub fn of_run(self, run: usize) -> Range<usize> {
        let start = self.offset + run * self.stride();
        start..start + self.shape[1] * self.shape[2]
    }

    pub fn read<'a, B: Memory, T: Element>(self, device: &B, buffer: &'a B::Buffer<T>) -> Stack<'a, B, T> {
        Stack::at(device, buffer, self.offset, self.stride(), self.shape)
    }

    /// What a buffer holds whose matrices are `of_run`, with `between` around them.
    pub fn filled<T: Element>(self, between: T, of_run: impl Fn(usize) -> Vec<T>) -> Vec<T> {
        let mut all = vec![between; self.len()];
        for run in 0..self.shape[0] {
            all[self.of_run(run)].copy_from_slice(&of_run(run));
        }
        all
    }

    /// The matrices within a larger buffer, from `first` on.
    pub fn write<'a, B: Memory, T: Element>(
        self,
        device: &B,
        buffer: &'a mut B::Buffer<T>,
        first: usize,
    ) -> StackMut<'a, B, T> {
        StackMut::at(device, buffer, first + self.offset, self.stride(), self.shape)
    }
}
