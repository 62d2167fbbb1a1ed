//! The ops, one folder each: contract, checked door, CPU twin.
