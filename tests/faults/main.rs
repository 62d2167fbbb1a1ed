//! The fault matrix: what happens to the work of others when this program, its disk, its device or its input fails.
//!
//! One file a row; `docs/RELIABILITY.md` tells what each row does and what came of it. A test without a mark does a few
//! trials of its row with every run of the tests; `-- --ignored` does as many as the matrix asks for, at most `FAULT_TRIALS` of
//! them, and appends a line to `target/faults/row-NN.tsv`.

#![cfg(target_os = "linux")]

#[path = "../support/checkpoint.rs"]
mod checkpoint;
#[path = "../support/small_models.rs"]
mod small_models;
#[path = "../support/standin.rs"]
mod standin;
#[path = "../support/mod.rs"]
mod support;

mod injection;
mod job;
mod row;
mod workshop;

mod batches;
mod device;
mod failing_writes;
mod flipped_bytes;
mod killed;
mod nonfinite;
mod odd_input;
mod terminated;
mod two_writers;
mod weights;
