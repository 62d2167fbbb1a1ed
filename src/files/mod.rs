//! Files as everything else sees them: compressed reading, atomic writing, checksums, manifests.

pub mod input;
