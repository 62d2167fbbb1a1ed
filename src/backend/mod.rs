//! Where numbers live and how ops reach them: memory, element types, matrices.
